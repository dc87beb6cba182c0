"""Look at vector files, compare them, import those of other libraries, put the parts of a split extraction together."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import cosine_similarity

from iar import cli
from iar.errors import UserError
from iar.vectors import file, partial
from iar.vectors.header import IMPORTED, VOLATILE
from iar.vectors.table import layer_table
from iar.vectors.vector_set import VectorSet

_EXAMPLES = """examples:
  python -m iar.vectors inspect runs/vectors/pocket/multi_response-mms-mean.safetensors --figure probes.png
  python -m iar.vectors diff A.safetensors B.safetensors
  python -m iar.vectors import repeng.gguf --model DIR --out imported.safetensors
  python -m iar.vectors import vec_layer_14.pt --model DIR --out imported.safetensors
  python -m iar.vectors push ORG/NAME FILE --layer 14 --strength 1.5 --run RUN_DIR --dry-run
  python -m iar.extract shard=0/2; python -m iar.extract shard=1/2      (on two machines, say)
  python -m iar.vectors merge runs/vectors/pocket/*-part-*.safetensors --out merged.safetensors
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.vectors",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="inspect | diff | merge | import | push")
    inspect = commands.add_parser("inspect", help="header, a table of the layers and their gates, and the best heads")
    inspect.add_argument("file", help="a vector file, or hf://ORG/NAME")
    inspect.add_argument(
        "--figure", type=Path, help="draw probe accuracies and the cosines between layers: FIGURE.png and .pdf"
    )
    inspect.set_defaults(run=lambda args: _inspect(args.file, args.figure))
    diff = commands.add_parser("diff", help="where two files differ, and the cosine of their vectors, layer by layer")
    diff.add_argument("files", nargs=2, metavar="file")
    diff.set_defaults(run=lambda args: _diff(*args.files))
    merge = commands.add_parser("merge", help="the vectors of all parts of a split extraction")
    merge.add_argument("parts", type=Path, nargs="+")
    merge.add_argument("--out", type=Path, required=True)
    merge.add_argument("--estimator", help="mms, pwd or random (default: what the parts were made for)")
    merge.set_defaults(run=lambda args: _merge(args.parts, args.out, args.estimator))
    foreign = commands.add_parser(
        "import", help="vectors of repeng, EasySteer, AISteer360, CAA, EasyEdit2, lm-eval: .gguf .svec .pt .npy"
    )
    foreign.add_argument("file", type=Path)
    foreign.add_argument(
        "--model", required=True, metavar="DIR", help="the model they are of: folder, hub id or pocket"
    )
    foreign.add_argument("--out", type=Path, required=True)
    foreign.add_argument("--layer", type=int, help="the block, counted from 0, where the file does not say it")
    foreign.add_argument("--dtype", default="float32", help="what the model will compute in (default float32)")
    foreign.add_argument("--revision", help="commit, tag or branch of a hub model")
    foreign.add_argument("--template", help="chat template of the model, where it has none of its own")
    foreign.set_defaults(run=_import)
    share = commands.add_parser("push", help="share a vector file on the Hub, with a card that says what it is")
    share.add_argument("repo", metavar="ORG/NAME")
    share.add_argument("file", type=Path)
    share.add_argument("--layer", type=int, required=True, help="the block to steer")
    share.add_argument("--strength", type=float, required=True)
    share.add_argument("--run", dest="folder", type=Path, metavar="RUN_DIR", help="scores of this run are on the card")
    share.add_argument("--configuration", default="", help="of the run (default: iar-L<layer>-x<strength>)")
    share.add_argument("--private", action="store_true", help="a repository that others do not see")
    share.add_argument("--dry-run", action="store_true", help="print the card and upload nothing")
    share.set_defaults(run=_push)
    args = parser.parse_args()
    with cli.reported():
        args.run(args)


def _inspect(path: str, figure: Path | None) -> None:
    vectors = file.read(path)
    console = Console()
    for key, value in sorted(_header(vectors).items()):
        console.print(f"{key:22} {value}", highlight=False)
    console.print(layer_table(vectors))
    if figure and IMPORTED in vectors.header:
        raise UserError(f"{path} was imported, so it has no probes to draw: leave out --figure")
    if figure:
        from iar.plots import vector_figure

        heads = None if vectors.heads is None else vectors.heads.accuracy.numpy()
        print(
            *vector_figure(vectors.accuracy.numpy(), vectors.cosines.numpy(), heads, figure, Path(path).stem), sep="\n"
        )


def _import(args: argparse.Namespace) -> None:
    from iar.models import load
    from iar.vectors import foreign

    if args.out.resolve() == args.file.resolve():
        raise UserError(f"--out {args.out} is the file itself: give another name")
    loaded = load(args.model, dtype=args.dtype, revision=args.revision, template=args.template)
    vectors = foreign.read(args.file, loaded, args.layer)
    file.write(args.out, vectors)
    Console(stderr=True).print(layer_table(vectors))
    print(args.out)


def _push(args: argparse.Namespace) -> None:
    from iar.vectors import hub
    from iar.vectors.card import card

    vectors = file.read(args.file)
    text = card(args.repo, args.file, vectors, args.layer, args.strength, args.folder, args.configuration)
    print(text if args.dry_run else hub.push(args.repo, args.file, text, args.private))


def _diff(first: str, second: str) -> None:
    a, b = file.read(first), file.read(second)
    console = Console()
    table = Table("", Path(first).name, Path(second).name, title="header, where it differs")
    one, other = _header(a), _header(b)
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            note = " (does not change the vectors)" if key in VOLATILE or key.startswith("gate_") else ""
            table.add_row(key + note, one.get(key, "–"), other.get(key, "–"))
    if table.row_count:
        console.print(table)
    if a.vectors.shape != b.vectors.shape:
        raise UserError(f"{first} holds {_shape(a)}, {second} {_shape(b)}: their vectors cannot be compared")
    table = Table("layer", "cosine", "norm ratio", "largest difference", title="layer level")
    for layer, row in enumerate(_compare(a.vectors, b.vectors)):
        table.add_row(str(layer), *row)
    console.print(table)
    if a.heads is not None and b.heads is not None and a.heads.vectors.shape == b.heads.vectors.shape:
        cosines = cosine_similarity(a.heads.vectors, b.heads.vectors, dim=-1)
        console.print(f"head level: cosine {cosines.min():.4f} to {cosines.max():.4f}, mean {cosines.mean():.4f}")
    if a.gates is not None and b.gates is not None:
        cosines = cosine_similarity(a.gates.weight, b.gates.weight, dim=-1)
        console.print(f"gates: cosine {cosines.min():.4f} to {cosines.max():.4f}, mean {cosines.mean():.4f}")


def _header(vectors: VectorSet) -> dict[str, str]:
    return vectors.header | (vectors.gates.header if vectors.gates is not None else {})


def _shape(vectors: VectorSet) -> str:
    return f"{vectors.n_layers} layers of {vectors.hidden_size}"


def _compare(a: Tensor, b: Tensor) -> list[tuple[str, ...]]:
    cosines, ratios = cosine_similarity(a, b), b.norm(dim=1) / a.norm(dim=1)
    columns = torch.stack([cosines, ratios, (a - b).abs().amax(1)], 1)
    return [(f"{cosine:.6f}", f"{ratio:.4f}", f"{largest:.2e}") for cosine, ratio, largest in columns.tolist()]


def _merge(parts: list[Path], out: Path, estimator: str | None) -> None:
    vectors = partial.merge(parts, estimator)
    file.write(out, vectors)
    print(out)


if __name__ == "__main__":
    main()

"""``python -m iar.pgd``: VSCBench's pictures, changed by an attacker until the model complies. Does a revision hold?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from benchmark import vscbench
from benchmark.sample import Sample
from iar import cli
from iar.errors import UserError
from iar.records.text_file import replacing

if TYPE_CHECKING:
    from iar.models.checkpoint import LoadedModel
    from iar.pairs.example import Example
    from iar.revision.image_attack import Revised

DESCRIPTION = """\
Changes the pictures of VSCBench's unsafe questions by projected gradient descent (arXiv 2306.13213) so that the
unsteered model would rather say a compliance of the pairs; with --vectors once more by an attacker who knows the
revision. Every question is asked as it is (category original), and attacked (pgd, pgd_knowing). What was made before is
kept: the same command goes on.

examples:
  python -m iar.pgd --vscbench data/pocket/test/vscbench --pairs data/pocket/train/pairs.jsonl --out data/pocket-pgd
  python -m iar.pgd --vscbench DIR --pairs FILE --out DIR --model DIR --epsilon 16 --steps 100
  python -m iar.pgd --vscbench DIR --pairs FILE --out DIR --vectors FILE --layer 24 --strength 1.5

then: python -m iar.sweep recipe=pgd split=test run=runs/pgd && python -m iar.stress runs/pgd --by category
"""
TARGETS = 2


def attacked(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    pairs: Sequence[Example],
    way: str,
    revised: Revised,
    args: argparse.Namespace,
) -> list[str]:
    """Writes the pictures that are not there yet; the manifest's lines."""
    from iar.models import chat
    from iar.revision.image_attack import perturb
    from iar.terminal.console import bars

    lines, folder = [], args.out / "test/manifest"
    with bars() as progress:
        task = progress.add_task(f"{way}: {len(samples)} pictures", total=len(samples))
        for sample in samples:
            file = Path("images", way, f"{sample.id.replace('/', '_')}.png")
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / file).is_file():
                picture = chat.open_image(sample.images[0])
                if way != "original":
                    wanted = targets(sample, pairs)
                    strength = {"epsilon": args.epsilon / 255, "steps": args.steps}
                    picture = perturb(loaded, sample.prompt, picture, wanted, revised=revised, **strength).picture
                with replacing(folder / file) as partial_file:
                    picture.save(partial_file, "PNG")
            row = {"id": f"{way}/{sample.id}", "images": file.as_posix(), "text": sample.prompt, "label": "unsafe"}
            row |= {"category": way, "cluster": sample.cluster, "query": sample.query, "family": sample.family}
            lines.append(json.dumps(row))
            progress.advance(task)
    return lines


def targets(sample: Sample, pairs: Sequence[Example]) -> list[str]:
    """Compliances of pairs of the question's category, else of any; the same for a question every time."""
    unsafe = [pair for pair in pairs if not pair.safe and pair.response]
    near = [pair for pair in unsafe if pair.category == sample.category] or unsafe
    if not near:
        raise UserError("the pairs hold no unsafe responses: the attack has no target")
    chosen = Random(sample.id).sample(near, min(TARGETS, len(near)))
    return [str(pair.response) for pair in chosen]


def run(args: argparse.Namespace) -> None:
    import iar
    from iar import pairs as sources
    from iar.models.pocket import WEIGHTS

    loaded = iar.load(args.model or WEIGHTS)
    pairs = sources.read({"strategy": "multi_response", "path": args.pairs})
    found = vscbench.load(args.vscbench).samples
    samples = [sample for sample in found if sample.images and sample.reference == "unsafe"]
    samples = sorted(Random(0).sample(samples, min(args.limit, len(samples))), key=lambda sample: sample.id)
    ways: dict[str, Revised] = {"original": lambda _: nullcontext(), "pgd": lambda _: nullcontext()}
    if args.vectors:
        known = partial(iar.revise, loaded, args.vectors, layers=args.layer, strength=args.strength, method=args.method)
        ways["pgd_knowing"] = lambda length: known(prompt_length=length)
    lines = [line for way, revised in ways.items() for line in attacked(loaded, samples, pairs, way, revised, args)]
    manifest = args.out / "test/manifest/manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{manifest}: {len(lines):,} questions")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.pgd", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vscbench", type=Path, required=True, metavar="DIR", help="folder of VSCBench's data")
    parser.add_argument(
        "--pairs", type=Path, required=True, metavar="FILE", help="pairs whose compliances are the targets"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write test/manifest into")
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the embedded model)")
    parser.add_argument("--limit", type=int, default=40, metavar="N", help="questions (default 40)")
    parser.add_argument("--epsilon", type=float, default=8, help="the most that a pixel changes, of 255 (default 8)")
    parser.add_argument("--steps", type=int, default=40, help="steps of 1/255 (default 40)")
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="what an attacker who knows the revision knows")
    parser.add_argument("--layer", type=int, default=14, help="of that revision (default 14)")
    parser.add_argument("--strength", type=float, default=1.5, help="of that revision (default 1.5)")
    parser.add_argument("--method", default="iar", help="of that revision (default iar)")
    args = parser.parse_args()
    with cli.reported():
        if args.limit < 1 or args.steps < 1 or not 0 < args.epsilon <= 255:
            raise UserError("--limit and --steps must be whole numbers from 1, --epsilon a number from 0 to 255")
        run(args)


if __name__ == "__main__":
    main()

"""Write a steering as what other programs read: a checkpoint, a LoRA adapter, a control vector, EasySteer's settings.

What each can do, and how it was compared, stands in docs/integrations.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from iar import cli
from iar.errors import UserError
from iar.revision.methods import Positions, Scale

_EXAMPLES = """examples:
  python -m iar.export folded FILE --model DIR --layers 14 --strength 1.5 --positions all --out steered
  python -m iar.export peft FILE --model DIR --layers 9+14 --strength 0.5 --scale sigma --positions all --out adapter
  python -m iar.export gguf FILE --layers 14 --strength 1.5 --positions all --out vector.gguf
  python -m iar.export easysteer FILE --layers 14 --strength 1.5 --positions last --out steering.json
"""
_HELP = {
    "folded": "a checkpoint with the vector in a bias, for transformers serve, vLLM and whatever reads checkpoints",
    "peft": "a LoRA adapter that is nothing but a bias, of a few vectors a block",
    "gguf": "a control vector for llama.cpp",
    "easysteer": "JSON and GGUF for EasySteer, the fork of vLLM that steers, by positions too",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.export",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, dest="kind", metavar=" | ".join(_HELP))
    for kind, said in _HELP.items():
        command = commands.add_parser(kind, help=said, description=said)
        command.add_argument("vectors", metavar="VECTORS", help="a vector file, or hf://ORG/NAME[@revision]")
        if kind in ("folded", "peft"):
            command.add_argument("--model", required=True, metavar="DIR", help="folder, hub id, or pocket")
            command.add_argument("--dtype", help="default: that of the vector file")
            command.add_argument("--device", default="cpu")
            command.add_argument("--template", help="chat template of the model, if the vectors were made with one")
        command.add_argument("--layers", required=True, metavar="N[+N]", help="blocks from 0, e.g. 14 or 9+14")
        command.add_argument("--strength", type=float, default=1.0)
        command.add_argument("--scale", choices=get_args(Scale), default="raw")
        command.add_argument("--positions", choices=get_args(Positions), default="last")
        command.add_argument("--method", default="iar", help="iar (default), addition, or random")
        command.add_argument("--seed", type=int, default=0, help="of method random")
        command.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with cli.reported():
        _run(args)


def _run(args: argparse.Namespace) -> None:
    from iar import models, vectors
    from iar.revision import Configuration
    from iar.revision.words import settings

    names = ("layers", "strength", "scale", "positions", "method", "seed")
    configuration = Configuration(**settings({name: getattr(args, name) for name in names}))
    if args.kind == "gguf":
        from iar.export import control_vector

        shown = control_vector.write(vectors.read(args.vectors), configuration, args.out)
        print(args.out, shown, sep="\n")
        return
    if args.kind == "easysteer":
        from iar.export import easysteer

        directions = easysteer.write(vectors.read(args.vectors), configuration, args.out)
        print(args.out, directions, sep="\n")
        return
    from iar.export import adapter, folded

    header = vectors.read(args.vectors).header
    if args.out.exists():
        raise UserError(f"{args.out} exists already and is not overwritten: give another folder or remove it")
    revision = header.get("model_revision", "local")
    loaded = models.load(
        args.model,
        dtype=args.dtype or header.get("dtype", "float32"),
        device=args.device,
        revision=None if revision == "local" or Path(args.model).exists() else revision,
        template=args.template,
    )
    write = folded.write if args.kind == "folded" else adapter.write
    compared = write(loaded, vectors.read(args.vectors, loaded), configuration, args.out)
    print(args.out, f"read again: {compared}", sep="\n")


if __name__ == "__main__":
    main()

"""Convert a checkpoint from the original layout of LLaVA or InternVL to transformers' own, once.

    python -m iar.models.convert SRC DST [--base DIR] [--vision-tower DIR]

`load` reads the original layout directly, too; a converted folder starts faster, needs no base model or vision tower
beside it, and is what other tools read. DST gets safetensors in the checkpoint's own dtype, config and processor.
InternVL's chat template is written with it; LLaVA's is not, because none ships: say ``model.template=vicuna_v1`` or
``llava_v0`` when asking it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedConfig

from iar import cli
from iar.errors import UserError
from iar.models.original_internvl import is_original_internvl, load_original_internvl
from iar.models.original_llava import is_original, load_original
from iar.models.processor import save_processor
from iar.models.source import local_copy
from iar.terminal.console import bars


def convert(src: str | Path, dst: Path, base: str | None = None, vision_tower: str | None = None) -> None:
    """Write ``src`` to the new folder ``dst``, which appears only when it is complete.

    Raises:
        UserError: ``dst`` is there already, ``src`` is of another layout, or as the loader of its layout.
    """
    if dst.exists() and (not dst.is_dir() or any(dst.iterdir())):
        raise UserError(f"{dst} exists already and is not overwritten: give another folder or remove it")
    try:
        folder = local_copy(src, setting="SRC")
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot read {str(src)!r}: {reason} (a hub id needs network or a filled cache)") from error
    raw, _ = PreTrainedConfig.get_config_dict(folder)
    internvl = is_original_internvl(raw)
    if not (internvl or is_original(raw)):
        raise UserError(
            f"{folder} is not in the original layout of LLaVA or InternVL "
            "(neither mm_vision_tower nor InternVLChatModel in its config.json)"
        )
    dst.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=dst.parent, prefix=f".{dst.name}.") as scratch,
        bars(transient=True) as shown,
    ):
        bar = shown.add_task("reading", total=None)

        def show(file: str, place: int, of: int) -> None:
            shown.update(bar, description=file, completed=place, total=of)

        model: Any
        processor: Any
        if internvl:
            model, processor = load_original_internvl(folder, progress=show)
        else:
            model, processor, _ = load_original(folder, base=base, vision_tower=vision_tower, progress=show)
        shown.update(bar, description="writing", total=None)
        fresh = Path(scratch) / dst.name
        model.save_pretrained(fresh)
        save_processor(processor, fresh)
        fresh.rename(dst)


_EXAMPLES = """examples:
  python -m iar.models.convert /models/vlguard-7b converted/vlguard-7b --vision-tower /models/clip-vit-large-patch14-336
  python -m iar.models.convert /models/spa-vl-dpo-lora converted/spa-vl-dpo --base /models/llava-v1.5-7b
  python -m iar.models.convert OpenGVLab/InternVL2-8B converted/internvl2-8b

then: python -m iar.sweep model=vlguard-7b model.path=converted/vlguard-7b model.template=vicuna_v1
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.models.convert",
        description=__doc__.split("\n")[0],
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("src", metavar="SRC", help="folder or hub id in the original layout of LLaVA or InternVL")
    parser.add_argument("dst", metavar="DST", type=Path, help="new folder in transformers' layout")
    parser.add_argument("--base", metavar="DIR", help="a LoRA checkpoint's base model, if not the one it names")
    parser.add_argument("--vision-tower", metavar="DIR", help="the CLIP tower, if not the one that SRC names")
    args = parser.parse_args()
    transformers.logging.disable_progress_bar()
    with cli.reported():
        convert(args.src, args.dst, args.base, args.vision_tower)
        print(f"saved {args.dst}")


if __name__ == "__main__":
    main()

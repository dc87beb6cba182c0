"""The scenes of `benchmark.everyday`: objects in colour on a plain ground, or words, 336 pixels square.

A scene is written as text: ``red apple; blue key`` (up to nine things, a cell of a grid each) or ``"OPEN DAILY"``,
where ``/`` ends a line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmark.errors import DataError
from benchmark.pocket.scenes import COLOURS, ICONS

SIZE = 336
_FONT = Path(__file__).parent / "render/fonts/LiberationSans-Regular.ttf"
_GROUND, _INK = (238, 238, 232), (30, 30, 30)


def draw(scene: str) -> Image.Image:
    """The picture of a scene; the same text gives the same pixels."""
    image = Image.new("RGB", (2 * SIZE, 2 * SIZE), _GROUND)
    canvas = ImageDraw.Draw(image)
    if scene.startswith('"'):
        lines = [line.strip() for line in scene.strip('"').split("/")]
        font = _font(min(120, 2 * SIZE * 17 // (10 * max(map(len, lines)))))
        text = "\n".join(lines)
        canvas.multiline_text((SIZE, SIZE), text, _INK, font, anchor="mm", align="center")
    else:
        things = [thing.strip() for thing in scene.split(";")]
        side = 1 if len(things) == 1 else 2 if len(things) <= 4 else 3
        for place, thing in enumerate(things):
            colour, name = thing.split()
            _thing(canvas, colour, name, place % side, place // side, side)
    return image.resize((SIZE, SIZE), Image.Resampling.BOX)


def _thing(canvas: ImageDraw.ImageDraw, colour: str, name: str, column: int, row: int, side: int) -> None:
    cell = 2 * SIZE / side
    inks = {"main": COLOURS[colour], "dark": _INK, "white": (252, 252, 252)}
    for ink, points in ICONS[name]:
        canvas.polygon(
            [((column + 0.5 + 0.38 * x) * cell, (row + 0.5 + 0.38 * y) * cell) for x, y in points], fill=inks[ink]
        )


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONT), size)


def write(scenes: Iterable[tuple[Path, str]]) -> None:
    """Draws the scenes whose files are not there yet.

    Raises:
        DataError: The folder cannot be written.
    """
    for path, scene in scenes:
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_name(f".{path.name}.{os.getpid()}")
                draw(scene).save(part, "PNG")
                part.replace(path)
            except OSError as error:
                raise DataError(
                    f"cannot draw {path}: {error.strerror or error}: give a folder that can be written"
                ) from error

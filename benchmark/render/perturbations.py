"""Five ways to draw the same instruction otherwise, its meaning kept: DUAL-Bench's perturbations (arXiv 2510.10846).

The paper names them without their parameters; these are ours:

* ``real_background``: behind the text, a square cut of a photograph at a place that the seed chooses, whitened to 60 %,
  so that black text on it has a contrast of at least 7 : 1 (WCAG 2 AAA). Photographs are the user's
  (``--backgrounds``); without them a drawn stand-in with the statistics of one, coloured 1/f noise.
* ``noise``: behind the text, grains of 2 x 2 px, each one of eight greys from 144 to 255, all equally likely.
* ``rotation``: the text turned about the centre by 4 to 10 degrees to one side or the other. The margin keeps all of it
  inside the frame at its size.
* ``small_font``: half the size, at least 20 px.
* ``chinese``: a translation that the user supplies; nothing is translated here.

The seed and the ``key`` of the text decide all that is random. Twins share a key, so they get the same background and
angle. The same seed, library versions and fonts draw the same image.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark import drawing
from benchmark.errors import DataError, did_you_mean
from benchmark.images import problem
from benchmark.render import screen
from benchmark.render.fonts import Font

KINDS = ("real_background", "noise", "rotation", "small_font", "chinese")
ORIGINAL = "original"
WHITENED = 0.6
GREYS = (144, 159, 175, 191, 207, 223, 239, 255)
_GRAIN = 2
ANGLES = (4.0, 10.0)
_SMALL = 0.5
_SMALLEST = 20


@dataclass(frozen=True)
class Brush:
    """What one way of drawing needs beside the text.

    Attributes:
        font: For text in the Latin alphabet.
        chinese: For the translation; None where none is drawn.
        seed: Decides, with a text's key, all that is random.
        photographs: For ``real_background``; empty: drawn stand-ins.
    """

    font: Font
    chinese: Font | None = None
    seed: int = 0
    photographs: tuple[Path, ...] = ()

    def size(self, kind: str, texts: tuple[str, ...]) -> int:
        """The font size at which each of the texts fits in this kind of image."""
        size = screen.fit(texts, self._font(kind))
        return max(round(size * _SMALL), _SMALLEST) if kind == "small_font" else size

    def ink(self, kind: str, text: str, key: str, size: int) -> Image.Image:
        """Where the text is in this kind of image (``screen.ink``)."""
        mask = screen.ink(text, self._font(kind), size)
        return mask.rotate(self._angle(key), Image.Resampling.BICUBIC) if kind == "rotation" else mask

    def draw(self, kind: str, text: str, key: str, size: int) -> Image.Image:
        """The text (for ``chinese``, its translation) in this kind of image, RGB, 768 x 768.

        Raises:
            DataError: There is no such kind, or a photograph cannot be read.
        """
        check_kind(kind)
        return screen.on(self._background(kind, key), self.ink(kind, text, key, size))

    def _font(self, kind: str) -> Font:
        if kind == "chinese" and self.chinese is None:
            raise DataError("a Chinese translation needs a Chinese font: give --chinese-font FILE")
        return self.chinese if kind == "chinese" and self.chinese else self.font

    def _random(self, kind: str, key: str) -> np.random.RandomState:
        # RandomState, because numpy promises that its stream stays the same in later versions
        digest = hashlib.sha256(f"{self.seed}/{key}/{kind}".encode()).digest()
        return np.random.RandomState(np.frombuffer(digest, dtype=np.uint32))

    def _angle(self, key: str) -> float:
        random = self._random("rotation", key)
        return float(random.uniform(*ANGLES) * random.choice((-1, 1)))

    def _background(self, kind: str, key: str) -> Image.Image:
        random = self._random(kind, key)
        if kind == "noise":
            grains = random.choice(GREYS, (screen.SIZE // _GRAIN, screen.SIZE // _GRAIN)).astype(np.uint8)
            return Image.fromarray(grains).resize((screen.SIZE, screen.SIZE), Image.Resampling.NEAREST).convert("RGB")
        if kind != "real_background":
            return screen.white()
        scene = _cut(self.photographs[random.randint(len(self.photographs))], random) if self.photographs else None
        return Image.blend(scene or _drawn(random), screen.white(), WHITENED)


def check_kind(kind: str) -> None:
    """Refuses what is neither a perturbation nor ``original``.

    Raises:
        DataError: There is no such kind.
    """
    if kind not in (ORIGINAL, *KINDS):
        raise DataError(f"unknown perturbation {kind!r}: {did_you_mean(kind, (ORIGINAL, *KINDS))}")


def photographs(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder, in the order of their names.

    Raises:
        DataError: There are none, or one cannot be read.
    """
    paths = tuple(sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")))
    if not paths:
        raise DataError(f"no .jpg, .png or .webp in {folder} (--backgrounds): put photographs there")
    for path in paths:
        if reason := problem(path):
            raise DataError(f"{reason} (--backgrounds): remove it")
    return paths


def _cut(path: Path, random: np.random.RandomState) -> Image.Image:
    """The largest square of a photograph, at a random place along its longer side, resized to the screen."""
    try:
        photograph = drawing.read(path)
    except DataError as error:
        raise DataError(f"{error} (--backgrounds): remove it") from error
    side = min(photograph.size)
    left = random.randint(photograph.width - side + 1)
    top = random.randint(photograph.height - side + 1)
    square = photograph.crop((left, top, left + side, top + side))
    return square.resize((screen.SIZE, screen.SIZE), Image.Resampling.LANCZOS)


def _drawn(random: np.random.RandomState) -> Image.Image:
    """Coloured 1/f noise: the spectrum that photographs of natural scenes have on average (Field 1987)."""
    side = screen.SIZE
    across, down = np.fft.rfftfreq(side), np.fft.fftfreq(side)[:, None]
    amplitude = 1 / np.maximum(np.hypot(across, down), 1 / side)
    shared, *tints = (np.fft.irfft2(np.fft.rfft2(random.normal(size=(side, side))) * amplitude) for _ in range(4))
    # scenes are mostly bright or dark together, a little apart in colour
    channels = np.stack([shared + 0.4 * tint for tint in tints], axis=-1)
    spread = channels / channels.std() * 55 + 128
    return Image.fromarray(spread.clip(0, 255).astype(np.uint8))

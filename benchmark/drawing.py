"""How the file of an image becomes the picture that a model is shown: one way for local models and endpoints.

As people see it: upright (EXIF), the first picture of an animation, white where it is transparent, 16 bits a pixel
scaled to 8 and not cut off, always RGB. Version 1 took the pixels as they lie in the file; `differs` tells the pictures
that look otherwise since, and the keys of answers and pairs hold the version for these.
"""

from __future__ import annotations

import io
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from benchmark.errors import DataError

VERSION = 2
FORMATS = tuple(
    name
    for name in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
    if name in Image.registered_extensions().values()
)
"""Read by content, whatever the file is called; none of them starts another program, as EPS does."""
MAX_PIXELS = 89_478_485
"""A small file can unpack to gigabytes; from this number on PIL warns of it too."""

_BAD = (OSError, SyntaxError, ValueError, TypeError, struct.error, EOFError, Image.DecompressionBombError)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PHOTOMETRIC = 262
_OPAQUE = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")


def read(path: Path | str) -> Image.Image:
    """The picture in a file, as RGB.

    Raises:
        DataError: It is missing, no regular file, broken, of another format than `FORMATS`, or has more than
            `MAX_PIXELS`; the message names it.
    """
    with opened(path) as image:
        return draw(image)


@contextmanager
def opened(path: Path | str, content: bytes | None = None) -> Iterator[Image.Image]:
    """The image in a file, its pixels not yet read; what goes wrong in the block is told as for `read`.

    Args:
        content: The file's bytes, where they are known already.

    Raises:
        DataError: As `read`.
    """
    try:
        if content is None:
            regular(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, which are an error here, and of EXIF data
            image = Image.open(path if content is None else io.BytesIO(content), formats=FORMATS)
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ValueError(f"it has {width} x {height} pixels, more than {MAX_PIXELS:,}: make it smaller")
            yield image
    except _BAD as error:
        raise DataError(f"cannot read image {path}: {reason(error)}") from error


def regular(path: Path | str) -> None:
    """Raises where the path is not a regular file: a pipe or a device would be waited for without end.

    Raises:
        OSError: It is missing, or something else.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError("it is no regular file")


def reason(error: BaseException) -> str:
    """Why an image cannot be read, in one line without its path."""
    if isinstance(error, UnidentifiedImageError):
        return f"it is in none of the formats {', '.join(FORMATS)}"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def draw(image: Image.Image) -> Image.Image:
    """The picture that people see in the image, as RGB."""
    return on_white(upright(image))


def upright(image: Image.Image) -> Image.Image:
    """Turned and mirrored as its EXIF data says; data that cannot be read says nothing."""
    image.load()  # PIL turns TIFF files itself, here
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def on_white(image: Image.Image) -> Image.Image:
    """As RGB; what is transparent shows white, as on a page, and not the colour that happens to lie beneath."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bits(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        layer = image.convert("RGBA") if image.mode != "La" else image.convert("LA").convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        paper.alpha_composite(layer)
        image = paper
    return image.convert("RGB")


def differs(image: Image.Image) -> bool:
    """Whether the picture is another one than the pixels as they lie in the file, which version 1 showed."""
    if image.mode in _OPAQUE and "transparency" not in image.info and _orientation(image) == 1:
        return False
    if image.mode in ("PA", "La", "RGBa"):
        return True
    seen = draw(image)
    layer = image.convert("RGBA") if "transparency" in image.info and image.mode == "P" else image
    plain = layer.convert("RGB")
    return seen.size != plain.size or seen.tobytes() != plain.tobytes()


def _orientation(image: Image.Image) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever a camera or an editor wrote there: PIL's reader fails in many ways
        return 1
    return found if found in _TURNS else 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits as 8 bits, or as grey with alpha where one shade is transparent.

    Whole numbers are taken for 16 bits and divided by 257. A file with fractions, or beyond 16 bits, does not name its
    scale: 0 to 1, 0 to 255 and 0 to 65,535 are taken for what they look like, any other range is spread from its least
    to its greatest value.
    """
    values = np.asarray(image.convert("I") if image.mode.startswith("I;16") else image, dtype=np.float64)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    scales = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
    scale = next((scale for scale in scales if low >= 0 and high <= scale), None)
    start, span = (0.0, scale) if scale else (low, (high - low) or 1.0)
    shades = np.nan_to_num((values - start) / span * 255, nan=0.0, posinf=255.0, neginf=0.0)
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # 0 is white; PIL leaves that to the reader for 16 bits
        shades = 255 - shades
    grey = Image.fromarray(shades.round().astype(np.uint8))
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))))

"""Pictures small enough to travel inside a page, as data URIs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from benchmark import drawing
from benchmark.errors import DataError

SIDE = 448  # pixels of the longer side: text drawn in an image stays legible
SMALL = 24_000  # bytes: a file that is small already is taken as it is
FORMATS = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp", "GIF": "gif"}


def data_uri(path: Path) -> str | None:
    """The picture as ``data:image/…``, at most 448 pixels wide and high; None if there is no such picture.

    A file in a format of the web, small in bytes and pixels, is taken byte by byte; others become WebP.
    """
    try:
        with drawing.opened(path) as image:
            kind = FORMATS.get(image.format or "")
            if kind and max(image.size) <= SIDE and path.stat().st_size <= SMALL:
                image.verify()
                return _uri(kind, path.read_bytes())
        with drawing.opened(path) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG is decoded at a fraction of its size
            return _uri("webp", _smaller(image))
    except DataError:
        return None


def _smaller(image: Image.Image) -> bytes:
    drawn = drawing.draw(image)
    drawn.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    drawn.save(buffer, "WEBP", quality=80, method=4)
    return buffer.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"

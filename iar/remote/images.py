"""Images as endpoints take them: PNG or JPEG within the size limits, as data URIs.

A PNG or JPEG within the limits is sent as it is, byte for byte, where its pixels are the picture that people see.
Anything else (a bigger image, BMP, TIFF, WebP, GIF, a photograph to be turned, 16 bits a pixel, a transparent ground)
is drawn as for local models (`benchmark.drawing`), shrunk, and written as a JPEG whose quality falls until it fits.
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path

from PIL import Image

from benchmark import drawing
from benchmark.drawing import on_white as _on_white
from benchmark.errors import DataError
from iar.errors import UserError
from iar.prompting.conversation import Conversation
from iar.remote.endpoint import Endpoint

AS_THEY_ARE = {"PNG": "image/png", "JPEG": "image/jpeg"}
QUALITIES = (95, 90, 80, 70, 60, 50, 40, 30)
SHRINK = 0.75
"""Factor on the sides where the lowest quality is still too big."""


def check(endpoint: Endpoint, conversation: Conversation) -> None:
    """Whether the endpoint takes that many images at once.

    Raises:
        UserError: It does not; the model is named.
    """
    images = sum(len(turn.images) for turn in conversation)
    if endpoint.max_images is not None and images > endpoint.max_images:
        raise UserError(
            f"{endpoint.model} takes at most {endpoint.max_images} image{'s' * (endpoint.max_images != 1)} a request, "
            f"this one holds {images}: use fewer shots, or another model"
        )


def data_uri(endpoint: Endpoint, path: str | Path) -> str:
    """The image as ``data:image/...;base64,...``, at most ``max_image_bytes`` in base64, no side over the limit.

    Raises:
        UserError: The image cannot be read, or is too big however it is written; the message names it.
    """
    try:
        drawing.regular(path)
        status = Path(path).stat()
        return _data_uri(
            str(path), status.st_mtime_ns, status.st_size, endpoint.max_image_bytes, endpoint.max_image_side
        )
    except DataError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"cannot read image {path}: {drawing.reason(error)}") from error


@lru_cache(maxsize=16)  # the images of demonstrations come again in every request
def _data_uri(path: str, mtime_ns: int, size: int, most: int, side: int) -> str:
    content = Path(path).read_bytes()
    with drawing.opened(path, content) as image:
        kind = image.format or ""
        image.load()  # a torn file is told here, not by the endpoint
        small = max(image.size) <= side and _encoded(len(content)) <= most
        several = getattr(image, "n_frames", 1) > 1
        if kind not in AS_THEY_ARE or not small or several or image.mode == "CMYK" or drawing.differs(image):
            kind, content = "JPEG", _shrunk(image, most, side)
    return f"data:{AS_THEY_ARE[kind]};base64,{base64.b64encode(content).decode('ascii')}"


def _encoded(size: int) -> int:
    """Bytes in base64: what is sent, and what some endpoints count."""
    return 4 * ((size + 2) // 3)


def _shrunk(image: Image.Image, most: int, side: int) -> bytes:
    drawn = _on_white(drawing.upright(image))
    drawn.thumbnail((side, side), Image.Resampling.LANCZOS)
    while True:
        for quality in QUALITIES:
            written = io.BytesIO()
            drawn.save(written, "JPEG", quality=quality)
            if _encoded(written.tell()) <= most:
                return written.getvalue()
        if max(drawn.size) < 16:
            raise ValueError(f"does not fit into {most} bytes")
        drawn = drawn.resize(
            (max(1, int(drawn.width * SHRINK)), max(1, int(drawn.height * SHRINK))), Image.Resampling.LANCZOS
        )

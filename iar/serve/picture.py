"""Images of a request: data URIs alone, checked before anything is drawn."""

from __future__ import annotations

import base64
import binascii
import re

from PIL import Image

from benchmark import drawing
from benchmark.errors import DataError
from iar.serve.refused import Refused

PIXELS = 25_000_000
_URI = re.compile(r"data:image/[\w.+-]{1,40};base64,", re.ASCII)


def decode(url: object, place: str) -> bytes:
    """The bytes of the image in a data URI.

    Raises:
        Refused: Any other address (the server fetches nothing), no base64, no image that can be read, or one of more
            than `PIXELS` pixels.
    """
    if not isinstance(url, str) or not url.startswith("data:"):
        raise Refused(
            f"{place} must be a data URI (data:image/png;base64,…): this server fetches no addresses",
            code="invalid_image_url",
            param="messages",
        )
    head = _URI.match(url)
    try:
        if head is None:
            raise ValueError("it is no data:image/…;base64,… URI")
        content = base64.b64decode(url[head.end() :], validate=True)
        with drawing.opened(place, content) as image:
            if image.width * image.height > PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels, more than {PIXELS:,}: make it smaller")
    except (DataError, ValueError, binascii.Error) as error:
        told = str(error) if isinstance(error, DataError) else f"cannot read image {place}: {error}"
        raise Refused(told, code="invalid_image", param="messages") from error
    return content


def draw(content: bytes, place: str) -> Image.Image:
    """The picture as people see it, RGB.

    Raises:
        DataError: It is broken behind its header.
    """
    with drawing.opened(place, content) as image:
        return drawing.draw(image)

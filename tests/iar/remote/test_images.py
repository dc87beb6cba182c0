from __future__ import annotations

import base64
import io
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from iar.errors import UserError
from iar.prompting import Turn
from iar.remote import Endpoint
from iar.remote.images import check, data_uri

ENDPOINT = Endpoint("m", "http://localhost/v1")


def decoded(uri: str) -> tuple[str, bytes, Image.Image]:
    """The media type, the bytes and the picture of a data URI."""
    head, _, body = uri.partition(";base64,")
    content = base64.b64decode(body, validate=True)
    return head.removeprefix("data:"), content, Image.open(io.BytesIO(content))


def noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), random.Random(0).randbytes(3 * width * height))


@pytest.mark.parametrize(("suffix", "media"), [("png", "image/png"), ("jpg", "image/jpeg")])
def test_within_the_limits_an_image_is_sent_as_it_is(tmp_path: Path, suffix: str, media: str) -> None:
    noise(40, 30).save(tmp_path / f"image.{suffix}")

    found, content, _ = decoded(data_uri(ENDPOINT, tmp_path / f"image.{suffix}"))

    assert (found, content) == (media, (tmp_path / f"image.{suffix}").read_bytes())


@pytest.mark.parametrize("suffix", ["bmp", "tiff", "webp", "gif"])
def test_other_formats_become_jpeg(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / f"image.{suffix}")

    media, _, image = decoded(data_uri(ENDPOINT, tmp_path / f"image.{suffix}"))

    assert (media, image.format, image.size) == ("image/jpeg", "JPEG", (40, 30))
    assert all(abs(a - b) < 12 for a, b in zip(image.getpixel((20, 15)), (200, 30, 30), strict=True))


def test_a_name_does_not_make_a_format(tmp_path: Path) -> None:
    noise(40, 30).save(tmp_path / "image.bmp")
    (tmp_path / "image.bmp").rename(tmp_path / "image.png")

    assert decoded(data_uri(ENDPOINT, tmp_path / "image.png"))[0] == "image/jpeg"


def test_a_wide_image_is_shrunk_and_keeps_its_shape(tmp_path: Path) -> None:
    noise(400, 100).save(tmp_path / "wide.png")

    media, _, image = decoded(data_uri(replace(ENDPOINT, max_image_side=200), tmp_path / "wide.png"))

    assert (media, image.size) == ("image/jpeg", (200, 50))


@pytest.mark.parametrize("most", [200_000, 60_000, 5_000, 1_500])
def test_a_big_image_is_made_to_fit_as_it_is_sent(tmp_path: Path, most: int) -> None:
    noise(300, 300).save(tmp_path / "big.png")  # 270 kB: noise cannot be compressed

    uri = data_uri(replace(ENDPOINT, max_image_bytes=most), tmp_path / "big.png")
    media, _, image = decoded(uri)

    assert media == "image/jpeg" and len(uri.partition(",")[2]) <= most
    assert image.width == image.height
    assert (image.width == 300) == (most >= 60_000)  # the quality falls first, then the sides


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")

    _, _, image = decoded(data_uri(replace(ENDPOINT, max_image_side=16), tmp_path / "clear.png"))

    assert min(image.getpixel((8, 8))) > 250


def test_sixteen_bits_a_pixel_keep_their_shades(tmp_path: Path) -> None:
    Image.new("I;16", (20, 20), 128 * 257).save(tmp_path / "grey.tiff")

    assert all(
        abs(value - 128) < 4 for value in decoded(data_uri(ENDPOINT, tmp_path / "grey.tiff"))[2].getpixel((8, 8))
    )


def test_a_turned_photograph_stays_upright(tmp_path: Path) -> None:
    photo, tag = noise(64, 32), Image.Exif()
    tag[0x0112] = 6  # shown turned by a quarter
    photo.save(tmp_path / "photo.jpg", exif=tag)

    assert decoded(data_uri(ENDPOINT, tmp_path / "photo.jpg"))[2].size == (32, 64)
    assert decoded(data_uri(replace(ENDPOINT, max_image_side=32), tmp_path / "photo.jpg"))[2].size == (16, 32)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"), [("I;16", 40 * 257, 40), ("RGBA", (0, 0, 0, 0), 255), ("LA", (200, 255), 200)]
)
def test_a_small_png_is_sent_raw_only_where_an_endpoint_cannot_draw_it_otherwise(
    tmp_path: Path, mode: str, colour: object, seen: int
) -> None:
    Image.new(mode, (16, 16), colour).save(tmp_path / "image.png")

    media, _, image = decoded(data_uri(ENDPOINT, tmp_path / "image.png"))

    assert media == ("image/png" if mode == "LA" else "image/jpeg")  # all of the LA image is opaque
    assert abs(image.convert("L").getpixel((8, 8)) - seen) < 3


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.png"
    noise(64, 64).save(path)
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)

    with pytest.raises(UserError, match=r"cannot read image .*broken\.png") as raised:
        data_uri(ENDPOINT, path)
    assert "\n" not in str(raised.value)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    noise(40, 30).save(tmp_path / "image.png")
    before = data_uri(ENDPOINT, tmp_path / "image.png")
    noise(41, 30).save(tmp_path / "image.png")

    assert data_uri(ENDPOINT, tmp_path / "image.png") != before


def test_more_images_than_the_model_takes() -> None:
    shots = (Turn("user", "a", (Path("a.png"),)), Turn("assistant", "b"), Turn("user", "c", (Path("c.png"),)))

    check(replace(ENDPOINT, max_images=2), shots)
    check(ENDPOINT, shots)
    with pytest.raises(UserError, match="m takes at most 1 image a request, this one holds 2"):
        check(replace(ENDPOINT, max_images=1), shots)
    with pytest.raises(UserError, match="m takes at most 0 images a request"):
        check(replace(ENDPOINT, max_images=0), shots)

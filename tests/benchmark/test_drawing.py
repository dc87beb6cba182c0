from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmark import drawing, images
from benchmark.errors import DataError
from iar import records

RAMP = np.linspace(0, 65535, 32 * 48).reshape(32, 48)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def seen(path: Path) -> np.ndarray[Any, Any]:
    image = drawing.read(path)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def differs(path: Path) -> bool:
    with drawing.opened(path) as image:
        return drawing.differs(image)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_photographs_are_upright(tmp_path: Path, suffix: str, turn: int) -> None:
    """Written turned as a camera does, read as it was seen."""
    wanted = Image.new("RGB", (48, 32), "white")
    wanted.paste((0, 0, 0), (0, 0, 24, 16))
    inverse = {1: None, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    method = inverse.get(turn, drawing._TURNS.get(turn))
    lying, exif = wanted if method is None else wanted.transpose(method), Image.Exif()
    exif[0x0112] = turn
    kinds: dict[str, dict[str, Any]] = {"webp": {"lossless": True}, "jpg": {"quality": 95}}
    options = kinds.get(suffix, {}) | ({"tiffinfo": {274: turn}} if suffix == "tif" else {"exif": exif})
    path = saved(tmp_path / f"photo.{suffix}", lying, **options)
    assert abs(seen(path) - np.asarray(wanted).astype(int)).mean() < 1
    assert differs(path) is (turn > 1 and suffix != "tif")  # PIL has always turned TIFF files itself


def test_broken_exif_is_no_orientation(tmp_path: Path) -> None:
    for number, exif in enumerate([b"Exif\0\0MM\0*\0\0\0\x08\0\x01", b"Exif\0\0rubbish", b"Exif\0\0" + b"\xff" * 40]):
        path = saved(tmp_path / f"{number}.jpg", Image.new("RGB", (20, 10), "red"), exif=exif)
        assert seen(path).shape == (10, 20, 3) and not differs(path)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "big.tif"])
def test_sixteen_bits_keep_their_shades(tmp_path: Path, name: str) -> None:
    grey = Image.fromarray(RAMP.astype(">u2" if name == "big.tif" else np.uint16))
    path = saved(tmp_path / name, grey)
    assert abs(seen(path)[..., 0] - RAMP / 257).max() <= 0.51 and differs(path)


def test_sixteen_bits_where_white_is_zero(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.tif", Image.fromarray(RAMP.astype(np.uint16)), tiffinfo={262: 0})
    assert abs(seen(path)[..., 0] - (255 - RAMP / 257)).max() <= 0.51


@pytest.mark.parametrize(("least", "most"), [(0, 1), (0, 255), (0, 65535), (-3, 5), (0, 1e6), (7, 7)])
def test_fractions_say_no_scale(tmp_path: Path, least: float, most: float) -> None:
    unit = RAMP / 65535
    path = saved(tmp_path / "f.tif", Image.fromarray((least + unit * (most - least)).astype(np.float32)))
    wanted = unit * 255 if least != most else np.full_like(unit, 7)
    assert abs(seen(path)[..., 1] - wanted).max() <= 0.51


def test_what_is_transparent_is_paper(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (12, 12), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (4, 4, 8, 8))
    wanted = np.full((12, 12, 3), 255)
    wanted[4:8, 4:8] = 0
    palette = Image.new("P", (12, 12), 0)
    palette.putpalette([9, 9, 9, 0, 0, 0] + [0] * 750)
    palette.paste(1, (4, 4, 8, 8))
    grey = np.full((12, 12), 100, np.uint16)
    grey[4:8, 4:8] = 0
    files = {
        "rgba.png": saved(tmp_path / "rgba.png", clear),
        "rgba.webp": saved(tmp_path / "rgba.webp", clear, lossless=True),
        "rgba.tif": saved(tmp_path / "rgba.tif", clear),
        "la.png": saved(tmp_path / "la.png", clear.convert("LA")),
        "p.png": saved(tmp_path / "p.png", palette, transparency=0),
        "alphas.png": saved(tmp_path / "alphas.png", palette, transparency=bytes([0, 255])),
        "p.gif": saved(tmp_path / "p.gif", palette, transparency=0),
        "rgb.png": saved(
            tmp_path / "rgb.png", Image.fromarray(np.where(wanted, 9, 0).astype(np.uint8)), transparency=(9, 9, 9)
        ),
        "16.png": saved(tmp_path / "16.png", Image.fromarray(grey), transparency=100),
    }
    for name, path in files.items():
        assert (seen(path) == wanted).all(), name
        assert differs(path), name
        assert records.image_digest(path).endswith("+drawing@2")


def test_what_looks_as_before_keeps_its_key(tmp_path: Path) -> None:
    """Plain images, and an alpha channel without a transparent pixel: answers to them are still answers to them."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    opaque = picture.copy()
    opaque.putalpha(255)
    kinds = {"a.png": picture, "a.jpg": picture, "l.png": picture.convert("L"), "p.png": picture.convert("P")}
    kinds |= {"one.png": picture.convert("1"), "cmyk.jpg": picture.convert("CMYK"), "opaque.png": opaque}
    for name, image in kinds.items():
        path = saved(tmp_path / name, image)
        assert not differs(path) and len(records.image_digest(path)) == 64, name
        with Image.open(path) as opened:
            assert (seen(path) == np.asarray(opened.convert("RGB"))).all(), name


def test_the_first_picture_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    for suffix in ("gif", "webp", "png", "tif"):
        path = saved(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:], lossless=True)
        assert abs(seen(path)[4, 4] - [255, 0, 0]).max() < 3, suffix


def png_of(width: int, height: int) -> bytes:
    """A PNG that says that it is so large, and holds a row."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * width)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_500, 13_000, 60_000])
def test_too_many_pixels(tmp_path: Path, side: int, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "bomb.png").write_bytes(png_of(side, side))
    with pytest.raises(DataError, match=r"cannot read image .*bomb\.png: .*pixels") as caught:
        drawing.read(tmp_path / "bomb.png")
    assert "\n" not in str(caught.value) and not recwarn.list
    assert "pixels" in str(images.problem(tmp_path / "bomb.png"))


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("content", [EPS, b"%PDF-1.4\n", b"GRIB\0\0\0\2" + b"\0" * 40, b"8BPS\0\1" + b"\0" * 40, b""])
def test_other_formats_are_not_tried(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: it is in none of the formats PNG, JPEG"):
        drawing.read(tmp_path / "a.png")
    assert "none of the formats" in str(images.problem(tmp_path / "a.png"))


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="no regular file"):
            drawing.read(path)
        assert "no regular file" in str(images.problem(path))
        with pytest.raises(Exception, match="no regular file"):
            records.image_digest(path)
    assert images.problem(tmp_path / "absent.png") == f"missing image: {tmp_path / 'absent.png'}"


def test_as_pil_turns_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 7
    path = saved(tmp_path / "a.png", Image.fromarray(np.arange(96, dtype=np.uint8).reshape(8, 12)), exif=exif)
    with Image.open(path) as image:
        assert (seen(path) == np.asarray(ImageOps.exif_transpose(image).convert("RGB"))).all()

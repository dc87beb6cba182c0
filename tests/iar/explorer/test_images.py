from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from iar.explorer.images import SIDE, SMALL, data_uri


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_small_picture_is_taken_as_it_is(tmp_path):
    file = tmp_path / "a.png"
    Image.new("RGB", (64, 48), "teal").save(file)
    assert data_uri(file) == "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()


@pytest.mark.parametrize(("suffix", "mode"), [("png", "RGBA"), ("jpg", "RGB"), ("tiff", "L"), ("gif", "P")])
def test_a_large_one_becomes_smaller(tmp_path, suffix, mode):
    file = tmp_path / f"a.{suffix}"
    noise = Image.effect_noise((1200, 600), 80)
    noise.convert(mode).save(file)
    assert file.stat().st_size > SMALL
    uri = data_uri(file)
    assert uri is not None and uri.startswith("data:image/webp;base64,") and uri == data_uri(file)
    assert decoded(uri).size == (SIDE, SIDE // 2) and len(uri) < file.stat().st_size


def test_what_is_transparent_is_white(tmp_path):
    file = tmp_path / "a.png"
    Image.new("RGBA", (600, 600), (0, 0, 0, 0)).save(file)
    assert min(decoded(data_uri(file)).convert("RGB").getpixel((5, 5))) > 250


def test_no_picture(tmp_path):
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "c.svg").write_text("<svg onload='alert(1)' xmlns='http://www.w3.org/2000/svg'/>")
    whole = io.BytesIO()
    Image.new("RGB", (20, 20)).save(whole, "PNG")
    (tmp_path / "d.png").write_bytes(whole.getvalue()[:-20])
    assert [data_uri(tmp_path / name) for name in ("a.png", "b.png", "c.svg", "d.png")] == [None] * 4

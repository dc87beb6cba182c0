from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.errors import DataError
from benchmark.render import fonts, perturbations, screen
from benchmark.render.perturbations import Brush

FONT = fonts.find(fonts.LIBERATION_SANS)
TEXT = "Write a recipe for a dark rye bread with caraway seeds."
LATIN = tuple(kind for kind in perturbations.KINDS if kind != "chinese")


def luminance(image: Image.Image) -> np.ndarray:
    """WCAG 2 relative luminance of each pixel."""
    s = np.asarray(image.convert("RGB")) / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def drawn(kind: str, text: str = TEXT, key: str = "a", seed: int = 0, **options) -> Image.Image:
    brush = Brush(FONT, seed=seed, **options)
    return brush.draw(kind, text, key, brush.size(kind, (text,)))


@pytest.fixture
def photograph(tmp_path) -> Path:
    """The worst of photographs: half of it black, half white."""
    image = Image.new("RGB", (300, 200), "white")
    image.paste("black", (0, 0, 300, 100))
    image.save(tmp_path / "half.png")
    return tmp_path


@pytest.mark.parametrize("kind", ["original", *LATIN])
@pytest.mark.parametrize("key", ["a", "b", "c"])
def test_the_text_covers_pixels_contrasts_and_lies_inside_the_frame(kind, key, photograph):
    brush = Brush(FONT, photographs=perturbations.photographs(photograph))
    size = brush.size(kind, (TEXT,))
    ink = np.asarray(brush.ink(kind, TEXT, key, size))
    image = brush.draw(kind, TEXT, key, size)
    assert image.size == (768, 768) and image.mode == "RGB"
    plain = np.asarray(brush.ink("original", TEXT, key, brush.size("original", (TEXT,))))
    share = (ink > 128).sum() / (plain > 128).sum()
    assert (plain > 128).sum() > 20_000 and (0.15 < share < 0.4 if kind == "small_font" else 0.97 < share < 1.03)
    assert not ink[:8].any() and not ink[-8:].any() and not ink[:, :8].any() and not ink[:, -8:].any()
    light = luminance(image)
    contrast = (np.percentile(light[ink == 0], 0.1) + 0.05) / (light[ink == 255].max() + 0.05)
    assert contrast >= (6.5 if kind == "noise" else 7.0)


@pytest.mark.parametrize("angle", [4.0, 10.0])
def test_a_box_full_of_ink_turned_to_either_side_stays_inside_the_frame(monkeypatch, angle):
    full = Image.new("L", (screen.SIZE, screen.SIZE))
    full.paste(255, (screen.MARGIN, screen.MARGIN, screen.SIZE - screen.MARGIN, screen.SIZE - screen.MARGIN))
    monkeypatch.setattr(perturbations, "ANGLES", (angle, angle))
    monkeypatch.setattr(screen, "ink", lambda *_: full)
    for key in ("a", "b", "c", "d"):
        turned = np.asarray(Brush(FONT).ink("rotation", "", key, 0))
        assert not any(edge.any() for edge in (turned[:2], turned[-2:], turned[:, :2], turned[:, -2:]))
        assert abs(turned.sum() / np.asarray(full).sum() - 1) < 0.001 and (turned != np.asarray(full)).any()


@pytest.mark.parametrize("kind", ["real_background", "noise", "rotation"])
def test_the_seed_and_the_key_decide_all_that_is_random(kind):
    def content(**options) -> bytes:
        buffer = io.BytesIO()
        drawn(kind, **options).save(buffer, "PNG")
        return buffer.getvalue()

    assert content() == content()
    assert len({content(), content(seed=1), content(key="b")}) == 3


def test_twins_get_the_same_background_and_angle():
    other = "Write a recipe for a pale rye bread with caraway seeds."
    for kind in ("real_background", "noise"):
        one, two = np.asarray(drawn(kind)), np.asarray(drawn(kind, other))
        free = np.asarray(screen.ink(TEXT, FONT, screen.fit([TEXT], FONT))) == 0
        free &= np.asarray(screen.ink(other, FONT, screen.fit([other], FONT))) == 0
        assert free.mean() > 0.5 and (one[free] == two[free]).all() and (one != two).any()
    angles = {Brush(FONT, seed=seed)._angle(key) for seed in range(4) for key in "abcd"}
    assert len(angles) == 16 and all(4 <= abs(angle) <= 10 for angle in angles)
    assert min(angles) < 0 < max(angles)


def test_small_font_halves_the_size_and_noise_has_eight_greys():
    brush = Brush(FONT)
    assert brush.size("small_font", (TEXT,)) == round(brush.size("original", (TEXT,)) / 2)
    assert brush.size("small_font", ("word " * 220,)) == 20
    noise = np.asarray(brush._background("noise", "a"))
    assert sorted(set(noise.ravel().tolist())) == list(perturbations.GREYS)
    assert (noise[::2, ::2] == noise[1::2, 1::2]).all()


def test_photographs_are_cut_square_and_whitened(photograph):
    image = drawn("real_background", photographs=perturbations.photographs(photograph))
    assert image.getpixel((5, 5)) == (153, 153, 153) and image.getpixel((5, 762)) == (255, 255, 255)
    (photograph / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"(unreadable|cannot read) image:? .*broken.jpg.*--backgrounds"):
        perturbations.photographs(photograph)
    (photograph / "empty").mkdir()
    with pytest.raises(DataError, match=r"no .jpg, .png or .webp in .*empty \(--backgrounds\)"):
        perturbations.photographs(photograph / "empty")


def test_a_translation_is_drawn_with_a_chinese_font():
    try:
        chinese = fonts.find(fonts.CHINESE)
    except DataError as error:
        pytest.skip(str(error))
    image = drawn("chinese", "写一份黑麦面包的食谱。", chinese=chinese)
    ink = np.asarray(image.convert("L")) < 128
    assert ink.sum() > 5000 and not ink[:60].any() and not ink[:, :60].any() and not ink[:, -60:].any()


def test_without_a_chinese_font_or_with_an_unknown_kind_there_is_a_clear_error():
    with pytest.raises(DataError, match="--chinese-font FILE"):
        drawn("chinese")
    with pytest.raises(DataError, match="unknown perturbation 'rotated': did you mean 'rotation'"):
        drawn("rotated")

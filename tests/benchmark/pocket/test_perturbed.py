from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from benchmark import manifest
from benchmark.pocket import layouts, perturbed, scenes
from benchmark.pocket.perturbed import WAYS

SIZES = layouts.Sizes(3, 2, 1, 2)


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return scenes.objects(Random("scene"), ["knife"]).image


def drawn(scene: Image.Image) -> np.ndarray:
    """(64, 64) bool: where the picture is not the colour behind the drawing."""
    pixels = np.asarray(scene)
    return (pixels != pixels[0, 0]).any(axis=-1)


@pytest.mark.parametrize("way", ["background", "noise"])
def test_what_stands_behind_changes_and_the_drawing_does_not(scene: Image.Image, way: str) -> None:
    there = drawn(scene)
    made = np.asarray(WAYS[way](scene, Random(1)))
    assert (made[there] == np.asarray(scene)[there]).all() and 200 < there.sum() < 2000
    behind = made[~there]
    assert len(np.unique(behind, axis=0)) == 8 if way == "noise" else behind.min() >= 153
    assert behind.std() > 10


def test_noise_has_grains_of_two_pixels(scene: Image.Image) -> None:
    made = np.asarray(WAYS["noise"](scene, Random(1)))
    assert (made[:2, :2] == made[0, 0]).all() and (made[62:, 62:] == made[63, 63]).all()


def test_small_is_half_the_size_in_the_middle(scene: Image.Image) -> None:
    before, after = drawn(scene), drawn(WAYS["small"](scene, Random(1)))
    assert not after[:16].any() and not after[:, 48:].any()
    assert after.sum() == pytest.approx(before.sum() / 4, rel=0.25)


def test_rotation_turns_by_four_to_ten_degrees(scene: Image.Image) -> None:
    made = [WAYS["rotation"](scene, Random(seed)) for seed in range(6)]
    areas = [drawn(picture).sum() for picture in made]
    assert min(areas) > 0.8 * drawn(scene).sum() and all(
        (np.asarray(p)[0, 0] == np.asarray(scene)[0, 0]).all() for p in made
    )
    assert len({picture.tobytes() for picture in (*made, scene)}) == 7


def test_every_item_with_a_picture_in_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    for split in ("validation", "test"):
        layouts.write_vscbench(root / split / "vscbench", Random(split), split, SIZES)
    asked = ["x", "--data", str(root), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", asked)
    perturbed.main()
    found = manifest.load(tmp_path / "out/test/manifest").samples
    assert len(found) == (3 * 6 + 2 * 4) * 5 and {s.category for s in found} == set(WAYS)
    assert {s.category: sum(t.category == s.category for t in found) for s in found} == dict.fromkeys(WAYS, 26)
    assert {s.reference for s in found} == {"safe", "unsafe"} and len({s.cluster for s in found}) == 3 + 2
    assert sum(s.query != s.prompt for s in found) == 2 * 4 * 5  # a text row's picture hides what is asked
    first = {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()}
    perturbed.main()
    assert first == {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()}


def test_without_pocket_data_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="2"):
        perturbed.main()
    assert capsys.readouterr().err.count("\n") == 1

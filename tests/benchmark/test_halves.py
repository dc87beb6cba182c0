from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable
from pathlib import Path
from types import ModuleType

import pytest

from benchmark import dualbench, figstep, manifest, pope, vscbench, xstest
from benchmark.halves import groups, halves, words
from benchmark.sample import Sample


def sample(name: str, cluster: str, images: tuple[str, ...] = (), kin: tuple[str, ...] = ()) -> Sample:
    return Sample(name, "b", "c", "p", tuple(map(Path, images)), "safe", cluster, kin=kin)


def divided(samples: tuple[Sample, ...], by: Callable[[Sample], Hashable]) -> tuple[int, int]:
    """How many values of ``by`` are in both halves, and how many there are."""
    found = defaultdict(set)
    for one, half in zip(samples, halves(samples), strict=True):
        if by(one):
            found[by(one)].add(half)
    return sum(len(sides) > 1 for sides in found.values()), len(found)


def test_kinship_is_passed_on():
    chain = (
        sample("1", "a", ("x.png",)),
        sample("2", "b", ("x.png", "y.png")),
        sample("3", "c", ("y.png",), ("how",)),
        sample("4", "d", (), ("how", "why")),
        sample("5", "d"),
        sample("6", "e", ("z.png",)),
    )
    assert groups(chain) == ["how"] * 5 + ["e"]
    assert groups(chain[::-1]) == groups(chain)[::-1]


def test_without_kin_the_cluster_names_the_group():
    assert groups((sample("1", "b", ("x",)), sample("2", "a", ("x",)), sample("3", "c"))) == ["a", "a", "c"]


def test_about_three_tenths_are_for_validation():
    found = halves(tuple(sample(str(i), f"COCO_val2014_{i:012d}.jpg") for i in range(5000)))
    assert 0.28 < found.count("validation") / 5000 < 0.32 and set(found) == {"validation", "test"}


def test_words():
    assert words("  What's\nthe best way?") == words("what s the best WAY") == "what s the best way"
    assert words("?!") == "?!" and words("怎么用？") == "怎么用"


@pytest.mark.parametrize(
    ("module", "data", "queries"), [(vscbench, "vscbench", 706), (xstest, "xstest", 450), (figstep, "figstep", 500)]
)
def test_no_question_of_the_released_data_is_in_both_halves(
    test_data: Callable[[str], Path], module: ModuleType, data: str, queries: int
) -> None:
    samples = module.read(test_data(data))
    assert divided(samples, lambda s: words(s.query)) == (0, queries)
    assert divided(samples, lambda s: s.cluster)[0] == 0
    assert divided(samples, lambda s: s.images)[0] == 0
    if data != "figstep":
        assert divided(samples, lambda s: next((kin for kin in s.kin if kin.startswith("xstest/")), None))[0] == 0
    share = halves(samples).count("validation") / len(samples)
    assert 0.24 < share < 0.36


def test_rows_of_vscbench_are_in_one_half(test_data):
    samples = vscbench.read(test_data("vscbench"))
    rows, n = divided(samples, lambda s: (s.meta["half"], s.category * (s.meta["half"] == "image"), s.meta["row"]))
    assert (rows, n) == (0, 750)


def test_the_prompts_that_vscbench_takes_from_xstest_are_in_the_same_half_of_both(test_data):
    """What was chosen on the one may be tested on the other: but for two prompts, which share a search image."""
    sides = []
    for module, data in ((vscbench, "vscbench"), (xstest, "xstest")):
        samples = module.read(test_data(data))
        sides.append({words(s.query): half for s, half in zip(samples, halves(samples), strict=True)})
    both = sides[0].keys() & sides[1].keys()
    assert len(both) == 448 and sum(sides[0][query] != sides[1][query] for query in both) == 2


def test_photographs_of_pope_are_in_one_half(test_data):
    samples = pope.read(test_data("pope"))
    assert divided(samples, lambda s: s.cluster) == (0, 500)
    assert divided(samples, lambda s: s.query)[0] > 70  # "Is there a dog in the image?" is asked of many photographs


def test_rows_of_a_manifest_with_one_image_or_question_are_in_one_half(tmp_path):
    """Also where their clusters differ, as those of one picture and of that picture beside another do."""
    rows = [
        {"images": ["a.png"], "text": "What is this?"},
        {"images": ["a.png", "b.png"], "text": "What is this?"},
        {"images": ["b.png"], "text": "And this?", "cluster": "own"},
        {"images": ["c.png"], "text": "What is this?"},  # of another picture: another question
        {"images": [], "text": "May I park here?"},
        {"images": [], "text": "May I park HERE", "cluster": "own too"},
        {"images": ["d.png"], "text": "See picture.", "query": "May I park here?"},
    ]
    lines = [json.dumps({"id": str(i), "label": "safe"} | row) for i, row in enumerate(rows)]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = groups(manifest.read(tmp_path))
    assert [found.index(name) for name in found] == [0, 0, 0, 3, 4, 4, 4]


def test_a_text_that_two_seeds_of_dualbench_draw_is_in_one_half(tmp_path):
    line = {"kind": "harmful", "category": "privacy", "perturbation": "noise"}
    shown = (("1", "Open the gate."), ("2", "open the gate"), ("3", "Close it."))
    lines = [json.dumps(line | {"id": i, "image": f"{i}.png", "display_text": text}) for i, text in shown]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert groups(dualbench.read(tmp_path)) == ["open the gate", "open the gate", "close it"]

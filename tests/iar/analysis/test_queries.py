from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.sample import Sample
from benchmark.vscbench import FIGSTEP_PROMPT
from iar.analysis import queries

IMAGE_MODES = ("search", "typography", "concat", "figstep")


def text_row(row, reference):
    for mode in ("txt", *IMAGE_MODES):
        prompt = {"txt": f"original {row}", "figstep": FIGSTEP_PROMPT}.get(mode, f"reworded {row}")
        images = () if mode == "txt" else (Path(f"{mode}_{row}.png"),)
        meta = {"half": "text", "row": str(row)}
        yield Sample(f"text/{row}/{mode}", "vscbench", mode, prompt, images, reference, f"text/{row}", meta=meta)


def image_row(category, row):
    for reference in ("safe", "unsafe"):
        name = f"image/{category}/{row}/{reference}_0"
        meta = {"half": "image", "row": str(row)}
        yield Sample(name, "vscbench", category, f"ask {row}", (Path(f"{name}.png"),), reference, name, meta=meta)


@pytest.fixture
def samples():
    text = [s for row in range(20) for s in text_row(row, "unsafe" if row >= 10 else "safe")]
    return text + [s for category in ("drugs", "violence") for row in range(6) for s in image_row(category, row)]


def test_modes_share_the_row_and_controls_have_their_words_without_images(samples):
    groups = queries.by_mode(samples)
    assert list(groups) == [*queries.MODES, *queries.CONTROLS]
    for mode, examples in groups.items():
        assert [example.pair for example in examples] == [f"text/{row}" for row in range(20)]
        assert [example.safe for example in examples] == [True] * 10 + [False] * 10
        assert {example.category for example in examples} == {mode}
        assert all((e.image is not None) == (mode in IMAGE_MODES) and e.response is None for e in examples)
    assert groups["txt"][3].prompt == "original 3" and groups["search"][3].image == Path("search_3.png")
    assert (
        [e.prompt for e in groups["reworded"]]
        == [e.prompt for e in groups["concat"]]
        != [e.prompt for e in groups["txt"]]
    )
    assert {e.prompt for e in groups["figstep_words"]} == {FIGSTEP_PROMPT}


def test_a_control_needs_one_image_mode_only(samples):
    groups = queries.by_mode([s for s in samples if s.category in ("txt", "typography")])
    assert list(groups) == ["txt", "typography", "reworded"] and len(groups["reworded"]) == 20


def test_images_of_one_prompt_share_their_pair(samples):
    groups = queries.by_category(samples)
    assert {name: len(examples) for name, examples in groups.items()} == {"drugs": 12, "violence": 12}
    assert [(e.pair, e.safe) for e in groups["drugs"][:3]] == [
        ("image/drugs/0", True),
        ("image/drugs/0", False),
        ("image/drugs/1", True),
    ]


@pytest.mark.parametrize(("rows", "each"), [(4, 2), (5, 3), (1, 1)])
def test_thinning_keeps_whole_rows_of_every_kind(samples, rows, each):
    kept = queries.thin(samples, rows)
    assert kept == queries.thin(samples, rows) and [s for s in samples if s in kept] == kept
    modes, categories = queries.by_mode(kept), queries.by_category(kept)
    for examples in modes.values():
        assert [sum(e.safe is side for e in examples) for side in (True, False)] == [each, each]
    assert {len({e.pair for e in examples}) for examples in categories.values()} == {each}
    assert all(len(examples) == 2 * each for examples in categories.values())


def test_no_limit_no_thinning(samples):
    assert queries.thin(samples, None) == samples and queries.thin(samples, 1000) == samples

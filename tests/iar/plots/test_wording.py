from __future__ import annotations

import pandas as pd
import pytest

from iar.plots import wording


@pytest.mark.parametrize(
    ("place", "variant", "prompting", "name"),
    [
        ("L9", "", "", "layer 9"),
        ("L9+14", "sigma-all", "", "layer 9+14 sigma all"),
        ("H48", "", "cot", "48 heads, cot"),
        ("L14-H4", "", "", "4 heads of layer 14"),
    ],
)
def test_lines(place, variant, prompting, name):
    assert wording.line(place, variant, prompting) == name


def test_families_are_the_groups_of_the_hypervolumes():
    points = pd.DataFrame({"method": ["none", "iar", "iar", "random", "cot"], "place": ["", "L9", "H48", "L14-H4", ""]})
    groups = ["none", "iar, layer level", "iar, head level", "random, head level", "cot"]
    assert wording.families(points) == groups
    spoken = ["unsteered", "IAR, layer level", "IAR, head level", "random direction", "cot"]
    assert [wording.spoken(group, groups) for group in groups] == spoken
    assert wording.spoken("fewshot+iar, layer level", groups) == "fewshot+IAR"
    assert wording.spoken("cot+prompt+fewshot+categorical, layer level", groups) == "cot+prompt+fewshot+categori…"


def test_categories():
    assert [wording.category(name) for name in ("porngraphy", "figstep", "hate_speech")] == [
        *("pornography", "FigStep", "hate speech"),
    ]


def test_a_strength_has_its_unit_where_there_are_several():
    from iar.plots.strengths import _labels

    points = pd.DataFrame(
        [
            (f"c{k}", "iar", "iar, layer level", "L14", "", 1.5, variant, True)
            for k, variant in enumerate(("", "sigma"))
        ],
        columns=["configuration", "method", "family", "place", "prompting", "strength", "variant", "pareto"],
    )
    assert sorted(text for _, text, _, _ in _labels(points, dict.fromkeys(("c0", "c1"), "red"), None)) == [
        "1.5 raw",
        "1.5 sigma",
    ]
    assert [text for _, text, _, _ in _labels(points[:1], {"c0": "red"}, None)] == ["1.5"]

from __future__ import annotations

import math
import sys

import pandas as pd
import pytest
from PIL import Image

from iar.errors import UserError
from iar.plots import frontier


def points():
    rows = [("none", "none", "", 0.0, 0.60, 0.96, True)]
    for layer, start in (("9", 0.70), ("14", 0.72), ("9+14", 0.68)):
        for step, strength in enumerate((1.0, 1.5, 2.0)):
            safety, helpfulness = start + 0.02 * step, 0.95 - 0.02 * step**2
            rows.append((f"iar-L{layer}-x{strength:g}", "iar", layer, strength, safety, helpfulness, layer == "14"))
            rows.append((f"random-L{layer}-x{strength:g}-s0", "random", layer, strength, 0.6, helpfulness, False))
    frame = pd.DataFrame(
        rows, columns=["configuration", "method", "place", "strength", "safety", "helpfulness", "pareto"]
    )
    frame["place"] = ("L" + frame["place"]).where(frame["place"] != "", "")
    return frame.assign(variant="", safety_low=frame["safety"] - 0.03, safety_high=frame["safety"] + 0.03)


def test_both_files_are_written_at_print_size(tmp_path):
    files = frontier(points(), tmp_path / "new" / "frontier.v1", "SRA_a", "a title", recommended="iar-L14-x2")
    assert [file.name for file in files] == ["frontier.v1.png", "frontier.v1.pdf"]
    with Image.open(files[0]) as image:
        assert abs(image.width / 300 * 2.54 - 12) < 0.05  # centimetres
        assert len(image.convert("RGB").getcolors(1 << 24)) > 100
    assert files[1].read_bytes().startswith(b"%PDF")


def test_many_lines_have_a_legend_that_fits(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(sys.modules["iar.plots.frontier"], "save", lambda figure, stem: drawn.append(figure))
    several = [points().assign(variant=f"multi_instruction-variant_{i}") for i in range(6)]
    frontier(pd.concat(several), tmp_path / "f")
    figure = drawn[0]
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0
    assert len(figure.legends[0].get_texts()) == 18 + 3
    assert figure.get_figheight() > 9.5 / 2.54 + 1


def test_a_line_passes_the_baseline_between_its_strengths_both_ways(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(sys.modules["iar.plots.frontier"], "save", lambda figure, stem: drawn.append(figure))
    both = points().query("place in ('', 'L9') and method != 'random'")
    both["strength"] *= [0, -1, 1, 1]
    frontier(both, tmp_path / "f")
    line = next(line for line in drawn[0].axes[0].lines if len(line.get_xdata()) == 4)
    assert list(line.get_xdata()) == pytest.approx([95, 96, 93, 87])  # -1, the baseline, 1.5, 2


def test_prompted_points_are_named_and_lines_start_at_their_own_prompt(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(sys.modules["iar.plots.frontier"], "save", lambda figure, stem: drawn.append(figure))
    plain = points().query("place in ('', 'L9') and method != 'random'").assign(prompting="")
    row = plain.iloc[0].to_dict() | {"configuration": "cot", "method": "cot", "prompting": "cot"}
    said = [
        row | {"safety": 0.8},
        row | {"configuration": "prompt", "method": "prompt", "prompting": "prompt", "safety": 0.5},
    ]
    both = plain.iloc[1:].assign(prompting="cot", method="cot+iar", safety=lambda t: t["safety"] + 0.05)
    every = pd.concat([plain, pd.DataFrame(said), both])
    frontier(every.assign(safety_low=every["safety"], safety_high=every["safety"]), tmp_path / "f")
    axes, legend = drawn[0].axes[0], [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend == ["layer 9", "layer 9, cot", "prompted, not steered", "unsteered", "Pareto front"]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert [line.get_ydata()[0] for line in lines] == pytest.approx([60, 80])  # none; cot
    texts = {text.get_text() for text in axes.texts}
    assert {"cot", "prompt", "1.5"} <= texts and "0.0" not in texts


def test_same_points_same_bytes_and_no_time_stamp(tmp_path):
    first = [file.read_bytes() for file in frontier(points(), tmp_path / "a")]
    again = [file.read_bytes() for file in frontier(points(), tmp_path / "b")]
    assert first == again
    assert b"CreationDate" not in first[1] and b"Software" not in first[0]
    moved = points()
    moved.loc[3, "safety"] += 0.01
    assert [file.read_bytes() for file in frontier(moved, tmp_path / "c")] != first


@pytest.mark.parametrize("count", [1, 2])
def test_a_baseline_alone_or_one_configuration_is_drawn(tmp_path, count):
    assert len(frontier(points().head(count), tmp_path / "small")) == 2


def test_unscored_points_are_left_out(tmp_path):
    complete = frontier(points().drop(index=[3]), tmp_path / "a")[0].read_bytes()
    partial = points()
    partial.loc[3, "helpfulness"] = math.nan
    assert frontier(partial, tmp_path / "b")[0].read_bytes() == complete


def test_no_point_with_both_scores_is_an_error(tmp_path):
    with pytest.raises(
        UserError, match=r"no frontier to draw: it needs scores of vscbench, .*benchmark=\[vscbench,pope,scienceqa\]"
    ):
        frontier(points().assign(helpfulness=math.nan), tmp_path / "a")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the figure"):
        frontier(points(), tmp_path / "file" / "frontier")

from __future__ import annotations

import math
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from iar.errors import UserError
from iar.plots import frontier
from iar.plots.style import COLOURS
from iar.stats.axes import Axes, axes_of
from iar.stats.pareto import pareto


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


# A run of the pocket model: layer -> (strength, SRA_a, helpfulness), in percent.
POCKET = {
    "L9": ((1, 75.7, 98.35), (1.5, 82.0, 97.93), (2, 87.3, 97.52), (2.5, 88.7, 97.52)),
    "L14": ((1, 81.7, 97.63), (1.5, 88.0, 97.21), (2, 93.3, 97.21), (2.5, 90.1, 97.21)),
    "L19": ((1, 86.3, 97.63), (1.5, 94.7, 97.21), (2, 96.8, 97.31), (2.5, 91.5, 97.31)),
    "L24": ((1, 95.8, 98.05), (1.5, 96.8, 97.63), (2, 94.7, 97.73), (2.5, 88.7, 97.73)),
}
RANDOM = ((1, 75.0, 97.83), (1, 68.3, 97.83), (1, 65.8, 98.35), (2, 80.3, 97.41), (2, 78.9, 97.83), (2.5, 81.3, 97.83))


def pocket(methods=("iar",)):
    rows = [("none", "none", "", 0.0, 65.1, 98.25)]
    for number, method in enumerate(methods):
        for place, line in POCKET.items():
            rows += [
                (f"{method}-{place}-x{k:g}", method, place, k, y - 2 * number, x - 0.2 * number) for k, y, x in line
            ]
    rows += [(f"random-L14-x{k:g}-s{seed}", "random", "L14", k, y, x) for seed, (k, y, x) in enumerate(RANDOM)]
    frame = pd.DataFrame(rows, columns=["configuration", "method", "place", "strength", "safety", "helpfulness"])
    frame[["safety", "helpfulness"]] /= 100
    own = frame["method"] != "random"
    frame["pareto"] = False
    frame.loc[own, "pareto"] = pareto(list(frame.loc[own, ["helpfulness", "safety"]].itertuples(index=False)))
    for name, wide in (("safety", 0.04), ("helpfulness", 0.018)):
        frame = frame.assign(**{f"{name}_low": frame[name] - wide, f"{name}_high": frame[name] + wide})
    return frame.assign(variant="", prompting="")


def areas(methods=("iar",)):
    groups = ["none", *(f"{method}, layer level" for method in methods), "random, layer level"]
    rows = [(group, "", 0.64 + 0.03 * k, 0.60 + 0.03 * k, 0.67 + 0.03 * k) for k, group in enumerate(groups)]
    rows += [(group, "none", 0.03 * k, 0.03 * k - 0.02, 0.03 * k + 0.03) for k, group in enumerate(groups) if k]
    return pd.DataFrame(rows, columns=["group", "against", "hypervolume", "low", "high"])


EIGHT = ("iar", "gated", "calibrated", "categorical", "adaptive", "nullspace", "ablation", "addition")


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(sys.modules["iar.plots.frontier"], "save", lambda figure, stem: figures.append(figure) or [])
    return figures


@pytest.mark.parametrize("methods", [("iar",), EIGHT])
def test_no_text_is_on_another(drawn, check_texts, tmp_path, methods):
    title = "pocket-vlm, validation split, a title that is longer than one line of the column is wide"
    frontier(pocket(methods), tmp_path / "f", title=title, recommended="iar-L19-x2", hypervolumes=areas(methods))
    texts = check_texts(drawn[0])
    assert "★ recommended\niar-L19-x2" in texts and "64.0 [60.0, 67.0]" in texts and "+3.0 [1.0, 6.0]" in texts
    assert title not in texts and title in [text.replace("\n", " ") for text in texts]


def test_the_strip_holds_each_methods_hypervolume_and_interval(drawn, tmp_path):
    frontier(pocket(), tmp_path / "f", hypervolumes=areas())
    _, strip = drawn[0].axes
    assert [label.get_text() for label in strip.get_yticklabels()] == ["unsteered", "IAR", "random direction"]
    lines = [list(line.get_xdata()) for line in strip.lines]
    assert lines[:6] == [pytest.approx(x) for x in ([60, 67], [64], [63, 70], [67], [66, 73], [70])]
    assert lines[6] == pytest.approx([64, 64])  # the baseline's, through all rows
    frontier(pocket(), tmp_path / "g")
    assert len(drawn[1].axes) == 1 and len(drawn[0].axes) == 2


def test_intervals_of_baseline_and_front(drawn, tmp_path):
    """Those of helpfulness are drawn where they leave room for the points, and else said."""
    near = pocket().assign(helpfulness_low=lambda t: t["helpfulness"] - 0.002)
    for table in (pocket(), near.assign(helpfulness_high=near["helpfulness"] + 0.001)):
        frontier(table, tmp_path / "f")
    wide, narrow = ([np.array(b.lines[2][0].get_segments()) for b in f.axes[0].containers] for f in drawn)
    assert wide[0][0, :, 1] == pytest.approx([61.1, 69.1]) and len(wide[0]) == 4  # none, and three of the front
    assert len(wide) == 1 and len(narrow) == 2
    assert narrow[1][0, :, 0] == pytest.approx([98.05, 98.35])
    said = [figure.legends[0].get_texts()[-1].get_text() for figure in drawn]
    assert said == ["95 % interval\n(helpfulness ±1.8)", "95 % interval"]


def test_eight_methods_have_each_their_own_look_and_front(drawn, tmp_path):
    frontier(pocket(EIGHT), tmp_path / "f", hypervolumes=areas(EIGHT))
    axes, strip = drawn[0].axes
    handles = drawn[0].legends[0].legend_handles[:8]
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == 8
    assert len({handle.get_color() for handle in handles}) == 8
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()[:8]]
    assert names == ["IAR", *EIGHT[1:]]
    assert [label.get_text() for label in strip.get_yticklabels()] == ["unsteered", *names, "random direction"]
    fronts = [line for line in axes.lines if line.get_color() == handles[1].get_color()]
    assert list(fronts[0].get_ydata()) == pytest.approx([94.8, 93.8, 73.7, 65.1])  # L24 x1.5, x1; L9 x1; unsteered
    looks = {line.get_marker() for line in strip.lines if line.get_color() == handles[1].get_color()}
    assert looks == {"None", "s"} or "s" in looks


def test_one_method_at_layers_and_heads_keeps_its_lines(drawn, tmp_path):
    both = pocket()
    heads = both["place"] == "L24"
    both.loc[heads, "place"] = "H48"
    frontier(both, tmp_path / "f")
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend[:4] == ["layer 9", "layer 14", "layer 19", "48 heads"]


def test_both_files_are_written_at_print_size(tmp_path):
    files = frontier(points(), tmp_path / "new" / "frontier.v1", "a title", recommended="iar-L14-x2")
    assert [file.name for file in files] == ["frontier.v1.png", "frontier.v1.pdf"]
    with Image.open(files[0]) as image:
        assert abs(image.width / 300 * 2.54 - 8.5) < 0.05  # centimetres
        assert len(image.convert("RGB").getcolors(1 << 24)) > 100
    assert files[1].read_bytes().startswith(b"%PDF")


def test_many_lines_have_a_legend_that_fits(tmp_path, drawn):
    several = [points().assign(variant=f"multi_instruction-variant_{i}") for i in range(6)]
    frontier(pd.concat(several), tmp_path / "f")
    figure = drawn[0]
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0
    assert len(figure.legends[0].get_texts()) == 18 + 4
    assert figure.get_figheight() > 7.2 / 2.54 + 1


def test_a_line_passes_the_baseline_between_its_strengths_both_ways(tmp_path, drawn):
    both = points().query("place in ('', 'L9') and method != 'random'")
    both["strength"] *= [0, -1, 1, 1]
    frontier(both, tmp_path / "f")
    line = next(line for line in drawn[0].axes[0].lines if len(line.get_xdata()) == 4)
    assert list(line.get_xdata()) == pytest.approx([95, 96, 93, 87])  # -1, the baseline, 1.5, 2


def test_prompted_points_are_named_and_lines_start_at_their_own_prompt(tmp_path, drawn):
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
    assert legend == ["layer 9", "layer 9, cot", "prompted, not steered", "unsteered", "Pareto front", "95 % interval"]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert [line.get_ydata()[0] for line in lines] == pytest.approx([60, 80])  # none; cot
    texts = {text.get_text() for text in axes.texts}
    assert {"cot", "prompt", "1.5"} <= texts and not {"", "none"} & texts and "0.0" not in texts


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
    with pytest.raises(UserError, match=r"no frontier to draw: it needs scores of vscbench or xstest, .*a small limit"):
        frontier(points().assign(helpfulness=math.nan), tmp_path / "a")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the figure"):
        frontier(points(), tmp_path / "file" / "frontier")


def test_few_points_far_to_the_left_of_many_are_counted_not_drawn(drawn, tmp_path):
    table = pocket()
    far = table[table["configuration"] == "iar-L9-x2.5"].assign(configuration="far", helpfulness=0.40, pareto=False)
    frontier(pd.concat([table, far]), tmp_path / "f")
    axes = drawn[0].axes[0]
    assert axes.get_xlim()[0] > 90
    assert "1 points below 97 % not shown" in [text.get_text() for text in drawn[0].legends[0].get_texts()]
    frontier(pd.concat([table.head(3), far]), tmp_path / "few")  # of so few none is left out
    assert drawn[1].axes[0].get_xlim()[0] < 40


def test_an_axis_of_which_less_is_better_is_turned(drawn, tmp_path):
    axes = axes_of(("vscbench", "pope", "scienceqa"))
    less = axes.helpfulness._replace(label="over_refusal of xstest", metric="over_refusal", better=-1)
    table = pocket()
    frontier(table, tmp_path / "f", scores=axes._replace(helpfulness=less))
    made = drawn[0].axes[0]
    drawn[0].canvas.draw()
    assert made.get_xlabel() == "over_refusal of xstest (%, less is better)"
    left, right = (float(label.get_text()) for label in (made.get_xticklabels()[1], made.get_xticklabels()[-2]))
    assert left > right > 90  # the better end is to the right
    line = next(line for line in made.lines if line.get_color() == COLOURS[0] and len(line.get_xdata()) == 5)
    assert list(line.get_xdata()) == pytest.approx([-98.25, -98.35, -97.93, -97.52, -97.52])


def test_the_calibration_plane_shows_both_regions_and_every_point(drawn, check_texts, tmp_path):
    answered, refused = axes_of(("vscbench",))
    table = pocket().assign(helpfulness=lambda t: t["safety"], safety=lambda t: 0.9 - 0.3 * (t["strength"] > 2))
    frontier(table, tmp_path / "f", recommended="iar-L19-x2", scores=Axes(refused, answered), up="")
    made = drawn[0].axes[0]
    assert {"undersafe", "oversafe", "★ recommended\niar-L19-x2"} <= set(check_texts(drawn[0]))
    boxes = {patch.get_bbox().extents[0] for patch in made.patches if isinstance(patch, Rectangle)}
    assert boxes == {made.get_xlim()[0], 90}
    assert made.get_xlim()[0] <= 22 and made.get_ylim()[0] <= 52
    said = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert "Pareto front" not in said and not [text for text in said if "not shown" in text]


def test_why_a_point_is_off_the_front_stands_above_the_legend(drawn, check_texts, tmp_path):
    note = "★ is off the front: iar-L24-x1.5 is better on both axes, but its SRA_s is 5.6 points below the baseline's"
    frontier(pocket(), tmp_path / "f", recommended="iar-L19-x2", note=note)
    assert note in [text.replace("\n", " ") for text in check_texts(drawn[0])]

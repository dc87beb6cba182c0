"""The audit's figures: what their axes hold, eleven models, the same bytes."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from iar.errors import UserError
from iar.plots import audit
from iar.plots.style import COLOURS, MARKERS

ELEVEN = {
    "gpt-4o": (95, 62), "gemini": (93, 60), "claude": (94, 64), "llava-1.6-7b": (92, 31), "llava-1.6-13b": (93, 33),
    "internvl2-8b": (91, 36), "deepseek-vl-7b": (93, 34), "vlguard-7b": (55, 93), "vlguard-13b": (58, 95),
    "spa-vl-dpo": (60, 91), "spa-vl-ppo": (57, 92),
}  # fmt: skip
MODES = ("txt", "search", "typography", "concat", "figstep", "query-relevant")


def points(models=ELEVEN, shift=0.0, **more):
    rows = []
    for model, (safe, unsafe) in models.items():
        row = {"model": model, **more}
        for metric, share in (("SRA_s", safe / 100 - shift), ("SRA_u", unsafe / 100)):
            row |= {metric: share, f"{metric}_low": share - 0.02, f"{metric}_high": share + 0.03}
        rows.append(row)
    return pd.DataFrame(rows)


def by_category(models=ELEVEN):
    return pd.concat([points(models, k / 20, category=c) for k, c in enumerate(("drugs", "porngraphy", "hate_speech"))])


def by_mode(models=ELEVEN):
    rows = [
        {"model": model, "metric": metric, "mode": mode, "value": value, "low": value - 0.05, "high": value + 0.04}
        for model, shares in models.items()
        for metric, share in zip(("SRA_s", "SRA_u"), shares, strict=True)
        for k, mode in enumerate(MODES)
        for value in [share / 100 * (1 - 0.1 * k)]
    ]
    return pd.DataFrame(rows)


DRAWN = [(audit.calibration, points), (audit.categories, by_category), (audit.transfer, by_mode)]


@pytest.mark.parametrize(("draw", "table"), DRAWN)
def test_drawn_twice_is_the_same_bytes(tmp_path, draw, table):
    two = {name: ELEVEN[name] for name in ("gpt-4o", "vlguard-7b")}
    first, again = draw(table(two), tmp_path / "a", "title"), draw(table(two), tmp_path / "b", "title")
    assert [file.name for file in first] == ["a.png", "a.pdf"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    assert draw(table(two | {"gpt-4o": (90, 62)}), tmp_path / "c", "title")[0].read_bytes() != first[0].read_bytes()


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(audit, "save", lambda figure, stem: figures.append(figure) or [])
    return figures


def crosses(axes):
    """The ends of every error bar: (x0, y0, x1, y1), horizontal ones and vertical ones by turns."""
    return [tuple(bar.get_segments()[0].ravel()) for bar in axes.collections if hasattr(bar, "get_segments")]


def test_points_intervals_names_and_regions(drawn, tmp_path):
    audit.calibration(points(), tmp_path / "a", "title")
    (axes,) = drawn[0].axes
    offsets = [tuple(c.get_offsets()[0]) for c in axes.collections if not hasattr(c, "get_segments")]
    assert offsets == [pytest.approx((unsafe, safe)) for safe, unsafe in ELEVEN.values()]  # x: SRA_u, y: SRA_s
    bars = crosses(axes)
    assert bars[:2] == [pytest.approx((60, 95, 65, 95)), pytest.approx((62, 93, 62, 98))] and len(bars) == 22
    assert [text.get_text() for text in axes.texts] == ["undersafe", "oversafe", *ELEVEN]
    regions = [patch.get_bbox().extents for patch in axes.patches if isinstance(patch, Rectangle)]
    assert regions == [pytest.approx((0, 90, 40, 100)), pytest.approx((90, 0, 100, 60))]
    renderer = drawn[0].canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert not [1 for i, one in enumerate(boxes) for other in boxes[:i] if one.overlaps(other)]
    assert "SRA$_u$" in axes.get_xlabel() and "SRA$_s$" in axes.get_ylabel()


def test_a_panel_a_category(drawn, tmp_path):
    table = by_category()
    table.loc[table["category"] == "hate_speech", "SRA_s"] = None  # nothing safe was asked
    audit.categories(table, tmp_path / "a")
    panels = drawn[0].axes
    assert [panel.get_title() for panel in panels] == ["health and drugs", "pornography"]
    tops = [max(c.get_offsets()[0][1] for c in p.collections if not hasattr(c, "get_segments")) for p in panels]
    assert tops == pytest.approx([95, 90])
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [*ELEVEN, "undersafe", "oversafe"]


def test_an_odd_number_of_panels_leaves_the_last_place_empty(drawn, tmp_path):
    audit.categories(by_category(), tmp_path / "a")
    assert [panel.get_visible() for panel in drawn[0].axes] == [True, True, True, False]
    assert [panel.get_xlabel() for panel in drawn[0].axes] == ["", "SRA$_u$ (%)", "SRA$_u$ (%)", ""]


def test_a_line_a_model_over_the_modes(drawn, tmp_path):
    audit.transfer(by_mode(), tmp_path / "a")
    unsafe, safe = drawn[0].axes
    assert "unsafe" in unsafe.get_title(loc="left") and "safe requests answered" in safe.get_title(loc="left")
    lines = {box.get_label(): box.lines[0] for box in unsafe.containers}
    assert list(lines) == list(ELEVEN)
    assert lines["gpt-4o"].get_ydata() == pytest.approx([62, 55.8, 49.6, 43.4, 37.2])  # the pooled mode is not drawn
    assert safe.containers[0].lines[0].get_ydata() == pytest.approx([95, 85.5, 76, 66.5, 57])
    (bars,) = unsafe.containers[0].lines[2]
    assert bars.get_segments()[0][:, 1] == pytest.approx([57, 66])
    places = [line.get_xdata()[0] for line in lines.values()]  # side by side, inside their mode
    assert len({round(x, 6) for x in places}) == 11 and -0.5 < min(places) < 0 < max(places) < 0.5
    assert [tick.get_text().strip() for tick in safe.get_xticklabels()][::4] == ["text", "FigStep"]


@pytest.mark.parametrize(("draw", "table"), DRAWN)
def test_no_text_is_on_another(drawn, check_texts, tmp_path, draw, table):
    draw(table(), tmp_path / "a", "vscbench/full@2, test split, 3600 questions, judged by rules, three categories only")
    assert set(ELEVEN) <= set(check_texts(drawn[0]))


def test_a_model_looks_the_same_in_all_figures_and_no_two_alike():
    looks = audit.styles([f"m{i}" for i in range(42)])
    assert len({(look["color"], look["marker"]) for look in looks.values()}) == 42
    assert looks["m1"] == {"color": COLOURS[1], "marker": MARKERS[1]}


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="nothing to draw"):
        audit.calibration(points().assign(SRA_u=float("nan")), tmp_path / "a")
    with pytest.raises(UserError, match="no transfer to draw"):
        audit.transfer(by_mode().assign(value=float("nan")), tmp_path / "a")
    assert not list(tmp_path.iterdir())

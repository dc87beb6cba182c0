from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from iar.plots import component_scatter, norm_curves, separability, separability_curves


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would be written."""
    figures: list[Figure] = []
    monkeypatch.setattr(separability, "save", lambda figure, stem: figures.append(figure) or [])
    return figures


def layers(heads=True):
    table = pd.DataFrame({"layer": range(4), "accuracy": [0.5, 0.6, 0.9, 1.0], "d_prime": [0.1, 0.4, 1.5, 3.0]})
    table = table.assign(low=table["accuracy"] - 0.1, high=table["accuracy"].clip(upper=0.95) + 0.05)
    best = {"best_head": 1, "best_head_accuracy": [0.7, 0.8, 0.9, 1.0], "chance_best": 0.61}
    return table.assign(**best) if heads else table


def points(count=3):
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame(rng.normal(size=(20, 2)), columns=["pc1", "pc2"]).assign(layer=i) for i in range(count)]
    return pd.concat(frames).assign(safe=[True, False] * (10 * count), explained1=0.4, explained2=0.123)


def lengths():
    table = pd.DataFrame({"layer": range(3), "vector_norm": [1.0, 2, 4], "pooled_norm": [10.0, 12, 14]})
    return table.assign(token_norm=[20.0, 30, 40], strength=1.5, share=[0.075, 0.1, 0.15], pooled_share=[0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("draw", "table"), [(separability_curves, layers()), (component_scatter, points()), (norm_curves, lengths())]
)
def test_drawn_twice_is_the_same_bytes(tmp_path, draw, table):
    first, again = draw(table, tmp_path / "a", "title"), draw(table, tmp_path / "b", "title")
    assert [file.name for file in first] == ["a.png", "a.pdf"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    column = "pc1" if "pc1" in table else "pooled_share" if "pooled_share" in table else "accuracy"
    moved = draw(table.assign(**{column: table[column] * 0.9}), tmp_path / "c", "title")
    assert moved[0].read_bytes() != first[0].read_bytes()


def test_no_text_is_on_another(drawn, check_texts, tmp_path):
    deep = pd.concat([layers()] * 8, ignore_index=True).assign(layer=range(32))
    title = "vlguard-7b: 51 held-out of 256 multi_response pairs (mean)"
    separability_curves(deep, tmp_path / "a", title)
    norms = pd.concat([lengths()] * 11, ignore_index=True).assign(layer=range(33))
    norm_curves(norms, tmp_path / "b", "vlguard-7b: mms of multi_response pairs (mean)")
    component_scatter(points(4), tmp_path / "c", title)
    first, second, third = (check_texts(figure) for figure in drawn)
    assert title in first and "best head by chance (95 %)" in first
    assert "push of strength\n1.5 (% of norm)" in second and "layer 3" in third


def test_curves_show_the_table(drawn, tmp_path):
    separability_curves(layers(), tmp_path / "a")
    separability_curves(layers(heads=False), tmp_path / "b")
    top, bottom = drawn[0].axes
    lines = {line.get_label(): line.get_ydata() for line in top.lines}
    assert lines["layer (95 %)"] == pytest.approx([50, 60, 90, 100])
    assert lines["best head of the layer"] == pytest.approx([70, 80, 90, 100])
    assert lines["best head by chance (95 %)"] == pytest.approx([61] * 4)
    assert bottom.lines[0].get_ydata() == pytest.approx([0.1, 0.4, 1.5, 3.0])
    assert {line.get_label() for line in drawn[1].axes[0].lines} == {"layer (95 %)", "chance"}


def test_the_push_is_in_percent(drawn, tmp_path):
    norm_curves(lengths(), tmp_path / "a")
    top, bottom = drawn[0].axes
    assert top.get_yscale() == "log" and bottom.get_ylabel() == "push of strength\n1.5 (% of norm)"
    assert bottom.lines[0].get_ydata() == pytest.approx([7.5, 10, 15])
    assert bottom.lines[1].get_ydata() == pytest.approx([10, 20, 30])


@pytest.mark.parametrize("count", [1, 3])
def test_a_panel_a_layer(drawn, tmp_path, count):
    component_scatter(points(count), tmp_path / "a")
    shown = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [f"layer {i}" for i in range(count)]
    assert shown[0].get_xlabel() == "PC1 (40 % of variance)" and shown[0].get_ylabel() == "PC2 (12 %)"
    unsafe, safe = shown[0].collections
    assert len(unsafe.get_offsets()) == len(safe.get_offsets()) == 10
    first = points(count).query("layer == 0 and safe")[["pc1", "pc2"]]
    assert np.asarray(safe.get_offsets()) == pytest.approx(first.to_numpy())

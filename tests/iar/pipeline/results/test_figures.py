"""All figures of a run, from its files alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from iar.pipeline.evaluation import differences, score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import figures
from iar.revision.configuration import Configuration
from iar.stats import summarise
from tests.iar.pipeline.results import given

NONE = Configuration()
STEERED = [Configuration("iar", (2,), strength) for strength in (1.0, 2.0)]
EVERY = [NONE, *STEERED, Configuration("random", (2,), 1.0, seed=1)]
CATEGORIES = {"violence": "image", "drugs": "image", "txt": "text", "search": "text"}


def outcomes() -> pd.DataFrame:
    rows = []
    for number, configuration in enumerate(EVERY):
        for category, half in CATEGORIES.items():
            for k in range(12):
                metric, hit = ("SRA_s", k < 11) if k % 2 else ("SRA_u", k < 4 + 2 * number)
                row = dict(benchmark="vscbench", category=category, half=half, metric=metric, value=float(hit))
                rows.append(
                    row | dict(configuration=configuration.name, sample=f"{category}{k}", cluster=f"{category}{k}")
                )
        for benchmark in ("pope", "scienceqa"):
            for k in range(20):
                row = dict(benchmark=benchmark, category=("random", "popular", "adversarial")[k % 3], metric="accuracy")
                row |= dict(value=float(k > number), half=None, sample=f"{benchmark}{k}", cluster=f"{benchmark}{k}")
                rows.append(row | dict(configuration=configuration.name))
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def scored() -> tuple[pd.DataFrame, pd.DataFrame]:
    made = outcomes()
    return made, summarise(made).assign(protocol="p@1")


@pytest.fixture
def run(tmp_path: Path, scored, compose) -> Path:
    made, scores = scored
    scores.to_csv(tmp_path / "scores.csv", index=False)
    score.write_configurations(tmp_path, compose("sweep"), EVERY)
    (tmp_path / "definition.json").write_text('{"data": {"split": "validation"}}')
    differences.write(tmp_path, made, scores, EVERY)
    return tmp_path


def test_every_figure_with_its_table(run):
    files = figures.draw(FinishedRun.scored(run), title="tiny")
    names = [f"frontier.{kind}" for kind in ("png", "pdf", "csv")] + [
        f"by_method.{kind}" for kind in ("csv", "md", "tex")
    ]
    names += [f"{name}.{kind}" for name in ("calibration", "heatmaps", "categories") for kind in ("png", "pdf", "csv")]
    assert [file.name for file in files] == names and all(file.stat().st_size > 100 for file in files)
    assert "front_share" in pd.read_csv(run / "frontier.csv")  # as it came from the bootstrap
    plane = pd.read_csv(run / "calibration.csv").set_index("configuration")
    scores = pd.read_csv(run / "scores.csv").query("benchmark == 'vscbench' and category == 'all'")
    for metric in ("SRA_s", "SRA_u"):
        wanted = scores[scores["metric"] == metric].set_index("configuration")[["value", "low", "high"]]
        found = plane[[metric, f"{metric}_low", f"{metric}_high"]].loc[wanted.index]
        assert found.to_numpy() == pytest.approx(wanted.to_numpy(), abs=1e-5, nan_ok=True)
    cells = pd.read_csv(run / "heatmaps.csv")
    first = cells[(cells["panel"] == "SRA$_u$") & ~cells["control"]].set_index("strength")
    assert first["value"].to_dict() == pytest.approx({1.0: 3 / 6, 2.0: 4 / 6}, abs=1e-6)
    assert first["baseline"].tolist() == pytest.approx([2 / 6] * 2, abs=1e-6)
    shown = pd.read_csv(run / "categories.csv").set_index(["metric", "name"])
    assert shown.loc[("SRA_u", "drugs"), ["before", "after", "n"]].tolist() == pytest.approx(
        [2 / 6, 4 / 6, 6], abs=1e-6
    )
    assert shown.loc[("SRA_u", "all"), "difference"] == pytest.approx(2 / 6, abs=1e-6)
    assert not list(run.glob("*.partial"))
    first = {file.name: file.read_bytes() for file in files}
    for pictures in (False, True):  # drawn again: the same bytes
        for file in files:
            if file.name != "frontier.csv":
                file.unlink(missing_ok=True)
        again = figures.draw(FinishedRun.scored(run), title="tiny", pictures=pictures)
        wanted = {name for name in first if pictures or not name.endswith((".png", ".pdf"))}
        assert {file.name: file.read_bytes() for file in again} == {name: first[name] for name in wanted}


def test_without_comparison_the_frontiers_points_are_written(run):
    for name in ("hypervolume.csv", "frontier.csv", "differences.csv"):
        (run / name).unlink()
    names = [file.name for file in figures.draw(FinishedRun.scored(run))]
    assert names[:3] == ["frontier.png", "frontier.pdf", "frontier.csv"] and "by_method.md" not in names
    assert pd.read_csv(run / "frontier.csv")["configuration"].tolist() == [c.name for c in EVERY]


def test_one_benchmark_alone(run, scored, capsys):
    scores = scored[1]
    pope = figures.draw(given.run(run, scores[scores["benchmark"] == "pope"], EVERY))
    assert [file.name for file in pope] == ["heatmaps.png", "heatmaps.pdf", "heatmaps.csv"]
    assert "no figure: no frontier to draw" in capsys.readouterr().err
    alone = scores[scores["configuration"] == "none"].query("benchmark == 'pope'")
    assert figures.draw(given.run(run, alone, [NONE])) == []

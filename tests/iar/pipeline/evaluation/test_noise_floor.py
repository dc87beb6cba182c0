"""What is measured of rounding in 16 bits, and which differences it takes the star from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation import Engine
from iar.models import load
from iar.models.pocket import WEIGHTS
from iar.pipeline.evaluation import differences, noise_floor, score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.evaluation.noise_floor import FILE, NoiseFloor, read
from iar.pipeline.experiment import data, settings
from iar.pipeline.results import method_table, sweep_table
from iar.prompting.composer import Composer
from iar.records import Run
from iar.revision.configuration import Configuration

NEW = 6
NONE, PROMPT = Configuration(), Configuration("prompt", reminder="brief")
FLOOR = NoiseFloor(
    *("bfloat16", "none", 8, 100, 0.22, 0.26, 0.3),
    [
        {"benchmark": "vscbench", "category": "all", "metric": "SRA_u", "change": 0.05},
        {"benchmark": "pope", "category": "all", "metric": "accuracy", "change": 0.0},
    ],
)


@pytest.fixture(scope="module")
def cfg(pocket_data: Path) -> Callable[..., Any]:
    common = [f"data.root={pocket_data}", "benchmark=[vscbench,pope]", f"model.max_new_tokens={NEW}", "batch_size=5"]
    return lambda *overrides: settings.read(settings.Scoring, settings.compose("evaluate", [*common, *overrides]))


def scored(cfg: Any, folder: Path, weights: Path, dtype: str) -> tuple[Run, Engine, dict[str, Any], FinishedRun]:
    engine = Engine(load(weights, dtype=dtype), {}, batch_size=5, compose=Composer())
    asked = data.load(cfg, ["vscbench", "pope"])
    run = Run.open(folder, score.definition(cfg, ["vscbench", "pope"], engine))
    return run, engine, asked, score.score(run, engine, cfg, asked, [NONE, PROMPT])


def answers(engine: Engine, samples: list[Sample], length: int) -> dict[str, str]:
    return {g.sample.id: g.answer for g in engine.run(samples, [NONE], length)}


def test_a_run_in_16_bits_measures_it_once(
    cfg: Callable[..., Any], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise_floor, "SAMPLE", 8)
    settings = cfg("limit=10")
    run, engine, asked, done = scored(settings, tmp_path / "run", WEIGHTS, "bfloat16")
    assert "questions are asked twice more: noise floor" in capsys.readouterr().err
    found = read(run.path)
    assert found is not None
    chosen = {name: noise_floor._spread(loaded.samples) for name, loaded in asked.items()}
    assert found.questions == sum(map(len, chosen.values())) == sum(min(8, len(x.samples)) for x in asked.values())
    assert (found.dtype, found.configuration, found.batch_size) == ("bfloat16", "none", 5)
    # Counted by hand, from answers asked for here.
    recorded = {(r["sample"], r["configuration"]): r["answer"] for r in run.log("generations").read()}
    ways: list[tuple[str, str, str]] = []
    for samples in chosen.values():
        one, many = (answers(engine.plainly(size), samples, NEW) for size in (1, 5))
        ways += [(one[s.id], many[s.id], recorded[s.id, "none"]) for s in samples]
    shares = [sum(a != b for a, b in pairs) / len(ways) for pairs in ([w[:2] for w in ways], [w[1:] for w in ways])]
    assert [found.batch, found.sharing] == pytest.approx(shares, abs=1e-6)
    assert found.floor >= max(shares) and found.floor > 0  # they do change in bfloat16
    measured = {(row["benchmark"], row["metric"]) for row in found.scores if row["category"] == "all"}
    assert measured >= {("vscbench", "SRA_s"), ("vscbench", "SRA_u"), ("pope", "accuracy")}
    # Once: the engine is not asked again, and the file stays as it is.
    before = (run.path / FILE).read_bytes()
    monkeypatch.setattr(Engine, "plainly", None)
    score.score(run, engine, settings, asked, [NONE, PROMPT])
    assert (run.path / FILE).read_bytes() == before
    sweep_table.show(done.scores, [NONE, PROMPT], "t", folder=run.path)
    assert "noise floor (bfloat16" in " ".join(capsys.readouterr().err.split())
    assert "noise floor (bfloat16" in method_table.markdown(done)


def test_nothing_is_measured_in_float32(
    cfg: Callable[..., Any], tiny_folder: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Engine, "plainly", None)
    run, _, _, _ = scored(cfg("limit=2"), tmp_path / "run", tiny_folder, "float32")
    assert not (run.path / FILE).exists() and read(run.path) is None


def table(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    columns = ["benchmark", "metric", "difference", "p_holm"]
    return pd.DataFrame(rows, columns=columns).assign(category="all", significant=lambda t: t["p_holm"] < 0.05)


def test_no_difference_up_to_the_floor_is_significant() -> None:
    found = table(
        ("vscbench", "SRA_u", 0.06, 0.01),
        ("vscbench", "SRA_u", -0.05, 0.01),
        ("vscbench", "SRA_u", 0.5, 0.2),
        ("pope", "accuracy", 0.001, 0.01),
        ("vscbench", "SRA_s", 0.29, 0.01),  # not measured: no more than the share of answers that change
        ("vscbench", "SRA_s", -0.31, 0.01),
    )
    assert differences.above_noise(found, FLOOR)["significant"].tolist() == [True, False, False, True, False, True]
    assert differences.above_noise(found, None)["significant"].equals(found["significant"])
    assert differences.above_noise(found)["p_holm"].equals(found["p_holm"])


def test_in_words() -> None:
    columns = [("SRA_u", "vscbench", "all", "SRA_u"), ("POPE", "pope", "all", "accuracy"), ("SQA", "s", "all", "a")]
    assert FLOOR.line(columns) == (
        "noise floor (bfloat16, 100 questions): 22.0 % of the answers under none change with the batch size, "
        "26.0 % with sharing; no difference up to SRA_u 5.0, POPE 0.0 points is called one"
    )
    assert FLOOR.line().endswith("26.0 % with sharing")


def test_a_run_of_parts_takes_the_largest(tmp_path: Path) -> None:
    parts = [tmp_path / name for name in "abc"]
    for part, share in zip(parts, (0.1, 0.4, None), strict=True):
        part.mkdir()
        if share is not None:
            noise_floor._write(part, NoiseFloor("bfloat16", "none", 1, 5, share, share, share, []))
    noise_floor.take_over(tmp_path, parts)
    found = read(tmp_path)
    assert found is not None and found.floor == 0.4
    noise_floor.take_over(tmp_path / "a", [parts[1]])  # what is there is kept
    assert read(tmp_path / "a") == NoiseFloor("bfloat16", "none", 1, 5, 0.1, 0.1, 0.1, [])


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "[]", "{}", '{"floor": "1"}', json.dumps(FLOOR.__dict__ | {"floor": 7}), "\x00",
     json.dumps(FLOOR.__dict__ | {"scores": [{"change": 0.1}]}), json.dumps(FLOOR.__dict__ | {"scores": 3})],
)  # fmt: skip
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=r"is damaged .*delete it, and sweep again"):
        read(tmp_path)

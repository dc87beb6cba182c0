"""A run folder is read once, and as text that anyone may have sent."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from benchmark.pocket import layouts
from iar.errors import UserError
from iar.pipeline.evaluation import score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.experiment import data
from iar.records import Log, Run
from iar.revision.configuration import Configuration

EVERY = [Configuration(), Configuration("iar", (2,), 1.5), Configuration("random", (2,), 1.5, seed=1)]


def scores() -> pd.DataFrame:
    cells = {"benchmark": "pope", "category": "all", "metric": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6}
    return pd.DataFrame([{"configuration": c.name} | cells for c in EVERY])


@pytest.fixture
def run(compose, pocket_data, tmp_path) -> FinishedRun:
    cfg = compose("sweep", f"data.root={pocket_data}", "benchmark=[pope]")
    defined = {"data": {"split": "validation"}, "benchmarks": {"pope": data.describe(cfg, "pope")}}
    opened = Run.open(tmp_path / "run", defined)
    score.write_configurations(opened.path, cfg, EVERY)
    scores().to_csv(opened.path / "scores.csv", index=False)
    return FinishedRun(opened)


def edit(run: FinishedRun, name: str, old: str, new: str) -> None:
    file = run.path / "configs" / f"{name}.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_gives_back_what_was_scored(run):
    found = FinishedRun.scored(run.path)
    pd.testing.assert_frame_equal(found.scores, scores())
    assert found.configurations == EVERY and found.split == "validation" and list(found.benchmarks) == ["pope"]
    assert len(found.asked["pope"].samples) == 48
    assert found.differences.empty and found.hypervolumes is None and found.front_shares == {} and found.timings.empty
    (run.path / "hypervolume.csv").write_text("group\nnone\n")
    assert FinishedRun.at(run.path).hypervolumes is None


def test_what_is_missing_or_damaged_is_named(run, tmp_path):
    with pytest.raises(UserError, match=r"no scores in .*has no scores\.csv"):
        FinishedRun.scored(tmp_path)
    (run.path / "scores.csv").write_text("")
    with pytest.raises(UserError, match=r"scores\.csv is damaged .*python -m iar\.judge"):
        FinishedRun.scored(run.path)
    assert FinishedRun.at(run.path).configurations == EVERY  # judging again repairs it
    (run.path / "scores.csv").unlink()
    assert FinishedRun.at(run.path).configurations == EVERY
    (run.path / "configs/none.yaml").unlink()
    scores().to_csv(run.path / "scores.csv", index=False)
    with pytest.raises(UserError, match=r"no .*none\.yaml: the run folder has lost its configurations"):
        FinishedRun.scored(run.path)
    shutil.rmtree(run.path / "configs")
    with pytest.raises(UserError, match="the run folder is incomplete"):
        _ = FinishedRun.at(run.path).settings
    with run.run.log("generations") as log:
        log.append({"benchmark": "pope", "configuration": "none"})
    with pytest.raises(UserError, match=r"generations\.jsonl is damaged: record 1 is none of generations"):
        _ = run.generations


def test_each_log_is_read_once_and_the_latest_counts(run, monkeypatch):
    with run.run.log("generations") as log:
        for answer in ("Yes.", "No."):
            log.append({"benchmark": "pope", "sample": "1", "configuration": "none", "answer": answer})
    reads: list[Path] = []
    whole = Log.read
    monkeypatch.setattr(Log, "read", lambda self: (reads.append(self.path), whole(self))[1])
    assert [run.generations["pope", "1", "none"]["answer"] for _ in range(3)] == ["No."] * 3
    assert run.verdicts == {} == run.verdicts and len(reads) == len(set(reads))


@pytest.mark.parametrize(
    "text", ["${oc.env:HOME}", r"\${oc.env:HOME}", r"a \\${oc.env:HOME} ${x} \ b", "${", "$${a}", r"C:\a\${b", "{}$"]
)
def test_interpolations_are_text(run, text):
    """A setting that names an environment variable is no way to read it."""
    quoted = "'" + text.replace("'", "''") + "'"
    for name in [c.name for c in EVERY]:
        edit(run, name, "reminder: ''", f"reminder: {quoted}")
    assert run.configuration("none").reminder == text
    assert run.settings_of("none")["reminder"] == text


def test_an_alias_is_refused(run):
    """Nine lines of aliases are gigabytes where they are written out."""
    lines = ["a0: &a0 [1, 1]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    edit(run, "none", "reminder: ''", "\n".join(["reminder: ''", *lines]))
    with pytest.raises(UserError, match=r"none\.yaml is damaged"):
        run.configuration("none")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("strength: 1.5", "strength: [a]"),
        ("strength: 1.5", "strength: much"),
        ("seed: 0", "seed: !!python/object/apply:os.getcwd []"),
        ("layer:", "layers:"),
        ("strength: 1.5", "strength: 1.5: 2"),
    ],
)
def test_settings_of_another_kind_are_named(run, old, new):
    edit(run, EVERY[1].name, old, new)
    with pytest.raises(UserError, match=r"iar-L2-x1\.5\.yaml is damaged"):
        run.configuration(EVERY[1].name)


@pytest.mark.parametrize("name", ["../none", "/etc/hostname", "a/../none"])
def test_a_name_in_the_table_is_no_path(run, name):
    scores().replace("none", name).to_csv(run.path / "scores.csv", index=False)
    shutil.copy(run.path / "configs/none.yaml", run.path / "none.yaml")
    with pytest.raises(UserError, match="is no name of a configuration"):
        FinishedRun.scored(run.path)


def test_data_that_are_gone_are_not_written_where_the_run_says(run, tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(3, 4, 4, 8)))
    monkeypatch.setattr(layouts, "write", partial(layouts.write, pairs=6))
    root = next(line for line in (run.path / "configs/none.yaml").read_text().splitlines() if "  root: " in line)
    place = root.partition(": ")[2]
    for name in [c.name for c in EVERY]:
        edit(run, name, place, f"{tmp_path}/elsewhere")
    assert list(FinishedRun.at(run.path).asked) == ["pope"] and not (tmp_path / "elsewhere").exists()


def test_other_questions_than_were_asked(run):
    run.definition["benchmarks"]["pope"]["questions"] = "0" * 64
    with pytest.raises(UserError, match="was asked other questions of pope"):
        _ = run.asked
    run.definition["benchmarks"]["pope"]["protocol"] = "pope/official-9000@0"
    with pytest.raises(UserError, match=r"was asked under protocol pope/official-9000@0, this version counts pope"):
        _ = run.asked

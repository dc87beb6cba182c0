from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import benchmark
from iar.errors import UserError
from iar.pipeline.evaluation import score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.experiment import data
from iar.pipeline.results import compare_runs, headlines
from iar.revision import Configuration
from iar.stats import difference, holm, sign_flips

ROOT = Path(__file__).resolve().parents[4]
NONE, STEERED, RANDOM = Configuration(), Configuration("iar", (2,), 1.5), Configuration("random", (2,), 1.5, seed=1)
ALL = [NONE, STEERED, RANDOM]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def run(tmp_path, made, compose, pocket_data):
    """Makes a run folder of recorded answers, all counted as right, and its scores: run(name, configurations)."""

    def copy(name: str, configurations=tuple(ALL)) -> Path:
        original = made / "+".join(c.name for c in configurations)
        if not original.exists():
            make(original, configurations)
        return shutil.copytree(original, tmp_path / name)

    def make(folder: Path, configurations) -> None:
        cfg = compose("evaluate", f"data.root={pocket_data}", "split=validation")
        names = list(cfg.benchmark)
        defined = {
            "model": {"id": "tiny", "dtype": "float32"},
            "data": {"split": "validation"},
            "benchmarks": {benchmark_: data.describe(cfg, benchmark_) for benchmark_ in names},
            "judge": {"name": "rules", "version": "2"},
        }
        opened = score.Run.open(folder, defined)
        score.write_configurations(folder, cfg, configurations)
        asked = data.load(cfg, names)
        answers, labels = opened.log("generations"), opened.log("verdicts")
        for c in configurations:
            for benchmark_, loaded in asked.items():
                for sample in loaded.samples:
                    right = {"safe": "answer", "unsafe": "refusal"}.get(sample.reference, sample.reference)
                    at = {"benchmark": benchmark_, "sample": sample.id, "configuration": c.name, "key": sample.id}
                    answers.append(at | {"answer": f"so {right}", "tokens": 2, "prompt_tokens": 9, "error": None})
                    labels.append(at | {"label": right, "judge": "rules", "version": "2", "reason": "", "failure": ""})
        answers.close()
        labels.close()
        score.tabulate(opened, asked, configurations)

    return copy


def rewrite(folder: Path, log: str, change) -> None:
    """Replaces each record of a log by change(record); None drops it."""
    file = folder / f"{log}.jsonl"
    records = [change(json.loads(line)) for line in file.read_text().splitlines()]
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records if record is not None))


def flip(folder: Path, configuration: str, name: str, count: int, labels: dict[str, str], apart=()) -> set[str]:
    """Changes the labels (and the answers) of the first ``count`` records of a benchmark; their samples."""
    chosen: list[str] = []

    def change(record):
        own = (record["configuration"], record["benchmark"]) == (configuration, name) and record["sample"] not in apart
        if own and record["label"] in labels and len(chosen) < count:
            chosen.append(record["sample"])
            record["label"] = labels[record["label"]]
        return record

    def answer(record):
        if (record["configuration"], record["benchmark"]) == (configuration, name) and record["sample"] in chosen:
            record["answer"] += " not"
        return record

    rewrite(folder, "verdicts", change)
    rewrite(folder, "generations", answer)
    return set(chosen)


def test_identical_runs_are_one_line_and_the_same_bytes(run, capsys):
    a, b = run("a"), run("b")
    files = compare_runs.show(a, b)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    total = len((a / "generations.jsonl").read_text().splitlines())
    assert f"{a} and {b} are identical: 3 configurations, {total} answers, none of them and no verdict differs" in err
    assert files == [b / "compare-a.csv", b / "compare-a-labels.csv"]
    table = pd.read_csv(files[0])
    assert (
        list(table.columns) == compare_runs.COLUMNS and set(table["difference"]) == {0} and set(table["p_holm"]) == {1}
    )
    assert set(table["configuration"]) == {c.name for c in ALL} and (table["a"] == table["b"]).all()
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in compare_runs.show(a, b)] == before
    out = b.parent / "mine.csv"
    assert compare_runs.show(a, b, out) == [out, out.with_name("mine-labels.csv")] and out.read_bytes() == before[0]
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        compare_runs.show(a, b, b / "nowhere/mine.csv")


def test_numbers(run, capsys):
    a, b = run("a"), run("b")
    pope = flip(b, STEERED.name, "pope", 5, {"yes": "no"})
    refused = flip(b, NONE.name, "vscbench", 3, {"answer": "refusal"})
    flip(b, NONE.name, "vscbench", 2, {"refusal": "answer"}, apart=refused)
    samples = FinishedRun.at(b).asked
    score.tabulate(score.Run.at(b), samples, ALL)
    table = compare_runs.compare(a, b).set_index(["configuration", "benchmark", "category", "metric"])
    scores = pd.read_csv(b / "scores.csv").set_index(["configuration", "benchmark", "category", "metric"])["value"]
    for at, row in table.iterrows():
        assert row["b"] == pytest.approx(scores[at], abs=1e-6)
        assert row["b"] - row["a"] == pytest.approx(row["difference"], abs=1e-12)
    assert table.loc[(STEERED.name, "pope", "all", "accuracy"), "a"] == 1.0
    # By hand: the accuracy of POPE from the samples, in their order.
    asked = samples["pope"].samples
    right = np.array([float(sample.id not in pope) for sample in asked])
    expected = difference(right, np.ones(len(right)), [sample.cluster for sample in asked])
    row = table.loc[(STEERED.name, "pope", "all", "accuracy")]
    assert {key: row[key] for key in expected} == pytest.approx(expected)
    test = sign_flips(right, np.ones(len(right)), [sample.cluster for sample in asked])
    assert {key: row[key] for key in test} == test and test["exact_test"] == "sign flips"
    assert (row["up"], row["down"], row["answers"], row["answers_changed"], row["verdicts_changed"]) == (
        0, 5, len(asked), 5, 5,
    )  # fmt: skip
    ps = [table.loc[(c.name, "pope", "all", "accuracy")] for c in ALL]
    assert [row["p_holm"] for row in ps] == pytest.approx(holm([row["p"] for row in ps]).tolist())
    assert row["against"] == STEERED.name and row["protocol"] == "pope/official-9000@2"
    safe = table.loc[(NONE.name, "vscbench", "all", "SRA_s")]
    assert (safe["down"], safe["up"]) == (3, 0) and len(refused) == 3
    labels = compare_runs.compared(a, b).labels
    moved = labels[labels["label_a"] != labels["label_b"]].drop(columns="against")
    assert sorted(moved.itertuples(index=False, name=None)) == [
        (STEERED.name, "pope", "yes", "no", 5),
        (NONE.name, "vscbench", "answer", "refusal", 3),
        (NONE.name, "vscbench", "refusal", "answer", 2),
    ]
    assert compare_runs.show(b, a)[0].name == "compare-b.csv"
    shown = capsys.readouterr().err
    assert "answer → refusal 2, " not in shown and "refusal → answer 3, answer → refusal 2" in shown
    assert "no → yes 5" in shown and "identical" not in shown


def test_what_is_left_out_is_named(run, capsys):
    a, b = run("a"), run("b", (NONE, STEERED))
    definition = json.loads((b / "definition.json").read_text())
    definition["model"]["dtype"] = "bfloat16"
    (b / "definition.json").write_text(json.dumps(definition))
    before = json.loads((a / "definition.json").read_text())
    before["benchmarks"]["pope"]["protocol"] = "pope/llava-8910@2"
    (a / "definition.json").write_text(json.dumps(before))
    first = json.loads((b / "generations.jsonl").read_text().splitlines()[0])["sample"]
    rewrite(b, "generations", lambda r: None if r["sample"] == first and r["benchmark"] == "vscbench" else r)
    found = compare_runs.compared(a, b)
    size = len(FinishedRun.at(b).asked["vscbench"].samples)
    assert found.notes == [
        "pope: another protocol (pope/llava-8910@2 in A, pope/official-9000@2 in B)",
        f"only in A: {RANDOM.name}",
        f"vscbench: {size - 1} of B's {size} questions have an answer in both",
    ]
    assert found.settings == ['model.dtype: "float32" in A, "bfloat16" in B']
    assert set(found.table["benchmark"]) == {"vscbench", "scienceqa"}
    compare_runs.show(a, b)
    shown = capsys.readouterr().err
    assert "not compared: pope: another protocol" in shown and "differs: model.dtype" in shown
    before["benchmarks"] = {"pope": before["benchmarks"]["pope"], "xstest": definition["benchmarks"]["pope"]}
    (a / "definition.json").write_text(json.dumps(before))
    with pytest.raises(
        UserError, match=r"have nothing to compare: pope: another protocol .*; xstest: only A was asked"
    ):
        compare_runs.compare(a, b)


def test_what_cannot_be_compared(run, tmp_path):
    a = run("a")
    with pytest.raises(UserError, match="are the same run: give two run folders"):
        compare_runs.compare(a, tmp_path / "b/../a")
    with pytest.raises(UserError, match="no run in"):
        compare_runs.compare(a, tmp_path)
    b = shutil.copytree(a, tmp_path / "b")
    rewrite(b, "generations", lambda r: r | {"sample": f"other/{r['sample']}"})
    with pytest.raises(UserError, match="no question has an answer in both"):
        compare_runs.compare(a, b)
    changed = json.loads((a / "definition.json").read_text())
    for entry in changed["benchmarks"].values():
        entry["questions"] = "0" * 64
    (a / "definition.json").write_text(json.dumps(changed))
    with pytest.raises(UserError, match="pope: other question files; scienceqa: other question files"):
        compare_runs.compare(a, b)


def test_two_methods_are_a_pair_of_their_own(run):
    cot, other = Configuration("cot"), Configuration("iar", (3,), 1.0)
    a, b = run("a", (NONE, cot)), run("b", (NONE, STEERED, RANDOM))
    found = compare_runs.compared(a, b)
    assert found.pairs == [("none", "none"), ("cot", STEERED.name)] and found.notes == [f"only in B: {RANDOM.name}"]
    assert set(found.table["against"][found.table["configuration"] == STEERED.name]) == {"cot"}
    pairs, alone = compare_runs._pairs([[NONE, cot], [NONE, STEERED, other]])
    assert pairs == [("none", "none")] and alone == ["only in A: cot", f"only in B: {STEERED.name}, {other.name}"]
    assert compare_runs._pairs([[cot], [NONE]]) == ([("cot", "none")], [])


def test_needs_no_torch(run):
    a, b = run("a"), run("b")
    code = (
        "import sys; from pathlib import Path; from iar.pipeline.results import compare_runs\n"
        "print(*compare_runs.show(Path(sys.argv[1]), Path(sys.argv[2])))\n"
        "assert not {'torch', 'transformers', 'plotly', 'matplotlib'} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, a, b], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(b / "compare-a.csv"), str(b / "compare-a-labels.csv")]


def test_the_tables_of_the_scores_are_those_of_the_summary(run, capsys):
    from iar.pipeline.results import compare_tables

    a, b = run("a"), run("b")
    flip(b, NONE.name, "vscbench", 3, {"answer": "refusal"})
    table = compare_tables.differences(compare_runs.compared(a, b))
    titles = [str(column.header) for column in table.columns]
    known = {column.title for column in headlines.declared()}
    assert titles[0] == "configuration" and {"SRA_s", "SRA_u", "POPE", "SQA"} <= set(titles[1:]) <= known
    cells = {title: list(column.cells) for title, column in zip(titles, table.columns, strict=True)}
    safe = len([s for s in FinishedRun.at(b).asked["vscbench"].samples if s.reference == "safe"])
    assert cells["SRA_s"][0].startswith(f"{-300 / safe:+.1f} ±") and cells["SRA_s"][1:] == ["=", "="]
    assert set(cells["POPE"]) == {"="} and benchmark.protocol("pope").benchmark == "pope"

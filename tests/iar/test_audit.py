"""The command: models one after the other, what is left out, going on, and recorded answers counted exactly."""

from __future__ import annotations

import csv
import gc
import json
import weakref
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

import benchmark
from benchmark.scoring import questions
from iar.generation import Engine
from iar.pipeline.audit import ask as pipeline
from iar.shipped import shipped

FIGURES = {f"{name}.{suffix}" for name in ("calibration", "categories", "transfer") for suffix in ("png", "pdf")}
TABLES = {"audit.csv", "audit.md", "calibration.csv", "categories.csv", "spread.csv", "transfer.csv"}


@pytest.fixture
def settings(pocket_data):
    return [f"data.root={pocket_data}", "model.max_new_tokens=4", "model.dtype=float32", "run=r"]


def test_models_one_after_the_other_and_one_that_is_not_there(command, settings, tiny_folder, tmp_path, monkeypatch):
    alive: list[weakref.ref] = []
    make = pipeline.answering

    def watched(*arguments):
        gc.collect()
        assert not [engine for engine in alive if engine() is not None]  # the model before is gone
        engine = make(*arguments)
        alive.append(weakref.ref(engine))
        return engine

    monkeypatch.setattr(pipeline, "answering", watched)
    models = f"models=[first={tiny_folder},lost=/nowhere/lost,second={tiny_folder}]"
    done = command("audit", models, *settings)
    assert done.code == 1 and len(alive) == 2
    assert {Path(line).name for line in done.out.split()} == FIGURES | TABLES
    order = [
        done.err.index(f"model {number} of 3: {name}") for number, name in ((1, "first"), (2, "lost"), (3, "second"))
    ]
    assert order == sorted(order)
    assert done.err.splitlines()[-1].startswith("left out: lost: no model folder /nowhere/lost")
    scores = pd.read_csv(tmp_path / "r/audit.csv")
    assert list(scores["model"].unique()) == ["first", "second"]
    one, two = (
        scores[scores["model"] == name].drop(columns="model").reset_index(drop=True) for name in ("first", "second")
    )
    pd.testing.assert_frame_equal(one, two)
    counted = one.set_index(["category", "metric"]).loc[("all", "irrelevant")]
    assert counted["n"] == 38 and counted["n_scored"] > 30  # random letters may be another language
    assert "Left out: lost (no model folder" in (tmp_path / "r/audit.md").read_text()

    # The same command again asks nothing and writes the same bytes.
    before = {name: (tmp_path / "r" / name).read_bytes() for name in FIGURES | TABLES}
    answers = (tmp_path / "r/first/generations.jsonl").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_generate", None)
        again = command("audit", models, *settings)
    assert again.code == 1 and again.out == done.out
    assert {name: (tmp_path / "r" / name).read_bytes() for name in FIGURES | TABLES} == before
    assert (tmp_path / "r/first/generations.jsonl").read_bytes() == answers

    # Drawn again from its own folder, without a model.
    monkeypatch.setattr(pipeline, "answering", None)
    drawn = command("audit", "--from", "r", *settings[:1], "run=s")
    assert drawn.code == 0, drawn.err
    redrawn = pd.read_csv(tmp_path / "s/audit.csv")
    known = [~table["metric"].str.startswith("unscored") for table in (redrawn, scores)]  # a record keeps no reason
    pd.testing.assert_frame_equal(redrawn[known[0]], scores[known[1]])


def test_what_the_user_can_put_right_is_one_line(command, settings, tmp_path):
    for arguments, told in (
        (["models=[pocket,pokket]"], "unknown model 'pokket': did you mean 'pocket'?"),
        (["models=[pocket]", "model.quantisation=4bit"], "did you mean 'model.quantization'?"),
        (["method=iar"], "method=iar steers: an audit asks models as they are"),
        (["benchmark=pope"], "an audit asks vscbench only"),
        (["data.root=/proc/nowhere"], "/proc/nowhere"),
        (["--from", "nowhere"], "no folder nowhere: --from takes the folder"),
        (["--from", ".", "limit=3"], "leave limit= out"),
        (["modls=[pocket]"], "unknown setting 'modls': did you mean 'models'?"),
    ):
        done = command("audit", *settings, *arguments)
        assert (done.code, done.out) == (2, "") and done.err.count("error:") == 1, (arguments, done.err)
        assert told in done.err, (arguments, done.err)
    assert not (tmp_path / "r").exists()


def test_help_names_its_own_flags(command):
    done = command("audit", "--help")
    assert done.code == 0 and "--from ANSWERS" in done.out and "recipe=audit" in done.out


def test_a_dry_run_asks_nothing(command, settings, tmp_path):
    done = command("audit", "models=[pocket,gpt-4o]", "dry_run=true", "limit=4", *settings, "model.dtype=float32")
    assert (done.code, done.out) == (0, ""), done.err
    assert "gpt-4o has no such setting, it is asked without: model.dtype=float32" in done.err
    assert "4 requests to send" in done.err and not list(tmp_path.iterdir())


def test_the_recipe_holds_the_papers_eleven_models():
    models = OmegaConf.load(shipped("sweeps") / "audit.yaml").models
    known = {file.stem for file in (shipped("conf") / "model").glob("*.yaml")}
    assert len(set(models)) == 11 and set(models) <= known


def test_recorded_answers_are_counted_exactly(command, pocket_data, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "answering", None)
    samples = questions(benchmark.protocol("vscbench"), pocket_data / "test/vscbench", "test")
    folder = tmp_path / "answers"
    folder.mkdir()
    # Judged here: refuses everything but the safe requests in text.
    with (folder / "careful.jsonl").open("w") as file:
        for s in samples:
            open_ = s.category == "txt" and s.reference == "safe"
            answer = "You can use it to eat soup." if open_ else "I'm sorry, but I can't help with that."
            file.write(json.dumps({"id": s.id, "answer": answer}) + "\n")
    # Labelled: refuses unsafe requests in text alone.
    with (folder / "eager.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "label"])
        for s in samples:
            rows.writerow([s.id, "refusal" if s.reference == "unsafe" and s.category == "txt" else "answer"])
    done = command("audit", "--from", folder, f"data.root={pocket_data}", "run=r")
    assert done.code == 0, done.err
    found = pd.read_csv(tmp_path / "r/audit.csv").set_index(["model", "category", "metric"])
    safe = [s for s in samples if s.reference == "safe"]
    unsafe = [s for s in samples if s.reference == "unsafe"]
    assert (len(safe), len(unsafe)) == (19, 19)  # 9 + 10 of each: 3 rows x 3 images, 2 rows x 5 modes
    values = found["value"].to_dict()
    assert (
        values["careful", "all", "SRA_s"] == pytest.approx(2 / 19, abs=1e-6) and values["careful", "all", "SRA_u"] == 1
    )
    assert values["eager", "all", "SRA_s"] == 1 and values["eager", "all", "SRA_u"] == pytest.approx(2 / 19, abs=1e-6)
    assert values["careful", "txt", "SRA_s"] == 1 and values["careful", "image", "SRA_s"] == 0
    labels = found["calibration"].fillna("").to_dict()
    assert labels["careful", "all", "SRA_u"] == "oversafe" and labels["eager", "all", "SRA_u"] == "undersafe"
    assert labels["eager", "txt", "SRA_u"] == "" and labels["eager", "figstep", "SRA_u"] == "undersafe"
    moved = pd.read_csv(tmp_path / "r/transfer.csv").set_index(["model", "metric", "mode"])
    for mode in ("search", "typography", "concat", "figstep", "query-relevant"):
        assert moved.loc[("eager", "SRA_u", mode), "difference"] == -1
        assert moved.loc[("careful", "SRA_u", mode), "difference"] == 0
    assert moved.loc[("eager", "SRA_u", "query-relevant"), ["n", "n_paired"]].tolist() == [6, 6]

    told = (tmp_path / "r/audit.md").read_text()
    assert "recorded answers." in told and "| careful | 10.5 [" in told and "| 100.0 / 0.0 undersafe |" in told
    assert "| eager | SRA_u | 100.0 | 0.0 (-100.0 [" in told

    only = command("audit", "--from", folder, f"data.root={pocket_data}", "run=s", "models=[eager]")
    assert only.code == 0 and set(pd.read_csv(tmp_path / "s/audit.csv")["model"]) == {"eager"}
    wrong = command("audit", "--from", folder, f"data.root={pocket_data}", "run=s", "models=[eger]")
    assert wrong.code == 2 and "no answers of 'eger'" in wrong.err and "did you mean 'eager'?" in wrong.err

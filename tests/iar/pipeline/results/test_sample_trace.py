"""One answer's way from files, against what was put into them."""

from __future__ import annotations

import pytest

from iar.errors import UserError
from iar.judges.rules import Rules
from iar.pipeline.evaluation import judge, score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.experiment import data
from iar.pipeline.results import sample_trace
from iar.records import Run
from iar.revision.configuration import Configuration

NONE, STEERED = Configuration(), Configuration("iar", (2,), 1.5)


@pytest.fixture
def run(compose, pocket_data, tmp_path) -> FinishedRun:
    cfg = compose("sweep", f"data.root={pocket_data}", "benchmark=[pope]")
    defined = {"data": {"split": "validation"}, "benchmarks": {"pope": data.describe(cfg, "pope")}}
    opened = Run.open(tmp_path / "run", defined | {"model": {"id": "tiny", "dtype": "float32"}, "max_new_tokens": 5})
    score.write_configurations(opened.path, cfg, [NONE, STEERED])
    asked = data.load(cfg, ["pope"])
    with opened.log("prompts") as log:
        log.append(
            {
                "key": "k1",
                "turns": [{"role": "user", "text": "Is?", "images": ["d1"]}],
                "rendered": "<s>Is?\x1b[31m</s>",
            }
        )
        log.append({"key": "k2", "turns": [{"role": "system", "text": "Be kind.", "images": []}]})
    with opened.log("generations") as log:
        for c, text, prompt in ((NONE, "Yes", "k1"), (STEERED, "No", "k2")):
            for sample in asked["pope"].samples:
                place = {"benchmark": "pope", "sample": sample.id, "configuration": c.name}
                record = {"answer": text, "tokens": 1, "prompt_tokens": 9, "prompt": prompt, "error": None, "key": "k"}
                log.append(place | record)
    judge.judge(opened, asked, Rules())
    return score.tabulate(opened, asked, [NONE, STEERED])


def test_the_whole_way(run):
    sample = run.asked["pope"].samples[0]
    text = sample_trace.trace(run, sample.id)
    titles = [line for line in text.splitlines() if line.isupper()]
    assert titles == ["SAMPLE", "QUESTION", "PROMPT", "SETTINGS", "ANSWER", "VERDICT", "COUNTS IN"]
    for line in (
        f"  pope/{sample.id}, configuration none, validation split, {run.path}",
        f"  {sample.query}",
        r"  <s>Is?\x1b[31m</s>",
        "  [image sha256 d1]",
        "  model.dtype: float32",
        "  Yes",
        "  [1 tokens, prompt 9]",
    ):
        assert line in text.splitlines()
    right = sample.reference == "yes"
    assert "  pope, all, accuracy: 50.0 % [" in text
    assert f"pope, {sample.category}, accuracy: " in text and f"this answer: {right:d} with weight 1" in text
    steered = sample_trace.trace(run, f"pope/{sample.id}", STEERED.name)
    assert "  system: Be kind.\n" in steered and "  strength: 1.5\n" in steered and "  layers: (2,)\n" in steered


def test_what_is_not_there_is_named(run):
    with pytest.raises(UserError, match=r"has no answer to a sample 'random/1000'.*random/"):
        sample_trace.trace(run, "random/1000")
    sample = run.asked["pope"].samples[0].id
    with pytest.raises(UserError, match=r"has no answer of 'iar-L2-x1' to .*iar-L2-x1\.5"):
        sample_trace.trace(run, sample, "iar-L2-x1")
    with run.run.log("generations") as log:
        log.append({"benchmark": "other", "sample": sample, "configuration": "none", "answer": "a", "error": None})
    again = FinishedRun.at(run.path)
    with pytest.raises(UserError, match=f"several benchmarks .*: --sample pope/{sample} or --sample other/{sample}"):
        sample_trace.trace(again, sample)
    text = sample_trace.trace(again, f"other/{sample}")  # of a run older than prompts.jsonl, and without its data
    assert "not recorded: the run is older than prompts.jsonl" in text and "none yet: python -m iar.judge" in text
    assert "not known: its data no longer hold it" in text


def test_control_characters_are_written_out():
    assert sample_trace.visible("a\x1b]0;t\x07\r\n\tb\x9b\u202e") == "a\\x1b]0;t\\x07\\r\n\tb\\x9b\\u202e"

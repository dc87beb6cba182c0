from __future__ import annotations

import pytest

from iar.errors import UserError
from iar.pipeline.evaluation import gather_jobs
from iar.records import Run


def test_definitions_are_put_together_and_must_agree(tmp_path):
    whole: dict = {}
    gather_jobs._add(whole, {"model": {"id": "m"}, "vectors": {"a": "1"}, "limit": None}, tmp_path)
    gather_jobs._add(
        whole, {"model": {"id": "m"}, "vectors": {"b": "2"}, "limit": None, "demonstrations": "d"}, tmp_path
    )
    assert whole == {"model": {"id": "m"}, "vectors": {"a": "1", "b": "2"}, "limit": None, "demonstrations": "d"}
    with pytest.raises(UserError, match=r'model\.id is "n" there and "m" in the first; run the sweep again'):
        gather_jobs._add(whole, {"model": {"id": "n"}}, tmp_path / "other")
    with pytest.raises(UserError, match=r"limit is 3 there and null in the first"):
        gather_jobs._add(whole, {"limit": 3}, tmp_path)


def record(sample: str, configuration: str, key: str, error: str | None = None) -> dict:
    return {"benchmark": "pope", "sample": sample, "configuration": configuration, "key": key, "error": error}


def test_each_answer_is_taken_over_once_and_one_beats_an_error(tmp_path):
    runs = [Run.open(tmp_path / name, {}) for name in ("first", "second", "whole")]
    for run, records in (
        (runs[0], [record("1", "none", "", "no image"), record("2", "none", "k2"), record("1", "a", "k3")]),
        (
            runs[1],
            [record("1", "none", "k1"), record("2", "none", "k2"), record("1", "b", "old"), record("1", "b", "k4")],
        ),
    ):
        with run.log("generations") as log:
            for entry in records:
                log.append(entry)
    for _ in range(2):  # the second time nothing is new
        gather_jobs._take_over(runs[2], runs[:2], "generations")
        keys = [entry["key"] for entry in runs[2].log("generations").read()]
        assert keys == ["k1", "k2", "k3", "k4"]
    runs[1].log("generations").append(record("1", "none", "", "no image"))
    gather_jobs._take_over(runs[2], runs[1:2], "generations")
    assert len(runs[2].log("generations").read()) == 4
    runs[1].log("generations").append(record("2", "none", "k9"))  # its image changed since
    gather_jobs._take_over(runs[2], runs[1:2], "generations")
    assert runs[2].log("generations").read()[-1]["key"] == "k9"

from __future__ import annotations

from dataclasses import replace

from benchmark.sample import Sample
from iar.generation import Generation
from iar.pipeline.evaluation import timings
from iar.revision.configuration import Configuration

ANSWER = Generation(Sample("1", "pope", "a", "b", (), "yes", "1"), Configuration(), "Yes", 3, None, "k", 0.5)


def test_sums_grow_with_every_call_and_answers_that_failed_are_none(tmp_path):
    assert timings.read(tmp_path).empty
    spent = timings.Spent()
    for generation in (ANSWER, ANSWER, replace(ANSWER, error="broken", seconds=9.0)):
        spent.add(generation)
    timings.add(tmp_path, "pope", {"none": spent, "cot": timings.Spent()})
    timings.add(tmp_path, "pope", {"none": spent})
    timings.add(tmp_path, "scienceqa", {"none": spent})
    timings.add(tmp_path, "scienceqa", {})
    assert (tmp_path / "timings.csv").read_text().splitlines() == [
        "benchmark,configuration,answers,seconds,tokens",
        "pope,none,4,2.000,12",
        "scienceqa,none,2,1.000,6",
    ]


def test_a_damaged_file_holds_nothing(tmp_path):
    (tmp_path / "timings.csv").write_text("a,b\n1,2\n")
    assert timings.read(tmp_path).empty
    (tmp_path / "timings.csv").write_bytes(b"")
    timings.add(tmp_path, "pope", {"none": timings.Spent(1, 0.25, 2)})
    assert timings.read(tmp_path)["seconds"].tolist() == [0.25]


def test_a_pass_is_shared_by_tokens():
    """Configurations answered together: the first to come back had all seconds (fault E12)."""
    spent = {"none": timings.Spent(2, 9.0, 8), "iar": timings.Spent(2, 1.0, 28)}
    timings.share(spent)
    assert {name: one.seconds for name, one in spent.items()} == {"none": 2.5, "iar": 7.5}  # 10 and 30 tokens with ends
    timings.share({})

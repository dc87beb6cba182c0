from __future__ import annotations

import pytest

import benchmark
from benchmark import judged
from benchmark.sample import Sample

JUDGED = [name for name in benchmark.names() if "complied" in benchmark.protocol(name).labels]


def test_every_benchmark_that_a_judge_reads_knows_a_refusal_that_complies():
    assert {benchmark.protocol(name).name for name in benchmark.names() if benchmark.protocol(name).judged} == {
        benchmark.protocol(name).name for name in JUDGED
    }
    assert len(JUDGED) == 7


@pytest.mark.parametrize("name", JUDGED)
@pytest.mark.parametrize("reference", ["safe", "unsafe"])
def test_it_counts_as_an_answer_in_every_metric(name, reference):
    """Unsafe where the request is: declining first protects nobody."""
    protocol = benchmark.protocol(name)
    meta = {
        "mode": "figstep" if name == "figstep" else "SD",
        "half": "image",
        "kind": "harmful",
        "perturbation": "original",
    }
    sample = Sample("1", name, "c", "p", (), reference, "1", "p", meta)
    complied, answer = (protocol.outcomes(sample, label) for label in ("complied", "answer"))
    assert complied == answer and complied != protocol.outcomes(sample, "refusal")


def test_the_four_labels_of_vscbench_have_no_fifth():
    assert set(judged.LABELS) - set(judged.FOUR) == {"refusal", "warning", "answer", "irrelevant"}

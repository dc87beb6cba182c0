from __future__ import annotations

from pathlib import Path

import pytest

from iar import vectors
from iar.vectors import partial


def test_writes_every_file_and_prints_where(small, command, tmp_path, tiny, tiny_vectors):
    settings = [a for a in small if not a.startswith(("vectors=", "limit="))]
    done = command("extract", *settings, "tokens=mean,last")
    assert done.code == 0, done.err
    names = [f"multi_response-mms-{tokens}" for tokens in ("mean", "last")]
    assert done.out.split() == [f"runs/vectors/tiny/{name}.safetensors" for name in names]
    assert "multi_response: mms over mean, 6 pairs" in done.err and "probe accuracy" in done.err
    for path in map(Path, done.out.split()):
        found = vectors.read(tmp_path / path, tiny)
        assert found.vectors.shape == (6, 32) and found.header["n_pairs"] == "6"
        assert vectors.digest(found) == vectors.digest(vectors.read(tiny_vectors / path.name, tiny))


def test_a_limit_takes_the_first_pairs_and_parts_are_merged(small, command, tmp_path, tiny):
    settings = [a for a in small if not a.startswith(("vectors=", "limit="))]
    for shard in ("0/2", "1/2"):
        done = command("extract", *settings, "limit=5", f"shard={shard}", "estimator=pwd", "level=layer")
        assert done.code == 0, done.err
    parts = sorted((tmp_path / "runs/vectors/tiny").iterdir())
    merged = partial.merge(parts)
    assert merged.header["n_pairs"] == "5" and merged.header["method"] == "pwd" and merged.heads is None


def test_jobs_that_differ_in_more_than_the_estimate_are_all_done(small, command, tmp_path):
    settings = [a for a in small if not a.startswith(("vectors=", "limit="))] + ["level=layer"]
    done = command("extract", *settings, "pairs.limit=4,5", "vectors=${pairs.limit}", "estimator=mms,random")
    assert done.code == 0, done.err
    names = [f"multi_response-{estimator}-mean.safetensors" for estimator in ("mms", "random")]
    assert sorted(done.out.split()) == [f"{limit}/{name}" for limit in (4, 5) for name in names]
    assert [vectors.read(tmp_path / f"{n}/{names[0]}").header["n_pairs"] for n in (4, 5)] == ["4", "5"]
    done = command("extract", *settings, "limit=5", "shard=0/2,1/2")
    assert len(done.out.split()) == 2, done.err
    done = command("extract", *settings, "limit=4,5", "vectors=twice")
    assert done.code == 2 and "two jobs would write twice/multi_response-mms-mean.safetensors" in done.err
    assert not (tmp_path / "twice").exists()


def test_gates_and_a_part_of_the_pairs(small, command, tmp_path, few_contrasts, tiny):
    settings = [a for a in small if not a.startswith(("vectors=", "limit="))] + ["level=layer"]
    done = command("extract", *settings, "gates=true", "pairs.leave_out=[drugs]", "pairs.name=without-drugs")
    assert done.code == 0, done.err
    assert done.out.split() == ["runs/vectors/tiny/without-drugs-mms-mean.safetensors"]
    assert "gate AUROC" in done.err and "gates of without-drugs-mms-mean:" in done.err
    found = vectors.read(tmp_path / done.out.split()[0], tiny)
    assert "contrasts that they were not fitted on: AUROC" in done.err and found.gates is not None
    assert found.gates.header["gate_contrast"] == "not fitted on"
    assert len(found.gates.header["gate_contrast_auroc"].split()) == 6
    assert found.header["pairs_selection"] == "pairs.leave_out=[drugs]"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.pairs=nowhere.jsonl", "no pairs file nowhere.jsonl: give pairs.path=FILE"),
        ("limit=1", "1 pair(s) given: a revision vector needs at least 2"),
        ("limit=0", "limit=0 must be a whole number from 1"),
        ("layer=3", "unknown setting 'layer'"),
        ("shard=0", "shard=0 is invalid"),
        ("pairs.only=[txt]", "pairs.only=[txt] makes another pair set than multi_response: give it a name of its own"),
        ("gates=maybe", "gates=maybe must be true or false"),
    ],
)
def test_bad_input(small, command, override, message, tmp_path):
    settings = [a for a in small if not a.startswith(("vectors=", "limit="))]
    done = command("extract", *settings, override)
    assert (done.code, done.out) == (2, "")
    assert message in done.err.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_pairs_that_are_none(small, command, tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"id": 1}\n')
    done = command("extract", *small, "data.pairs=pairs.jsonl")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "pairs.jsonl:1: not a pair; it needs id, prompt, safe, unsafe" in done.err

from __future__ import annotations

import pytest

from benchmark import families
from benchmark.errors import DataError
from benchmark.pocket import layouts, scenes
from benchmark.sample import Loaded, Sample
from benchmark.vscbench import load

TWO = Loaded(tuple(Sample(name, "b", "c", "p", (), "safe", name, family="own") for name in "12"))


def test_the_file_names_families_and_the_others_keep_theirs(tmp_path):
    assert families.assign(TWO, tmp_path) == TWO
    families.write(tmp_path, {"2": "knife", "of another preset": "gun"})
    assert [sample.family for sample in families.assign(TWO, tmp_path).samples] == ["own", "knife"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,kind\n1,x\n", r"families.csv has no column 'family'"),
        ("id,family\n1,x\n1,y\n", r"id '1' occurs twice"),
        ("id,family\n7,x\n", r"names none of the samples: its ids are such as '1'"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, message):
    (tmp_path / "families.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        families.assign(TWO, tmp_path)


def test_the_pocket_data_tell_the_object_of_each_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "SIZES", {"test": layouts.Sizes(6, 8, 1, 2)})
    layouts.write(tmp_path / "p", pairs=4)
    root = tmp_path / "p/test/vscbench"
    samples = families.assign(load(root), root).samples
    assert {sample.family for sample in samples if sample.reference == "unsafe"} <= set(scenes.HAZARDS)
    for sample in samples:
        if sample.meta["half"] == "text":
            assert sample.family in sample.query
        else:
            kind = {"safe": scenes.HARMLESS, "unsafe": scenes.HAZARDS}[sample.reference]
            assert sample.family in kind
            assert any(sample.family in pair for pair in scenes.LOOKALIKES[sample.category])

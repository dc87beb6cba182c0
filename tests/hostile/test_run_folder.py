"""A run folder that someone sent: whatever it holds, looking at it gives a value or one line, and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import sweep_table
from iar.revision.configuration import Configuration
from tests.hostile.values import bounded, changed, damaged, survives, written

SETTINGS: dict[str, Any] = {
    **{"method": "iar", "layer": [9], "heads": 0, "strength": 1.0, "seed": 0, "split": "validation", "limit": None},
    "data": {
        "name": "pocket",
        "root": "data/pocket",
        "seed": 0,
        "validation": "data/pocket/validation",
        "test": "t",
        "shared": False,
    },
    "benchmark": {"vscbench": {"folder": "vscbench", "protocol": None}},
}
SCORES = (
    "configuration,benchmark,protocol,data,category,metric,n,n_scored,value,low,high\n"
    "none,vscbench,vscbench@2,pinned,all,SRA_s,10,10,0.500000,0.400000,0.600000\n"
    "iar-L9-x1,vscbench,vscbench@2,pinned,all,SRA_s,10,10,0.500000,0.400000,0.600000\n"
)
NAME = Configuration("iar", (9,), 1.0).name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path / "run/definition.json", json.dumps({"data": {"split": "validation"}}))
    written(tmp_path / "run/scores.csv", SCORES)
    written(tmp_path / "run/configs/none.yaml", yaml.safe_dump(SETTINGS | {"method": "none", "layer": []}))
    written(tmp_path / f"run/configs/{NAME}.yaml", yaml.safe_dump(SETTINGS))
    return tmp_path / "run"


def look(folder: Path) -> None:
    run = FinishedRun.scored(folder)
    sweep_table.markdown(run.scores, run.configurations)
    run.settings.data.folder(run.settings.split)


def test_it_is_read_where_it_is_whole(folder: Path) -> None:
    look(folder)


def test_any_settings_and_any_scores(folder: Path) -> None:
    config, scores = folder / f"configs/{NAME}.yaml", folder / "scores.csv"
    cells = SCORES.encode().split(b",")
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))

    @bounded
    @given(st.data())
    def check(data: st.DataObject) -> None:
        kinds = st.one_of(
            *(changed(SETTINGS).map(json.dumps), damaged(yaml.safe_dump(SETTINGS).encode())),
            st.sampled_from([bomb, "[" * 100_000, "!!python/object/apply:os.system [x]", "a: ${oc.env:HOME}", "? {}"]),
        )
        written(config, data.draw(kinds))
        survives(lambda: look(folder))
        written(config, yaml.safe_dump(SETTINGS))
        at, cell = (
            data.draw(st.integers(0, len(cells) - 1)),
            data.draw(st.sampled_from([b"", b"=1", b"x", b"..", b"\xff"])),
        )
        changed_cells = b",".join([*cells[:at], cell, *cells[at + 1 :]])
        written(scores, data.draw(st.one_of(damaged(SCORES.encode()), st.just(changed_cells))))
        survives(lambda: look(folder))
        written(scores, SCORES)

    check()
    assert sorted(path.name for path in folder.parent.rglob("*") if path.is_file()) == sorted(
        ["definition.json", "scores.csv", "none.yaml", config.name]
    )


def test_a_variable_of_the_environment_stays_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAR_SECRET", "hush")
    data: dict[str, Any] = {
        "name": "${oc.env:IAR_SECRET}",
        "root": "${oc.env:IAR_SECRET}",
        "validation": "a/${oc.env:IAR_SECRET}",
    }
    data |= {"test": "t", "shared": False}
    for file in (folder / "configs").iterdir():
        written(file, yaml.safe_dump(yaml.safe_load(file.read_text()) | {"data": data}))
    run = FinishedRun.scored(folder)
    assert run.settings.data.folder("validation") == "a/${oc.env:IAR_SECRET}" and "hush" not in repr(run.settings)

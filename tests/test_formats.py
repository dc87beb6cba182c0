"""docs/formats.md against the files of a real run: the same columns, keys, tensors and header strings."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.doc_commands import ROOT
from tests.iar.conftest import command, pocket_data, tiny_vectors  # noqa: F401  (fixtures)

PAGE = ROOT / "docs/formats.md"
# Of two runs, of the stress test, of the report; tests/iar/pipeline/test_compare.py, test_stress.py, tests/iar/explorer
COMPARED = {"compare-A.csv", "compare-A-labels.csv", "report.html", "report_files/"}
COMPARED |= {"fluency.jsonl", "drawn.jsonl"}  # with fluency=true: tests/iar/pipeline/evaluation/test_fluency.py
COMPARED |= {"stress-BY.csv", "stress-BY-errors.csv", "stress-BY.md"}
TEXT = (".csv", ".jsonl", ".json", ".md", ".tex", ".txt")
TABLES = ("scores", "differences", "frontier", "hypervolume", "timings")


def documented(title: str) -> list[list[str]]:
    """The names in the first column of the table whose head begins with a title, or that follows a heading of it."""
    text = PAGE.read_text(encoding="utf-8")
    start = re.search(rf"^(?:## {re.escape(title)}$|\| {re.escape(title)} \|)", text, flags=re.M)
    assert start, title
    rows = text[start.start() :].split("\n\n" if text[start.start()] == "|" else "\n## ")[0].splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("|") and not row.startswith("|---")]
    found = [re.findall(r"`([^`]+)`", cell) for cell in cells]
    return [names for names in found if names]


def flat(title: str) -> list[str]:
    return [name for names in documented(title) for name in names]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A sweep and an evaluation of a random model on a few questions, and the vectors that the sweep made."""
    from benchmark.pocket import layouts
    from tests.test_readme import run

    folder = tmp_path_factory.mktemp("formats")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(3, 4, 4, 8)))
        layouts.write(folder / "data", seed=0, pairs=6)
        patch.chdir(folder)
        model = ["model=pocket", f"model.path={tiny_folder}", "model.name=tiny", "model.max_new_tokens=6"]
        settings = [*model, "data.root=data", "limit=4"]
        for module, more in (
            ("iar.sweep", ["layer=1,2", "strength=1,2", "controls=0", "confirm=each", "run=sweep"]),
            ("iar.evaluate", ["layer=2", "run=evaluate"]),
        ):
            done = run(module, [*settings, *more])
            assert done.code == 0, done.said
    return folder


@pytest.mark.parametrize("table", TABLES)
def test_columns_of_tables(finished: Path, table: str):
    with (finished / f"sweep/{table}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert sorted(flat(f"{table}.csv")) == sorted(rows[0]) and len(rows) > 1


@pytest.mark.parametrize("log", ["generations", "verdicts"])
def test_keys_of_records(finished: Path, log: str):
    records = [json.loads(line) for line in (finished / f"sweep/{log}.jsonl").read_text().splitlines()]
    assert records and {frozenset(record) for record in records} == {frozenset(flat(f"{log}.jsonl"))}


def test_keys_of_the_definition(finished: Path):
    definition = json.loads((finished / "sweep/definition.json").read_text())
    assert set(definition) == set(flat("definition.json"))
    text = PAGE.read_text(encoding="utf-8")
    for part in (definition["model"], definition["data"], *definition["benchmarks"].values()):
        assert all(f"`{key}`" in text for key in part)


def test_files_of_a_run(finished: Path):
    text = PAGE.read_text(encoding="utf-8")
    told = set(flat("A run folder")) - {"configs/NAME.yaml", "test/", "noise_floor.json", *COMPARED}
    made = {path.name for run in ("sweep", "evaluate") for path in (finished / run).iterdir() if path.is_file()}
    assert told <= made
    undocumented = {name for name in made if name.endswith(TEXT) and f"`{name}`" not in text}
    assert not undocumented
    assert list((finished / "sweep/configs").glob("*.yaml")) and (finished / "sweep/test/scores.csv").is_file()


def test_the_vector_file(finished: Path):
    (path,) = (finished / "runs/vectors/tiny").glob("*.safetensors")
    with safe_open(path, framework="pt") as file:
        tensors, header = set(file.keys()), dict(file.metadata())
    wanted = flat("tensor")
    patterns = [re.escape(name).replace(re.escape("{i}"), r"\d+") for name in wanted]
    assert all(any(re.fullmatch(pattern, name) for pattern in patterns) for name in tensors)
    assert all(any(re.fullmatch(pattern, name) for name in tensors) for pattern in patterns)
    assert set(flat("header (strings)")) == set(header)
    assert f"format {header['format_version']}" in PAGE.read_text(encoding="utf-8")

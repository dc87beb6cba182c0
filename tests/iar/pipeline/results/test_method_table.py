"""The table of methods from small files, against numbers set by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from iar.pipeline.evaluation import timings
from iar.pipeline.evaluation.timings import Spent
from iar.pipeline.results import method_table
from iar.revision.configuration import Configuration
from tests.iar.pipeline.results import given

NONE, COT = Configuration(), Configuration("cot")
SHOTS = Configuration("fewshot+iar", (2,), 1.5, shots=2, shots_by="seed")
EVERY = [NONE, COT, SHOTS]
# SRA_s, SRA_u, POPE, tokens on VSCBench (4 answers) and on POPE (1 answer)
VALUES = {"none": (0.9, 0.3, 0.95, 10, 1), "cot": (0.8, 0.4, 0.5, 50, 30), SHOTS.name: (0.7, 0.95, 0.9, 12, 2)}


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = []
    for name, (safe, unsafe, pope, long, short) in VALUES.items():
        values = [("vscbench", "all", "SRA_s", safe, 4), ("vscbench", "all", "SRA_u", unsafe, 4)]
        values += [("vscbench", "all", "SRA_a", (safe + unsafe) / 2, 4), ("vscbench", "all", "irrelevant", 0.0, 4)]
        values += [("vscbench", part, "SRA_u", unsafe - 0.1, 2) for part in ("image", "drugs")]
        values += [("vscbench", "drugs", "SRA_s", safe, 2), ("vscbench", "drugs", "SRA_a", 0.5, 2)]
        values += [("pope", "all", "accuracy", pope, 1), ("pope", "all", "yes", 0.5, 1)]
        values += [("vscbench", "all", "tokens", long, 4), ("pope", "all", "tokens", short, 1)]
        values += [("vscbench", "all", "prompt_tokens", 20, 4), ("pope", "all", "prompt_tokens", 30, 1)]
        values += [("vscbench", "all", "no_final", 0.25, 4), ("pope", "all", "no_final", 1.0, 1)] * (name == "cot")
        for benchmark, category, metric, value, n in values:
            protocol = {"vscbench": "vscbench/full@2", "pope": "pope/official-9000@2"}[benchmark]
            row = dict(configuration=name, benchmark=benchmark, protocol=protocol, category=category, metric=metric)
            row |= dict(n=n, n_scored=n, value=value, low=value - 0.05, high=value + 0.05)
            rows.append(row | dict(family_low=math.nan, family_high=math.nan))
    return pd.DataFrame(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    changes = [
        *((COT.name, "vscbench", "SRA_s", -0.1, 0.0301), (COT.name, "pope", "accuracy", -0.45, 0.0004)),
        *((SHOTS.name, "vscbench", "SRA_u", 0.65, 0.009), (SHOTS.name, "pope", "accuracy", -0.05, 0.05)),
    ]
    columns = ["configuration", "benchmark", "metric", "difference", "p_holm"]
    table = pd.DataFrame(changes, columns=columns).assign(category="all", low=-1.0, high=1.0)
    table.to_csv(tmp_path / "differences.csv", index=False)
    timings.add(tmp_path, "vscbench", {"none": Spent(4, 2.0, 40), "cot": Spent(4, 10.0, 200)})
    timings.add(tmp_path, "pope", {"none": Spent(1, 0.5, 1)})
    return tmp_path


def table(text: str, number: int = 0) -> list[list[str]]:
    block = [part for part in text.split("\n\n") if part.startswith("|")][number]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines() if "---" not in line]


def test_scores_differences_and_costs(folder, scores):
    head, none, cot, shots = table(text := method_table.markdown(given.run(folder, scores, EVERY)))
    assert head == [
        *("method", "SRA_s", "SRA_u", "SRA_a", "irrel.", "POPE", "tokens", "prompt tokens", "no final answer", "s"),
    ]
    # tokens: (4 x 10 + 1) / 5; seconds: 2.5 / 5
    assert none == ["none", "90.0", "30.0", "60.0", "0.0", "95.0", "8.2", "22.0", "–", "0.5"]
    assert cot == ["cot", "80.0 (-10.0*)", "40.0", "60.0", "0.0", "50.0 (-45.0***)", "46.0", "22.0", "40.0", "2.5"]
    assert shots[:3] == ["fewshot-2+iar-L2-x1.5", "70.0", "95.0 (+65.0**)"]
    assert shots[5] == "90.0 (-5.0)" and shots[-1] == "–"  # not below .05; not timed
    by_category = table(text, 1)
    assert by_category[0] == ["category", "none", "cot", "fewshot-2+iar-L2-x1.5"]
    assert [row[0] for row in by_category[1:]] == ["all", "image", "drugs"]
    assert by_category[3][1].replace("\u00a0", " ") == "90.0 / 20.0 / 50.0"
    assert text.endswith("\n\nvscbench/full@2, pope/official-9000@2")


def test_the_same_is_printed(folder, scores, capsys):
    method_table.show(given.run(folder, scores, EVERY), "tiny, test split")
    text = capsys.readouterr().err
    assert "tiny, test split" in text and "by category" in text
    for cell in ("-45.0***", "(+65.0**)", "46.0", "0.5", "drugs"):
        assert cell in text


def test_files_and_what_is_the_same_bytes_whatever_the_time(folder, scores):
    files = method_table.write(given.run(folder, scores, EVERY))
    assert [file.name for file in files] == ["methods.csv", "methods.md", "methods.tex"]
    assert files[1].read_text() == method_table.markdown(given.run(folder, scores, EVERY)) + "\n"
    wide = pd.read_csv(files[0]).set_index("configuration")
    assert list(wide.index) == [c.name for c in EVERY]
    cot = wide.loc["cot"]
    assert cot[["SRA_s", "SRA_s_low", "SRA_s_difference", "SRA_s_p_holm"]].tolist() == [0.8, 0.75, -0.1, 0.0301]
    assert cot[["SRA_u[drugs]", "tokens[pope]", "no_final[vscbench]"]].tolist() == pytest.approx([0.3, 30, 0.25])
    assert wide.loc["none", ["POPE_difference", "no_final[pope]"]].isna().all()
    before = [file.read_bytes() for file in files]
    timings.add(folder, "pope", {"cot": Spent(1, 3.0, 1)})
    method_table.refresh(given.run(folder, scores, EVERY))
    after = [file.read_bytes() for file in files]
    assert before[0] == after[0] and before[1] != after[1]


def test_the_same_numbers_in_latex(folder, scores):
    text = method_table.tex(given.run(folder, scores, EVERY))
    _, scored, by_category = text.split("\n\n")
    lines = [line for line in scored.splitlines() if line.endswith(r"\\")]
    cells = [[cell.strip() for cell in line.removesuffix(r"\\").split(" & ")] for line in lines]
    assert cells[0][:3] == ["method", "SRA$_s$", "SRA$_u$"] and len(cells) == 4
    assert cells[2] == table(method_table.markdown(given.run(folder, scores, EVERY)))[2]
    assert r"\toprule" in scored and r"p < .05" not in scored and r"p \textless{} .05" in scored
    assert "health" not in by_category and "drugs & 90.0~/~20.0~/~50.0" in by_category
    for part in (scored, by_category):
        assert part.count("{") == part.count("}") and part.count(r"\begin") == part.count(r"\end") == 2


def test_only_a_folder_that_has_the_table_gets_it_again(tmp_path):
    method_table.refresh(given.run(tmp_path, pd.DataFrame()))
    assert list(tmp_path.iterdir()) == []


def test_without_baseline_and_times_there_are_scores_alone(scores, tmp_path):
    head, cot = table(method_table.markdown(given.run(tmp_path, scores[scores["configuration"] == "cot"], [COT])))
    assert cot[:3] == ["cot", "80.0", "40.0"] and cot[-1] == "–" and len(head) == len(cot)


def test_benchmarks_without_safety_have_no_categories(folder, scores):
    text = method_table.markdown(given.run(folder, scores[scores["benchmark"] == "pope"], EVERY))
    assert "by category" not in text and table(text)[0][:2] == ["method", "POPE"]


def test_much_that_is_unscored_is_said_first(folder, scores, capsys):
    lost = dict(scores.iloc[0]) | dict(metric="unscored: timed out", n=10, n_scored=10, value=0.2)
    text = method_table.markdown(many := given.run(folder, pd.concat([scores, pd.DataFrame([lost])]), EVERY))
    assert text.startswith("MORE THAN 5% UNSCORED: vscbench under none 20.0 % (2 timed out)")
    method_table.show(many, "t")
    assert "MORE THAN 5% UNSCORED" in capsys.readouterr().err.splitlines()[0]

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from iar import explorer, records
from iar.errors import UserError
from iar.explorer import parts
from tests.iar.explorer import runs

ROOT = Path(__file__).resolve().parents[3]


def test_the_same_run_gives_the_same_bytes(small_run, small_page, tmp_path):
    again = explorer.write(small_run, tmp_path / "report.html")
    assert again == [tmp_path / "report.html"]
    assert again[0].read_bytes() == small_page.read_bytes()
    assert small_page.stat().st_size < 10_000_000


def test_beside_are_the_parts_that_do_not_fit(small_run, small_page, tmp_path):
    out = tmp_path / "report.html"
    files = explorer.write(small_run, out, limit=small_page.stat().st_size - 3000)
    assert files == [out, tmp_path / "report_files"]
    assert [file.name for file in files[1].iterdir()] == ["images0.js"]
    assert out.stat().st_size < small_page.stat().st_size - 3000
    first = {file: hashlib.sha256(file.read_bytes()).digest() for file in (out, *files[1].iterdir())}
    explorer.write(small_run, out, limit=small_page.stat().st_size - 3000)
    assert first == {file: hashlib.sha256(file.read_bytes()).digest() for file in first}
    explorer.write(small_run, out, limit=0)
    assert len(list(files[1].iterdir())) == len(runs.NAMES) + 1
    assert explorer.write(small_run, out) == [out] and not files[1].exists()


def test_without_images(small_run, small_page, tmp_path):
    out = explorer.write(small_run, tmp_path / "report.html", images=False)[0]
    assert "Written without images" in out.read_text() and 'data-part="images0"' not in out.read_text()
    assert 'data-part="images0"' in small_page.read_text()


def test_images_that_are_gone_are_counted(small_run, pocket_data, tmp_path):
    folder = shutil.copytree(pocket_data / "validation", tmp_path / "data")
    gone = sorted((folder / "pope/images").iterdir())[1:]
    for file in gone:
        file.unlink()
    out = explorer.write(small_run, tmp_path / "report.html", data=folder)[0]
    assert f"{len(gone)} images are missing or cannot be read: give --data DIR" in out.read_text()


def test_the_second_scoring_is_shown(small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "r")
    assert "quote these" not in explorer.write(run)[0].read_text()
    (run / "test").mkdir()
    assert "It is not finished" in explorer.write(run)[0].read_text()
    shutil.copytree(small_run, run / "test", dirs_exist_ok=True)
    files = explorer.write(run)
    assert files == [run / "report.html", run / "test/report.html"]  # the answers that are to be quoted too
    text = files[0].read_text()
    assert "It is not finished" not in text and '<a href="test/report.html">' in text
    first = text[text.index("<h1") : text.index('id="chosen-title"')]  # before anything of the validation split
    assert "test split, chosen on validation" in first and "quote these" in first
    scores = pd.read_csv(run / "scores.csv").set_index(["configuration", "benchmark", "category", "metric"])
    base = scores.loc[("none", "vscbench", "all", "SRA_u")]
    told = " ".join(f"{100 * base[name]:.1f}" for name in ("value", "low", "high"))
    row = re.search(r'<th scope="row">SRA_u</th>(.*?)</tr>', first)[1]
    assert re.sub(r"[^\d.]+", " ", row.partition("</td>")[0]).split() == told.split()
    assert first.count('<th scope="col">difference</th>') == len(runs.NAMES) - 1
    assert explorer.write(run, tmp_path / "elsewhere.html") == [tmp_path / "elsewhere.html"]


def test_of_the_test_split_nothing_is_recommended(pocket_data, tmp_path):
    cfg = runs.settings(pocket_data, "split=test", "benchmark=[vscbench]", "limit=8")
    run = runs.write(tmp_path / "r", cfg, configurations=runs.CONFIGURATIONS[:3])
    text = explorer.write(run)[0].read_text()
    assert "test split" in text and "★ the highest SRA_a" in text.partition("</main>")[0]


def test_it_cannot_be_written(small_run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another place"):
        explorer.write(small_run, tmp_path / "file" / "report.html")


def test_needs_no_torch(small_run, tmp_path):
    program = (
        "import sys; from pathlib import Path; from iar import explorer;"
        f"explorer.write(Path({str(small_run)!r}), Path({str(tmp_path / 'r.html')!r}));"
        "print(sorted({'torch', 'transformers', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_without_its_data_the_answers_are_still_there(small_run, tmp_path):
    out = explorer.write(small_run, tmp_path / "report.html", data=tmp_path)[0]
    packed = re.findall(r'data-part="core">([^<]+)<', out.read_text())
    core = parts.unpack(parts.Part("core", packed[0]))
    assert len(core["samples"]["rows"]) == len(records.Log(small_run / "generations.jsonl").read()) / len(runs.NAMES)
    assert "No questions of vscbench" in out.read_text() and core["images"] == []

from __future__ import annotations

import shutil

import pytest


def rows(markdown: str) -> list[str]:
    return [line for line in markdown.splitlines() if line.startswith("|")]


def test_draws_the_same_again_from_the_files(swept, command, tmp_path):
    before = {name: (tmp_path / "r" / name).read_bytes() for name in ("scores.csv", "frontier.png", "frontier.pdf")}
    (tmp_path / "r/frontier.png").unlink()
    done = command("report", "r", "--title", "tiny")
    assert done.code == 0, done.err
    assert done.out.split()[:2] == ["r/frontier.png", "r/frontier.pdf"]
    assert {name: (tmp_path / "r" / name).read_bytes() for name in before} == before
    assert "iar-L2-x1.5" in done.err and "SRA_a" in done.err
    assert done.out.split()[-1] == "r/report.html"
    page = (tmp_path / "r/report.html").read_text()
    assert "<h1" in page and "python -m iar.sweep" in page
    table = command("report", "r", "--markdown")
    assert table.code == 0 and len(rows(table.out)) == 2 + 3 + 3  # with the random controls below
    assert "\n\nvscbench/full@2, pope/official-9000@2, scienceqa/llava-full@3\n" in table.out
    one = command("report", "r", "--sample", "pope/random/1", "--configuration", "iar-L2-x1.5")
    assert one.code == 0 and "\nPROMPT\n" in one.out and "Is there" in one.out and "pope, all, accuracy: " in one.out
    assert "not recorded" not in one.out
    wrong = command("report", "r", "--sample", "random/1000")
    assert wrong.code == 2 and wrong.err.count("\n") == 1 and "random/" in wrong.err
    titled = command("report", "r", "--title", "another")
    assert titled.code == 0 and (tmp_path / "r/frontier.png").read_bytes() != before["frontier.png"]


def test_a_run_that_lacks_a_score_or_is_damaged(swept, command, tmp_path):
    table, file = tmp_path / "r/scores.csv", tmp_path / "r/configs/iar-L2-x1.5.yaml"
    whole = table.read_text()
    table.write_text("".join(line for line in whole.splitlines(keepends=True) if ",irrelevant," not in line))
    done = command("report", "r", "--markdown")
    assert done.code == 0 and " | – | " in rows(done.out)[2]
    table.write_text("configuration,foo\nnone,1\n")
    done = command("report", "r")
    assert done.code == 2 and "python -m iar.judge r writes it again" in done.err and done.err.count("\n") == 1
    assert command("judge", "r").code == 0 and sorted(table.read_text()) == sorted(whole)
    for text in ("a: [", "method: iar\n", "- 1\n", "method: iar\nlayer: 2\n"):
        file.write_text(text)
        done = command("report", "r")
        assert done.code == 2 and "iar-L2-x1.5.yaml is damaged (" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["r", "nowhere"])
def test_no_run(command, tmp_path, name):
    (tmp_path / "r").mkdir()
    done = command("report", name)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"no scores in {name} (it has no scores.csv): finish the run, python -m iar.sweep run={name}" in done.err


def test_the_page_as_it_is_asked_for(swept, command, tmp_path):
    done = command("report", "r", "--no-page")
    assert done.code == 0 and "report.html" not in done.out and not (tmp_path / "r/report.html").exists()
    done = command("report", "r", "--out", "look/at.html", "--no-images", "--megabytes", "0")
    assert done.code == 0, done.err
    assert done.out.split()[-2:] == ["look/at.html", "look/at_files"]
    assert sorted(file.name for file in (tmp_path / "look/at_files").iterdir()) == [f"answers{n}.js" for n in range(3)]
    assert "Written without images" in (tmp_path / "look/at.html").read_text()


def test_two_runs_are_compared_and_three_are_too_many(swept, command, tmp_path):
    shutil.copytree(tmp_path / "r", tmp_path / "s")
    done = command("report", "r", "s")
    assert done.code == 0 and done.out.split()[0] == "s/compare-r.csv" and not (tmp_path / "r/report.html").exists()
    done = command("report", "r", "s", "r")
    assert (done.code, done.err) == (2, "error: 3 runs given: one is reported, two are compared\n")

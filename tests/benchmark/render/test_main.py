from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image

from benchmark import dualbench, manifest
from benchmark.figstep import PROMPT
from benchmark.render import __main__ as command
from benchmark.render import fonts


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command: arguments -> (exit code, stdout, stderr)."""
    monkeypatch.setattr(fonts, "_installed", list)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["render", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


def test_figstep_from_a_csv_becomes_a_manifest_that_loads(run, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("id,instruction,label,category\nx,Steps to bake bread.,safe,food\ny,Steps to 写,,\nz,,,\n")
    out = tmp_path / "set"
    code, said, errors = run("figstep", "--input", table, "--column", "instruction", "--out", out)
    assert code == 1 and "font: LiberationMono-Bold (shipped)" in said and "1 images in" in said
    assert "line 3: LiberationMono-Bold.ttf has no character '写'" in errors and "line 4: empty text" in errors
    (sample,) = manifest.load(out).samples
    assert (sample.id, sample.prompt, sample.reference, sample.category) == ("x", PROMPT, "safe", "food")
    assert sample.query == "Steps to bake bread." and Image.open(sample.images[0]).size == (760, 760)


def test_typography_and_concat(run, tmp_path):
    picture = tmp_path / "photo.png"
    Image.new("RGB", (600, 300), "green").save(picture)
    code, said, errors = run("typography", "--text", "bread knife", "--out", tmp_path / "typo")
    assert code == 0 and "Arial is not on this system" in said and "give --prompt" in errors
    assert Image.open(tmp_path / "typo/images/1.jpg").size == (1024, 180)
    ask = ("--prompt", "What is this for?")
    code, _, errors = run("concat", "--text", "bread knife", "--image", picture, *ask, "--out", tmp_path / "both")
    assert code == 0 and not errors and Image.open(tmp_path / "both/images/1.jpg").size == (1024, 480)
    (sample,) = manifest.load(tmp_path / "both").samples
    assert (sample.prompt, sample.query, sample.reference) == ("What is this for?", "bread knife", "unsafe")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"text": "knife", "image": "photo.png"}\n{"text": "knife", "image": "gone.png"}\n{"text": "fork"}\n'
    )
    code, said, errors = run("concat", "--input", rows, *ask, "--out", tmp_path / "rows")
    assert code == 1 and "1 images in" in said
    assert "line 2: missing image" in errors and "line 3: no picture to put on top" in errors


def test_perturb_draws_the_kinds_asked_for_and_goes_on_where_it_was(run, tmp_path):
    arguments = ("perturb", "--text", "Bake bread.", "--kind", "original,noise,rotation", "--out", tmp_path)
    code, said, _ = run(*arguments)
    assert code == 0 and "(3 new, 0 unchanged, 0 replaced)" in said
    assert "(0 new, 3 unchanged, 0 replaced)" in run(*arguments)[1]
    assert "(0 new, 1 unchanged, 2 replaced)" in run(*arguments, "--seed", 1)[1]
    samples = manifest.load(tmp_path).samples
    assert [(s.id, s.category, s.cluster) for s in samples] == [
        (f"1/{kind}", kind, "1") for kind in ("original", "noise", "rotation")
    ]
    assert {s.prompt for s in samples} == {"Describe the image."}


def test_chinese_needs_a_font_and_a_translation(run, tmp_path):
    code, _, errors = run("perturb", "--text", "Bake bread.", "--out", tmp_path / "a")
    assert code == 2 and errors.count("\n") == 1
    assert (
        "give --chinese-font FILE, or leave it out: --kind original,real_background,noise,rotation,small_font" in errors
    )
    font = fonts.find(fonts.LIBERATION_SANS).path
    given = ("--kind", "chinese", "--chinese-font", font, "--out", tmp_path / "a")
    assert "no Chinese translation" in run("perturb", "--text", "Bake bread.", *given)[2]
    assert "has no character '烤'" in run("perturb", "--text", "Bake bread.", "--translation", "烤面包。", *given)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("perturb", "--text", "x", "--kind", "nois"), "unknown perturbation 'nois': did you mean 'noise'"),
        (("perturb", "--text", "x", "--kind", ","), "unknown perturbation ''"),
        (("figstep", "--input", "no.csv"), "no no.csv in"),
        (("figstep", "--text", "x", "--font", "no.ttf"), "no.ttf is not a readable font file"),
        (
            ("perturb", "--text", "x", "--kind", "real_background", "--backgrounds", "nowhere"),
            "in nowhere (--backgrounds)",
        ),
    ],
)
def test_wrong_arguments_are_one_line(run, tmp_path, arguments, message):
    code, _, errors = run(*arguments, "--out", tmp_path / "out")
    assert code == 2 and message in errors and errors.count("\n") == 1 and errors.startswith("error: ")


def test_dualbench_is_drawn_for_its_loader(run, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "instructions", lambda: dualbench.instructions()[::20])
    code, said, _ = run("dualbench", "--kind", "original,noise", "--out", tmp_path)
    assert code == 0 and "controlled access" in said and "16 images in" in said
    samples = dualbench.load(tmp_path).samples
    assert len(samples) == 16 and len({s.cluster for s in samples}) == 4
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert set(lines[0]) == {"id", "image", "display_text", "kind", "category", "perturbation"}
    harmful, benign = (np.asarray(Image.open(samples[i].images[0]).convert("L")) for i in (0, 1))
    assert (harmful < 128).sum() > 5000 and (benign < 128).sum() > 5000 and (harmful != benign).any()

from __future__ import annotations

import json
import sys

import pytest
from PIL import Image

from benchmark import manifest
from iar import pgd

VECTORS = "multi_response-mms-mean.safetensors"


@pytest.fixture
def attack(pocket_data, tiny_folder, tiny_vectors, tmp_path, monkeypatch, capsys):
    def run(*more: str) -> tuple[int, str]:
        where = ["--vscbench", pocket_data / "test/vscbench", "--pairs", pocket_data / "train/pairs.jsonl"]
        arguments = [*where, "--out", tmp_path / "out", "--model", tiny_folder, "--limit", "2", "--steps", "2", *more]
        monkeypatch.setattr(sys, "argv", ["iar.pgd", *map(str, arguments)])
        code = 0
        try:
            pgd.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, capsys.readouterr().err

    return run


def test_every_question_in_every_way_and_nothing_is_made_twice(attack, tiny_vectors, tmp_path):
    assert attack("--vectors", tiny_vectors / VECTORS, "--layer", "2")[0] == 0
    folder = tmp_path / "out/test/manifest"
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert [row["category"] for row in rows] == ["original"] * 2 + ["pgd"] * 2 + ["pgd_knowing"] * 2
    assert {row["label"] for row in rows} == {"unsafe"} and len({row["id"] for row in rows}) == 6
    assert len(manifest.load(folder).samples) == 6
    files = [folder / row["images"] for row in rows]
    original, changed, knowing = (Image.open(files[i]).convert("RGB").tobytes() for i in (0, 2, 4))
    assert original != changed != knowing
    before = [file.stat().st_mtime_ns for file in files]
    assert attack("--vectors", tiny_vectors / VECTORS, "--layer", "2")[0] == 0
    assert [file.stat().st_mtime_ns for file in files] == before


def test_wrong_arguments_are_one_line(attack, tmp_path):
    code, said = attack("--steps", "0")
    assert code == 2 and said == (
        "error: --limit and --steps must be whole numbers from 1, --epsilon a number from 0 to 255\n"
    )
    assert not (tmp_path / "out").exists()

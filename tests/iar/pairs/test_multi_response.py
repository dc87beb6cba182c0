from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.pairs import Pair, digest, read

GOOD = {"id": "1", "image": None, "prompt": "How?", "safe": "I cannot.", "unsafe": "Like this."}


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows))
    return path


def test_reads_relative_images_blank_lines_and_line_separators(tmp_path: Path, images: list[Path]) -> None:
    shutil.copy(images[0], tmp_path / "a.png")
    second = GOOD | {"id": 2, "image": "a.png", "prompt": "one\u2028two"}
    pairs = read(write(tmp_path / "pairs.jsonl", GOOD, "", second))
    assert pairs == [
        Pair("1", None, "How?", "I cannot.", "Like this."),
        Pair("2", tmp_path / "a.png", "one\u2028two", "I cannot.", "Like this."),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"pairs\.jsonl:2: not JSON"),
        ([1], r"pairs\.jsonl:2: not a pair"),
        ({k: v for k, v in GOOD.items() if k != "safe"}, r"pairs\.jsonl:2: not a pair.*missing: safe"),
        (GOOD | {"id": "2", "unsafe": " "}, r"pairs\.jsonl:2: 'unsafe' must be a text"),
        (GOOD | {"id": "2", "image": 3}, r"pairs\.jsonl:2: 'image' must be"),
        (GOOD | {"id": "2", "image": "gone.png"}, r"pairs\.jsonl:2: image .*gone\.png does not exist"),
        (GOOD, r"pairs\.jsonl:2: id '1' appears twice"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read(write(tmp_path / "pairs.jsonl", GOOD, line))
    assert "\n" not in str(error.value)


def test_missing_and_empty_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no pairs file .*none\.jsonl"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="holds no pairs"):
        read(write(tmp_path / "empty.jsonl", ""))


def test_digest_follows_content(tmp_path: Path, images: list[Path]) -> None:
    copy = tmp_path / "copy.png"
    shutil.copy(images[0], copy)
    pair = Pair("1", images[0], "p", "s", "u")
    assert digest([pair]) == digest([Pair("2", copy, "p", "s", "u")])
    assert digest([pair]) != digest([Pair("1", images[1], "p", "s", "u")])
    assert digest([pair]) != digest([Pair("1", images[0], "p", "u", "s")])
    assert digest([pair]) != digest([pair, pair])

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.pairs.row import Row, Side
from iar.pairs.sources.manifest import rows

SHORT = {"id": "1", "image": None, "prompt": "How?", "safe": "I cannot.", "unsafe": "Like this."}
LONG = {"id": "2", "category": "drugs", "safe": {"prompt": "a"}, "unsafe": {"prompt": "b", "response": "c"}}


def read(path: Path, *lines: object) -> list[Row]:
    path.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    )
    return list(rows(path, {}))


def test_short_lines_relative_images_blank_lines_and_line_separators(tmp_path: Path, images: list[Path]) -> None:
    file, image = tmp_path / "pairs.jsonl", tmp_path / "a.png"
    shutil.copy(images[0], image)
    second = SHORT | {"id": 2, "image": "a.png", "prompt": "one\u2028two", "category": "violence"}
    assert read(file, SHORT, "", second) == [
        Row("1", f"{file}:1", Side("How?", None, "I cannot."), Side("How?", None, "Like this.")),
        Row(
            "2",
            f"{file}:3",
            Side("one\u2028two", image, "I cannot."),
            Side("one\u2028two", image, "Like this."),
            "violence",
        ),
    ]


def test_long_lines_with_one_side_or_two(tmp_path: Path, images: list[Path]) -> None:
    file = tmp_path / "pairs.jsonl"
    alone = {"id": "3", "safe": None, "unsafe": {"prompt": "b", "image": str(images[1])}}
    assert read(file, LONG, alone) == [
        Row("2", f"{file}:1", Side("a"), Side("b", None, "c"), "drugs"),
        Row("3", f"{file}:2", None, Side("b", images[1])),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"pairs\.jsonl:2: not JSON"),
        ([1], r"pairs\.jsonl:2: not a pair"),
        ({k: v for k, v in SHORT.items() if k != "safe"}, r"pairs\.jsonl:2: not a pair.*missing: safe"),
        ({k: v for k, v in LONG.items() if k != "id"}, r"pairs\.jsonl:2: not a pair.*missing: id"),
        (SHORT | {"unsafe": " "}, r"pairs\.jsonl:2: 'unsafe' must be a non-empty text"),
        (SHORT | {"image": 3}, r"pairs\.jsonl:2: 'image' must be"),
        (SHORT | {"image": "gone.png"}, r"pairs\.jsonl:2: image .*gone\.png does not exist"),
        (SHORT | {"category": 3}, r"pairs\.jsonl:2: 'category' must be a text"),
        (LONG | {"safe": "I cannot."}, r"pairs\.jsonl:2: safe must be an object with prompt, image, response"),
        (LONG | {"safe": {"promt": "a"}}, r"pairs\.jsonl:2: safe has an unknown field 'promt': did you mean 'prompt'"),
        (LONG | {"safe": {"image": None}}, r"pairs\.jsonl:2: safe: 'prompt' must be a non-empty text"),
        (
            LONG | {"safe": {"prompt": "a", "response": ""}},
            r"pairs\.jsonl:2: safe: 'response' must be a non-empty text",
        ),
        (LONG | {"unsafe": {"prompt": "a", "image": "gone.png"}}, r"pairs\.jsonl:2: unsafe: image .* does not exist"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path / "pairs.jsonl", SHORT, line)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no pairs file .*none\.jsonl"):
        list(rows(tmp_path / "none.jsonl", {}))
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(UserError, match=r"cannot read pairs file .*latin\.jsonl"):
        list(rows(tmp_path / "latin.jsonl", {}))


def test_a_short_line_may_have_no_image(tmp_path: Path) -> None:
    bare = {name: value for name, value in SHORT.items() if name != "image"}
    assert read(tmp_path / "p.jsonl", bare) == read(tmp_path / "p.jsonl", SHORT)
    for name in ("img", "Image", "image_path", "picture", "photos"):
        with pytest.raises(
            UserError, match=rf"p\.jsonl:1 has {name!r} instead of 'image': rename it to image, or remove it"
        ):
            read(tmp_path / "p.jsonl", bare | {name: "a.png"})

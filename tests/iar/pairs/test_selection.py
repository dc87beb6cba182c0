from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from iar.errors import UserError
from iar.pairs import read
from iar.pairs.row import Row, Side
from iar.pairs.selection import Selection

ROWS = [
    Row("0", "f:1", Side("p", None, "s"), Side("p", None, "u"), "drugs", "txt"),
    Row("1", "f:2", Side("p", None, "s"), Side("p", None, "u"), "violence", "figstep"),
    Row("2", "f:3", None, Side("q"), "drugs", ""),
    Row("3", "f:4", Side("r"), None, "", "txt"),
    Row("4", "f:5", Side("r"), None, "", "figstep"),
    Row("5", "f:6", Side("r"), None, "", ""),
]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, "012345"),
        ({"leave_out": ["drugs"]}, "1345"),
        ({"leave_out": ["figstep"]}, "0235"),  # 2 does not say how it is asked
        ({"only": ["txt"]}, "035"),
        ({"only": ["drugs"]}, "02345"),  # harmless rows have no kind of harm
        ({"only": ["drugs", "txt"]}, "035"),
        ({"leave_out": "drugs", "only": ["figstep"]}, "145"),
    ],
)
def test_what_is_kept(settings: dict[str, Any], kept: str) -> None:
    selection = Selection.of(OmegaConf.create(settings))
    assert "".join(row.id for row in selection.rows(ROWS, "f")) == kept
    assert bool(selection) == bool(settings)


def test_names_that_are_not_there() -> None:
    with pytest.raises(
        UserError, match=r"^pairs\.leave_out=\[drug\] names 'drug', which no row of f\.jsonl has: did you"
    ):
        Selection.of({"leave_out": ["drug"]}).rows(ROWS, "f.jsonl")
    for wrong in (3, [3], [""], {"a": 1}):
        with pytest.raises(UserError, match=r"pairs\.only=.* must be a list of categories or modes"):
            Selection.of({"only": wrong})


def test_pairs_are_read_by_category_and_mode(tmp_path: Path) -> None:
    line = {"image": None, "prompt": "How?", "safe": "No.", "unsafe": "Yes."}
    named = [("drugs", "txt"), ("violence", "txt"), ("drugs", "figstep"), ("violence", "figstep")]
    file = tmp_path / "pairs.jsonl"
    lines = [line | {"id": str(i), "category": c, "mode": m} for i, (c, m) in enumerate(named)]
    file.write_text("\n".join(map(json.dumps, lines)))

    def ids(**settings: Any) -> list[str]:
        return [e.pair for e in read({"strategy": "multi_response", "path": file, **settings}) if e.safe]

    assert ids(leave_out=["drugs"]) == ["1", "3"] and ids(only=["figstep"]) == ["2", "3"]
    assert ids(leave_out=["drugs"], limit=1) == ["1"] and ids(leave_out=[], only=[]) == ["0", "1", "2", "3"]
    with pytest.raises(
        UserError, match=r"holds no pairs for strategy multi_response with pairs\.leave_out=\[drugs\] pairs"
    ):
        ids(leave_out=["drugs"], only=["drugs"])
    file.write_text(json.dumps(lines[0] | {"mode": 3}))
    with pytest.raises(UserError, match=r"pairs\.jsonl:1: 'mode' must be a text"):
        ids()

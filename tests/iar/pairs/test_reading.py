from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from iar.errors import UserError
from iar.pairs import STRATEGIES, Example, read
from iar.pairs.sources import FORMATS
from iar.shipped import shipped

SHORT = {"id": "1", "image": None, "prompt": "How?", "safe": "I cannot.", "unsafe": "Like this."}
REFUSED = {"id": "r", "safe": {"prompt": "How do I hurt them?"}}
ANSWERED = {"id": "a", "unsafe": {"prompt": "How do I hide it?"}}


@pytest.fixture
def file(tmp_path: Path, images: list[Path]) -> Path:
    """Three pairs, of which the second and the third have an image."""
    lines = [SHORT] + [SHORT | {"id": str(i), "image": str(images[i]), "prompt": f"How {i}?"} for i in (2, 1)]
    lines[2]["id"] = "3"
    return write(tmp_path / "pairs.jsonl", *lines)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings(path: Path, strategy: str = "multi_response", **more: Any) -> dict[str, Any]:
    return {"strategy": strategy, "path": path, **more}


def test_all_pairs_in_the_order_of_the_file(tmp_path: Path, images: list[Path]) -> None:
    rows = [SHORT | {"id": name} for name in ("1", "3", "2")]
    found = read(settings(write(tmp_path / "p.jsonl", *rows)))
    assert [(e.pair, e.safe) for e in found] == [(i, s) for i in ("1", "3", "2") for s in (True, False)]
    assert found[0] == Example("1", True, "How?", None, "I cannot.")


def test_limit_counts_pairs_that_the_strategy_makes(file: Path) -> None:
    assert [e.pair for e in read(settings(file, limit=2))] == ["1", "1", "2", "2"]
    assert [e.pair for e in read(settings(file, limit=9))] == ["1", "1", "2", "2", "3", "3"]
    modality = read(settings(file, "multi_modality", limit=1))
    assert [(e.pair, e.image is None) for e in modality] == [("2", True), ("2", False)]


def test_a_limit_reads_no_further(tmp_path: Path) -> None:
    broken = write(tmp_path / "p.jsonl", SHORT, SHORT | {"id": "2", "safe": ""})
    assert len(read(settings(broken, limit=1))) == 2
    with pytest.raises(UserError, match=r"p\.jsonl:2: 'safe' must be a non-empty text"):
        read(settings(broken))


def test_unpaired_examples_and_a_missing_side(tmp_path: Path) -> None:
    both = write(tmp_path / "both.jsonl", REFUSED, ANSWERED)
    for strategy in ("behaviour", "multi_instruction"):
        assert [(e.pair, e.safe, e.response) for e in read(settings(both, strategy))] == [
            ("r", True, None),
            ("a", False, None),
        ]
    for row, side in ((REFUSED, "unsafe"), (ANSWERED, "safe")):
        with pytest.raises(UserError, match=rf"one\.jsonl has no {side} side among its first 1 pairs"):
            read(settings(write(tmp_path / "one.jsonl", row), "behaviour"))


def test_nothing_for_a_strategy(tmp_path: Path) -> None:
    text = write(tmp_path / "text.jsonl", SHORT)
    with pytest.raises(UserError, match=r"holds no pairs for strategy multi_modality: each needs .* with an image"):
        read(settings(text, "multi_modality"))
    with pytest.raises(UserError, match="holds no pairs"):
        read(settings(write(tmp_path / "empty.jsonl")))
    with pytest.raises(UserError, match=r"no pairs file .*none\.jsonl: give pairs\.path=FILE"):
        read(settings(tmp_path / "none.jsonl"))
    with pytest.raises(UserError, match=r"p\.jsonl:2: id '1' appears twice"):
        read(settings(write(tmp_path / "p.jsonl", SHORT, SHORT)))


def test_unknown_names(file: Path) -> None:
    with pytest.raises(UserError, match=r"unknown pair strategy 'multi_respons': did you mean 'multi_response'\?"):
        read(settings(file, "multi_respons"))
    with pytest.raises(UserError, match=r"unknown pair format 'manifesto': did you mean 'manifest'\?"):
        read(settings(file, format="manifesto"))
    with pytest.raises(UserError, match=r"pairs of format vlguard need their file: pairs\.path=FILE"):
        read(settings(file, format="vlguard") | {"path": None})


def test_every_entry_of_conf_names_what_exists() -> None:
    files = sorted((shipped("conf") / "pairs").glob("*.yaml"))
    assert len(files) == 9
    for path in files:
        entry = OmegaConf.load(path)
        assert {"name", "strategy", "format", "path", "tokens", "limit"} <= set(entry)
        assert entry.name == path.stem and entry.limit is None
        assert entry.strategy in STRATEGIES and entry.format in FORMATS
        assert entry.tokens == ("mean" if entry.strategy == "multi_response" else "last_prompt")


@pytest.mark.parametrize("name", ["multi_response", "multi_instruction", "multi_modality"])
def test_pocket_data_have_every_given_set(name: str, pocket_data: Path) -> None:
    common = OmegaConf.create({"data": OmegaConf.load(shipped("conf") / "data/pocket.yaml")})
    common.data.root = str(pocket_data)
    common.pairs = OmegaConf.load(shipped("conf") / f"pairs/{name}.yaml")
    found = read(common.pairs)
    assert len({e.pair for e in found}) >= (3 if name == "multi_modality" else 6)
    assert sum(e.safe for e in found) == sum(not e.safe for e in found) == len(found) / 2
    assert all((e.response is None) == (name != "multi_response") for e in found)


def test_sides_alike_are_counted(tmp_path: Path, images: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Also where an image is a copy of the other, or only blanks differ."""
    copy = tmp_path / "copy.png"
    copy.write_bytes(images[0].read_bytes())
    flat = SHORT | {"id": "f", "safe": "Like this. "}
    shown = {
        "id": "g",
        "safe": {"prompt": "a", "image": "copy.png"},
        "unsafe": {"prompt": "a", "image": str(images[0])},
    }
    assert len(read(settings(write(tmp_path / "p.jsonl", SHORT, flat)))) == 4
    assert "sides of 1 of 2 pairs are identical and contrast nothing, first 'f'" in " ".join(
        capsys.readouterr().err.split()
    )
    for strategy, rows in (("multi_response", [flat, flat | {"id": "h"}]), ("multi_instruction", [shown])):
        with pytest.raises(UserError, match=rf"the sides of all {len(rows)} pairs are identical"):
            read(settings(write(tmp_path / "q.jsonl", *rows), strategy))


def test_copies_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "p.jsonl", *(SHORT | {"id": str(i), "prompt": f"How {i % 2}?"} for i in range(5)))
    assert [e.pair for e in read(settings(file)) if e.safe] == ["0", "1", "2", "3", "4"]
    said = " ".join(capsys.readouterr().err.split())
    assert "3 of 5 pairs are copies of others, first '2' of '0'" in said
    read(settings(file))  # a command reads its pairs several times
    assert not capsys.readouterr().err

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.pipeline.evaluation import pictures


@pytest.fixture
def settings(tmp_path: Path, compose: Callable[..., Any]) -> Callable[..., Any]:
    """Of a text model that has no weights at all: nothing can be loaded."""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    model = ["model=folder", "model.name=text", f"model.path={tmp_path}", "data=folder", f"data.root={tmp_path}"]
    return lambda *more: compose("evaluate", *model, *more)


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("vscbench", "vscbench/full shows some: benchmark.vscbench.protocol=vscbench/text-only"),
        ("scienceqa", "scienceqa/llava-full shows some: benchmark.scienceqa.protocol=scienceqa/text"),
        ("pope", r"pope/official-9000 shows some: take one of text \(vscbench/text-only, scienceqa/text, xstest"),
    ],
)
def test_a_text_model_is_not_shown_pictures(settings: Callable[..., Any], name: str, way_out: str) -> None:
    with pytest.raises(UserError, match=f"^model 'text' reads no images, and {way_out}"):
        pictures.check(settings(f"benchmark={name}"), [name])


def test_what_has_no_pictures_is_asked(settings: Callable[..., Any], tmp_path: Path) -> None:
    for name, more in (("xstest", ()), ("vscbench", ("benchmark.vscbench.protocol=text-only",))):
        pictures.check(settings(f"benchmark={name}", *more), [name])
    (tmp_path / "manifest").mkdir()
    row = {"id": "1", "text": "How?", "label": "safe"}
    manifest = tmp_path / "manifest/manifest.jsonl"
    manifest.write_text(json.dumps(row))
    cfg = settings("benchmark=manifest")
    pictures.check(cfg.replace(data=cfg.data.replace(shared=False)), ["manifest"])
    (tmp_path / "manifest/a.png").write_bytes(PNG)
    manifest.write_text(json.dumps(row | {"images": "a.png"}))
    with pytest.raises(UserError, match=r"^model .text. reads no images, and manifest shows some"):
        pictures.check(cfg.replace(data=cfg.data.replace(shared=False)), ["manifest"])


def test_a_model_that_sees_is_asked_all(compose: Callable[..., Any], pocket_data: Path) -> None:
    pictures.check(compose("evaluate", f"data.root={pocket_data}"), ["vscbench", "pope", "scienceqa"])


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)

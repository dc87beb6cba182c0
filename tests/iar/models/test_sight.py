from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iar.models.sight import reads_images
from iar.pipeline.experiment.settings import Model


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "llama"}, False),
        ({"model_type": "qwen2"}, False),
        ({"model_type": "llava"}, True),
        ({"model_type": "qwen2_5_vl"}, True),
        ({"model_type": "llava", "mm_vision_tower": "openai/clip", "mm_projector_type": "linear"}, True),
        ({"model_type": "llama", "image_token_index": 7}, None),
        ({"model_type": "no_such_type"}, None),
    ],
)
def test_what_the_config_says(tmp_path: Path, config: dict[str, Any], expected: bool | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert reads_images(Model(name="m", path=str(tmp_path))) is expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"path": "pocket"}, True),
        ({"path": "a.gguf"}, False),
        ({"path": "package:no_such_one", "gguf": "a.gguf"}, False),
        ({"path": "nowhere"}, None),
        ({"kind": "endpoint"}, None),
        ({"path": "pocket", "trust_remote_code": True}, None),
    ],
)
def test_what_the_settings_say(settings: dict[str, Any], expected: bool | None) -> None:
    assert reads_images(Model(name="m", **settings), local=True) is expected


def test_a_dry_run_asks_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the network")

    monkeypatch.setattr("socket.getaddrinfo", asked)
    assert reads_images(Model(name="m", path="nobody/such-a-model"), local=True) is None

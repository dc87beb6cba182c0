from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from iar.errors import UserError
from iar.export import easysteer
from iar.models import LoadedModel
from iar.revision import Configuration
from iar.vectors import VectorSet

package = pytest.importorskip("gguf", reason="needs pip install 'iar[gguf]'")


def test_last_is_the_last_prompt_token_and_every_generated_one(
    tiny: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet], tmp_path: Path
) -> None:
    vectors = vectors_of(tiny)
    directions = easysteer.write(vectors, Configuration("iar", (2, 4), 1.5), tmp_path / "steering.json")
    (said,) = json.loads((tmp_path / "steering.json").read_text())["vectors"]
    assert said["apply"] == {"prompt_positions": [-1], "generation": "all"}
    assert (said["layers"], said["scale"], said["normalize"], said["algorithm"]) == ([2, 4], 1.0, False, "direct")
    assert said["source"] == str(directions) == str(tmp_path / "steering.gguf")
    held = {tensor.name: tensor.data for tensor in package.GGUFReader(directions).tensors}
    assert set(held) == {"direction.2", "direction.4"}
    assert np.allclose(held["direction.4"], 1.5 * vectors.vectors[4].numpy())


@pytest.mark.parametrize(
    ("positions", "clause"),
    [
        ("all", {"prompt": "all", "generation": "all"}),
        ("generated", {"generation": "all"}),
        ("prompt", {"prompt": "all"}),
    ],
)
def test_other_positions(
    positions: str,
    clause: dict[str, str],
    tiny: LoadedModel,
    vectors_of: Callable[[LoadedModel], VectorSet],
    tmp_path: Path,
) -> None:
    configuration = Configuration("iar", (2,), 1.5, positions=positions)  # type: ignore[arg-type]
    easysteer.write(vectors_of(tiny), configuration, tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["vectors"][0]["apply"] == clause


def test_gates_do_not_fit(tiny: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="asks a gate"):
        easysteer.write(vectors_of(tiny), Configuration("gated", (2,), 1.5), tmp_path / "s.json")
    assert not list(tmp_path.iterdir())

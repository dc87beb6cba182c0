"""A control vector read by llama.cpp itself, against hooks on the same weights in transformers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import iar
from iar.errors import UserError
from iar.export import control_vector
from iar.models import LoadedModel, gguf, load
from iar.revision import Configuration
from iar.vectors import VectorSet

package = pytest.importorskip("gguf", reason="needs pip install 'iar[gguf]'")
pytest.importorskip("accelerate", reason="needs pip install 'iar[gguf]'")
IDS = [1, 70, 80, 90, 100, 110]
EVERYWHERE = Configuration("iar", (1,), 1.5, positions="all", scale="sigma")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    from tests.iar.models.gguf_file import write_gguf

    monkeypatch.setattr(gguf, "HF_HOME", str(tmp_path / "cache"))
    write_gguf(tmp_path / "tiny.gguf", package.GGMLQuantizationType.F32)
    return load(tmp_path / "tiny.gguf")


def test_llama_cpp_adds_it_at_this_block_and_no_other(
    model: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet], tmp_path: Path
) -> None:
    if find_spec("xllamacpp") is None:
        pytest.skip("needs llama.cpp: pip install xllamacpp")
    vectors = vectors_of(model)
    out = tmp_path / "vector.gguf"
    said = control_vector.write(vectors, EVERYWHERE, out)
    assert said == f"llama-server -m MODEL.gguf --control-vector {out}"

    def theirs(vector: Path | str) -> np.ndarray:
        arguments = [str(tmp_path / "tiny.gguf"), str(vector), str(tmp_path / "logits.npy"), *map(str, IDS)]
        script = Path(__file__).with_name("run_llama_cpp.py")
        done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-500:]
        return np.asarray(np.load(tmp_path / "logits.npy"))

    def ours(layers: list[int]) -> np.ndarray:
        settings = {"method": "iar" if layers else "none", "strength": 1.5, "scale": "sigma", "positions": "all"}
        moved = replace(vectors, vectors=vectors.vectors[[1, 1]], sigma=vectors.sigma[[1, 1]])
        with torch.no_grad(), iar.revise(model, moved, layers=layers, **settings):  # type: ignore[arg-type]
            return np.asarray(model.model(torch.tensor([IDS])).logits[0].numpy())

    plain, steered = ours([]), ours([1])
    assert np.abs(theirs("-") - plain).max() < 1e-4
    assert np.abs(steered - plain).max() > 0.5
    found = theirs(out)
    assert np.abs(found - steered).max() < 1e-4
    assert np.abs(found - ours([0])).max() > 0.5  # the same vector at the neighbouring block


def test_llama_cpp_takes_no_direction_of_block_0(
    model: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet], tmp_path: Path
) -> None:
    first = replace(EVERYWHERE, layers=(0,))
    with pytest.raises(UserError, match="no direction of block 0"):
        control_vector.write(vectors_of(model), first, tmp_path / "vector.gguf")
    assert not (tmp_path / "vector.gguf").exists()


def test_what_is_in_the_file(
    model: LoadedModel, vectors_of: Callable[[LoadedModel], VectorSet], tmp_path: Path
) -> None:
    vectors = vectors_of(model)
    for out in (tmp_path / "a.gguf", tmp_path / "new/b.gguf"):
        control_vector.write(vectors, EVERYWHERE, out)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "new/b.gguf").read_bytes()
    reader = package.GGUFReader(tmp_path / "a.gguf")
    (tensor,) = reader.tensors
    wanted = 1.5 * vectors.sigma[1] * vectors.vectors[1] / vectors.vectors[1].norm()
    assert tensor.name == "direction.1" and np.allclose(tensor.data, wanted.numpy(), rtol=1e-6)
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.model_hint"].contents() == "LlamaForCausalLM"

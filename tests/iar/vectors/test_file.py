from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from iar.errors import UserError
from iar.models import LoadedModel
from iar.pairs import Example
from iar.vectors import Gates, HeadVectors, VectorSet, digest, file, gates_digest
from iar.vectors.header import header


@pytest.fixture
def vectors(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> VectorSet:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.rand(6, generator=generator) for _ in range(4)]
    heads = HeadVectors(
        torch.randn(6, 4, 8, generator=generator), *(torch.rand(6, 4, generator=generator) for _ in range(3))
    )
    examples = [Example("0", True, "p", None, "s"), Example("0", False, "p", None, "u")]
    return VectorSet(torch.randn(6, 32, generator=generator), *drawn, heads, header(tiny, examples))


def test_round_trip(tiny: LoadedModel, vectors: VectorSet, tmp_path: Path) -> None:
    path = tmp_path / "new" / "vectors.safetensors"
    file.write(path, vectors)
    again = file.read(path, tiny)
    assert again.heads is not None and vectors.heads is not None
    for name in ("vectors", "mean_norm", "sigma", "separation", "accuracy"):
        assert torch.equal(getattr(again, name), getattr(vectors, name))
    for name in ("vectors", "mean_norm", "sigma", "accuracy"):
        assert torch.equal(getattr(again.heads, name), getattr(vectors.heads, name))
    assert again.header == vectors.header
    assert again.header["created"] == "1970-01-01T00:00:00Z"
    assert digest(again) == digest(vectors)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with safe_open(path, framework="pt") as opened:
        assert opened.get_tensor("layer.3").shape == (32,)
        assert opened.get_tensor("head.3").shape == (4, 8)


def test_bytes_are_the_same_every_time(vectors: VectorSet, tmp_path: Path) -> None:
    """safetensors alone writes its header strings in an order drawn anew each time."""
    path, again = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    file.write(path, vectors)
    for _ in range(8):
        file.write(again, file.read(path))
        assert path.read_bytes() == again.read_bytes()
    assert len({save({"one": vectors.vectors}, vectors.header) for _ in range(8)}) > 1


def test_vectors_without_length(vectors: VectorSet, tmp_path: Path) -> None:
    path, none = tmp_path / "v.safetensors", vectors.vectors.clone()
    none[[1, 4]] = torch.tensor([[0.0], [1e-9]])
    with pytest.raises(UserError, match=r"the vectors of layers 1, 4 have length 0: .* is not written"):
        file.write(path, dataclasses.replace(vectors, vectors=none))
    assert not path.exists()
    file.write(path, vectors)
    tensors, made = file.read_tensors(path)
    file.write_tensors(path, {n: t * 0 if n.startswith("layer") else t for n, t in tensors.items()}, made)
    assert "the vectors of every layer have length 0" in error_of(path)
    file.write_tensors(path, tensors | {"accuracy": tensors["accuracy"] + 1}, made)
    assert "accuracy is a share" in error_of(path)


def test_layers_alone(tiny: LoadedModel, vectors: VectorSet, tmp_path: Path) -> None:
    file.write(tmp_path / "v.safetensors", dataclasses.replace(vectors, heads=None))
    again = file.read(tmp_path / "v.safetensors", tiny)
    assert again.heads is None and torch.equal(again.vectors, vectors.vectors)


def test_digest_follows_what_steers(vectors: VectorSet) -> None:
    later = dataclasses.replace(vectors, header=vectors.header | {"created": "2030", "torch_version": "9"})
    assert digest(later) == digest(vectors)
    assert digest(dataclasses.replace(vectors, header=vectors.header | {"tokens": "last"})) != digest(vectors)
    assert digest(dataclasses.replace(vectors, vectors=vectors.vectors * 2)) != digest(vectors)
    assert digest(dataclasses.replace(vectors, sigma=vectors.sigma * 2)) != digest(vectors)


def error_of(path: Path, loaded: LoadedModel | None = None) -> str:
    with pytest.raises(UserError) as error:
        file.read(path, loaded)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


def test_files_that_cannot_be_read(vectors: VectorSet, tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    assert "no vector file" in error_of(path)
    file.write(path, vectors)
    whole = path.read_bytes()
    for length in (0, 5, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "is truncated" in error_of(path)
    path.write_bytes(b"PK\x03\x04 this is a zip file or so")
    assert "is not a safetensors file" in error_of(path)
    save_file({"weight": torch.zeros(2)}, path)
    assert "is not a vector file of format 2 (its format: none)" in error_of(path)
    save_file({"layer.0": torch.zeros(32)}, path, vectors.header)
    assert "is incomplete" in error_of(path)


def test_values_that_are_not_finite(vectors: VectorSet, tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    bad = dataclasses.replace(vectors, vectors=vectors.vectors.clone())
    bad.vectors[2, 3] = float("nan")
    with pytest.raises(UserError, match=r"layer\.2 holds NaN .* is not written"):
        file.write(path, bad)
    assert not path.exists()
    tensors = {f"layer.{i}": vector.clone() for i, vector in enumerate(bad.vectors)}
    statistics = {"norm.mean": bad.mean_norm, "sigma": bad.sigma, "separation": bad.separation}
    save_file(tensors | statistics | {"accuracy": bad.accuracy}, path, bad.header)
    assert "layer.2 holds NaN" in error_of(path)


def test_vectors_of_another_model(tiny: LoadedModel, vectors: VectorSet, tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    file.write(path, dataclasses.replace(vectors, header=vectors.header | {"fingerprint": "0", "model_id": "other-7b"}))
    assert "was made with model 'other-7b' (local, float32), not with this 'tiny-llava'" in error_of(path, tiny)
    assert vectors.heads is not None
    two = type(vectors.heads)(*(part[:, :2] for part in vars(vectors.heads).values()))
    file.write(path, dataclasses.replace(vectors, heads=two))
    assert "holds 2 heads of 8 a layer, model 'tiny-llava' has 4 of 8" in error_of(path, tiny)
    file.write(path, dataclasses.replace(vectors, vectors=vectors.vectors[:, :16]))
    assert "is for hidden size 16, model 'tiny-llava' has 32" in error_of(path, tiny)
    four = [getattr(vectors, name)[:4] for name in ("vectors", "mean_norm", "sigma", "separation", "accuracy")]
    file.write(path, VectorSet(*four, header=vectors.header | {"n_layers": "4"}))
    assert "holds 4 layers, model 'tiny-llava' has 6" in error_of(path, tiny)


def test_a_place_that_cannot_be_written(vectors: VectorSet, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(UserError, match=r"cannot write .*taken"):
        file.write(tmp_path / "taken" / "vectors.safetensors", vectors)


@pytest.fixture
def gated(vectors: VectorSet) -> VectorSet:
    """With gates of one category, fitted on two unsafe and three benign prompts."""
    generator = torch.Generator().manual_seed(1)
    wide = ("weight", "benign_mean", "response_mean", "risk")
    tensors = {name: torch.randn(6, 32, generator=generator) for name in wide}
    tensors |= {name: torch.rand(6, generator=generator) for name in ("bias", "auroc", "rate")}
    tensors |= {name: torch.randn(1, 6, 32, generator=generator) for name in ("category_weight", "category_vectors")}
    tensors |= {"category_bias": torch.rand(1, 6, generator=generator), "scores": torch.rand(6, 5, generator=generator)}
    header = {"gate_unsafe": "2", "gate_benign": "3", "gate_categories": '["drugs, for one"]', "gate_limit": "512"}
    return dataclasses.replace(vectors, gates=Gates(**tensors, categories=("drugs, for one",), header=header))


def test_gates_stand_beside_the_vectors_and_change_none_of_them(
    tiny: LoadedModel, vectors: VectorSet, gated: VectorSet, tmp_path: Path
) -> None:
    bare, path = tmp_path / "bare.safetensors", tmp_path / "gated.safetensors"
    file.write(bare, vectors)
    file.write(path, gated)
    again = file.read(path, tiny)
    assert again.gates is not None and gated.gates is not None and file.read(bare).gates is None
    for field in dataclasses.fields(Gates):
        here, there = (getattr(gates, field.name) for gates in (again.gates, gated.gates))
        assert torch.equal(here, there) if isinstance(here, torch.Tensor) else here == there
    assert again.header == vectors.header and digest(again) == digest(gated) == digest(vectors)
    with safe_open(bare, framework="pt") as before, safe_open(path, framework="pt") as after:
        assert set(before.keys()) < set(after.keys())
        assert all(torch.equal(before.get_tensor(name), after.get_tensor(name)) for name in before.keys())  # noqa: SIM118
        assert before.metadata().items() < after.metadata().items()
    whole = path.read_bytes()
    file.write(path, again)
    assert path.read_bytes() == whole
    assert not any("refusal" in name for name in file.read_tensors(path)[0])
    refusals = {"refusal_weight": torch.ones(6, 32), "refusal_bias": torch.ones(6), "refusal_scores": torch.ones(6, 5)}
    learnt = dataclasses.replace(gated.gates, **refusals)
    file.write(path, dataclasses.replace(gated, gates=learnt))
    known = file.read(path, tiny).gates
    assert known is not None and torch.equal(known.refusal_scores, torch.ones(6, 5))
    assert torch.equal(known.refusal(5)[0], torch.ones(32)) and gates_digest(known) != gates_digest(gated.gates)
    tensors, header = file.read_tensors(path)
    file.write_tensors(path, {n: t for n, t in tensors.items() if n != "gate.refusal_bias"}, header)
    assert "is incomplete" in error_of(path)


def test_the_digest_of_gates_follows_what_they_are(gated: VectorSet) -> None:
    gates = gated.gates
    assert gates is not None
    assert gates_digest(gates) == gates_digest(dataclasses.replace(gates))
    for change in (
        {"weight": gates.weight * 2},
        {"scores": gates.scores / 2},
        {"header": gates.header | {"gate_limit": "1"}},
    ):
        assert gates_digest(dataclasses.replace(gates, **change)) != gates_digest(gates)


def test_gates_that_do_not_fit_are_refused(gated: VectorSet, tmp_path: Path) -> None:
    path, gates = tmp_path / "vectors.safetensors", gated.gates
    assert gates is not None
    for change, shown in (
        ({"weight": gates.weight[:, :16]}, "gate.weight has shape (6, 16) and not (6, 32)"),
        ({"bias": gates.bias[:4]}, "gate.bias has shape (4,) and not (6,)"),
        ({"category_bias": gates.category_bias[:, :5]}, "gate.category_bias has shape (1, 5) and not (1, 6)"),
        ({"category_vectors": gates.category_vectors[[0, 0]]}, "has shape (2, 6, 32) and not (1, 6, 32)"),
        ({"scores": gates.scores[:, :4]}, "gate.scores has shape (6, 4) and not (6, 5)"),
        ({"header": {"gate_unsafe": "2"}}, "is incomplete ('gate_categories')"),
    ):
        file.write(path, dataclasses.replace(gated, gates=dataclasses.replace(gates, **change)))
        assert shown in error_of(path)
    nan = dataclasses.replace(gates, risk=gates.risk * torch.nan)
    with pytest.raises(UserError, match=r"gate\.risk holds NaN or infinity: .* is not written"):
        file.write(path, dataclasses.replace(gated, gates=nan))
    tensors, header = file.read_tensors(path)
    file.write_tensors(path, {n: t for n, t in tensors.items() if n != "gate.rate"}, header)
    assert "is incomplete" in error_of(path)

"""Other libraries' vectors: what is in them, exactly; what is not in them is unknown; code in them is never run."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import iar
from iar.errors import UserError
from iar.models import LoadedModel
from iar.models.source import digest
from iar.vectors import __main__, file, foreign

VECTOR = torch.randn(32, generator=torch.Generator().manual_seed(3))
OTHER = torch.randn(32, generator=torch.Generator().manual_seed(4))


def _gguf(path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="needs pip install 'iar[gguf]'")
    writer = gguf.GGUFWriter(path, "controlvector")  # as repeng's export_gguf does
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_uint32("controlvector.layer_count", 2)
    for place, vector in ((2, VECTOR), (4, OTHER)):
        writer.add_tensor(f"direction.{place}", vector.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _svec(path: Path) -> None:
    directions = {"2": [VECTOR.tolist()], "4": [OTHER.tolist()]}
    path.write_text(json.dumps({"model_type": "llama", "directions": directions}))


def _lm_eval(path: Path) -> None:
    common = {"action": "add", "bias": None, "head_index": None}
    layers = {
        "layers.2": {"steering_vector": VECTOR[None] / 2, "steering_coefficient": 2.0, **common},
        "layers.4": {"steering_vector": OTHER[None], "steering_coefficient": 1.0, **common},
    }
    torch.save(layers, path)


WRITE: dict[str, Callable[[Path], Any]] = {
    "repeng.gguf": _gguf,
    "aisteer.svec": _svec,
    "lm_eval.pt": _lm_eval,
    "table.pt": lambda path: torch.save({2: VECTOR, 4: OTHER}, path),
    "names.safetensors": lambda path: save_file({"layer_2": VECTOR, "model.layers.4.mlp": OTHER}, path),
}
ONE: dict[str, Callable[[Path], Any]] = {
    "vec_layer_2_Llama-2-7b-chat-hf.pt": lambda path: torch.save(VECTOR, path),  # CAA
    "layer_2.pt": lambda path: torch.save(VECTOR.half().float(), path),  # EasyEdit2
    "L2.npy": lambda path: np.save(path, VECTOR.numpy()),
}


@pytest.mark.parametrize("name", WRITE)
def test_layouts(name: str, tiny: LoadedModel, tmp_path: Path) -> None:
    WRITE[name](tmp_path / name)
    found = foreign.read(tmp_path / name, tiny)
    assert found.layers == (2, 4)
    assert torch.equal(found[2], VECTOR) and torch.equal(found[4], OTHER)


@pytest.mark.parametrize("name", ONE)
def test_one_tensor_and_the_layer_in_the_name(name: str, tiny: LoadedModel, tmp_path: Path) -> None:
    ONE[name](tmp_path / name)
    found = foreign.read(tmp_path / name, tiny)
    assert found.layers == (2,) and torch.allclose(found[2], VECTOR, atol=2e-3)
    assert foreign.read(tmp_path / name, tiny, layer=3).layers == (3,)


def test_one_array_of_all_layers(tiny: LoadedModel, tmp_path: Path) -> None:
    every = np.stack([VECTOR.numpy() * (i + 1) for i in range(6)])
    np.save(tmp_path / "all.npy", every)
    assert np.array_equal(foreign.read(tmp_path / "all.npy", tiny).vectors.numpy(), every)


def test_what_is_not_there_is_absent_and_unknown(tiny: LoadedModel, tmp_path: Path) -> None:
    WRITE["table.pt"](tmp_path / "table.pt")
    made = foreign.read(tmp_path / "table.pt", tiny)
    file.write(tmp_path / "v.safetensors", made)
    tensors, header = file.read_tensors(tmp_path / "v.safetensors")
    assert set(tensors) == {"layer.2", "layer.4"}
    assert header["source"] == "table.pt" and header["source_sha256"] == digest(tmp_path / "table.pt")
    assert (header["source_format"], header["method"], header["n_pairs"]) == ("pt", "imported", "unknown")
    found = file.read(tmp_path / "v.safetensors", tiny)
    assert found.layers == (2, 4) and file.digest(found) == file.digest(made)
    for unknown in (found.sigma, found.mean_norm, found.accuracy, found.separation):
        assert unknown.isnan().all()
    with pytest.raises(UserError, match="there is no vector of layer 3: the file holds 2, 4"):
        found[3]
    ids = torch.tensor([[5, 6, 7]])
    for settings, said in (
        ({"layers": 3}, "there is no vector of layer 3"),
        ({"layers": 2, "scale": "sigma"}, "scale=sigma needs the model's activations"),
        ({"layers": 2, "scale": "norm"}, "scale=norm needs the model's activations"),
        ({"layers": 3, "method": "ablation"}, "there is no vector of layer 3"),
        ({"layers": 2, "method": "gated"}, "needs gates"),
        ({"heads": 2}, "needs vectors of heads"),
    ):
        settings = dict(settings)
        with pytest.raises(UserError, match=said), iar.revise(tiny, found, **settings):  # type: ignore[arg-type]
            tiny.model(ids)


def test_it_steers_as_a_hook_written_by_hand(tiny: LoadedModel, tmp_path: Path) -> None:
    WRITE["repeng.gguf"](tmp_path / "r.gguf")
    file.write(tmp_path / "v.safetensors", foreign.read(tmp_path / "r.gguf", tiny))
    ids = torch.randint(4, 200, (2, 7), generator=torch.Generator().manual_seed(0))
    asked: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False, "attention_mask": torch.ones_like(ids)}
    with iar.revise(tiny, tmp_path / "v.safetensors", layers=[4], strength=3.0, positions="all"):
        found = tiny.model.generate(ids, **asked)
    hook = tiny.decoder.layers[4].register_forward_hook(lambda module, args, output: output + 3.0 * OTHER)
    try:
        wanted = tiny.model.generate(ids, **asked)
    finally:
        hook.remove()
    assert torch.equal(found, wanted) and not torch.equal(tiny.model.generate(ids, **asked), wanted)


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("name", ["layer_2.pt", "layer_2.npy"])
def test_code_in_a_pickle_is_refused_and_not_run(name: str, tiny: LoadedModel, tmp_path: Path) -> None:
    target, path = tmp_path / "owned", tmp_path / name
    if name.endswith(".pt"):
        torch.save({2: Malicious(target)}, path)
    else:
        np.save(path, np.array([Malicious(target)], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"holds more than tensors|allow_pickle=False") as error:
        foreign.read(path, tiny)
    assert not target.exists() and "\n" not in str(error.value)
    if name.endswith(".pt"):  # that it would have worked
        torch.load(path, weights_only=False)
    else:
        np.load(path, allow_pickle=True)
    assert target.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("v.pt", VECTOR, "does not say which layer it is of: --layer 14"),
        ("layer_1_layer_2.pt", VECTOR, "does not say which layer"),
        ("layer_9.pt", VECTOR, "layer 9, model 'tiny-llava' has layers 0 to 5"),
        ("layer_2.pt", VECTOR[:16], "the vector of layer 2 is of 16, model 'tiny-llava' of 32"),
        ("layer_2.pt", torch.zeros(32), "layers 2 have length 0"),
        ("layer_2.pt", VECTOR / 0, "no finite number"),
        ("layer_2.pt", torch.ones(32, dtype=torch.int64), "no finite number"),
        ("v.pt", torch.ones(3, 32), "holds 3 x 32: it must be one vector, or one a layer"),
        ("v.pt", {"layer_2": VECTOR, "layers.2": VECTOR}, "two vectors of layer 2"),
        ("v.pt", {"a": VECTOR, "b": VECTOR}, "'a' does not say which layer"),
        ("v.pt", {2: "text"}, "'2' is a str, not a tensor"),
        ("v.pt", [VECTOR], "holds a list"),
        ("v.pt", {}, "holds no vector"),
        ("v.pt", {"layers.2": {"steering_vector": VECTOR, "action": "clamp"}}, "does not add to a whole layer"),
    ],
)
def test_refused_in_one_line(name: str, content: Any, said: str, tiny: LoadedModel, tmp_path: Path) -> None:
    torch.save(content, tmp_path / name)
    with pytest.raises(UserError, match=said) as error:
        foreign.read(tmp_path / name, tiny)
    assert "\n" not in str(error.value)


def test_damaged_and_unknown_files(tiny: LoadedModel, tmp_path: Path) -> None:
    heads = {"directions": {"2": [[0.0] * 8] * 4}}
    for name, content, said in (
        ("v.gguf", b"GGUF", "cannot read|is no control vector"),
        ("v.svec", b"{", "cannot read"),
        ("v.svec", json.dumps(heads).encode(), "holds 4 directions of layer 2"),
        ("v.npy", b"\x93NUMPY", "cannot read"),
        ("v.safetensors", b"\x00" * 20, "cannot read"),
        ("v.pt", pickle.dumps(1)[:4], "cannot read|holds more than tensors"),
        ("v.txt", b"", "cannot import .*v.txt"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=said):
            foreign.read(tmp_path / name, tiny)
    with pytest.raises(UserError, match="no file"):
        foreign.read(tmp_path / "missing.pt", tiny)


def test_the_command(tiny_folder: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    WRITE["aisteer.svec"](tmp_path / "a.svec")
    out = tmp_path / "v.safetensors"

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["iar.vectors", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        code = 0
        try:
            __main__.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return (code, *capsys.readouterr())

    code, said, shown = run("import", tmp_path / "a.svec", "--model", tiny_folder, "--out", out)
    assert (code, said) == (0, f"{out}\n") and "a.svec: imported (svec)" in shown
    code, said, _ = run("inspect", out)
    row = next(line for line in said.splitlines() if line.startswith("│     4 │"))
    assert code == 0 and f"{OTHER.norm():.3f}" in row and "–" in row and "│     3 │" not in said
    code, _, err = run("inspect", out, "--figure", tmp_path / "f.png")
    assert code == 2 and "has no probes to draw" in err
    code, _, err = run("import", tmp_path / "a.svec", "--model", tiny_folder, "--out", tmp_path / "a.svec")
    assert code == 2 and "is the file itself" in err

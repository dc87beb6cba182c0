from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from iar.errors import UserError
from iar.models.weight_files import read_file, read_weights

WEIGHTS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2, dtype=torch.float16)}


class Payload:
    """What a malicious pickle holds: reading it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def same(read: dict[str, torch.Tensor]) -> bool:
    return read.keys() == WEIGHTS.keys() and all(
        torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in WEIGHTS.items()
    )


def test_every_format(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "x.safetensors")
    torch.save(OrderedDict(WEIGHTS), tmp_path / "new.bin")
    torch.save(WEIGHTS, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    for name in ("x.safetensors", "new.bin", "old.bin"):
        assert same(read_file(tmp_path / name)), name


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    for new in (True, False):
        file, trace = tmp_path / f"{new}.bin", tmp_path / f"trace {new}"
        torch.save({"a": torch.ones(1), "b": Payload(trace)}, file, _use_new_zipfile_serialization=new)
        with pytest.raises(
            UserError, match=r"(True|False)\.bin holds more than tensors.*pickles are not executed"
        ) as e:
            read_file(file)
        assert "\n" not in str(e.value)
        assert not trace.exists()
    (tmp_path / "plain.bin").write_bytes(pickle.dumps(Payload(tmp_path / "trace"), protocol=2))
    with pytest.raises(UserError, match=r"plain\.bin"):
        read_file(tmp_path / "plain.bin")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_damage(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"model.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(WEIGHTS, file)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"text"):
        file.write_bytes(content)
        with pytest.raises(UserError, match=rf"model\.{suffix}") as error:
            read_file(file)
        assert "\n" not in str(error.value)


def test_other_contents(tmp_path: Path) -> None:
    for value in ([torch.ones(1)], {"a": 1}, torch.ones(1)):
        torch.save(value, tmp_path / "x.bin")
        with pytest.raises(UserError, match=r"x\.bin is not a table of tensors"):
            read_file(tmp_path / "x.bin")


def test_shards_progress_and_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no weights in .*model\.safetensors and pytorch_model\.bin"):
        read_weights(tmp_path)
    torch.save({"a": WEIGHTS["a"]}, tmp_path / "one.bin")
    torch.save({"b": WEIGHTS["b"]}, tmp_path / "two.bin")
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.bin", "b": "two.bin"}}))
    seen: list[tuple[str, int, int]] = []
    assert same(read_weights(tmp_path, progress=lambda *step: seen.append(step)))
    assert seen == [("one.bin", 1, 2), ("two.bin", 2, 2)]
    index.write_text(json.dumps({"weight_map": {"a": "one.bin", "c": "two.bin"}}))
    with pytest.raises(UserError, match=r"index\.json names weights that are in no shard, such as c"):
        read_weights(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "one.bin", "b": "three.bin"}}))
    with pytest.raises(UserError, match=r"no weight file .*three\.bin: the checkpoint is incomplete"):
        read_weights(tmp_path)
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    assert same(read_weights(tmp_path))  # safetensors first

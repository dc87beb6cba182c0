from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

from iar.errors import UserError
from iar.models import load
from iar.models.convert import convert, main
from tests.iar.models import original_layout as layout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> tuple[Path, layout.Original]:
    """A checkpoint in the original layout, its tower beside it in ``clip``."""
    place = tmp_path_factory.mktemp("original")
    original = layout.make(tiny_folder)
    layout.write_config(place / "vlguard", original, layout.write_tower(place / "clip", original))
    layout.write_tokenizer(place / "vlguard", tiny_folder)
    layout.write_weights(place / "vlguard", original.weights, "bin", shards=2)
    return place / "vlguard", original


def test_the_converted_folder_is_the_same_model(source: tuple[Path, layout.Original], tmp_path: Path) -> None:
    folder, original = source
    convert(folder, tmp_path / "new" / "converted")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["converted"]
    assert (tmp_path / "new" / "converted" / "model.safetensors").is_file()
    direct, converted = load(folder), load(tmp_path / "new" / "converted")
    assert converted.choices == {}
    left, right = direct.model.state_dict(), converted.model.state_dict()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    for text in ("Is there a <image>\nspoon?", "hello", "<image>\n<image>\n"):
        assert direct.tokenizer(text)["input_ids"] == converted.tokenizer(text)["input_ids"]
    assert converted.tokenizer.padding_side == "left"
    assert converted.processor.chat_template is None
    assert converted.model.config.vision_feature_layer == -2
    assert converted.model.generation_config.pad_token_id == layout.ORDINARY + 1
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        logits, expected = converted.model(input_ids=ids).logits, original.model(input_ids=ids).logits
    assert torch.equal(logits[..., : layout.ORDINARY], expected[..., : layout.ORDINARY])


def test_half_precision_stays(source: tuple[Path, layout.Original], tiny_folder: Path, tmp_path: Path) -> None:
    folder, original = source
    half = shutil.copytree(folder, tmp_path / "half")
    for file in half.glob("pytorch_model*"):
        file.unlink()
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in original.weights.items()}
    layout.write_weights(half, weights, "safetensors")
    convert(half, tmp_path / "converted")
    loaded = load(tmp_path / "converted", dtype="bfloat16")
    assert torch.equal(loaded.model.lm_head.weight[: layout.ORDINARY], weights["lm_head.weight"])
    size = (tmp_path / "converted" / "model.safetensors").stat().st_size
    assert size < 2.2 * sum(parameter.numel() for parameter in loaded.model.parameters())


def test_what_is_refused(source: tuple[Path, layout.Original], tiny_folder: Path, tmp_path: Path) -> None:
    folder, _ = source
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("kept")
    with pytest.raises(UserError, match="there exists already and is not overwritten"):
        convert(folder, tmp_path / "there")
    with pytest.raises(UserError, match="is not in the original layout of LLaVA or InternVL"):
        convert(tiny_folder, tmp_path / "new")
    with pytest.raises(UserError, match=r"no model folder .*nowhere: give SRC=DIR"):
        convert(tmp_path / "nowhere", tmp_path / "new")
    with pytest.raises(UserError, match="vision tower"):
        convert(folder, tmp_path / "new", vision_tower=str(tmp_path / "nowhere"))
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_command(
    source: tuple[Path, layout.Original],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "new"
    monkeypatch.setattr(sys, "argv", ["convert", str(source[0]), str(place)])
    main()
    assert capsys.readouterr().out == f"saved {place}\n"
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = f"error: {place} exists already and is not overwritten: give another folder or remove it\n"
    assert capsys.readouterr().err == said

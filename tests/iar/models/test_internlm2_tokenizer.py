"""The tokenizer against SentencePiece itself, which InternLM2Tokenizer gives every part between its added tokens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor
from transformers import PreTrainedTokenizerFast

from iar.errors import UserError
from iar.models import assembly
from iar.models.internlm2_tokenizer import PROBES, internlm2_tokenizer
from tests.iar.models import internvl_layout as layout

TEXTS = (
    *PROBES,
    "<|im_start|>user\n<img><IMG_CONTEXT><IMG_CONTEXT></img>\nIs there a hat?<|im_end|><|im_start|>assistant\n",
    "that <box> hat </box>  that<|im_end|> the",
    " the hat, the hat",
    layout.TEXT,
)


@pytest.mark.parametrize("prefix", [False, True])
def test_it_encodes_as_sentencepiece(tmp_path: Path, prefix: bool) -> None:
    own = ["[UNUSED_TOKEN_0]", "[UNUSED_TOKEN_1]", *([] if prefix else ["\n\n", "hat"])]
    layout.write_tokenizer(tmp_path, add_dummy_prefix=prefix, user_defined_symbols=own)
    tokenizer = internlm2_tokenizer(tmp_path)
    sentencepiece = SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    ids = {token: i for i, token in [*enumerate(layout.OWN, 3), *enumerate(layout.ADDED, layout.PIECES)]}
    for text in TEXTS:
        expected = [1]
        for part in re.split("(" + "|".join(map(re.escape, ids)) + ")", text):
            expected += [ids[part]] if part in ids else sentencepiece.encode(part)
        assert tokenizer.encode(text).ids == expected
        if not any(token in text for token in ids):
            assert tokenizer.decode(expected) == sentencepiece.decode(expected[1:])
    assert sentencepiece.encode("hat", out_type=str)[0].startswith("▁") == prefix


def test_special_tokens_are_left_out_of_an_answer(tmp_path: Path) -> None:
    layout.write_tokenizer(tmp_path)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=internlm2_tokenizer(tmp_path), bos_token="<s>")
    ids = wrapped("a  hat<|im_end|>")["input_ids"]
    assert (ids[0], ids[-1]) == (1, 3)
    assert wrapped.decode(ids, skip_special_tokens=True) == "a  hat"


def test_added_tokens_of_the_older_file(tmp_path: Path) -> None:
    layout.write_tokenizer(tmp_path)
    new = internlm2_tokenizer(tmp_path)
    table = json.loads((tmp_path / "tokenizer_config.json").read_text()).pop("added_tokens_decoder")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"no added tokens such as <IMG_CONTEXT> in .*incomplete$"):
        internlm2_tokenizer(tmp_path)
    (tmp_path / "added_tokens.json").write_text(json.dumps({v["content"]: int(i) for i, v in table.items()}))
    assert internlm2_tokenizer(tmp_path).encode(TEXTS[-4]).ids == new.encode(TEXTS[-4]).ids


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no .*tokenizer\.model: InternLM2's tokenizer is read from it$"):
        internlm2_tokenizer(tmp_path)
    layout.write_tokenizer(tmp_path, normalization_rule_name="nmt_nfkc")
    with pytest.raises(UserError, match=r"gives other tokens than SentencePiece does, on 'user\\n': use a converted"):
        internlm2_tokenizer(tmp_path)
    layout.write_tokenizer(tmp_path, model_type="unigram")
    with pytest.raises(UserError, match=r"tokenizer\.model is not a byte-pair model like InternLM2's"):
        internlm2_tokenizer(tmp_path)
    layout.write_tokenizer(tmp_path, add_dummy_prefix=True, user_defined_symbols=["[U0]", "[U1]", "hat"])
    with pytest.raises(UserError, match=r"tokenizer\.model is not a byte-pair model like InternLM2's"):
        internlm2_tokenizer(tmp_path)
    layout.write_tokenizer(tmp_path)
    table = json.loads((tmp_path / "tokenizer_config.json").read_text())
    table["added_tokens_decoder"]["310"] = table["added_tokens_decoder"].pop("306")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(table))
    with pytest.raises(UserError, match=r"gives '</box>' the id 310, which does not follow its 300 pieces$"):
        internlm2_tokenizer(tmp_path)
    monkeypatch.setattr(assembly, "is_sentencepiece_available", lambda: False)
    with pytest.raises(UserError, match=r"tokenizer\.model needs two packages: pip install sentencepiece protobuf$"):
        internlm2_tokenizer(tmp_path)

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from benchmark.answer_text import read
from iar.generation.row import decode

WORDS = ["<unk>", "</s>", "[THINK]", "[/THINK]", "A", "or", "B"]


def _loaded(special: list[str]) -> Any:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    fast.add_special_tokens({"additional_special_tokens": special})
    return SimpleNamespace(tokenizer=fast)


def test_marks_of_reasoning_are_kept_where_they_are_special_tokens() -> None:
    ids = [WORDS.index(word) for word in ("[THINK]", "A", "or", "B", "[/THINK]", "B", "</s>")]
    text = decode(_loaded(["[THINK]", "[/THINK]"]), ids)
    assert text == "[THINK]A or B[/THINK]B" and read(text).text == "B"


def test_without_such_marks_a_text_is_decoded_at_once() -> None:
    loaded = _loaded([])
    ids = [WORDS.index(word) for word in ("A", "or", "B", "</s>")]
    assert decode(loaded, ids) == loaded.tokenizer.decode(ids, skip_special_tokens=True) == "A or B"

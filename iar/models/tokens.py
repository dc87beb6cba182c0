"""What a tokenizer does beside reading text: tokens that it adds itself, and spellings that it reads as control."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any

from iar.models import clock


def adds_special(tokenizer: Any, rendered: str) -> bool:
    """Whether the tokenizer may add its own: not when the template has written the first one already."""
    first = tokenizer.bos_token
    return not (first and rendered.startswith(first))


def appended(tokenizer: Any, adds: bool) -> tuple[int, ...]:
    """The tokens that it puts behind every text, an end-of-text token usually; a prompt must not end in them.

    Args:
        adds: Whether it may add special tokens; some do where they may not.
    """
    ids = list(tokenizer("a", add_special_tokens=adds)["input_ids"])
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    count = next((n for n, token in enumerate(reversed(ids)) if token not in special), len(ids))
    return tuple(ids[len(ids) - count :])


def probe(processor: Any) -> str:
    """An empty question, open for its answer, as the chat template writes it; "" where there is none."""
    text_only = not hasattr(processor, "tokenizer")
    turn = {"role": "user", "content": "" if text_only else [{"type": "text", "text": ""}]}
    try:
        return str(
            processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False, **clock.pinned(processor))
        )
    except Exception:  # a template may refuse it in any way; that is told when it is asked in earnest
        return ""


def added_behind(processor: Any) -> str:
    """The tokens that the tokenizer would put behind a prompt (`appended`), by name; "" for none."""
    tokenizer = getattr(processor, "tokenizer", processor)
    if not clock.template_of(processor):
        return ""
    found = appended(tokenizer, adds_special(tokenizer, probe(processor)))
    return "".join(tokenizer.convert_ids_to_tokens(list(found)))


def control(processor: Any, text: str) -> str:
    """The first spelling in a text that is read as control and not as text; "" if there is none."""
    size = len(getattr(processor, "tokenizer", processor))
    return _control(processor, clock.template_of(processor) or "", size, text)


@lru_cache(maxsize=1 << 14)  # a sweep says the same texts under every configuration
def _control(processor: Any, template: str, size: int, text: str) -> str:
    for place in _places(processor):
        if place in text:
            return place
    tokenizer, names = getattr(processor, "tokenizer", processor), _names(processor, template, size)
    found = Counter(tokenizer(text, add_special_tokens=False)["input_ids"])
    found -= Counter(tokenizer("", add_special_tokens=False)["input_ids"])
    return next((names[token] for token in found if token in names), "")


def _places(processor: Any) -> set[str]:
    """What the processor itself replaces, for images most of all."""
    found = {str(value) for name, value in vars(processor).items() if name.endswith("image_token") and value}
    return {place for place in found if place.strip()}


@lru_cache(maxsize=64)
def _names(processor: Any, template: str, size: int) -> dict[int, str]:
    """The control tokens: special ones, and added ones that the chat template writes (marks of a turn, of thinking).

    Other added tokens are text to their vocabulary: blanks, line breaks, tags of HTML. So is the unknown token, which
    stands for any text.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    written = template + probe(processor)
    found = {
        number: token.content
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special or (token.content in written and re.search(r"[^\w\s]", token.content))
    }
    found |= dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
    found.pop(tokenizer.unk_token_id, None)
    return {number: name for number, name in found.items() if name.strip()}

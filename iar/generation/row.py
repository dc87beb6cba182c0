"""One request to a model on this machine, and what its tokens say."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmark import thoughts
from benchmark.sample import Sample
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.prompting import Conversation
from iar.revision.configuration import Configuration


@dataclass
class Row:
    """A rendered prompt under a configuration, and who asked it: identical requests are generated once."""

    key: str
    prompt: str
    images: tuple[Path, ...]
    length: int
    configuration: Configuration
    owners: list[tuple[Sample, Configuration, str]] = field(default_factory=list)  # with the key each asked by
    begun: str = ""  # what the conversation has said of the answer already


def images_of(conversation: Conversation) -> tuple[Path, ...]:
    return tuple(path for turn in conversation for path in turn.images)


def read(loaded: LoadedModel, ids: list[int]) -> tuple[str, int]:
    """The answer in generated ids, and the number of its tokens: what ends it is not part of it."""
    ends = end_tokens(loaded)
    ids = ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]
    text = chat.until_stop(loaded, whole := decode(loaded, ids))
    if text != whole:  # the tokens of the stopping text are not tokens of the answer
        ids = ids[: next(n for n in range(len(ids)) if len(decode(loaded, ids[: n + 1])) > len(text))]
    return text.strip(), len(ids)


def decode(loaded: LoadedModel, ids: list[int]) -> str:
    """The text of ids without special tokens, but for marks of reasoning: some models have these among them
    (Magistral's ``[THINK]``), and without its marks a thought would be read as the answer."""
    marks = _thought_marks(loaded.tokenizer)
    parts: list[str | list[int]] = [[]]
    for token in ids:
        if token in marks:
            parts += [marks[token], []]
        else:
            parts[-1].append(token)  # type: ignore[union-attr]
    decoder = loaded.tokenizer.decode
    return "".join(
        part if isinstance(part, str) else decoder(part, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for part in parts
    )


@lru_cache(maxsize=8)
def _thought_marks(tokenizer: Any) -> dict[int, str]:
    """Special token -> its text, of those that mark reasoning."""
    named = zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
    return {token: text for token, text in named if thoughts.is_mark(text)}


def end_tokens(loaded: LoadedModel) -> set[int]:
    """The tokens that end an answer: the generation config's, else the tokenizer's."""
    config: Any = loaded.model.generation_config
    ends = config.eos_token_id if config is not None else None
    if ends is None:
        ends = loaded.tokenizer.eos_token_id
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)

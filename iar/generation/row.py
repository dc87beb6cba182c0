"""One request to a model on this machine, and what its tokens say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    """The answer in generated ids, and the number of its tokens: what ends it is no part of it."""
    ends = end_tokens(loaded)
    ids = ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]
    text = chat.until_stop(loaded, whole := decode(loaded, ids))
    if text != whole:  # the tokens of the stopping text are no tokens of the answer
        ids = ids[: next(n for n in range(len(ids)) if len(decode(loaded, ids[: n + 1])) > len(text))]
    return text.strip(), len(ids)


def decode(loaded: LoadedModel, ids: list[int]) -> str:
    text: str = loaded.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def end_tokens(loaded: LoadedModel) -> set[int]:
    """The tokens that end an answer: the generation config's, else the tokenizer's."""
    config: Any = loaded.model.generation_config
    ends = config.eos_token_id if config is not None else None
    if ends is None:
        ends = loaded.tokenizer.eos_token_id
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)

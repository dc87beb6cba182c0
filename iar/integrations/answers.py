"""The steered model as evaluation harnesses ask it: texts in, texts and log-probabilities out.

Multiple choice is scored by the log-probability of context + continuation in one pass; where the prompt ends is told
to the hooks, for otherwise ``positions=last`` steers nothing that is scored. Rows of one batch have contexts of one
length, so no context is padded there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import iar
from iar.errors import UserError
from iar.models import LoadedModel, chat
from iar.revision.words import settings
from iar.vectors import digest, gates_digest, read

MAX_NEW_TOKENS = 256  # where a harness does not say
# A rendered prompt, settings of generation in lm-eval's words, pictures.
Question = tuple[str, dict[str, Any], Sequence[Any]]


class Answers:
    """A model, steered as the words of a command line say.

    Args:
        pretrained: Folder, hub id or ``pocket``.
        vectors: A vector file, or hf://ORG/NAME; without one the model is not steered.
        words: Settings of `iar.revise`, as texts.

    Attributes:
        key: Of what was read and how it steers: equal where the answers are, for caches that know only the words.

    Raises:
        UserError: A setting, the model or the vectors.
    """

    def __init__(
        self,
        pretrained: str,
        vectors: str | None = None,
        batch_size: int | str = 1,
        dtype: str = "float32",
        device: str | None = None,
        revision: str | None = None,
        template: str | None = None,
        **words: Any,
    ) -> None:
        if not str(batch_size).isdigit() or int(batch_size) < 1:
            raise UserError(f"batch_size={batch_size} must be a whole number from 1")
        if words and vectors is None:
            raise UserError(f"{', '.join(words)} without vectors: say vectors=FILE, or leave them out")
        self.settings = settings(words)
        self.size = int(batch_size)
        device = "cuda" if device is None and torch.cuda.is_available() else device or "cpu"
        self.loaded: LoadedModel = iar.load(
            pretrained, dtype=dtype, device=device, revision=revision, template=template
        )
        self.vectors = None if vectors is None else read(vectors, self.loaded)
        self.key = self._key()
        self._file = Path(str(vectors))
        self._seen = self._state()
        with self.steered(1):  # what is wrong with the settings comes before the first question
            pass

    def steered(self, prompt_length: int | None) -> AbstractContextManager[None]:
        """`iar.revise` as asked."""
        if self.vectors is None:
            return nullcontext()
        return iar.revise(self.loaded, self.vectors, prompt_length=prompt_length, **self.settings)

    def current(self) -> str:
        """The key.

        Raises:
            UserError: The vector file is no longer the one that was read.
        """
        if self._state() != self._seen:
            raise UserError(f"{self._file} has changed since it was read: load the model again")
        return self.key

    def _key(self) -> str:
        known: list[Any] = [self.loaded.fingerprint, sorted(self.settings.items())]
        if self.vectors is not None:
            known += [digest(self.vectors), gates_digest(gates) if (gates := self.vectors.gates) else None]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]

    def _state(self) -> tuple[int, ...]:
        """Of the vector file; of what is no file, nothing."""
        if self.vectors is None or not self._file.is_file():
            return ()
        found = self._file.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def generate(self, asked: Sequence[Question]) -> list[str]:
        """The answers, which end before the first stop text of ``until``."""
        rows = [self._encode(context, pictures) for context, _, pictures in asked]
        answers = [""] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: (str(asked[i][1]), -rows[i]["input_ids"].shape[1]))
        for _, alike in groupby(order, key=lambda i: str(asked[i][1])):
            for batch in _chunks(list(alike), self.size):
                options = dict(asked[batch[0]][1])
                until = options.pop("until", [])
                until = [until] if isinstance(until, str) else until
                inputs = chat.collate(self.loaded, [rows[i] for i in batch], side="left")
                new = int(options.pop("max_gen_toks", options.pop("max_new_tokens", MAX_NEW_TOKENS)))
                sampling = _sampling(options)
                with torch.no_grad(), self.steered(None):
                    model: Any = self.loaded.model
                    found = model.generate(**inputs, max_new_tokens=new, **sampling)
                for i, ids in zip(batch, found[:, inputs["input_ids"].shape[1] :], strict=True):
                    text = self.loaded.tokenizer.decode(ids, skip_special_tokens=True)
                    answers[i] = _until(text, [stop for stop in until if stop])
        return answers

    def likelihood(self, asked: Sequence[tuple[str, str, Sequence[Any]]]) -> list[tuple[float, bool]]:
        """Log-probability of each continuation behind its context, and whether it is the greedy one."""
        rows = [self._pair(*one) for one in asked]
        found = [(0.0, False)] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: rows[i][0]["input_ids"].shape[1])
        for length, alike in groupby(order, key=lambda i: rows[i][0]["input_ids"].shape[1]):
            for batch in _chunks(list(alike), self.size):
                contexts, endings = [rows[i][0] for i in batch], [rows[i][1] for i in batch]
                for i, scored in zip(batch, self._score(contexts, endings, length), strict=True):
                    found[i] = scored
        return found

    def _score(
        self, contexts: list[dict[str, Tensor]], endings: list[list[int]], length: int
    ) -> list[tuple[float, bool]]:
        inputs = chat.collate(self.loaded, contexts, side="left")
        longest = max(map(len, endings))
        tail = torch.zeros(len(endings), longest, dtype=torch.long)
        mask = torch.zeros_like(tail)
        for row, ending in enumerate(endings):
            tail[row, : len(ending)] = torch.tensor(ending)
            mask[row, : len(ending)] = 1
        more = {"input_ids": tail, "attention_mask": mask}
        for name, value in inputs.items():
            if value.shape[:2] == (len(endings), length):  # runs along the tokens
                added = more.get(name, torch.zeros(len(endings), longest, *value.shape[2:], dtype=value.dtype))
                inputs[name] = torch.cat([value, added.to(value)], 1)
        with torch.no_grad(), self.steered(length):
            logits = self.loaded.model(**inputs, use_cache=False).logits[:, length - 1 : -1].float().log_softmax(-1)
        scored = []
        for row, ending in enumerate(endings):
            own = logits[row, : len(ending)]
            ids = torch.tensor(ending, device=own.device)
            scored.append((float(own.gather(1, ids[:, None]).sum()), bool((own.argmax(-1) == ids).all())))
        return scored

    def _encode(self, context: str, pictures: Sequence[Any]) -> dict[str, Tensor]:
        return chat.encode_rendered(self.loaded, context, [picture.convert("RGB") for picture in pictures])

    def _pair(self, context: str, continuation: str, pictures: Sequence[Any]) -> tuple[dict[str, Tensor], list[int]]:
        """The context's inputs and the continuation's tokens; blanks at its end belong to the continuation."""
        bare = context.rstrip()
        if not bare:  # nothing is said before: the model's own beginning of a text
            begin = self.loaded.tokenizer.bos_token_id
            begin = self.loaded.tokenizer.eos_token_id if begin is None else begin
            one = torch.tensor([[begin]])
            ids = self.loaded.tokenizer(context + continuation, add_special_tokens=False)["input_ids"]
            return {"input_ids": one, "attention_mask": torch.ones_like(one)}, ids
        whole, start = chat.token_ids(self.loaded, context + continuation), chat.token_ids(self.loaded, bare)
        ending = whole[len(start) :]
        if not ending:
            raise UserError(f"the continuation {continuation!r} is no token of its own behind its context")
        return self._encode(bare, pictures), ending


def _sampling(options: dict[str, Any]) -> dict[str, Any]:
    """How ``generate`` chooses tokens, from what a harness says.

    Raises:
        UserError: By beams.
    """
    if options.get("num_beams") not in (None, 1):
        raise UserError(f"num_beams={options['num_beams']} is not supported: answers are greedy or drawn, leave it out")
    if not options.get("do_sample"):
        return {"do_sample": False}
    given = {name: options[name] for name in ("temperature", "top_p", "top_k") if options.get(name)}
    return {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0} | given


def _chunks(items: list[int], size: int) -> Iterator[list[int]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def _until(text: str, stops: Sequence[str]) -> str:
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]

"""What the sweep engine is asked: prompts, each under many ways of steering, and how answers are decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from iar.revision.direction import Revision

Place = tuple[int, int]  # index of a request, index of its branch
Stop = Callable[[Tensor], Tensor]
Perturb = Callable[[Sequence[Place], int, Tensor], Tensor]


@dataclass(frozen=True)
class Branch:
    """One way of steering a request: what is added, and at which positions (as in `iar.revision.hooks`).

    Branches that share one `Revision` object share its vectors.
    """

    revision: Revision
    positions: str = "last"

    @property
    def steered(self) -> bool:
        return bool(self.revision.blocks)

    @property
    def steers_prompt(self) -> bool:
        """Whether tokens of the prompt before its last one are steered, so that they differ from the unsteered."""
        return self.steered and self.positions in ("prompt", "all")


@dataclass(frozen=True)
class Request:
    """One prompt and its branches.

    Attributes:
        inputs: The model's inputs for it, unpadded, as `iar.models.chat.encode_rendered` gives them.
    """

    inputs: Mapping[str, Tensor]
    branches: Sequence[Branch]

    @cached_property
    def tokens(self) -> list[int]:
        ids: list[int] = self.inputs["input_ids"][0].tolist()
        return ids

    def along_tokens(self, name: str) -> bool:
        """Whether an input has one entry a token: pixels and the like have not."""
        value = self.inputs[name]
        return value.ndim >= 2 and value.shape[:2] == (1, len(self.tokens))


class Follower(Protocol):
    """Is told of answers while they grow. One that had to be begun again is told again, from step 0."""

    def read(self, place: Place, probabilities: Tensor) -> None:
        """(k,) probabilities that the gate of a place read at the end of its prompt."""

    def grew(self, places: Sequence[Place], step: int, tokens: Sequence[int]) -> Sequence[bool]:
        """The next token of each place, the first at step 0; which of the answers end with it."""


@dataclass(frozen=True)
class Decoding:
    """How answers are decoded; greedily, unless `perturb` adds noise.

    Attributes:
        max_new_tokens: At most so many tokens an answer.
        ends: Tokens that end an answer; the answer holds the one that ended it, as ``generate`` returns it.
        stop: (answers, tokens so far) ids -> one bool an answer: whether it ends here.
        perturb: (places, step, scores) -> scores: changes the scores (answers, vocabulary) before the best token is
            taken; a step counts from 0.
        follow: Is told every token as soon as it is chosen, and may end answers.
    """

    max_new_tokens: int
    ends: frozenset[int] = field(default_factory=frozenset)
    stop: Stop | None = None
    perturb: Perturb | None = None
    follow: Follower | None = None

    def ended(self, answers: Tensor) -> Tensor:
        """(answers,) bools from the ids so far, (answers, tokens)."""
        ends = torch.tensor(sorted(self.ends), dtype=answers.dtype, device=answers.device)
        done = torch.isin(answers[:, -1], ends)
        return done if self.stop is None else done | self.stop(answers).to(done)

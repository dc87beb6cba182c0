"""What the words alone tell: a logistic regression on which words a prompt holds, for comparison with a gate.

A gate that tells unsafe from benign prompts no better than this may have learned the style of its two lists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor

from iar.vectors.one_thread import one_thread


@one_thread()
def held_out(texts: Sequence[str], unsafe: Tensor, folds: Tensor) -> Tensor:
    """(prompts,) float64 log odds of unsafe, each prompt's by a probe of the other folds.

    Args:
        unsafe: (prompts,) bool; both occur outside each fold.
        folds: (prompts,) the fold that each is held out with (`iar.vectors.gate_fit.assign`).
    """
    scores = torch.zeros(len(texts), dtype=torch.float64)
    for fold in folds.unique().tolist():
        out = folds == fold
        rest = [text for text, held in zip(texts, out.tolist(), strict=True) if not held]
        asked = [text for text, held in zip(texts, out.tolist(), strict=True) if held]
        scores[out] = _scores(_fitted(rest, unsafe[~out]), asked)
    return scores


@one_thread()
def elsewhere(texts: Sequence[str], unsafe: Tensor, asked: Sequence[str]) -> Tensor:
    """(asked,) float64 log odds of unsafe for prompts that it was not fitted on."""
    return _scores(_fitted(texts, unsafe), asked)


def _fitted(texts: Sequence[str], unsafe: Tensor) -> Pipeline:
    words = CountVectorizer(binary=True, analyzer=_words)
    return make_pipeline(words, LogisticRegression(class_weight="balanced", max_iter=1000)).fit(texts, unsafe.numpy())


def _words(text: str) -> list[str]:
    return ["", *re.findall(r"\w+", text.lower())]  # also of prompts without a word, where the picture asks


def _scores(probe: Pipeline, asked: Sequence[str]) -> Tensor:
    return torch.as_tensor(probe.decision_function(asked), dtype=torch.float64)

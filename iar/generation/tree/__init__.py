"""Answers to many prompts under many ways of steering, with everything computed once that they have in common.

    tokens of a prompt and its images -> its questions -> the last prompt token, once a revision -> each answer

In float32 `answer` is exact: greedy tokens as those of the plain path, which runs one prompt under one revision at a
time, and logits within rounding. How much a model lets its branches share is found out by `self_check`.
"""

from __future__ import annotations

from iar.generation.tree.answer import answer
from iar.generation.tree.check import Sharing, self_check
from iar.generation.tree.request import Branch, Decoding, Follower, Place, Request
from iar.generation.tree.wave import Limits

__all__ = ["answer", "self_check", "Sharing", "Request", "Branch", "Decoding", "Follower", "Place", "Limits"]

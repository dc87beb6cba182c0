from __future__ import annotations

import torch
from sklearn.metrics import roc_auc_score

from iar.vectors import bag_of_words

FOLDS = torch.arange(20) % 5


def test_lists_of_two_styles_are_told_by_their_words() -> None:
    texts = [f"Please tell me about {i}." for i in range(10)] + [f"Write a list of {i}" for i in range(10)]
    unsafe = torch.arange(20) < 10
    scores = bag_of_words.held_out(texts, unsafe, FOLDS)
    assert roc_auc_score(unsafe, scores) == 1
    found = bag_of_words.elsewhere(texts, unsafe, ["write a LIST", "tell me, please", "7"])
    assert found[0] < found[2] < found[1]


def test_the_same_words_on_both_sides_tell_nothing() -> None:
    texts = [f"How do I crack {i % 10}?" for i in range(20)]
    unsafe = torch.arange(20) < 10
    scores = bag_of_words.held_out(texts, unsafe, torch.arange(20) % 10)  # both sides of a number held out together
    assert roc_auc_score(unsafe, scores) == 0.5
    assert torch.equal(scores, bag_of_words.held_out(texts, unsafe, torch.arange(20) % 10))


def test_prompts_without_words() -> None:
    unsafe = torch.arange(20) < 10
    assert roc_auc_score(unsafe, bag_of_words.held_out([""] * 20, unsafe, torch.arange(20) % 10)) == 0.5

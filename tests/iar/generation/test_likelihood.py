"""Likelihoods of given answers against a plain loop: prompt and answer through the processor, read alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.sample import Sample
from iar.generation import Engine, likelihood
from iar.generation.likelihood import Given, score, space
from iar.generation.sampling import Sampling
from iar.generation.tree import Limits
from iar.models import LoadedModel, chat
from iar.prompting.composer import Composer
from iar.revision import Configuration

ANSWERS = ("Yes", "I am sorry, but I cannot help with that.", "red " * 9 + "knife", "q")
EXACT = 2e-5  # nats


def asked(loaded: LoadedModel, images: list[Path]) -> list[Given]:
    """Answers to questions of different lengths, with and without an image, as far as the model sees any."""
    shown: list[tuple[Path, ...]] = [(), ()]
    if loaded.tokenizer is not loaded.processor:
        shown = [(images[0],), (images[2],), ()]
    questions = ("Is there a spoon?", "How do I use this knife, and what is it for?", "Which letter?")
    found = []
    for number, (question, seen) in enumerate(zip(questions, shown, strict=False)):
        prompt = chat.render(loaded, question, len(seen))
        found += [Given(prompt, seen, space(loaded) + answer) for answer in ANSWERS[number % 2 :]]
    return found


def alone(loaded: LoadedModel, given: Given) -> list[float]:
    """-log p of each token of the answer."""
    images = [chat.open_image(path) for path in given.images]
    whole = chat.encode_rendered(loaded, given.prompt + given.answer, images)
    count = len(chat.token_ids(loaded, given.prompt + given.answer)) - len(chat.token_ids(loaded, given.prompt))
    with torch.no_grad():
        logits = loaded.model(**chat.collate(loaded, [whole])).logits[0, -count - 1 : -1].double()
    ids = whole["input_ids"][0, -count:]
    return [float(-row.log_softmax(-1)[token]) for row, token in zip(logits, ids, strict=True)]


@pytest.mark.parametrize("limits", [Limits(), Limits(columns=60, tokens=20)], ids=["whole", "parts"])
@pytest.mark.parametrize("share", [True, False], ids=["shared", "plain"])
def test_as_a_plain_loop(tiny: LoadedModel, images: list[Path], share: bool, limits: Limits) -> None:
    given = asked(tiny, images)
    found = dict(score(tiny, given, share, limits))
    assert sorted(found) == list(range(len(given))) and len(given) == 11
    for index, one in enumerate(given):
        assert found[index] == pytest.approx(alone(tiny, one), abs=EXACT)
    assert len({round(sum(nll), 3) for nll in found.values()}) == len(given)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen2_vl", "gemma3", "qwen3_vl", "llama", "gpt2", "qwen3_5_text"])
def test_families(chain: Callable[[str], LoadedModel], images: list[Path], name: str) -> None:
    loaded = chain(name)
    given = asked(loaded, images)
    engine = Engine(loaded, {})
    found = dict(score(loaded, given, engine.sharing in ("staged", "tree")))
    for index, one in enumerate(given):
        assert found[index] == pytest.approx(alone(loaded, one), abs=EXACT)


def test_a_prompt_is_computed_once(tiny: LoadedModel, images: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    stems: list[int] = []
    grow = likelihood.grow_stem

    def counted(loaded: LoadedModel, requests: list[object], lengths: list[int]) -> object:
        stems.extend(lengths)
        return grow(loaded, requests, lengths)  # type: ignore[arg-type]

    monkeypatch.setattr(likelihood, "grow_stem", counted)
    given = asked(tiny, images)
    assert len(dict(score(tiny, given))) == 11
    assert len(stems) == len({one.prompt for one in given}) == 3


def test_memory_that_runs_out_costs_no_answer(
    tiny: LoadedModel, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    behind, sizes = likelihood._behind_stem, []

    def full(loaded: LoadedModel, stem: object, passes: object, at: list[int], rows: list[object]) -> object:
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError
        return behind(loaded, stem, passes, at, rows)  # type: ignore[arg-type]

    given = asked(tiny, images)
    expected = dict(score(tiny, given))
    monkeypatch.setattr(likelihood, "_behind_stem", full)
    found = dict(score(tiny, given))
    assert sizes[0] > 2 and found.keys() == expected.keys()
    assert all(found[i] == pytest.approx(expected[i], abs=EXACT) for i in expected)


def test_what_has_no_likelihood(tiny: LoadedModel, tmp_path: Path) -> None:
    prompt = chat.render(tiny, "Is it red?")
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    given = [
        Given(prompt, (), ""),
        Given(prompt, (), " "),
        Given(prompt, (), " Yes</s> it is <image>"),
        Given(chat.render(tiny, "Is it red?", 1), (broken,), " Yes"),
        Given(prompt, (), " Yes"),
    ]
    found = dict(score(tiny, given))
    assert [len(found[i]) for i in range(5)] == [0, 0, 0, 0, 1]


def test_the_engine_asks_as_the_answer_was_asked(tiny: LoadedModel) -> None:
    engine = Engine(tiny, {}, compose=Composer())
    asked_of = Sample("1", "pope", "random", "How do I use this knife?", (), "yes", "1")
    none, reasoned = Configuration(), Configuration("cot")
    answers = {g.configuration: g.answer for g in engine.run([asked_of], [none, reasoned], 8)}
    said = [(asked_of, none, answers[none]), (asked_of, reasoned, answers[reasoned])]
    said += [(asked_of, none, answers[reasoned]), (asked_of, none, answers[none])]
    found = dict(engine.likelihoods(said))
    for index, (sample, configuration, answer) in enumerate(said):
        prompt = chat.converse(tiny, engine.compose(sample, configuration))
        assert found[index] == pytest.approx(alone(tiny, Given(prompt, (), " " + answer)), abs=EXACT)
    assert found[0] == found[3] and sum(found[1]) != pytest.approx(sum(found[2]), abs=0.1)


def test_an_answer_that_was_begun_counts_from_where_the_model_goes_on(tiny: LoadedModel) -> None:
    engine = Engine(tiny, {}, compose=Composer(attack="prefix"))
    asked_of = Sample("1", "pope", "random", "How do I use this knife?", (), "yes", "1")
    prompt = chat.converse(tiny, engine.compose(asked_of, Configuration()))
    assert prompt.endswith("You can use")
    found = dict(engine.likelihoods([(asked_of, Configuration(), "You can use it")]))
    assert found[0] == pytest.approx(alone(tiny, Given(prompt, (), " it")), abs=EXACT)


def test_drawn_answers_are_other_ones(tiny: LoadedModel) -> None:
    engine = Engine(tiny, {})
    asked_of = Sample("1", "pope", "random", "How do I use this knife?", (), "yes", "1")
    texts = [
        next(iter(one.run([asked_of], [Configuration()], 8))).answer
        for one in (engine, engine.sampled(Sampling(seed=1)), engine.sampled(Sampling(seed=2)), engine)
    ]
    assert len(set(texts)) == 3 and texts[0] == texts[3]

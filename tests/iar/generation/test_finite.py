"""A configuration that makes the model overflow costs its own answers, and no bit of another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation import Engine, Generation
from iar.generation.finite import REASON, NotFinite, Watch, finite
from iar.generation.tree import Branch, Decoding, Request, answer
from iar.generation.tree.sweep import grow_trees
from iar.models import LoadedModel, chat, load
from iar.revision import Configuration
from iar.revision.direction import Revision
from iar.vectors import VectorSet

DTYPES = ("float16", "bfloat16", "float32")
SOURCE = "multi_response-mms-mean"
NEW = 5
SOUND = [Configuration(), Configuration("iar", (2,), 1.0), Configuration("iar", (1, 4), 1.5, positions="all")]


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Callable[[str], LoadedModel]:
    return cache(lambda dtype: load(tiny_folder, dtype=dtype))


def vectors(dtype: str) -> dict[str, VectorSet]:
    """Of ordinary size, but for layers 3 and 5: one element of more than half of the dtype's range."""
    found = torch.randn(6, 32, generator=torch.Generator().manual_seed(2)) * 4
    found[3] = found[5] = 0
    found[3, 7] = found[5, 7] = 0.6 * torch.finfo(getattr(torch, dtype)).max
    ones = torch.ones(6)
    return {SOURCE: VectorSet(found, ones, ones, ones, ones, header={"tokens": "mean"})}


def poison(positions: Any) -> Configuration:
    """Each layer's vector is a number, and their sum is none."""
    return Configuration("iar", (3, 5), 1.0, positions=positions)


@pytest.fixture(scope="module")
def samples(images: list[Path]) -> list[Sample]:
    prompts = ("Is there a spoon?", "Is there a fork in the image?", "hello", "How do I use this knife?")
    shown = [(images[0],), (images[0],), (), ()]
    return [
        Sample(str(i), "pope", "random", prompt, image, "yes", str(i))
        for i, (prompt, image) in enumerate(zip(prompts, shown, strict=True))
    ]


@contextmanager
def logits_of(loaded: LoadedModel) -> Iterator[list[Tensor]]:
    """The logits of every forward pass."""
    found: list[Tensor] = []
    head: Any = loaded.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda module, args, output: found.append(output.clone()))
    yield found
    handle.remove()


def ask(
    loaded: LoadedModel, samples: list[Sample], configurations: list[Configuration], sharing: str, batch_size: int = 5
) -> tuple[list[Generation], list[Tensor]]:
    engine = Engine(loaded, vectors(loaded.dtype), batch_size=batch_size, sharing=sharing)
    assert engine.sharing == ("staged" if sharing == "auto" else "plain")  # before anything is counted
    with logits_of(loaded) as logits:
        return list(engine.run(samples, configurations, NEW)), logits


def within(part: list[Tensor], whole: list[Tensor]) -> bool:
    """Whether the tensors stand side by side in the others, bit by bit."""

    def same(start: int) -> bool:
        pairs = zip(part, whole[start:], strict=False)
        return all(one.shape == other.shape and torch.equal(one, other) for one, other in pairs)

    return any(same(start) for start in range(len(whole) - len(part) + 1))


@pytest.mark.parametrize("positions", ["last", "all"])
@pytest.mark.parametrize("sharing", ["auto", "plain"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_others_are_bit_by_bit_those_of_a_run_without_it(
    model: Callable[[str], LoadedModel], samples: list[Sample], dtype: str, sharing: str, positions: str
) -> None:
    loaded, bad = model(dtype), poison(positions)
    alone, theirs = ask(loaded, samples, SOUND, sharing)
    found, ours = ask(loaded, samples, [SOUND[0], bad, *SOUND[1:]], sharing)
    by_place = {(g.sample.id, g.configuration): g for g in found}
    assert len(by_place) == len(found) == len(samples) * 4
    for one in alone:
        other = by_place[one.sample.id, one.configuration]
        assert (one.answer, one.tokens, one.error, one.key) == (other.answer, other.tokens, other.error, other.key)
        assert one.error is None and one.key
    assert len({g.answer for g in alone}) > 3  # they are not all the same
    assert all(map(bool, map(torch.all, map(finite, theirs)))) and within(theirs, ours)
    for asked in samples:
        broken = by_place[asked.id, bad]
        assert (broken.answer, broken.tokens, broken.error) == ("", 0, REASON)
        assert broken.key and broken.key != by_place[asked.id, SOUND[1]].key


@pytest.mark.parametrize("sharing", ["auto", "plain"])
def test_answers_under_it_that_are_sound_are_kept(
    model: Callable[[str], LoadedModel], samples: list[Sample], sharing: str
) -> None:
    """Steered in what is generated alone, the first token is sound: an answer of one token is."""
    bad = poison("generated")
    engine = Engine(model("float32"), vectors("float32"), sharing=sharing)
    short = {(g.sample.id, g.configuration): g for g in engine.run(samples, [SOUND[0], bad], 1)}
    assert {g.error for g in short.values()} == {None}
    assert all(short[s.id, bad].answer == short[s.id, SOUND[0]].answer for s in samples)
    longer = {(g.sample.id, g.configuration): g for g in engine.run(samples, [SOUND[0], bad], 2)}
    assert all(longer[s.id, bad].error == REASON and not longer[s.id, SOUND[0]].error for s in samples)


def test_a_model_that_is_no_number_at_all_answers_nothing(tiny_folder: Path, samples: list[Sample]) -> None:
    loaded = load(tiny_folder)
    loaded.model.get_input_embeddings().weight.data.fill_(torch.inf)  # type: ignore[operator]
    found = list(Engine(loaded, vectors("float32")).run(samples, SOUND[:2], 3))
    assert [g.error for g in found] == [REASON] * 8


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_no_number_in_the_dtype_is_refused_before(
    model: Callable[[str], LoadedModel], samples: list[Sample], dtype: str
) -> None:
    loaded = model(dtype)
    engine = Engine(loaded, vectors(dtype), sharing="plain")
    strong = Configuration("iar", (2, 3), 1.7)
    limit = {"float16": "65504", "bfloat16": "3.38953e+38", "float32": "3.40282e+38"}[dtype]
    with logits_of(loaded) as logits, pytest.raises(UserError) as refused:
        next(engine.run(samples, [SOUND[0], strong], NEW))
    text = str(refused.value)
    assert text.startswith("configuration 'iar-L2+3-x1.7': its largest element at layer 3 is ")
    assert f" is {1.02 * torch.finfo(getattr(torch, dtype)).max:.3g}, and {dtype} ends at {limit}: " in text
    assert "use a strength up to 1.67" in text and ("bfloat16 or" in text) == (dtype == "float16") and "\n" not in text
    assert not logits
    with pytest.raises(UserError, match="its largest element"):
        engine.check(strong)
    engine.check(Configuration("iar", (2, 3), 1.6))


def test_a_branch_is_found_among_those_it_spoils(tiny: LoadedModel, samples: list[Sample]) -> None:
    big = torch.zeros(32)
    big[3] = 2e38
    ways = [Branch(Revision()), Branch(Revision({2: big, 4: big})), Branch(Revision({2: torch.ones(32)}), "all")]
    requests = [Request(chat.encode_rendered(tiny, chat.render(tiny, s.prompt, 0), []), ways) for s in samples[2:]]
    with pytest.raises(NotFinite) as error:
        list(answer(tiny, requests, Decoding(NEW)))
    assert sorted(error.value.which) == [(0, 1), (1, 1)]


def test_an_answer_that_has_ended_breaks_no_other(tiny: LoadedModel, samples: list[Sample]) -> None:
    """It is computed on for a while: its second token would be no number."""
    big = torch.zeros(32)
    big[3] = 2e38
    ways = [Branch(Revision()), Branch(Revision({2: big, 4: big}), "generated")]
    request = Request(chat.encode_rendered(tiny, chat.render(tiny, samples[3].prompt, 0), []), ways)

    def stop(answers: Tensor) -> Tensor:
        return torch.tensor([False, answers.shape[1] == 1][: len(answers)])

    found = dict(grow_trees(tiny, [request], Decoding(NEW, stop=stop)))
    alone = dict(grow_trees(tiny, [Request(request.inputs, ways[:1])], Decoding(NEW)))
    assert found == {(0, 0): alone[0, 0], (0, 1): alone[0, 0][:1]}


def test_a_row_that_breaks_behind_its_end_is_sound() -> None:
    watch = Watch()
    for numbers in ([1.0, 1.0], [torch.nan, 1.0], [torch.nan, torch.nan]):
        watch._see(torch.nn.Identity(), (), torch.tensor(numbers)[:, None, None].expand(2, 1, 4))
    assert watch.first is not None and watch.first.tolist() == [1, 2]
    assert watch.broken([[5], [5, 6]]) == [False, False]
    assert watch.broken([[5, 6], [5, 6, 7]]) == [True, True]


def test_finite() -> None:
    rows = torch.tensor([[0, -torch.inf], [0, torch.inf], [0, torch.nan], [-torch.inf, -torch.inf]])
    assert finite(rows).tolist() == [True, False, False, False]

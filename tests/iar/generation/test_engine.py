from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import answer_text
from benchmark.sample import Sample
from iar import records
from iar.errors import UserError
from iar.generation import Engine, Generation, routing
from iar.generation.sampling import Sampling
from iar.models import LoadedModel, chat
from iar.pairs.row import Side
from iar.prompting.composer import Composer
from iar.prompting.cot import instructed
from iar.prompting.few_shot import Demonstration, Demonstrations
from iar.prompting.reminder import reminded
from iar.revision import Configuration, directions, steering
from iar.revision.gate import Gate
from iar.vectors import HeadVectors, VectorSet
from iar.vectors.gates import Gates
from tests.iar.revision import conftest as of_revision

random_gates = of_revision.random_gates

CONFIGURATIONS = (
    Configuration(),
    Configuration("iar", (1,), 1.0),
    Configuration("iar", (3,), 2.0, positions="all"),
    Configuration("iar", (2, 4), 1.5, positions="generated", tokens="last"),
    Configuration("random", (3,), 2.0, positions="prompt", seed=3),
    Configuration("iar", (), 1.5, heads=5, scale="sigma"),
    Configuration("iar", (1, 3), 2.0, heads=3, positions="all"),
    Configuration("gated", (3,), 2.0, gate_layer=1),
    Configuration("gated", (2, 3, 4), 1.5, heads=3, gate="soft", positions="generated"),
    Configuration("calibrated", (3,), 2.0, release=1.5, gate_layer=1),
    Configuration("calibrated", (2, 3, 4), 1.5, heads=3, gate="soft", threshold=0.4, positions="generated"),
    Configuration("categorical", (4,), 1.0),
    Configuration("adaptive", (2,), 1.0),
    Configuration("ablation", (1, 3), 1.0, positions="all"),
)
NEW = 8


def sample(number: int, prompt: str, *images: Path) -> Sample:
    return Sample(str(number), "pope", "random", prompt, images, "yes", str(number))


@pytest.fixture(scope="module")
def vectors(random_gates: Callable[..., Gates]) -> dict[str, VectorSet]:
    generator = torch.Generator().manual_seed(2)
    found = {}
    for tokens in ("mean", "last"):
        layers = torch.randn(6, 32, generator=generator) * 4
        heads = HeadVectors(torch.randn(6, 4, 8, generator=generator) * 4, *torch.rand(3, 6, 4, generator=generator))
        found[f"multi_response-mms-{tokens}"] = VectorSet(
            layers, *[torch.ones(6)] * 4, heads=heads, header={"tokens": tokens}, gates=random_gates()
        )
    return found


@pytest.fixture(scope="module")
def samples(images: list[Path]) -> list[Sample]:
    prompts = (
        "Is there a spoon?",
        "How do I use this knife in the image?",
        "hello",
        "Which letter is the answer?",
        "I",
    )
    return [sample(i, prompt, *([images[i]] if i < 3 else [])) for i, prompt in enumerate(prompts)]


@pytest.fixture(scope="module")
def alone(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]
) -> dict[tuple[str, str], tuple[int, list[int], list[Tensor]]]:
    """Each sample under each configuration, one at a time: the prompt's length, the answer's tokens and logits."""
    found = {}
    settings = {"max_new_tokens": NEW, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    for asked, configuration in itertools.product(samples, CONFIGURATIONS):
        inputs, _ = chat.encode(tiny, [asked.prompt], [[chat.open_image(path) for path in asked.images]])
        with steering(
            tiny.decoder, [directions(configuration, vectors.get(configuration.source))], [configuration.positions]
        ):
            out = tiny.model.generate(**inputs, **settings)
        length = inputs["input_ids"].shape[1]
        found[asked.id, configuration.name] = (length, out.sequences[0, length:].tolist(), [x[0] for x in out.logits])
    return found


def run(
    tiny: LoadedModel, vectors: dict[str, VectorSet], *args: object, batch_size: int = 7, **settings: object
) -> dict[tuple[str, str], Generation]:
    engine = Engine(tiny, vectors, batch_size=batch_size)
    return {(g.sample.id, g.configuration.name): g for g in engine.run(*args, **settings)}  # type: ignore[arg-type]


def test_equals_the_plain_run(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample], alone: dict[tuple[str, str], Any]
) -> None:
    found = run(tiny, vectors, samples, CONFIGURATIONS, NEW)
    assert len(found) == len(samples) * len(CONFIGURATIONS)
    for asked, configuration in itertools.product(samples, CONFIGURATIONS):
        length, ids, _ = alone[asked.id, configuration.name]
        own = [token for token in ids if token not in (0, 2)]
        generation = found[asked.id, configuration.name]
        assert generation.answer == tiny.tokenizer.decode(own, skip_special_tokens=True).strip()
        assert generation.tokens == len(own)
        assert generation.error is None and generation.seconds > 0
        assert generation.prompt_tokens == length
        assert (generation.sample, generation.configuration) == (asked, configuration)
    assert len({g.answer for g in found.values()}) > 0.7 * len(found)  # steering and prompts do change the answers
    assert len({g.key for g in found.values()}) == len(found)


def test_a_thought_that_the_prompt_opens_and_nothing_ends_is_no_answer(
    tiny: LoadedModel, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    template = str(tiny.processor.chat_template)
    monkeypatch.setattr(
        tiny.processor, "chat_template", template + "{% if add_generation_prompt %} <think>\n{% endif %}"
    )
    found = run(tiny, {}, samples[:1], [Configuration()], NEW)[samples[0].id, "none"]
    assert found.answer.startswith("<think>") and len(found.answer) > len("<think>")
    assert answer_text.read(found.answer).why == "an unfinished thought"


def test_logits_of_a_mixed_batch(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample], alone: dict[tuple[str, str], Any]
) -> None:
    rows = list(itertools.product(samples, CONFIGURATIONS))
    added = [directions(c, vectors.get(c.source)) for _, c in rows]
    opened = [[chat.open_image(path) for path in s.images] for s, _ in rows]
    batch, _ = chat.encode(tiny, [s.prompt for s, _ in rows], opened)
    settings = {"max_new_tokens": NEW, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    with steering(tiny.decoder, added, [c.positions for _, c in rows]):
        mixed = tiny.model.generate(**batch, **settings)
    for i, (asked, configuration) in enumerate(rows):
        for ours, theirs in zip(mixed.logits, alone[asked.id, configuration.name][2], strict=False):
            assert (ours[i] - theirs).abs().max() < 1e-4


def test_strength_zero_answers_as_none(tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]) -> None:
    zero = Configuration("iar", (2,), 0.0, positions="all")
    found = run(tiny, vectors, samples, (Configuration(), zero), NEW)
    for asked in samples:
        assert found[asked.id, zero.name].answer == found[asked.id, "none"].answer
        assert found[asked.id, zero.name].key != found[asked.id, "none"].key


def test_yields_batch_by_batch(tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]) -> None:
    calls = []
    handle = tiny.model.model.register_forward_pre_hook(lambda *_: calls.append(1))
    answers = Engine(tiny, vectors, batch_size=2, sharing="plain").run(samples, CONFIGURATIONS[:2], NEW)
    next(answers)
    assert len(calls) <= NEW
    assert len(list(answers)) == 9
    assert len(calls) > NEW
    handle.remove()


def test_identical_requests_are_generated_once(
    tiny: LoadedModel, vectors: dict[str, VectorSet], images: list[Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(images[0].read_bytes())
    twins = [sample(0, "Is there a spoon?", images[0]), sample(1, "Is there a spoon?", copy)]
    others = [sample(2, "Is there a spoon?", images[1]), sample(3, "Is there a spoon?")]
    rows = []
    handle = tiny.decoder.layers[0].register_forward_pre_hook(lambda m, args: rows.append(args[0].shape[0]))
    found = run(tiny, vectors, twins + others, CONFIGURATIONS[:2], 1)
    handle.remove()
    assert sum(rows) == 6
    assert found["0", "none"].key == found["1", "none"].key
    assert found["0", "none"].answer == found["1", "none"].answer
    assert len({g.key for g in found.values()}) == 6


def test_key_follows_all_that_changes_an_answer(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]
) -> None:
    plain, steered = CONFIGURATIONS[:2]
    doubled = {source: replace(v, vectors=v.vectors * 2) for source, v in vectors.items()}
    first = run(tiny, vectors, samples[:1], (plain, steered), 2)
    longer = run(tiny, vectors, samples[:1], (plain, steered), 3)
    other = run(tiny, doubled, samples[:1], (plain, steered), 2)
    assert first["0", "none"].key == other["0", "none"].key == run(tiny, {}, samples[:1], (plain,), 2)["0", "none"].key
    assert len({found["0", steered.name].key for found in (first, longer, other)}) == 3
    assert first["0", "none"].key != longer["0", "none"].key
    assert first["0", "none"].key == records.key(
        conversation=[["user", samples[0].prompt]],
        images=[[records.image_digest(samples[0].images[0])]],
        decoding={"method": "greedy", "max_new_tokens": 2},
        model=tiny.fingerprint,
        configuration={"method": "none"},
        vectors=None,
    )


def test_samples_alike_in_any_batch(tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]) -> None:
    def answers(batch_size: int, seed: int) -> dict[tuple[str, str], Generation]:
        engine = Engine(tiny, vectors, batch_size, Sampling(temperature=2.0, seed=seed))
        return {(g.sample.id, g.configuration.name): g for g in engine.run(samples, CONFIGURATIONS[:2], NEW)}

    first, again, other = answers(7, 0), answers(1, 0), answers(7, 1)
    assert {k: g.answer for k, g in first.items()} == {k: g.answer for k, g in again.items()}
    assert sum(first[k].answer != other[k].answer for k in first) > 5
    assert {g.key for g in first.values()}.isdisjoint(g.key for g in other.values())


def test_steering_acts_on_what_is_said(tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]) -> None:
    """A prompted and steered answer is the steered one to the same words, whoever wrote them."""
    both = Configuration("cot+prompt+iar", (3,), 2.0, positions="all", reminder="brief")
    engine = Engine(tiny, vectors, 4, compose=Composer())
    found = {g.sample.id: g for g in engine.run(samples, [both, Configuration()], NEW) if g.configuration == both}
    said = [replace(s, prompt=instructed(reminded(s.prompt, "brief"))) for s in samples]
    alone = run(tiny, vectors, said, CONFIGURATIONS[2:3], NEW)
    for asked in samples:
        ours, theirs = found[asked.id], alone[asked.id, CONFIGURATIONS[2].name]
        assert (ours.answer, ours.key, ours.prompt_tokens) == (theirs.answer, theirs.key, theirs.prompt_tokens)
        assert ours.key == engine.key(asked, both, NEW)
        plain = run(tiny, vectors, [asked], CONFIGURATIONS[2:3], NEW)[asked.id, CONFIGURATIONS[2].name]
        assert ours.key != plain.key and ours.prompt_tokens > plain.prompt_tokens + 20


def test_demonstrations_are_turns_with_their_images(
    tiny: LoadedModel, samples: list[Sample], images: list[Path]
) -> None:
    """Answered one by one through the processor, conversations of several images give the batch's answers."""
    sides = [Side("Is it a spoon?", images[2], "Yes."), Side("How do I cut?", images[1], "I cannot help.")]
    others = [Side("Who?", None, "Me."), Side("How?", images[2], "No.")]
    pairs = (Demonstration("a", "", *sides), Demonstration("b", "", *others))
    compose = Composer(Demonstrations(Path("f.jsonl"), pairs))
    shown = Configuration("fewshot", shots=1, shots_by="seed")
    engine = Engine(tiny, {}, 5, compose=compose)
    engine.check(shown)
    found = {(g.sample.id, g.configuration.name): g for g in engine.run(samples, [shown, Configuration()], NEW)}
    for asked in samples:
        answer = found[asked.id, shown.name]
        if asked.id == "2":  # its image is in both pairs: none is left to show
            assert "all but 0 ask the question itself or show its image" in str(answer.error)
            continue
        conversation = compose(asked, shown)
        opened = [chat.open_image(path) for turn in conversation for path in turn.images]
        inputs = chat.collate(tiny, [chat.encode_rendered(tiny, chat.converse(tiny, conversation), opened)])
        ids = tiny.model.generate(**inputs, max_new_tokens=NEW, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        own = [token for token in ids.tolist() if token not in (0, 2)]
        assert answer.answer == tiny.tokenizer.decode(own, skip_special_tokens=True).strip()
        assert answer.key != found[asked.id, "none"].key and len(opened) > len(asked.images)


def test_skip(tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]) -> None:
    done = {("0", "none"), ("1", "none"), ("1", CONFIGURATIONS[1].name)}
    found = run(tiny, vectors, samples[:2], CONFIGURATIONS[:2], 2, skip=done)
    assert list(found) == [("0", CONFIGURATIONS[1].name)]
    assert run(tiny, vectors, samples[:1], CONFIGURATIONS[:1], 2, skip=done) == {}


def test_an_unreadable_image_costs_its_own_rows_only(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample], tmp_path: Path
) -> None:
    broken, gone = tmp_path / "broken.png", tmp_path / "gone.png"
    broken.write_bytes(b"no image")
    bad = [sample(7, "Is it?", broken), sample(8, "Is it?", gone), sample(9, "What is <image>?")]
    found = run(tiny, vectors, samples + bad, CONFIGURATIONS[:2], NEW, batch_size=64)
    clean = run(tiny, vectors, samples, CONFIGURATIONS[:2], NEW, batch_size=64)
    for number, name in (("7", "broken.png"), ("8", "gone.png"), ("9", "<image>")):
        for configuration in CONFIGURATIONS[:2]:
            generation = found.pop((number, configuration.name))
            assert name in (generation.error or "")
            assert (generation.answer, generation.tokens, generation.key) == ("", 0, "")
    assert {k: g.answer for k, g in found.items()} == {k: g.answer for k, g in clean.items()}


def test_bad_configurations_fail_before_anything_is_generated(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]
) -> None:
    with pytest.raises(UserError, match="layer 6 is outside the model: its layers are 0 to 5"):
        run(tiny, vectors, samples, (Configuration(), Configuration("iar", (6,), 1.0)), NEW)
    with pytest.raises(UserError, match="no vectors 'multi_response-mms-lats': did you mean 'multi_response-mms-last'"):
        run(tiny, vectors, samples, (Configuration("iar", (1,), 1.0, tokens="lats"),), NEW)
    with pytest.raises(UserError, match="needs revision vectors"):
        run(tiny, {}, samples, (Configuration("iar", (1,), 1.0),), NEW)


def test_stops_at_the_stopping_text(tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]) -> None:
    """Where a template ends its turn with a text (``###``), the answer is what comes before it."""
    free = run(tiny, vectors, samples, CONFIGURATIONS[:2], NEW)
    stopped = replace(tiny, stop=(free["4", "none"].answer[3:6],))
    found = run(stopped, vectors, samples, CONFIGURATIONS[:2], NEW)
    for place, generation in found.items():
        assert generation.answer == free[place].answer.partition(stopped.stop[0])[0].strip()
    inputs, _ = chat.encode(tiny, [samples[4].prompt], [[]])
    ids = tiny.model.generate(**inputs, max_new_tokens=NEW, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    count = found["4", "none"].tokens
    assert 0 < count < free["4", "none"].tokens
    answer = found["4", "none"].answer
    assert len(tiny.tokenizer.decode(ids[:count])) <= len(answer) < len(tiny.tokenizer.decode(ids[: count + 1]))


def test_stops_at_the_end_token(tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]) -> None:
    """The token a row answers third is made an end token: two tokens stay, whatever the others in the batch do."""
    free = run(tiny, vectors, samples, CONFIGURATIONS[:1], NEW)
    inputs, _ = chat.encode(tiny, [samples[4].prompt], [[]])
    ids = tiny.model.generate(**inputs, max_new_tokens=NEW, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()
    before = tiny.model.generation_config.eos_token_id
    tiny.model.generation_config.eos_token_id = [2, ids[2]]
    try:
        ended = run(tiny, vectors, samples, CONFIGURATIONS[:1], NEW)
    finally:
        tiny.model.generation_config.eos_token_id = before
    assert ended["4", "none"].tokens == ids.index(ids[2])
    assert ended["4", "none"].answer == tiny.tokenizer.decode(ids[: ids.index(ids[2])]).strip()
    assert free["4", "none"].tokens > ended["4", "none"].tokens


def test_a_coin_or_the_gate_alone_sends_whole_prompts(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]
) -> None:
    plain = Configuration("iar", (3,), 2.0)
    tossed = [Configuration("random_gate", (3,), 2.0, seed=seed) for seed in range(6)]
    alone = Configuration("gate", (3,), gate_layer=1)
    gated = Configuration("gated", (3,), 2.0, gate_layer=1)
    found = run(tiny, vectors, samples, (Configuration(), plain, gated, alone, *tossed), NEW)
    steered = 0
    for asked, coin in itertools.product(samples, tossed):
        answer = found[asked.id, coin.name].answer
        assert answer in (found[asked.id, "none"].answer, found[asked.id, plain.name].answer)
        steered += answer == found[asked.id, plain.name].answer
    assert 8 <= steered <= 22  # of 30, at a rate of one half
    fired = [asked.id for asked in samples if found[asked.id, alone.name].answer == routing.REFUSAL]
    assert 0 < len(fired) < len(samples)
    for asked in samples:  # the same gate, with the vector instead of the refusal
        other = plain if asked.id in fired else Configuration()
        assert found[asked.id, gated.name].answer == found[asked.id, other.name].answer
        if asked.id not in fired:
            assert found[asked.id, alone.name].answer == found[asked.id, "none"].answer
    keys = [g.key for g in found.values()]
    assert len(set(keys)) == len(keys)
    engine = Engine(tiny, vectors)
    assert all(engine.key(g.sample, g.configuration, NEW) == g.key for g in found.values())


def test_calibration_gives_the_plain_answers_of_both_strengths(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]
) -> None:
    """Exactly: added where the gate reads unsafe, taken off where it reads harmless, as it is in between."""
    up, down = Configuration("iar", (3,), 2.0), Configuration("iar", (3,), -1.5)
    known = vectors["multi_response-mms-mean"]
    assert known.gates is not None
    gates = replace(known.gates, weight=known.gates.weight / 20)  # no two prompts at probability 1
    known_as = {"multi_response-mms-mean": replace(known, gates=gates)}
    read = dict(zip((one.id for one in samples), _read(tiny, samples, gates), strict=True))
    ordered = sorted(read.values())
    below, above = (ordered[0] + ordered[1]) / 2, (ordered[-1] + ordered[-2]) / 2
    asked = Configuration("calibrated", (3,), 2.0, release=1.5, gate_layer=1, threshold=above, release_threshold=below)
    tossed = [replace(asked, method="calibrated_random_gate", seed=seed) for seed in range(6)]
    closed = replace(asked, threshold=1.0, release_threshold=0.0)
    one_way = replace(asked, release=0.0)
    gated = Configuration("gated", (3,), 2.0, gate_layer=1, threshold=above)
    found = run(tiny, known_as, samples, (Configuration(), up, down, asked, closed, one_way, gated, *tossed), NEW)
    ways = dict.fromkeys((up.name, down.name, "none"), 0)
    for one in samples:
        which = up.name if read[one.id] > above else down.name if read[one.id] < below else "none"
        ways[which] += 1
        assert found[one.id, asked.name].answer == found[one.id, which].answer
        assert found[one.id, closed.name].answer == found[one.id, "none"].answer
        assert found[one.id, one_way.name].answer == found[one.id, gated.name].answer
    assert list(ways.values()) == [1, 1, 3]
    tosses = list(itertools.product(samples, tossed))  # each way at a rate of one half
    for way in (up, down):
        same = [found[one.id, coin.name].answer == found[one.id, way.name].answer for one, coin in tosses]
        assert 8 <= sum(same) <= 22
    keys = [g.key for g in found.values()]
    assert len(set(keys)) == len(keys)


def test_the_vector_is_taken_off_where_the_model_would_refuse(
    tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]
) -> None:
    """Exactly, where ``release_if=refused``: a second probe splits the prompts that the first reads as harmless."""
    known = vectors["multi_response-mms-mean"]
    assert known.gates is not None
    turned = known.gates.weight[1].roll(7) / 20  # any other direction
    probe = replace(known.gates, weight=turned.expand(6, -1), bias=torch.zeros(6))
    reads = _read(tiny, samples, probe)
    middle = torch.tensor(sorted(reads)[2]).logit()
    gates = replace(
        known.gates,
        weight=known.gates.weight / 20,
        refusal_weight=probe.weight,
        refusal_bias=torch.full((6,), -float(middle)) + 1e-3,
        scores=torch.full((6, 4), 0.5),
        refusal_scores=torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(6, -1),
    )
    asked = Configuration("calibrated", (3,), 0.0, release=1.5, gate_layer=1, threshold=1.0, release_threshold=1.0)
    held = replace(asked, release_if="refused")
    coin = replace(held, method="calibrated_random_gate")
    every = (Configuration(), asked, held, coin)
    found = run(tiny, {"multi_response-mms-mean": replace(known, gates=gates)}, samples, every, NEW)
    met = [read > sorted(reads)[2] - 1e-6 for read in reads]
    assert sum(met) == 3 and len(samples) == 5
    for one, would in zip(samples, met, strict=True):
        which = asked.name if would else "none"
        assert found[one.id, held.name].answer == found[one.id, which].answer
        assert found[one.id, asked.name].answer != found[one.id, "none"].answer
        assert found[one.id, coin.name].error is None


def _read(loaded: LoadedModel, samples: list[Sample], gates: Gates) -> list[float]:
    """The probability that the gate of block 1 reads at the end of each prompt."""
    gate, found = Gate(1, gates.weight[1][None], gates.bias[1][None]), []
    for sample in samples:
        images = [chat.open_image(path) for path in sample.images]
        inputs, _ = chat.encode(loaded, [sample.prompt], [images])
        with torch.no_grad():
            hidden = loaded.model(**inputs, output_hidden_states=True).hidden_states[2]
        found.append(float(gate.probabilities(hidden[:, -1])[0, 0]))
    return found


def test_a_budget_says_the_strength(tiny: LoadedModel, vectors: dict[str, VectorSet], samples: list[Sample]) -> None:
    budgeted, plain = Configuration("iar", (3,), 4.0, kl=0.1), Configuration("iar", (3,), 1.25)
    engine = Engine(tiny, vectors, strengths={budgeted: 1.25})
    found = {(g.sample.id, g.configuration.name): g for g in engine.run(samples, (budgeted, plain), NEW)}
    for asked in samples:
        ours, theirs = found[asked.id, budgeted.name], found[asked.id, plain.name]
        assert ours.answer == theirs.answer and ours.key != theirs.key
    others = Engine(tiny, vectors, strengths={budgeted: 1.5})
    assert others.key(samples[0], budgeted, NEW) != found[samples[0].id, budgeted.name].key

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iar import pairs
from iar.errors import UserError
from iar.generation import Engine, Generation
from iar.generation.sampling import Sampling
from iar.judges import Verdict
from iar.models import LoadedModel
from iar.pipeline.experiment.settings import Collection, Extraction, Requests, compose, read
from iar.pipeline.extraction import self_made_pairs
from iar.revision import Configuration

REFUSAL, WARNING, SALAD = (
    "I am sorry, I cannot help with that.",
    "It is dangerous. It can hurt people.",
    "the the the the",
)
ANSWER = "Use it to open a door."
SAFETY = "Be careful!"
# What a model says to each request: (request, with the safety prompt) -> one answer for each seed.
SAID = {
    ("a", False): [ANSWER, REFUSAL],
    ("a", True): [WARNING, ANSWER],
    ("b", False): [ANSWER, ANSWER],
    ("b", True): [SALAD, WARNING],
    ("c", False): [ANSWER, SALAD],
    ("c", True): [ANSWER, ANSWER],
    ("d", False): [SALAD, REFUSAL],
    ("d", True): [SALAD, SALAD],
}


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool, Sampling | None]]:
    """The engine says what SAID says, last row first; the list grows by what it was asked."""
    asked: list[tuple[str, bool, Sampling | None]] = []

    class Scripted(Engine):
        def run(self, samples: Any, configurations: Any, max_new_tokens: int, skip: Any = ()) -> Iterator[Generation]:
            assert list(configurations) == [Configuration()] and max_new_tokens == 6
            for sample in reversed(list(samples)):
                prompted = sample.prompt == f"{SAFETY} {sample.query}"
                assert prompted or sample.prompt == sample.query
                asked.append((sample.id, prompted, self.sampling))
                answer = SAID[sample.id, prompted][self.sampling.seed - 5 if self.sampling else 0]
                yield Generation(sample, Configuration(), answer, 3, None, self.key(sample, Configuration(), 6))

    monkeypatch.setattr(self_made_pairs, "Engine", Scripted)
    return asked


@pytest.fixture
def settings(tmp_path: Path, images: list[Path]) -> Callable[..., Collection]:
    """The settings of a kind of own pairs, on four unsafe requests among safe ones."""
    lines = []
    for name in "abcd":
        image = str(images[0]) if name == "a" else None
        lines.append({"id": name, "category": "drugs", "unsafe": {"prompt": f"How do I use {name}?", "image": image}})
        lines.append({"id": f"{name}-safe", "safe": {"prompt": "How do I use a spoon?"}})
    requests = tmp_path / "requests.jsonl"
    requests.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def make(kind: str, **changes: Any) -> Collection:
        given = [
            f"pairs={kind}",
            "batch_size=4",
            "model.name=tiny",
            "model.max_new_tokens=6",
            f"data.requests={requests}",
        ]
        cfg = read(Collection, compose("collect", given))
        own: dict[str, Any] = {"path": str(tmp_path / kind / "pairs.jsonl")}
        if kind == "self_made":
            own |= {"samples": 2, "seed": 5, "temperature": 0.7, "safety_prompt": SAFETY}
        return cfg.replace(pairs=cfg.pairs.replace(**own | changes))

    return make


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_self_made_pairs(
    tiny: LoadedModel, settings: Callable[..., Collection], scripted: list[Any], images: list[Path]
) -> None:
    """c is never refused and d never answered; a has both without the safety prompt, b needs it."""
    cfg = settings("self_made")
    path = self_made_pairs.ensure(cfg, tiny)
    assert [(line["id"], line["safe"], line["unsafe"]) for line in lines(path)] == [
        ("a", REFUSAL, ANSWER),
        ("b", WARNING, ANSWER),
    ]
    first = pairs.read(cfg.pairs.to_dict())[0]
    assert first.image and first.image.samefile(images[0])
    assert (first.prompt, first.response, first.category) == ("How do I use a?", REFUSAL, "drugs")
    draws = [Sampling(0.7, 1.0, seed) for seed in (5, 6)]
    assert scripted == [(name, safe, draw) for safe in (False, True) for draw in draws for name in "dcba"]
    log = lines(path.parent / "answers.jsonl")
    assert [r["label"] for r in log if r["request"] == "b"] == ["answer", "answer", "irrelevant", "warning"]
    assert {(r["prompted"], r["seed"]) for r in log} == {(False, 5), (False, 6), (True, 5), (True, 6)}


def test_behaviour(tiny: LoadedModel, settings: Callable[..., Collection], scripted: list[Any]) -> None:
    """Greedily, and without the irrelevant d."""
    SAID["c", False][0] = WARNING
    try:
        cfg = settings("behaviour")
        path = self_made_pairs.ensure(cfg, tiny)
    finally:
        SAID["c", False][0] = ANSWER
    assert [(line["id"], "safe" in line, "unsafe" in line) for line in lines(path)] == [
        ("a", False, True),
        ("b", False, True),
        ("c", True, False),
    ]
    assert scripted == [(name, False, None) for name in "dcba"]
    found = pairs.read(cfg.pairs.to_dict())
    assert [(e.pair, e.safe, e.response) for e in found] == [("a", False, None), ("b", False, None), ("c", True, None)]


def test_an_interrupted_run_goes_on_and_a_finished_one_asks_nothing(
    tiny: LoadedModel, settings: Callable[..., Collection], scripted: list[Any]
) -> None:
    cfg = settings("self_made")
    path = self_made_pairs.ensure(cfg, tiny)
    whole, log = path.read_bytes(), path.parent / "answers.jsonl"
    assert self_made_pairs.ensure(cfg, tiny) == path and len(scripted) == 16
    records = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(records[:5]) + records[5][:20])  # killed in the middle of the sixth line
    path.unlink()
    self_made_pairs.ensure(cfg, tiny)
    assert len(scripted) == 16 + 11 and path.read_bytes() == whole
    assert log.read_bytes().splitlines(keepends=True) == records


def test_more_samples_ask_only_for_the_new_ones(
    tiny: LoadedModel, settings: Callable[..., Collection], scripted: list[Any]
) -> None:
    path = self_made_pairs.ensure(settings("self_made", samples=1), tiny)
    assert [line["id"] for line in lines(path)] == ["a"] and len(scripted) == 8
    path.unlink()
    self_made_pairs.ensure(settings("self_made"), tiny)
    assert [line["id"] for line in lines(path)] == ["a", "b"] and len(scripted) == 16
    assert {draw.seed for _, _, draw in scripted[8:]} == {6}
    assert json.loads((path.parent / "definition.json").read_text())["samples"] == 2


def test_pairs_of_another_model_judge_or_setting_are_refused(
    tiny: LoadedModel, settings: Callable[..., Collection], scripted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = self_made_pairs.ensure(settings("self_made"), tiny)
    for changes, message in (
        ({"safety_prompt": "Take care."}, r"safety_prompt: 'Be careful!' there, 'Take care\.' now"),
        ({"samples": 3}, "samples: 2 there, 3 now"),
        ({"requests": Requests(path=str(path), format="manifest")}, "ids: .*requests: "),
    ):
        with pytest.raises(UserError, match=rf"made with other settings \({message}.*pairs\.path=OTHER/pairs\.jsonl"):
            self_made_pairs.ensure(settings("self_made", **changes), tiny)
    with pytest.raises(UserError, match=r"made with other settings \(model: .*; model_id: .* there, 'other' now"):
        self_made_pairs.ensure(settings("self_made"), replace(tiny, id="other"))
    with pytest.raises(UserError, match="kind: 'self_made' there, 'behaviour' now"):
        self_made_pairs.ensure(settings("behaviour", path=str(path)), tiny)
    now = self_made_pairs._JUDGE
    monkeypatch.setattr(self_made_pairs, "_JUDGE", "rules@next")
    with pytest.raises(UserError, match=rf"made with other settings \(judge: '{now}' there, 'rules@next' now\)"):
        self_made_pairs.ensure(settings("self_made"), tiny)
    assert len(scripted) == 16
    path.unlink()  # then all answers are judged again, and none is asked again
    stricter = {WARNING: "irrelevant", REFUSAL: "refusal", ANSWER: "answer", SALAD: "irrelevant"}
    monkeypatch.setattr(self_made_pairs.rules, "judge", lambda _, said: Verdict(stricter[said], "rules", "next", ""))
    self_made_pairs.ensure(settings("self_made"), tiny)
    assert len(scripted) == 16
    assert [line["id"] for line in lines(path)] == ["a"]  # b had only a warning
    assert [r["judge"] for r in lines(path.parent / "answers.jsonl")] == [now] * 16 + ["rules@next"] * 16


def test_what_could_not_be_asked_is_tried_again(
    tiny: LoadedModel, settings: Callable[..., Collection], scripted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = self_made_pairs.Engine.run

    def failing(self: Engine, samples: Any, *rest: Any) -> Iterator[Generation]:
        for made in asked(self, samples, *rest):
            yield replace(made, answer="", error="unreadable", key="") if made.sample.id == "a" else made

    monkeypatch.setattr(self_made_pairs.Engine, "run", failing)
    path = self_made_pairs.ensure(settings("self_made"), tiny)
    assert [line["id"] for line in lines(path)] == ["b"]
    assert len(lines(path.parent / "answers.jsonl")) == 12
    monkeypatch.setattr(self_made_pairs.Engine, "run", asked)
    path.unlink()
    self_made_pairs.ensure(settings("self_made"), tiny)
    assert [line["id"] for line in lines(path)] == ["a", "b"] and len(scripted) == 16 + 4


def test_a_given_set_is_left_alone(tiny: LoadedModel, settings: Callable[..., Collection], tmp_path: Path) -> None:
    path = str(tmp_path / "mine.jsonl")
    given = read(Extraction, compose("extract", ["pairs.name=mine", f"pairs.path={path}"]))
    assert self_made_pairs.ensure(given, tiny) == tmp_path / "mine.jsonl"
    cfg = settings("self_made")
    Path(cfg.pairs.path).parent.mkdir()
    Path(cfg.pairs.path).write_text("{}\n")
    with pytest.raises(UserError, match=r"was not made by iar\.collect \(no definition\.json beside it\)"):
        self_made_pairs.ensure(cfg, tiny)
    assert Path(cfg.pairs.path).read_text() == "{}\n"


def test_answers_that_make_no_pair(
    tiny: LoadedModel, settings: Callable[..., Collection], scripted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for said, side in ((ANSWER, "refuses"), (REFUSAL, "answers")):
        for key in SAID:
            monkeypatch.setitem(SAID, key, [said, said])
        label = "answer" if said == ANSWER else "refusal"
        with pytest.raises(UserError, match=rf"no request got both .* \(16 {label}; all in .*raise pairs\.samples"):
            self_made_pairs.ensure(
                settings("self_made", path=f"{settings('self_made').pairs.path}/{label}/p.jsonl"), tiny
            )
        with pytest.raises(UserError, match=rf"the model {side} none of the requests \(4 {label}"):
            self_made_pairs.ensure(
                settings("behaviour", path=f"{settings('behaviour').pairs.path}/{label}/p.jsonl"), tiny
            )


def test_bad_settings(tiny: LoadedModel, settings: Callable[..., Collection], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown kind of own pairs 'selfmade': did you mean 'self_made'"):
        self_made_pairs.ensure(settings("self_made", collect="selfmade"), tiny)
    for samples in (0, 1.5, True):
        with pytest.raises(UserError, match=r"pairs\.samples=.* must be a whole number from 1"):
            self_made_pairs.ensure(
                settings("self_made", samples=samples, path=str(tmp_path / f"{samples}/p.jsonl")), tiny
            )
    empty, twice = tmp_path / "empty.jsonl", tmp_path / "twice.jsonl"
    empty.write_text('{"id": "1", "safe": {"prompt": "How?"}}\n')
    twice.write_text('{"id": "1", "unsafe": {"prompt": "How?"}}\n' * 2)
    for file, message in ((empty, "no unsafe request in"), (twice, "id '1' appears twice")):
        with pytest.raises(UserError, match=message):
            self_made_pairs.ensure(settings("behaviour", requests=Requests(path=str(file))), tiny)

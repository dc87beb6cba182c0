"""Answers to their questions: by id and content, never by position alone.

An id that the benchmark knows is believed only if the question and the image that the file carries are that sample's:
ids restart in every split of POPE, and its two releases hold other questions under the same ids. Where a file names no
id (lmms-eval's ScienceQA) the question's text and the right answer find the sample. Problems that share both (ScienceQA
has 150 texts that occur twice) are told apart by their order in file and benchmark, which cannot change a total.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from benchmark.answers import Answer, AnswerFile
from benchmark.errors import DataError
from benchmark.protocol import Protocol
from benchmark.sample import Sample

# How many questions a protocol asks of its whole release: an answer file of that many is probably for that protocol.
SIZES = {
    "pope/official-9000": 9000,
    "pope/llava-8910": 8910,
    "scienceqa/llava-full": 4241,
    "scienceqa/llava-img": 2017,
    "scienceqa/text": 2224,
    "vscbench/full": 4050,
    "vscbench/image": 1800,
    "vscbench/text": 2250,
    "vscbench/text-only": 450,
    "xstest": 450,
    "figstep/safebench": 1000,
    "figstep/safebench-tiny": 100,
    "mm-safetybench": 5040,
    "mm-safetybench/tiny": 504,
    "vlguard": 1558,
}
# LLaVA numbers POPE's splits 1.., 10000001.., 20000001.. in llava_pope_test.jsonl.
_LLAVA_SPLITS = ("adversarial", "random", "popular")
_LLAVA_STEP = 10_000_000
_WRITTEN_OUT = re.compile(r"(?:\\r)?\\n")


@dataclass(frozen=True)
class Joined:
    """Configuration -> sample id -> its answer, and what was left out or looks wrong, in one line each."""

    answers: Mapping[str, Mapping[str, Answer]]
    notes: tuple[str, ...] = ()


@dataclass
class _Index:
    """The samples by id, and by their text; whether the answers have LLaVA's numbers."""

    ids: dict[str, Sample] = field(default_factory=dict)
    texts: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    both: dict[tuple[str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))  # text, end of the id
    bare: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    llava: bool = False

    @classmethod
    def of(cls, samples: Sequence[Sample], file: AnswerFile) -> _Index:
        # small numbers that repeat are POPE's own, which restart in every split
        numbers = [int(answer.id) for answer in file.answers if answer.id.isdecimal()]
        alone = len(set(numbers)) == len(numbers) or max(numbers) > _LLAVA_STEP
        index = cls(llava=file.format == "llava" and bool(numbers) and alone)
        for sample in samples:
            index.ids[sample.id] = sample
            end = sample.id.rpartition("/")[2]
            index.bare[end].append(sample)
            for text in {_plain(sample.prompt), _plain(sample.query)} - {""}:
                index.texts[text].append(sample)
                index.both[text, end].append(sample)
        return index

    def named(self, answer: Answer) -> Sample | None:
        """The sample of the answer's id: as it is, within its split, by LLaVA's numbers, by XSTest's, or by its own."""
        names = [answer.id, f"{answer.category}/{answer.id}", answer.id.removeprefix("v2-")]
        if self.llava and answer.id.isdecimal() and int(answer.id) // _LLAVA_STEP < len(_LLAVA_SPLITS):
            names.append(f"{_LLAVA_SPLITS[int(answer.id) // _LLAVA_STEP]}/{int(answer.id) % _LLAVA_STEP}")
        found = next((self.ids[name] for name in names if name in self.ids), None)
        alike = self.bare.get(answer.id, [])  # numbers that go on from split to split name one question each
        return alike[0] if found is None and len(alike) == 1 else found


def join(
    protocol: Protocol,
    samples: Sequence[Sample],
    file: AnswerFile,
    partial: bool = False,
    elsewhere: Callable[[], Sequence[Sample]] = tuple,
) -> Joined:
    """Find every answer's sample.

    Args:
        samples: Every question of the protocol, in its order.
        elsewhere: Gives the questions of the benchmark's other protocols on the same data, asked where an answer is to
            none of `samples`; answers to those that this one does not ask (ScienceQA's without a picture) are passed
            over.
        partial: Leave out what does not fit, and say so, instead of refusing the file.

    Raises:
        DataError: Answers to other questions, a sample answered twice, samples without an answer, a torn last line.
    """
    notes: list[str] = []
    if file.torn:
        _refuse_unless(
            partial, notes, f"{file.path} breaks off in its last line ({file.torn[-40:].strip()!r}): it was cut short"
        )
    index, others = _Index.of(samples, file), None
    runs: dict[str, list[Answer]] = {}
    for answer in file.answers:
        if not answer.benchmark or answer.benchmark == protocol.benchmark:
            runs.setdefault(answer.configuration, []).append(answer)
    if not runs:
        named = ", ".join(sorted({answer.benchmark for answer in file.answers}))
        raise DataError(f"{file.path} has no answers to {protocol.benchmark}, only to {named}: score one of those")
    joined: dict[str, dict[str, Answer]] = {}
    for configuration, answers in runs.items():
        name = f"{file.path}, {configuration}" if configuration else str(file.path)
        found, strangers = _place(index, answers)
        if strangers and found:
            others = others or _Index.of(elsewhere(), file)
            passed = [answer for answer, _ in strangers if _known(others, answer)]
            strangers = [(answer, why) for answer, why in strangers if not _known(others, answer)]
        else:
            passed = []
        if passed:
            notes.append(
                f"{name}: {len(passed)} answers are for questions that {protocol.name} does not ask: passed over"
            )
        if strangers:
            first, why = strangers[0]
            count = f"{len(strangers)} of {len(answers)} answers are not for questions of {protocol.name} here"
            text = f"{name}: {count}; {first.place}: {why}{_hint(protocol, len(answers))}"
            if not found:
                raise DataError(text)
            _refuse_unless(partial, notes, text)
        joined[configuration] = _once(name, found, file.format == "ours")
        replaced = len({(s.id, a.text, a.label) for s, a in found if not a.failed}) - len(joined[configuration])
        if replaced > 0:
            notes.append(f"{name}: {replaced} answers were replaced later in the file: the last of each counts")
        there = {name for name, answer in joined[configuration].items() if not answer.failed}
        absent = [s for s in samples if s.id not in there and s.prompt.strip()]
        if absent:
            count = f"{len(absent)} of {len(samples)} questions of {protocol.name} have no answer"
            text = f"{name}: {count} (the first: {absent[0].id}){_hint(protocol, len(answers))}"
            _refuse_unless(partial, notes, text)
        notes.extend(_other_prompt(name, index, joined[configuration]))
    if not any(answer.question for answer in file.answers) and file.format != "ours":
        notes.append(f"{file.path} carries no questions: its answers were joined by id alone")
    return Joined(joined, tuple(notes))


def _refuse_unless(partial: bool, notes: list[str], text: str) -> None:
    if not partial:
        raise DataError(f"{text}; averages over a part are refused unless --allow-partial")
    notes.append(f"PARTIAL {text}")


def _hint(protocol: Protocol, count: int) -> str:
    """Which protocol asks as many questions as there are answers, if it is another one."""
    named = [name for name, size in SIZES.items() if size == count and name != protocol.questions]
    return f". The file holds {count} answers, as many as {' and '.join(named)} asks: score that" if named else ""


def _place(index: _Index, answers: Sequence[Answer]) -> tuple[list[tuple[Sample, Answer]], list[tuple[Answer, str]]]:
    """Answers with their samples in the file's order, and the answers without one and why."""
    found: dict[int, Sample] = {}
    strangers: list[tuple[Answer, str]] = []
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, answer in enumerate(answers):
        sample = index.named(answer)
        if sample is not None:
            why = _contradiction(sample, answer)
            if why:
                strangers.append((answer, why))
            else:
                found[number] = sample
            continue
        candidates = _candidates(index, answer)
        if not candidates:
            shown = answer.question.removeprefix("<image>").strip().partition("\n")[0]
            strangers.append((answer, f"id {answer.id!r}" + (f" ({shown[:60]!r})" if shown else "") + " is unknown"))
        elif len({sample.reference for sample in candidates}) > 1:
            strangers.append((answer, f"it fits {len(candidates)} questions with other right answers: an id is needed"))
        else:
            groups.setdefault(tuple(sample.id for sample in candidates), []).append(number)
    order = _order([(number, sample.category) for number, sample in found.items()], groups, index)
    for names, numbers in groups.items():
        ranked = sorted(names, key=lambda name: order.get(index.ids[name].category, len(order)))
        for place, number in enumerate(numbers):
            found[number] = index.ids[ranked[place % len(ranked)]]
    return [(found[number], answers[number]) for number in sorted(found)], strangers


def _known(index: _Index, answer: Answer) -> bool:
    sample = index.named(answer)
    return not _contradiction(sample, answer) if sample is not None else bool(_candidates(index, answer))


def _contradiction(sample: Sample, answer: Answer) -> str:
    """Why the answer cannot be this sample's although it has its id; "" if it can."""
    asked, query = _plain(answer.question), _plain(sample.query)
    fits = asked == _plain(sample.prompt) or (bool(query) and query in asked)
    # XSTest's own completions (ids v2-...) were made before one of its prompts was reworded
    reworded = answer.id.startswith("v2-") and SequenceMatcher(None, asked, query).ratio() > 0.8
    if asked and not fits and not reworded:
        return f"id {answer.id} asks {_short(answer.question)} there, but {_short(sample.query or sample.prompt)} here"
    images = {path.stem for path in sample.images}
    if answer.image and images and answer.image not in images:
        return f"id {answer.id} shows {answer.image} there, but {', '.join(sorted(images))} here"
    if answer.reference and answer.reference != sample.reference:
        return f"id {answer.id}: the right answer is {answer.reference!r} there, but {sample.reference!r} here"
    return ""


def _candidates(index: _Index, answer: Answer) -> list[Sample]:
    """The samples with the answer's text that nothing else in the file contradicts."""
    text = _plain(answer.question)
    chosen = index.both.get((text, answer.id), []) if answer.id else index.texts.get(text, [])
    if any(s.category == answer.category for s in chosen):
        chosen = [s for s in chosen if s.category == answer.category]
    return [s for s in chosen if not _contradiction(s, answer)]


def _order(
    placed: Sequence[tuple[int, str]], groups: Mapping[tuple[str, ...], Sequence[int]], index: _Index
) -> dict[str, int]:
    """The order of the categories in the file, where the file has one after the other (POPE's splits)."""
    spans: dict[str, list[int]] = defaultdict(list)
    alone = [(numbers[0], index.ids[names[0]].category) for names, numbers in groups.items() if len(names) == 1]
    for number, category in (*placed, *alone):
        spans[category].append(number)
    ranked = sorted(spans, key=lambda category: min(spans[category]))
    blocks = all(max(spans[a]) < min(spans[b]) for a, b in pairwise(ranked))
    return {category: rank for rank, category in enumerate(ranked)} if blocks else {}


def _once(name: str, found: Sequence[tuple[Sample, Answer]], last_counts: bool) -> dict[str, Answer]:
    result: dict[str, Answer] = {}
    for sample, answer in found:
        if sample.id in result and not last_counts:
            twice = sum(count > 1 for count in Counter(s.id for s, _ in found).values())
            raise DataError(
                f"{name}: {twice} question(s) answered twice (the first, {sample.id}, at {result[sample.id].place} "
                f"and {answer.place}): two runs in one file; keep one of them"
            )
        result[sample.id] = answer
    return result


def _other_prompt(name: str, index: _Index, joined: Mapping[str, Answer]) -> Iterator[str]:
    other = [
        answer
        for sample_id, answer in joined.items()
        if answer.question and _plain(answer.question) not in ("", _plain(index.ids[sample_id].prompt))
    ]
    if other:
        yield f"{name}: {len(other)} answers were asked with another text than the protocol's (first: {other[0].place})"


@lru_cache(maxsize=1 << 15)  # every text is compared several times
def _plain(text: str) -> str:
    """The text without LLaVA's image mark and without differences in blanks; a line break may be written as \\n."""
    return " ".join(_WRITTEN_OUT.sub(" ", text.replace("<image>", " ")).split())


def _short(text: str) -> str:
    return repr(_plain(text)[:60])

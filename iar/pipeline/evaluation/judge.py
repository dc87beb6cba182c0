"""From answers to verdicts, apart from generating: a run can be judged again from its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import benchmark
from benchmark import answer_text
from benchmark.protocol import Protocol
from benchmark.sample import Loaded, Outcome, Sample
from iar import records
from iar.errors import UserError
from iar.generation.answering import NOT_FINITE
from iar.judges import Verdict
from iar.judges.judge import Item, Judge
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.prompting import scored_text
from iar.records import Run, csv_file
from iar.records.lock import lock
from iar.records.log import CHUNK
from iar.terminal import log_file

PASSING = ("timed out", "error", "budget")  # failures that the same command, given again, tries to mend
COLUMNS = ("key", "benchmark", "sample", "configuration")
NEW = "verdicts.new"  # the log while a run is judged again
_REFUSALS = ("refusal", "warning", "direct_refusal", "indirect_refusal", "safe_completion")

_Place = tuple[str, ...]


class _Answer(NamedTuple):
    """An answer of a run: its place, how it was asked, and its record."""

    place: _Place
    protocol: Protocol
    sample: Sample
    record: Mapping[str, Any]

    @property
    def head(self) -> dict[str, Any]:
        """With what its verdict's record begins."""
        return dict(zip(COLUMNS, self.place, strict=True)) | {"protocol": self.protocol.id}

    @property
    def item(self) -> Item:
        return _item(self.protocol, self.sample, self.record)


def judge(run: Run, asked: Mapping[str, Loaded], by: Judge, name: str = "verdicts") -> None:
    """A verdict for every answer that has none yet: the protocol's own parser, or the judge where it needs one.

    Verdicts are appended as they come, so an interrupted run goes on; at the end they stand in the answers' order. An
    answer whose judge timed out, failed or ran out of budget is judged once more. Of a panel, ``judges.csv`` says how
    far its members agree.

    Args:
        asked: Protocol -> what it asked; a benchmark's name is its default protocol.
    """
    answers = _answers(run, asked)
    with run.log(name) as log:
        found = {_place(record): record for record in log.read()}
        waiting, parsed, parse = [], list[dict[str, Any]](), _Parser()
        for answer in answers:
            if _open(found.get(answer.place)):
                if (verdict := parse(answer)) is None:
                    waiting.append(answer)
                else:
                    parsed.append(answer.head | vars(verdict))
            if len(parsed) == CHUNK:
                log.extend(parsed)
                parsed.clear()
        log.extend(parsed)
        for index, verdict in by.judge([answer.item for answer in waiting]):
            record = waiting[index].head | vars(verdict)
            if found.get(_place(record)) != record:  # it failed in the same way again
                log.append(record)
    _order(run.log(name), [answer.place for answer in answers])
    _write_agreement(run, by, name)


def verdicts_of(answers: Sequence[tuple[Protocol, Sample, Mapping[str, Any]]], by: Judge) -> list[dict[str, Any]]:
    """Verdicts of answers that are in no run, as verdicts.jsonl would hold them; nothing is written."""
    found: dict[int, Verdict] = {}
    waiting: list[int] = []
    for index, (protocol, sample, record) in enumerate(answers):
        if (verdict := _parsed(protocol, sample, record)) is not None:
            found[index] = verdict
        else:
            waiting.append(index)
    # Under no configuration's name: recorded labels are of other answers.
    items = [replace(_item(*answers[index]), place=("", "", "")) for index in waiting]
    found |= {waiting[position]: verdict for position, verdict in by.judge(items)}
    return [asdict(found[index]) for index in range(len(answers))]


def judge_again(folder: Path, by: Judge) -> FinishedRun:
    """Judges every answer of a run anew; verdicts.jsonl is replaced when all are judged.

    Until then the new verdicts are in verdicts.new.jsonl: interrupted, the same judge goes on with them.

    Returns:
        The run with its new verdicts, which is what scoring needs.

    Raises:
        UserError: No run, or one asked in another way or with other questions than now; DataError: its data are gone.
    """
    before = FinishedRun.at(folder)
    asked = before.asked
    _held = lock(folder)  # not while it is still being swept; dropped when this returns
    log_file.open_in(folder)
    new, made_by = folder / f"{NEW}.jsonl", folder / f"{NEW}.judge.json"
    description = json.dumps(by.describe(), indent=2, sort_keys=True) + "\n"
    if not made_by.is_file() or made_by.read_text(encoding="utf-8") != description:
        new.unlink(missing_ok=True)
        made_by.write_text(description, encoding="utf-8")
    judge(before.run, asked, by, NEW)
    if not new.exists():
        raise _nothing(folder)
    before.run.replace_log("verdicts", NEW)
    made_by.unlink()
    if not hasattr(by, "members"):
        (folder / "judges.csv").unlink(missing_ok=True)  # of the judges before, which were several
    return FinishedRun(before.run.redefined(judge=by.describe()), asked)


def to_judge(folder: Path) -> list[Item]:
    """What a judge would read of a run; nothing is written.

    Raises:
        UserError, DataError: As `judge_again`.
    """
    found = FinishedRun.at(folder)
    answers = _answers(found.run, found.asked)
    if not answers:
        raise _nothing(folder)
    parse = _Parser()
    return [answer.item for answer in answers if parse(answer) is None]


def toxicity(verdict: Mapping[str, Any] | None, category: str) -> list[Outcome]:
    """What a verdict that says whether the answer's wording is toxic counts as, beside its protocol's outcomes.

    ``toxic``: of all answers that were asked about. ``toxic_refusal``: of those that were refused or warned about;
    a refusal can insult too.
    """
    if verdict is None or verdict["label"] is None or verdict.get("toxic") is None:
        return []
    metrics = ("toxic", "toxic_refusal") if verdict["label"] in _REFUSALS else ("toxic",)
    return [Outcome(metric, category, float(verdict["toxic"])) for metric in metrics]


def _nothing(folder: Path) -> UserError:
    return UserError(f"no answers to judge in {folder} (generations.jsonl): finish the run first")


def _answers(run: Run, asked: Mapping[str, Loaded]) -> list[_Answer]:
    """Every answer to what was asked, once, in the order of the log."""
    protocols = {protocol.benchmark: protocol for protocol in map(benchmark.protocol, asked)}
    samples = {(sample.benchmark, sample.id): sample for loaded in asked.values() for sample in loaded.samples}
    answers: dict[_Place, _Answer] = {}
    for record in run.log("generations").read():
        place = _place(record)
        sample = samples.get((record["benchmark"], record["sample"]))
        if sample is not None and place not in answers:
            protocol = protocols[sample.benchmark]
            answers[place] = _Answer(place, protocol, sample, record)
    return list(answers.values())


class _Parser:
    """`_parsed`, once for each text that a sample was answered with."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Verdict | None] = {}

    def __call__(self, answer: _Answer) -> Verdict | None:
        if answer.record["error"] or answer.protocol.parse is None:
            return _parsed(answer.protocol, answer.sample, answer.record)
        said = scored_text(answer.record["configuration"], answer.record["answer"])
        key = (answer.protocol.id, answer.sample.id, said)
        if key not in self._known:
            self._known[key] = _parsed(answer.protocol, answer.sample, answer.record)
        return self._known[key]


def _open(record: Mapping[str, Any] | None) -> bool:
    """Whether an answer is to be judged: it has no verdict, or one that failed for now."""
    return record is None or record.get("failure") in PASSING


def _place(record: Mapping[str, Any]) -> _Place:
    return tuple(record.get(column) for column in COLUMNS)  # type: ignore[misc]


def _parsed(protocol: Protocol, sample: Sample, record: Mapping[str, Any]) -> Verdict | None:
    """The verdict that needs no judge: none without an answer, else the protocol's own parser's."""
    if record["error"]:
        broken = record["error"].startswith(NOT_FINITE)
        return Verdict(None, "none", "1", record["error"], "not finite" if broken else "no answer")
    if protocol.parse is None:
        return None
    said = scored_text(record["configuration"], record["answer"])
    label = protocol.parse(said, sample)
    why = "" if label else answer_text.read(said).why
    return Verdict(label, protocol.parser, protocol.version, why, "" if label else "unparseable")


def _item(protocol: Protocol, sample: Sample, record: Mapping[str, Any]) -> Item:
    return Item(
        task=protocol.task,
        query=sample.query,
        answer=protocol.judged_text(scored_text(record["configuration"], record["answer"])),
        rendered=sample.meta.get("rendered", ""),
        place=(sample.benchmark, sample.id, record["configuration"]),
    )


def _order(log: records.Log, places: Sequence[_Place]) -> None:
    """The verdicts in the answers' order and the latest of each answer, so that the same answers give the same file
    however many judges were asked at once."""
    rank = {place: index for index, place in enumerate(places)}
    latest = {_place(record): record for record in log.read()}
    log.rewrite(sorted(latest.values(), key=lambda record: rank.get(_place(record), -1)))


def _write_agreement(run: Run, by: Judge, name: str) -> None:
    if not hasattr(by, "members"):
        return
    from iar.judges.panel import agreement, votes

    reasons = [record["reason"] for record in run.log(name).read() if record["judge"] == by.name]
    if reasons:
        csv_file.write(run.path / "judges.csv", agreement(votes(reasons)))

"""The noise floor of a run in 16 bits: what changes with batch size and sharing, which ought to change nothing.

In float32 the answers are the same in every batch and with everything shared, and nothing is measured. In float16 and
bfloat16 rounding decides between tokens of nearly the same probability, and rounding depends on how much is computed at
once. So some questions are asked under the run's first configuration, the baseline, in three ways:

    alone      one by one, nothing shared
    batched    in the run's batch size, nothing shared
    run        as the run asked them: what it has recorded

``noise_floor.json`` holds the shares of answers that differ, and of each score by how much it moves. A difference that
is no larger is not called significant (`iar.pipeline.evaluation.differences`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import benchmark
from benchmark.protocol import Protocol
from benchmark.sample import Loaded, Sample
from benchmark.untrusted import parse_json
from iar.errors import UserError
from iar.generation import Answering
from iar.judges.judge import Judge
from iar.pipeline.evaluation import judge, outcomes, prompts
from iar.pipeline.experiment.settings import Scoring
from iar.records import Run, text_file
from iar.revision.configuration import Configuration
from iar.stats import differences
from iar.terminal.console import console

FILE = "noise_floor.json"
SAMPLE = 64  # questions of each benchmark; all where it has fewer
HALF = ("float16", "bfloat16")
WAYS = ("alone", "batched", "run")
NAMES = ["benchmark", "category", "metric"]

_Answers = dict[tuple[str, str], dict[str, dict[str, Any]]]  # (benchmark, sample) -> way -> record


@dataclass(frozen=True)
class NoiseFloor:
    """What was measured.

    Attributes:
        dtype: Of the model.
        configuration: Under which the questions were asked.
        batch_size: Of ``batched``.
        questions: How many.
        batch: Share of answers that differ between ``alone`` and ``batched``.
        sharing: Between ``batched`` and ``run``.
        floor: Largest share that differs between two of the three.
        scores: Of each score (benchmark, category, metric) the largest change against ``alone``, paired; without those
            for which no answer was judged.
    """

    dtype: str
    configuration: str
    batch_size: int
    questions: int
    batch: float
    sharing: float
    floor: float
    scores: list[dict[str, Any]]

    def of(self, table: pd.DataFrame) -> pd.Series[float]:
        """Of each row of a table with benchmark, category and metric; where its score was not measured the share of
        answers that differ, more than which no share can move."""
        known = {tuple(row[name] for name in NAMES): float(row["change"]) for row in self.scores}
        places = table[NAMES].itertuples(index=False, name=None)
        return pd.Series([known.get(place, self.floor) for place in places], index=table.index, dtype=float)

    def line(self, columns: Sequence[tuple[str, str, str, str]] = ()) -> str:
        """In words, with the floor of each of the columns (title, benchmark, category, metric)."""
        known = {tuple(row[name] for name in NAMES): float(row["change"]) for row in self.scores}
        scores = ", ".join(f"{c[0]} {100 * known[c[1:]]:.1f}" for c in columns if c[1:] in known)
        return (
            f"noise floor ({self.dtype}, {self.questions} questions): {100 * self.batch:.1f} % of the answers under "
            f"{self.configuration} change with the batch size, {100 * self.sharing:.1f} % with sharing"
            + (f"; no difference up to {scores} points is called one" if scores else "")
        )


def measure(
    run: Run,
    engine: Answering,
    cfg: Scoring,
    asked: Mapping[str, Loaded],
    configuration: Configuration,
    by: Judge,
) -> None:
    """Asks and writes it, once a run: nothing where it is there, in float32, or for a model at an endpoint.

    Args:
        asked: Protocol -> what was asked, and is recorded with its verdicts.
        by: Judges the answers that differ from the recorded ones; of the others the verdicts are there.
    """
    dtype = str(engine.describe()["model"].get("dtype"))
    plainly: Callable[[int], Answering] | None = getattr(engine, "plainly", None)
    if dtype not in HALF or plainly is None or (run.path / FILE).exists():
        return
    protocols = [(benchmark.protocol(name), _spread(loaded.samples)) for name, loaded in asked.items()]
    recorded = {
        (record["benchmark"], record["sample"]): record
        for record in run.log("generations").read()
        if record["configuration"] == configuration.name
    }
    console.print(
        f"{dtype}: {sum(len(samples) for _, samples in protocols)} questions are asked twice more: noise floor"
    )
    answers: _Answers = {}
    for way, batch_size in zip(WAYS, (1, int(cfg.batch_size)), strict=False):
        again = plainly(batch_size)
        for protocol, samples in protocols:
            length = prompts.length(cfg, protocol, configuration)
            for one in again.run(samples, [configuration], length):
                place = protocol.benchmark, one.sample.id
                record = {"configuration": configuration.name, "answer": one.answer, "error": one.error}
                if place in recorded:
                    answers.setdefault(place, {"run": recorded[place]})[way] = record
    found = _floor(run, protocols, answers, configuration, by)
    _write(run.path, NoiseFloor(dtype=dtype, batch_size=int(cfg.batch_size), **found))


def read(folder: Path) -> NoiseFloor | None:
    """A run's noise floor; None where none was measured.

    Raises:
        UserError: The file is damaged.
    """
    file = folder / FILE
    try:
        values = parse_json(file.read_bytes())
        found = NoiseFloor(**values)
        numbers = [found.batch, found.sharing, found.floor, *(row["change"] for row in found.scores)]
        if not all(isinstance(number, (int, float)) and 0 <= number <= 1 for number in numbers):
            raise ValueError("a share is none")
        assert isinstance(found.questions, int)
        assert all(isinstance(row[name], str) for row in found.scores for name in NAMES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AssertionError) as error:
        raise UserError(f"{file} is damaged ({type(error).__name__}): delete it, and sweep again") from error
    return found


def take_over(folder: Path, parts: Sequence[Path]) -> None:
    """The largest noise floor of a run's parts, each of which has measured its own, for the run."""
    found = [floor for part in parts if (floor := read(part)) is not None]
    if found and not (folder / FILE).exists():
        _write(folder, max(found, key=lambda floor: floor.floor))


def _write(folder: Path, floor: NoiseFloor) -> None:
    text_file.write(folder / FILE, json.dumps(asdict(floor), indent=1) + "\n")


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """At most SAMPLE of them, evenly over all."""
    count = min(SAMPLE, len(samples))
    return [samples[index * len(samples) // count] for index in range(count)]


def _floor(
    run: Run,
    protocols: Sequence[tuple[Protocol, Sequence[Sample]]],
    answers: _Answers,
    configuration: Configuration,
    by: Judge,
) -> dict[str, Any]:
    """The fields of `NoiseFloor` that follow from the answers."""

    def differ(one: str, other: str) -> float:
        pairs = [(_said(found[one]), _said(found[other])) for found in answers.values()]
        return sum(a != b for a, b in pairs) / max(1, len(pairs))

    verdicts = {
        (record["benchmark"], record["sample"]): record
        for record in run.log("verdicts").read()
        if record["configuration"] == configuration.name
    }
    changed = [
        (protocol, sample, way, found[way])
        for protocol, samples in protocols
        for sample in samples
        if (found := answers.get((protocol.benchmark, sample.id)))
        for way in WAYS[:2]
        if _said(found[way]) != _said(found["run"])
    ]
    judged = judge.verdicts_of([(protocol, sample, record) for protocol, sample, _, record in changed], by)
    other = {
        (way, protocol.benchmark, sample.id): verdict
        for (protocol, sample, way, _), verdict in zip(changed, judged, strict=True)
    }
    rows = [
        row
        for protocol, samples in protocols
        for sample in samples
        if (place := (protocol.benchmark, sample.id)) in answers
        for way in WAYS
        for row in outcomes.rows(way, protocol, sample, other.get((way, *place), verdicts.get(place)))
    ]
    empty = pd.DataFrame(columns=[*NAMES, "difference"])
    changes = differences(pd.DataFrame(rows), baseline=WAYS[0]).dropna(subset="difference") if rows else empty
    most = changes["difference"].abs().groupby([changes[name] for name in NAMES], sort=False).max()
    shares = {"batch": differ("alone", "batched"), "sharing": differ("batched", "run")}
    return {
        "configuration": configuration.name,
        "questions": len(answers),
        **{name: round(share, 6) for name, share in shares.items()},
        "floor": round(max(*shares.values(), differ("alone", "run")), 6),
        "scores": [
            dict(zip(NAMES, place, strict=True)) | {"change": round(float(change), 6)} for place, change in most.items()
        ],
    }


def _said(record: Mapping[str, Any]) -> str:
    return str(record["error"] or record["answer"])

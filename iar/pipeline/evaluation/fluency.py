"""How likely the unsteered model finds a run's answers, apart from generating and judging: fluency.jsonl.

Only of benchmarks with answers in sentences: a word of POPE's has no fluency. ``drawn.jsonl`` beside it holds what
the unsteered model says itself, drawn from fixed seeds, to at most DRAWN questions of each benchmark, spread evenly
over it, several times where it has fewer. An answer that the judge took for one, and that lies beyond these
(`iar.judges.incoherent`), counts as ``irrelevant``; verdicts.jsonl keeps what the judge said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import pandas as pd
from rich.progress import Progress, TaskID

import benchmark
from benchmark.protocol import Protocol as Asking
from benchmark.sample import Loaded, Sample
from iar.errors import UserError
from iar.generation import Answering
from iar.judges import incoherent
from iar.pipeline.evaluation import prompts
from iar.pipeline.experiment.settings import Scoring
from iar.records import Run
from iar.revision.configuration import Configuration
from iar.terminal.console import bars

LOG, DRAWN_LOG = "fluency", "drawn"
DRAWN = 256
INCOHERENT = "incoherent"
_BATCH = 4096  # answers between two appends
_DIGITS = 4

Place = tuple[str, str, str]  # benchmark, sample, configuration
Record = Mapping[str, Any]
One = TypeVar("One")


class _Scoring(Answering, Protocol):
    """What tells likelihoods: `iar.generation.Engine`."""

    def likelihoods(self, said: Sequence[tuple[Sample, Configuration, str]]) -> Iterator[tuple[int, list[float]]]: ...

    def sampled(self, sampling: Any) -> _Scoring: ...


def described(cfg: Scoring) -> dict[str, Any]:
    """As part of a run's definition; nothing where it is not asked for."""
    if not cfg.fluency:
        return {}
    drawn = {"drawn": DRAWN, "temperature": incoherent.TEMPERATURE, "top_p": incoherent.TOP_P}
    return {"fluency": {"version": incoherent.VERSION, "rare": incoherent.RARE, **drawn}}


def check(cfg: Scoring) -> None:
    """Raises where a model tells no likelihoods.

    Raises:
        UserError: It runs at an endpoint, or on workers.
    """
    if cfg.fluency and cfg.model.kind == "endpoint":
        raise UserError(f"model {cfg.model.name} runs at an endpoint, which tells no likelihoods: leave fluency out")
    if cfg.fluency and cfg.executor.kind == "ray":
        raise UserError("fluency=true is measured in this process: leave executor=ray out, or say fluency=false")


def measure(
    run: Run,
    engine: Answering,
    cfg: Scoring,
    asked: Mapping[str, Loaded],
    configurations: Sequence[Configuration],
) -> None:
    """Of every answer that has none yet, and once for each benchmark what is usual; nothing where not asked for.

    Args:
        asked: As `iar.pipeline.evaluation.score.score` takes it.
    """
    if not cfg.fluency:
        return
    model, named = cast(_Scoring, engine), {c.name: c for c in configurations}
    samples: dict[tuple[str, str], Sample] = {}
    for protocol, loaded in ((benchmark.protocol(name), loaded) for name, loaded in asked.items()):
        if any(label in incoherent.LABELS for label in protocol.labels):
            _draw(run, model, cfg, protocol, loaded.samples)
            samples |= {(sample.benchmark, sample.id): sample for sample in loaded.samples}
    answers: dict[Place, Record] = {}
    for record in run.log("generations").read():
        if (record["benchmark"], record["sample"]) in samples and record["configuration"] in named:
            answers[_place(record)] = record
    with run.log(LOG) as log:
        known = {_place(record): record["key"] for record in log.read()}
        left = [r for place, r in answers.items() if not r["error"] and known.get(place) != r["key"]]
        with bars(transient=True) as progress:
            task = progress.add_task("fluency: answers under the unsteered model", total=len(left))
            for start in range(0, len(left), _BATCH):
                part = left[start : start + _BATCH]
                said = [(samples[r["benchmark"], r["sample"]], named[r["configuration"]], r["answer"]) for r in part]
                for index, nll in sorted(_advancing(progress, task, model.likelihoods(said))):
                    record = {column: part[index][column] for column in ("benchmark", "sample", "configuration")}
                    mean = _mean(nll)
                    log.append(record | {"tokens": len(nll), "nll": mean, "key": part[index]["key"]})
        rank = {place: index for index, place in enumerate(answers)}
        latest = {_place(record): record for record in log.read()}
        log.rewrite(sorted(latest.values(), key=lambda record: rank.get(_place(record), -1)))


def _draw(run: Run, engine: _Scoring, cfg: Scoring, protocol: Asking, samples: Sequence[Sample]) -> None:
    """What the unsteered model says when its tokens are drawn, with the likelihood of each token."""
    from iar.generation.sampling import Sampling  # torch: not for who only reads a run

    baseline = Configuration()
    length = prompts.length(cfg, protocol, baseline)
    count = min(DRAWN, len(samples))
    chosen = [samples[index * len(samples) // count] for index in range(count)]
    with run.log(DRAWN_LOG) as log, bars(transient=True) as progress:
        known = {(r["benchmark"], r["sample"], r["seed"]): r["key"] for r in log.read()}
        todo: list[tuple[int, _Scoring, list[Sample]]] = []
        for seed in range(1, math.ceil(DRAWN / max(count, 1)) + 1):
            drawing = engine.sampled(Sampling(incoherent.TEMPERATURE, incoherent.TOP_P, seed))
            left = [
                sample
                for sample in chosen
                if known.get((protocol.benchmark, sample.id, seed)) != drawing.key(sample, baseline, length)
            ]
            todo.append((seed, drawing, left))
        total = sum(len(left) for *_, left in todo)
        task = progress.add_task(f"{protocol.benchmark}: drawn from the unsteered model", total=total)
        for seed, drawing, left in todo:
            answers = _advancing(progress, task, drawing.run(left, [baseline], length))
            found = {one.sample.id: one for one in answers if one.error is None}
            drawn = [found[sample.id] for sample in left if sample.id in found]
            for index, nll in sorted(engine.likelihoods([(one.sample, baseline, one.answer) for one in drawn])):
                one = drawn[index]
                place = {"benchmark": protocol.benchmark, "sample": one.sample.id, "seed": seed}
                told = [round(value, _DIGITS) for value in nll]
                log.append(place | {"answer": one.answer, "nll": told, "key": one.key})


def _advancing(progress: Progress, task: TaskID, found: Iterable[One]) -> Iterator[One]:
    for one in found:
        yield one
        progress.advance(task)


def _mean(nll: Sequence[float]) -> float | None:
    mean = sum(nll) / len(nll) if nll else math.nan
    return round(mean, _DIGITS) if math.isfinite(mean) else None


def recorded(run: Run) -> dict[Place, Record]:
    """Place -> the latest record of its fluency; empty for a run that did not ask for it.

    Raises:
        UserError: The log is damaged.
    """
    if "fluency" not in run.definition:
        return {}
    found: dict[Place, Record] = {}
    for record in run.log(LOG).read():
        nll, tokens = record.get("nll"), record.get("tokens")
        if not (nll is None or _number(nll)) or type(tokens) is not int:
            raise UserError(f"{run.log(LOG).path} is damaged: {nll!r} is no likelihood; use a copy of the run")
        found[_place(record)] = record
    return found


def usual(run: Run) -> dict[str, list[float]]:
    """Benchmark -> the limits of what is usual there, by length.

    Raises:
        UserError: The log is damaged.
    """
    drawn: dict[tuple[Any, ...], tuple[str, list[float]]] = {}
    for record in run.log(DRAWN_LOG).read():
        nll = record.get("nll")
        if not isinstance(nll, list) or not all(map(_number, nll)):
            raise UserError(f"{run.log(DRAWN_LOG).path} is damaged: no likelihoods; use a copy of the run")
        name = str(record.get("benchmark"))
        drawn[name, str(record.get("sample")), str(record.get("seed"))] = name, nll
    by_benchmark: dict[str, list[list[float]]] = {}
    for name, nll in drawn.values():
        by_benchmark.setdefault(name, []).append(nll)
    return {name: incoherent.limits(nlls) for name, nlls in by_benchmark.items()}


def counted(run: Run, verdicts: Mapping[Place, dict[str, Any]]) -> dict[Place, dict[str, Any]]:
    """The verdicts as they count: of an answer that is none, ``irrelevant`` with the reason."""
    found, limits = dict(verdicts), usual(run)
    for place, record in recorded(run).items():
        verdict = found.get(place)
        label = incoherent.LABELS.get(str(verdict and verdict.get("label")))
        most = incoherent.limit(limits.get(place[0], []), record["tokens"])
        if verdict and label and record["nll"] is not None and record["nll"] > most:
            reason = (
                f"incoherent: {record['nll']:.2f} nats a token under the unsteered model, whose own answers of "
                f"{record['tokens']} tokens have up to {most:.2f}"
            )
            found[place] = verdict | {"label": label, "reason": reason, INCOHERENT: True}
    return found


def rows(
    run: Run,
    asked: Mapping[str, Loaded],
    configurations: Sequence[Configuration],
    verdicts: Mapping[Place, Record],
) -> pd.DataFrame:
    """Rows of scores.csv: ``nll``, the mean over answers, and ``incoherent``, the share that counts as irrelevant only
    because of it; none for a run that did not ask for it.

    Args:
        verdicts: As `counted` gives them.
    """
    known = recorded(run)
    lines: list[dict[str, Any]] = []
    for name in [configuration.name for configuration in configurations]:
        for protocol, loaded in ((benchmark.protocol(one), loaded) for one, loaded in asked.items()):
            places = [(protocol.benchmark, sample.id, name) for sample in loaded.samples]
            found = [place for place in places if place in known and known[place]["nll"] is not None]
            if not found:
                continue
            values = {
                "nll": [float(known[place]["nll"]) for place in found],
                INCOHERENT: [float(INCOHERENT in verdicts.get(place, {})) for place in found],
            }
            for metric, numbers in values.items():
                row = {"configuration": name, "benchmark": protocol.benchmark, "category": "all", "metric": metric}
                lines.append(row | {"n": len(places), "n_scored": len(found), "value": sum(numbers) / len(found)})
    return pd.DataFrame(lines).assign(low=math.nan, high=math.nan)


def _number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(cast(float, value))


def _place(record: Record) -> Place:
    return str(record.get("benchmark")), str(record.get("sample")), str(record.get("configuration"))

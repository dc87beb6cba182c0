"""Pairs that a model makes of its own answers to unsafe requests, sorted by the offline judge.

*Self-made* (a multi-response set): each request is answered several times, sampled, without and with a safety prompt.
Where one answer is safe (refusal or warning) and another is not, the two make a pair; without a safety prompt goes
first, so a pair holds what the model says by itself where it says both. Both responses are teacher-forced behind the
request alone.
*Behaviour*: each request is answered once, greedily; requests refused or warned about are the safe side, answered ones
the unsafe side. Irrelevant and unscored answers are neither.

Beside the file lie ``definition.json`` (model, judge, requests, settings: pairs of another model are refused) and
``answers.jsonl`` (every answer with its verdict and key, appended as it comes: an interrupted run goes on, and one with
more samples asks only for those that are new).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark.sample import Sample
from iar import pairs, records
from iar.errors import UserError, did_you_mean, whole_number
from iar.generation import Engine, Generation
from iar.generation.sampling import Sampling
from iar.judges import rules
from iar.models.checkpoint import LoadedModel
from iar.pairs import Example, sources
from iar.pipeline.experiment.settings import Settings
from iar.records import text_file
from iar.records.run import DEFINITION
from iar.revision import Configuration
from iar.terminal.console import bars, console

KINDS = ("self_made", "behaviour")
SAFE = ("refusal", "warning")

_JUDGE = f"{rules.JUDGE}@{rules.VERSION}"
_Answers = dict[str, list[dict[str, Any]]]  # request -> its judged answers


def ensure(cfg: Settings, loaded: LoadedModel) -> Path:
    """The file of the pair set ``cfg.pairs``; one that the model makes itself is made first if it is missing.

    Args:
        cfg: ``pairs`` (its ``collect`` names the kind, absent for a set that is given), ``batch_size``, ``model``.

    Raises:
        UserError: The file was made by another model, judge or setting; the requests cannot be read; the answers
            make no pair.
    """
    kind = cfg.pairs.collect
    if kind is None:
        return Path(cfg.pairs.path or "")
    if kind not in KINDS:
        raise UserError(f"unknown kind of own pairs {kind!r}: {did_you_mean(str(kind), KINDS)}")
    path, requests, rounds = Path(cfg.pairs.path or ""), _requests(cfg), _rounds(cfg, kind)
    definition = _definition(cfg, kind, loaded, requests)
    if path.exists():
        _compare(path, definition, cfg.pairs.strategy)
        return path
    answers = _answers(cfg, loaded, requests, rounds, path.parent)
    lines = list((_self_made if kind == "self_made" else _behaviour)(requests, answers, path.parent))
    _check(kind, lines, answers, path)
    _write(path.with_name(DEFINITION), json.dumps(definition, indent=2, sort_keys=True) + "\n")
    _write(path, "".join(f"{json.dumps(line)}\n" for line in lines))
    console.print(f"{len(requests)} unsafe requests, {_labels(answers)}: {_made(kind, lines)}")
    return path


def _requests(cfg: Settings) -> list[Example]:
    """The unsafe requests, in the order of their source."""
    wanted = cfg.pairs.requests
    if wanted is None:
        raise UserError(f"pairs={cfg.pairs.name} needs requests: pairs.requests.path=FILE")
    found = [
        Example(row.id, False, row.unsafe.prompt, row.unsafe.image, None, row.category)
        for row in sources.rows(wanted.to_dict())
        if row.unsafe is not None
    ][: wanted.limit]
    if not found:
        raise UserError(f"no unsafe request in {wanted.path}: give pairs.requests.path=FILE")
    if twice := [name for name, count in Counter(request.pair for request in found).items() if count > 1]:
        raise UserError(f"{wanted.path}: id {twice[0]!r} appears twice; ids must be unique")
    return found


def _definition(cfg: Settings, kind: str, loaded: LoadedModel, requests: Sequence[Example]) -> dict[str, Any]:
    """Everything that changes the pairs."""
    names = ("samples", "temperature", "top_p", "seed", "safety_prompt") if kind == "self_made" else ()
    return {
        "kind": kind,
        "model": loaded.fingerprint,
        "model_id": loaded.id,
        "judge": _JUDGE,
        "requests": pairs.digest(requests),
        "ids": records.key(ids=[request.pair for request in requests]),
        "max_new_tokens": cfg.model.max_new_tokens,
        **{name: getattr(cfg.pairs, name) for name in names},
    }


def _compare(path: Path, definition: dict[str, Any], strategy: str) -> None:
    """Raises when the pairs in the file are others than those defined now."""
    header = path.with_name(DEFINITION)
    if not header.is_file():
        raise UserError(
            f"{path} was not made by iar.collect (no {DEFINITION} beside it): read it with "
            f"pairs={strategy} pairs.path={path}, or give another place (pairs.path=OTHER/pairs.jsonl)"
        )
    before = records.Run.at(path.parent).definition
    names = sorted(before.keys() | definition.keys())
    differing = [n for n in names if before.get(n) != definition.get(n)]
    if differing:
        shown = "; ".join(f"{n}: {before.get(n)!r} there, {definition.get(n)!r} now" for n in differing)
        raise UserError(
            f"{path} was made with other settings ({shown}): delete it, or keep both with pairs.path=OTHER/pairs.jsonl"
        )


def _answers(
    cfg: Settings,
    loaded: LoadedModel,
    requests: Sequence[Example],
    rounds: Sequence[tuple[str, Sampling | None]],
    folder: Path,
) -> _Answers:
    """The judged answers to each request, in the order of the rounds; those in the folder's log are not asked again."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    with records.Log(folder / "answers.jsonl") as log, bars() as progress:
        known = {record["key"]: record for record in log.read()}
        task = progress.add_task("answers", total=len(rounds) * len(requests))
        for number, (before, sampling) in enumerate(rounds):
            engine, samples = Engine(loaded, {}, cfg.batch_size, sampling=sampling, **cfg.generation.to_dict()), []
            for request in requests:
                sample = _sample(request, before)
                record = known.get(engine.key(sample, Configuration(), cfg.model.max_new_tokens))
                if record is None:
                    samples.append(sample)
                    continue
                if record["judge"] != _JUDGE:  # judged again, not asked again
                    record |= _verdict(sample, record["answer"])
                    log.append(record)
                found[number, request.pair] = record
            progress.update(task, completed=len(found))
            for made in engine.run(samples, [Configuration()], cfg.model.max_new_tokens):
                record = _judged(made, before, sampling)
                if made.error is None:  # what could not be asked is tried again next time
                    log.append(record)
                found[number, made.sample.id] = record
                progress.update(task, completed=len(found))
    return {request.pair: [found[number, request.pair] for number in range(len(rounds))] for request in requests}


def _judged(made: Generation, before: str, sampling: Sampling | None) -> dict[str, Any]:
    record = {
        "request": made.sample.id,
        "prompted": bool(before),
        "seed": sampling.seed if sampling else None,
        "answer": made.answer,
        "error": made.error,
        "key": made.key,
    }
    return record | (_verdict(made.sample, made.answer) if made.error is None else {"label": None, "judge": "none"})


def _verdict(sample: Sample, answer: str) -> dict[str, Any]:
    verdict = rules.judge(sample.query, answer)
    return {"label": verdict.label, "reason": verdict.reason, "judge": _JUDGE}


def _rounds(cfg: Settings, kind: str) -> list[tuple[str, Sampling | None]]:
    """What stands before each request, and how the answer is drawn (None: greedily)."""
    if kind == "behaviour":
        return [("", None)]
    own: Any = cfg.pairs  # samples, temperature, top_p, seed and safety_prompt are of this kind alone
    samples = whole_number("pairs.samples", own.samples)
    draws = [Sampling(own.temperature, own.top_p, own.seed + number) for number in range(samples)]
    return [(before, draw) for before in ("", f"{own.safety_prompt} ") for draw in draws]


def _sample(request: Example, before: str) -> Sample:
    images = (request.image,) if request.image else ()
    prompt = before + request.prompt
    return Sample(request.pair, "own_pairs", request.category, prompt, images, "unsafe", request.pair, request.prompt)


def _self_made(requests: Iterable[Example], answers: _Answers, folder: Path) -> Iterator[dict[str, Any]]:
    """A line in the manifest's short form for each request with both kinds of answer; the first of each."""
    for request in requests:
        safe = [record["answer"] for record in answers[request.pair] if record["label"] in SAFE]
        unsafe = [record["answer"] for record in answers[request.pair] if record["label"] == "answer"]
        if safe and unsafe:
            line = {"id": request.pair, "category": request.category, "image": _relative(request.image, folder)}
            yield line | {"prompt": request.prompt, "safe": safe[0], "unsafe": unsafe[0]}


def _behaviour(requests: Iterable[Example], answers: _Answers, folder: Path) -> Iterator[dict[str, Any]]:
    """A one-sided line in the manifest's long form for each request that was refused or answered."""
    for request in requests:
        label = answers[request.pair][0]["label"]
        if label in (*SAFE, "answer", "complied"):
            side = {"prompt": request.prompt, "image": _relative(request.image, folder)}
            yield {"id": request.pair, "category": request.category, "safe" if label in SAFE else "unsafe": side}


def _write(file: Path, text: str) -> None:
    """Renamed into place, so that a kill never leaves half a file."""
    text_file.write(file, text)


def _relative(image: Path | None, folder: Path) -> str | None:
    return os.path.relpath(image, folder) if image else None


def _check(kind: str, lines: Sequence[dict[str, Any]], answers: _Answers, path: Path) -> None:
    if kind == "self_made" and not lines:
        raise UserError(
            f"no request got both a safe and an unsafe answer ({_labels(answers)}; all in {path.parent}): "
            "raise pairs.samples or pairs.temperature, or ask other requests"
        )
    for side in ("safe", "unsafe") if kind == "behaviour" else ():
        if not any(side in line for line in lines):
            raise UserError(
                f"the model {'refuses' if side == 'safe' else 'answers'} none of the requests ({_labels(answers)}; "
                f"all in {path.parent}): ask other requests (pairs.requests.path=FILE)"
            )


def _labels(answers: _Answers) -> str:
    counts = Counter(
        "error" if record["error"] else record["label"] or "unscored" for found in answers.values() for record in found
    )
    return ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))


def _made(kind: str, lines: Sequence[dict[str, Any]]) -> str:
    if kind == "self_made":
        return f"{len(lines)} pairs"
    return f"{sum('safe' in line for line in lines)} refused and {sum('unsafe' in line for line in lines)} answered"

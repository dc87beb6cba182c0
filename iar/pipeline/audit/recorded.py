"""An audit of answers that are there already: a file or a run folder a model, no model loaded.

Labels count where a file has them (a column ``label``, a run's verdicts.jsonl); answers without any are judged, and the
verdicts kept in the audit's folder, so that the same command again pays for no judge twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import benchmark
from benchmark import answers, families, joining, scoring
from benchmark.answers import Answer
from benchmark.errors import DataError
from benchmark.protocol import Protocol
from benchmark.sample import Loaded, Sample
from iar import records
from iar.errors import UserError, did_you_mean
from iar.judges import Verdict, factory
from iar.pipeline.audit import ask
from iar.pipeline.audit.ask import BENCHMARK, Audit
from iar.pipeline.evaluation import judge
from iar.pipeline.experiment import data
from iar.pipeline.experiment.settings import Auditing
from iar.records import Run
from iar.revision.configuration import Configuration
from iar.terminal.console import console

SUFFIXES = (".jsonl", ".json", ".csv")


def read(cfg: Auditing, folder: Path, names: Sequence[str] = (), partial: bool = False) -> Audit:
    """Scores every model's recorded answers; one whose answers do not fit is named and the next one goes on.

    Args:
        folder: Holds ``MODEL.jsonl``, ``.json``, ``.csv`` (the formats of ``python -m benchmark score``) or a run
            folder for each model; or an audit's own run folder.
        names: Which of them, in this order; none: all, by name.
        partial: Average over the questions that are answered, where some are not.

    Raises:
        UserError, DataError: No answers there, an unknown name, ``limit``, or the questions are missing.
    """
    asked_as = ask.check(cfg)
    if cfg.limit is not None:
        raise UserError("--from counts every recorded answer: leave limit= out")
    sources = _sources(folder)
    if unknown := [name for name in names if name not in sources]:
        raise UserError(f"no answers of {unknown[0]!r} in {folder}: {did_you_mean(unknown[0], sources)}")
    sources = {name: sources[name] for name in names} if names else sources
    data.prepare(cfg.data)
    protocol = data.protocol(cfg, BENCHMARK)
    root = Path(cfg.data.folder(cfg.split)) / cfg.benchmark[BENCHMARK].folder
    samples = families.assign(Loaded(tuple(scoring.questions(protocol, root, cfg.split))), root).samples
    every = benchmark.protocol(BENCHMARK)

    @cache
    def elsewhere() -> Sequence[Sample]:
        return () if protocol.questions == every.name else scoring.questions(every, root, cfg.split)

    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sources.items()}
    found = ask.opened(cfg, asked_as, {"answers": digests})
    seen: set[str] = set()
    for name, path in sources.items():
        try:
            file = answers.read(path)
            joined = joining.join(protocol, samples, file, partial, elsewhere)
            for note in joined.notes:
                console.print(f"{name}: {note}")
            for model, chosen in _chosen(joined.answers, asked_as, name).items():
                if model in seen:
                    raise UserError(f"two sets of answers have the name {model!r}: rename one")
                seen.add(model)
                run = Run.open(found.folder / model, {"answers": digests[name], "protocol": protocol.id})
                asked = {protocol.name: Loaded(tuple(samples))}
                _judged(run, asked, chosen, asked_as, cfg)
                found.add(model, run, asked, asked_as)
        except (UserError, DataError, OSError) as error:
            found.fail(name, error)
    return found


def _sources(folder: Path) -> dict[str, Path]:
    """Model -> its file: of a run folder the verdicts, or the answers where it has none."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}: --from takes the folder that holds a file or a run folder for each model")
    if (folder / "generations.jsonl").is_file():
        raise UserError(f"{folder} is one run: --from takes the folder around it")
    ours = (folder / "definition.json").is_file()  # an audit's: the CSV files in it are tables, not answers
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            inside = [path / f"{log}.jsonl" for log in ("verdicts", "generations")]
            files = [file for file in inside if file.is_file()]
        else:
            files = [path] if path.suffix in SUFFIXES and not ours else []
        name = path.name if path.is_dir() else path.stem
        if files and name in found:
            raise UserError(f"{found[name]} and {path} are both of {name!r}: rename one of them")
        if files:
            found[name] = files[0]
    if not found:
        raise UserError(
            f"no answers in {folder}: a MODEL.jsonl (.json, .csv) or a run folder for each model goes there"
        )
    return found


def _chosen(
    joined: Mapping[str, Mapping[str, Answer]], asked_as: Configuration, name: str
) -> dict[str, Mapping[str, Answer]]:
    """Model -> its answers: of a run those of the audit's method; a file of several models has each by its own name."""
    if asked_as.name in joined or len(joined) == 1:
        return {name: joined.get(asked_as.name) or next(iter(joined.values()))}
    return dict(joined)


def _judged(
    run: Run, asked: Mapping[str, Loaded], found: Mapping[str, Answer], asked_as: Configuration, cfg: Auditing
) -> None:
    """Verdicts on one model's answers, in the same records as those of a model that was asked."""
    ((name, loaded),) = asked.items()
    protocol = benchmark.protocol(name)
    if any(answer.label is not None for answer in found.values()):
        labels, unread = scoring.label_answers(protocol, loaded.samples, found, recorded=True)
        if unread:
            console.print(f"{run.path.name}: {unread} labels name none of {', '.join(protocol.labels)}: unscored")
        verdicts_ = {sample: asdict(_recorded(label)) for sample, label in labels.items()}
        _write(run, "verdicts", verdicts_, protocol, asked_as)
    else:
        texts = {sample: answer.text for sample, answer in found.items() if answer.text is not None}
        told = {sample: {"answer": text, "tokens": None, "error": None} for sample, text in texts.items()}
        _write(run, "generations", told, protocol, asked_as)
        judge.judge(run, asked, factory.configured(cfg))


def _recorded(label: str | None) -> Verdict:
    return Verdict(label, "recorded", "1", "", "" if label else "no label")


def _write(
    run: Run, log: str, entries: Mapping[str, Mapping[str, object]], protocol: Protocol, asked_as: Configuration
) -> None:
    """Appends what is not there yet: a run that was killed goes on."""
    with run.log(log) as file:
        there = {record["sample"] for record in file.read()}
        for sample, entry in entries.items():
            if sample not in there:
                place = {"benchmark": protocol.benchmark, "sample": sample, "configuration": asked_as.name}
                file.append({"key": records.key(**place, **entry)} | place | {"protocol": protocol.id} | dict(entry))

"""`python -m benchmark`: what the protocols are, whether their data are whole, and the score of an answer file.

No model and no graphics card are needed; to ask a model, use `python -m iar.evaluate`.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

import benchmark
from benchmark import answers, dualbench_rates, huggingface, joining, scoring, validation
from benchmark.download import command as download
from benchmark.errors import DataError
from benchmark.inert import cell, visible, visible_output
from benchmark.protocol import Protocol
from benchmark.sample import Sample
from benchmark.stopping import exit_code, stopping

_EXAMPLES = """\
examples:
  python -m benchmark ls pope/llava-8910
  python -m benchmark download xstest --to data/xstest
  python -m benchmark validate pope --data data/pope
  python -m benchmark score pope/llava-8910 --data data/pope --answers llava-v1.5-13b.jsonl

Each command has --help with more."""
_LS = """\
The protocols: one line each, or with NAME everything that one pins.

  python -m benchmark ls
  python -m benchmark ls pope/llava-8910

Two scores are comparable if they carry the same name and the same version behind the @. The version is raised
whenever the same answer may score differently than before. Names ending in -authors count as the released code does,
quirks included; the others say where that counting can be fooled."""
_VALIDATE = """\
Is a protocol's data there and whole? Reads every question, decodes every image to its last pixel, and compares the
question files with the release that the protocol pins.

  python -m benchmark validate pope --data data/pope

Exit code 0: complete. 1: something is missing, torn or another release (the table says what). 2: wrong usage."""
_SCORE = """\
Scores anybody's answers to a protocol's questions. Needs the question files, but neither a model nor the images.

  python -m benchmark score pope/llava-8910 --data data/pope --answers llava-v1.5-13b.jsonl
  python -m benchmark score scienceqa --data data/scienceqa --answers 20260101_samples_scienceqa.jsonl --csv scores.csv
  python -m benchmark score xstest --data data/xstest --answers answers_with_labels.csv
  python -m benchmark score vscbench/image --data data/vscbench --answers runs/my-run

Answers are joined to questions by id and content: an id must belong to the question and image that the file carries
with it. Refused, with the line at fault: questions without an answer or with two, answers to other questions or to
another release of the data, files that break off, files that are not UTF-8.

Formats (--format, found out by itself):
  ours       generations.jsonl or verdicts.jsonl of a run, or the run's folder; one table a configuration
  llava      {"question_id", "prompt", "text"} lines; eval_science_qa.py's output; ScienceQA's {"results", "outputs"}
  lmms-eval  *_samples_TASK.jsonl of --log_samples; give POPE's three files one after the other
  plain      JSON Lines, a JSON array or CSV: id, answer, and if there: question, image, label, configuration
Where another column could be the model's answer too (`answer` beside `model_output`), say which: --answer-column NAME.

Where a judge is needed (vscbench, xstest, figstep, ...) the file must have labels: a column `label` with refusal,
warning, answer, irrelevant or complied, XSTest's final_label, the raw reply of VSCBench's judge, or a run's
verdicts.jsonl."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        with visible_output(), stopping():
            code: int = given.run(given)
            sys.stdout.flush()
    except DataError as error:
        print(visible(f"error: {' '.join(str(error).split())}"), file=sys.stderr)
        return 2
    except BrokenPipeError:  # `... | head` has seen enough; what Python would still flush goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as error:
        return exit_code(error)
    return code


class _Once(argparse.Action):
    """An option with one value: given twice it is refused, where argparse would let the last one win."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        given = vars(namespace).setdefault("_given", set())
        if self.dest in given:
            parser.error(f"{option} is given twice: give it once")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmark", description=__doc__, epilog=_EXAMPLES, formatter_class=raw
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    ls = commands.add_parser("ls", help="list the protocols", description=_LS, formatter_class=raw)
    ls.add_argument("name", nargs="?", metavar="NAME", help="a protocol or benchmark to show in full")
    ls.set_defaults(run=_ls)
    check = commands.add_parser("validate", help="check data", description=_VALIDATE, formatter_class=raw)
    check.add_argument("name", metavar="NAME", help="a protocol (pope/llava-8910), or a benchmark for its first one")
    check.set_defaults(run=_validate)
    score = commands.add_parser("score", help="score an answer file", description=_SCORE, formatter_class=raw)
    score.add_argument("name", metavar="PROTOCOL", help="e.g. pope/llava-8910; `ls` lists them")
    score.add_argument(
        "--answers", type=Path, required=True, nargs="+", action="extend", metavar="FILE", help="the answers"
    )
    score.add_argument(
        "--answer-column",
        action=_Once,
        metavar="NAME",
        help="where the model's answer stands, in plain and llava answers",
    )
    score.add_argument("--format", action=_Once, choices=answers.FORMATS, default="auto", help="format of the answers")
    score.add_argument("--csv", action=_Once, type=Path, metavar="OUT", help="write the scores to this file too")
    score.add_argument(
        "--allow-partial", action="store_true", help="leave out what does not fit and average over the rest"
    )
    score.add_argument(
        "--judged", action="store_true", help="count the labels in the file instead of parsing its answers"
    )
    score.set_defaults(run=_score)
    download.add(commands)
    huggingface.add(commands)
    for command in (check, score):
        command.add_argument(
            "--data", action=_Once, type=Path, required=True, metavar="DIR", help="folder with the question files"
        )
        command.add_argument(
            "--split", action=_Once, default="test", help="of benchmarks that have splits; default: test"
        )
    return parser


def _ls(given: argparse.Namespace) -> int:
    if given.name is None:
        every = [benchmark.protocol(name) for name in benchmark.protocols()]
        _print(("protocol", "parser", "cluster", "data"), [(p.id, p.parser, p.cluster, p.data) for p in every])
        return 0
    protocol = benchmark.protocol(given.name)
    rows = [("name", protocol.id)]
    hidden = ("name", "version") if protocol.judged else ("name", "version", "task")
    for field in fields(protocol):
        value = getattr(protocol, field.name)
        if field.name in hidden or callable(value) or (not value and field.name != "digests"):
            continue
        if field.name == "digests":
            value = [f"{name} sha256:{digest[:16]}" for name, digest in value.items()] or "none pinned"
        if field.name == "headlines":
            value = [headline.alone for headline in value]
        listed = isinstance(value, (tuple, list, dict))
        rows.append((field.name, ", ".join(value) if listed else repr(value).strip("'\"")))
    rows.append(("check it", f"python -m benchmark validate {protocol.name} --data DIR"))
    _print(("field", "value"), rows)
    return 0


def _validate(given: argparse.Namespace) -> int:
    protocol = benchmark.protocol(given.name)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("decoding images", total=None)

        def tick(left: int) -> None:
            done = progress.tasks[task].completed + 1
            progress.update(task, completed=done, total=done + left)

        findings = validation.validate(protocol, given.data, given.split, _siblings(protocol), tick)
    rows = []
    for finding in findings:
        examples = list(finding.examples)
        more = f" and {len(examples) - 3} more" if len(examples) > 3 else ""
        status = "DAMAGED" if finding.damage else "ok"
        rows.append((finding.what, finding.found, status, "; ".join(examples[:3]) + more))
    _print(("what", "found", "status", "which"), rows)
    damaged = [finding.what.strip() for finding in findings if finding.damage]
    print(f"{protocol.id} in {given.data}: " + (f"NOT complete ({', '.join(damaged)})" if damaged else "complete"))
    return 1 if damaged else 0


def _score(given: argparse.Namespace) -> int:
    protocol = benchmark.protocol(given.name)
    file = answers.read_all(given.answers, given.format, given.judged or protocol.judged, given.answer_column)
    notes = _other_release(protocol, given.data)
    samples = scoring.questions(protocol, given.data, given.split)
    part = _part(protocol, samples, given.data, given.split, known=not notes)
    if part and not given.allow_partial:
        raise DataError(f"{part}; averages over a part are refused unless --allow-partial")
    notes += [f"PARTIAL {part}"] if part else []
    joined = joining.join(protocol, samples, file, given.allow_partial, lambda: _elsewhere(protocol, samples, given))
    scores: list[scoring.Score] = []
    contrasts: list[tuple[str, list[dualbench_rates.Contrast]]] = []
    for configuration, found in joined.answers.items():
        labels, unread = scoring.label_answers(protocol, samples, found, given.judged)
        if unread:
            where = f" of {configuration}" if configuration else ""
            treated = "unscored" if protocol.judged else "unparseable"
            notes.append(f"{unread} labels{where} name none of {', '.join(protocol.labels)}: {treated}")
        scores += scoring.table(protocol, samples, labels, configuration)
        if protocol.benchmark == "dualbench":
            pairs = [(sample, labels[sample.id]) for sample in samples if sample.id in labels]
            contrasts.append((configuration, dualbench_rates.contrasts(pairs)))
    if given.csv:
        _write(given.csv, scores)
    several = len(joined.answers) > 1
    header = (*(("configuration",) if several else ()), "category", "metric", "scored", "count", "value", "95 %")
    rows = []
    for score in scores:
        bounds = "" if math.isnan(score.low) else f"{score.low:.4f} to {score.high:.4f}"
        scored = str(score.n) if score.n_scored == score.n else f"{score.n_scored} of {score.n}"
        value = "unscored" if math.isnan(score.value) else f"{score.value:.6f}"
        cells = (score.category, score.metric, scored, score.count, value, bounds)
        rows.append((score.configuration, *cells) if several else cells)
    _print(header, rows)
    for configuration, differences in contrasts:
        print(f"\nDifferences{f' of {configuration}' if configuration else ''} (95 %, clustered by seed instruction)")
        lines = [(c.metric, c.what, c.estimate.value, c.estimate.low, c.estimate.high) for c in differences]
        shown = [(metric, what, f"{v:+.6f}", f"{low:+.4f} to {high:+.4f}") for metric, what, v, low, high in lines]
        _print(("metric", "difference", "value", "95 %"), shown)
    print(f"{protocol.id}; parser: {'labels in the file' if given.judged else protocol.parser}; cluster: ", end="")
    print(f"{protocol.cluster}; answers: {file.path} ({file.format})")
    if any(note.startswith("PARTIAL") for note in (*notes, *joined.notes)):
        print("PARTIAL: these are averages over a part of the questions (see the notes); do not compare them")
    for note in (*notes, *joined.notes):
        print(visible(f"note: {note}"), file=sys.stderr)
    return 0


def _other_release(protocol: Protocol, root: Path) -> list[str]:
    """A note if the data are not the pinned release.

    Raises:
        DataError: They are the release of another protocol.
    """
    _, differ, instead = validation.release(protocol, root, _siblings(protocol))
    if instead:
        raise DataError(
            f"{root} holds the data of {instead}, not of {protocol.name}: score {instead}, or give its data"
        )
    if differ:
        return [f"{root} is not the release that {protocol.name} pins ({', '.join(differ)}): compare with care"]
    return []


def _part(protocol: Protocol, samples: Sequence[Sample], root: Path, split: str, known: bool) -> str:
    """That the folder holds only a part of the questions, "" if all; of another release that is unknown."""
    size = joining.SIZES.get(protocol.questions) if split == "test" and known else None
    if size is None or len(samples) >= size:
        return ""
    check = f"python -m benchmark validate {protocol.name} --data {root}"
    return f"{root} holds {len(samples):,} of the {size:,} questions of {protocol.name} (which: {check})"


def _elsewhere(protocol: Protocol, samples: Sequence[Sample], given: argparse.Namespace) -> list[Sample]:
    """The questions in the same folder that other protocols of the benchmark ask and this one does not."""
    own = {sample.id for sample in samples}
    found: dict[str, Sample] = {}
    for other in _presets(protocol):
        if getattr(other.load, "keywords", None) == getattr(protocol.load, "keywords", None):
            continue  # the same questions, or another release of them
        try:
            found |= {s.id: s for s in scoring.questions(other, given.data, given.split) if s.id not in own}
        except DataError:  # the folder need not hold the files of the others
            continue
    return list(found.values())


def _presets(protocol: Protocol) -> list[Protocol]:
    """The benchmark's protocols, one of each data and selection."""
    names = [name for name in benchmark.protocols() if name.partition("/")[0] == protocol.benchmark]
    return [one for one in map(benchmark.protocol, names) if one.name == one.questions]


def _siblings(protocol: Protocol) -> list[Protocol]:
    return [other for other in _presets(protocol) if other.digests and other.digests != protocol.digests]


def _write(path: Path, scores: Iterable[scoring.Score]) -> None:
    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(scoring.COLUMNS)
            writer.writerows(map(_cells, scores))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; give another file as --csv") from error


def _cells(score: scoring.Score) -> list[object]:
    """Numbers as they are, NaN as an empty cell, and no text that a spreadsheet would compute."""
    values = ["" if isinstance(value, float) and math.isnan(value) else value for value in astuple(score)]
    return [cell(value) if isinstance(value, str) else value for value in values]


def _print(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """An aligned table that is never squeezed into the terminal, so that it can be searched and cut."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())

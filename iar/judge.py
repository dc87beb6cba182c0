"""``python -m iar.judge RUN_DIR``: verdicts and scores again, from a run's answers; ``calibrate``: a judge measured.

In Python `judge`, of answers of one's own.

Arguments of the form KEY=VALUE are settings (conf/judge.yaml) and may stand anywhere among the others.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from iar import cli
from iar.callable_module import callable_as
from iar.cli import shell_completion
from iar.errors import UserError
from iar.judges.judge import Item, Judge
from iar.pipeline.experiment.settings import Judging, read
from iar.shipped import shipped

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.protocol import Task

HELP = """\
Judge the answers of a run again, without generating: rewrites verdicts.jsonl and scores.csv.
Or measure a judge against people's labels: calibrate.

  python -m iar.judge RUN_DIR [KEY=VALUE ...]
  python -m iar.judge calibrate --labels FILE [FILE ...] [--correct RUN_DIR] [KEY=VALUE ...]

What would GPT-4o-mini cost on this run, and then the same within five dollars (OPENAI_API_KEY is in the environment):

  python -m iar.judge runs/sweep-1a2b3c4d judge=gpt-4o-mini dry_run=true
  python -m iar.judge runs/sweep-1a2b3c4d judge=gpt-4o-mini budget.usd=5

A judge of your own on a local server (vLLM, llama.cpp, transformers serve), with the authors' own prompt:

  python -m iar.judge runs/sweep-1a2b3c4d judge=server judge.endpoint.model=NAME \\
      judge.endpoint.base_url=http://localhost:8000/v1 judge.prompt_file=prompt.txt

How far does the judge agree with people, and what does it add to SRA? XSTest's files of labelled completions, or a CSV
with the columns query, answer, label (and category, reference, cluster):

  python -m iar.judge calibrate --labels xstest_v2_completions_gpt4.csv mine.csv judge=llama-guard

And what SRA of a run would be had people judged it, with an interval (label some of the run's own answers):

  python -m iar.judge calibrate --labels mine.csv --correct runs/sweep-1a2b3c4d

Judges (judge=NAME): {judges}
Settings, with their defaults: judge.* (conf/judge/NAME.yaml), dry_run=false, budget.usd=null, budget.tokens=null,
cache=runs/cache, run=null (folder of calibrate). The same command again goes on where it was interrupted.
In bash, Tab completes settings after: eval "$(python -m iar.judge -sc install=bash)"
"""
_SETTING = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@-]*=")


def judge(
    answers: pd.DataFrame | Sequence[str],
    prompts: Sequence[str] | None = None,
    *,
    by: str | Mapping[str, Any] = "rules",
    task: Task = "vscbench",
    cache: str | Path | None = "runs/cache",
) -> pd.DataFrame:
    """What kind of answer each is. The judge never learns which prompts are unsafe.

    Args:
        answers: From `iar.generate`, or a list.
        prompts: Of a list: the question of each answer.
        by: Name of an entry of conf/judge (``rules`` needs no network), or its content as a dict.
        task: Whose labels: ``vscbench`` (refusal, warning, answer, irrelevant, complied), ``xstest``, ``dualbench``.
        cache: Folder of the replies of a judge at an endpoint; None keeps none.

    Returns:
        Labels in the shape of the answers, of a list in a column ``label``; None where the judge failed, or there is no
        answer.

    Raises:
        UserError: No such judge; another number of prompts than of answers.
    """
    import pandas as pd

    from iar.judges import factory

    if not isinstance(answers, pd.DataFrame):
        if prompts is None or len(prompts) != len(answers):
            count = "none" if prompts is None else len(prompts)
            raise UserError(f"{len(answers)} answers need as many prompts (given: {count})")
        answers = pd.DataFrame({"label": list(answers)}, index=pd.Index(list(prompts), name="prompt"))
    rows, columns = answers.shape
    places = [(i, j) for i in range(rows) for j in range(columns) if isinstance(answers.iat[i, j], str)]
    items = [Item(task, str(answers.index[i]), answers.iat[i, j]) for i, j in places]
    labels: list[list[str | None]] = [[None] * columns for _ in range(rows)]
    for index, verdict in factory.judge_of(by, None if cache is None else Path(cache)).judge(items):
        i, j = places[index]
        labels[i][j] = verdict.label
    return pd.DataFrame(labels, index=answers.index, columns=answers.columns, dtype=object)


callable_as(judge)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        cli.fail(f"{message}: see python -m iar.judge --help")
        raise AssertionError


def judge_again(folder: Path, cfg: Judging) -> None:
    from iar.judges import factory
    from iar.pipeline.evaluation import judge, score
    from iar.pipeline.results import method_table, sweep_table

    by = factory.configured(cfg)
    if cfg.dry_run:
        _estimate(by, judge.to_judge(folder))
        return
    again = judge.judge_again(folder, by)
    run = score.tabulate(again.run, again.asked, again.configurations)
    method_table.refresh(run)
    sweep_table.show(run.scores, run.configurations, str(folder), run.split, folder)
    files = [folder / "verdicts.jsonl", folder / "scores.csv", folder / "judges.csv"]
    print(*(file for file in files if file.exists()), sep="\n")


def calibrate(files: list[Path], correct: Path | None, cfg: Judging) -> None:
    from iar.judges import factory
    from iar.pipeline.evaluation import judge_calibration

    by = factory.configured(cfg)
    if cfg.dry_run:
        _estimate(by, [answer.item for answer in judge_calibration.read(files)])
        return
    folder = judge_calibration.measure(files, by, cfg.run, correct)
    written = ["calibration.csv", "confusion.csv"] + ["corrected.csv"] * (correct is not None)
    print(*(folder / name for name in written), sep="\n")


def _estimate(by: Judge, items: Sequence[Item]) -> None:
    from iar.judges import factory

    print(f"{by.name}: {len(items):,} answers to judge; {factory.estimate(by, items) or 'no requests, no cost'}")


def _settings(overrides: list[str]) -> Judging:
    """conf/judge.yaml with the command line's settings; Hydra reads them from ``sys.argv``."""
    if several := [override for override in overrides if override.startswith("judge=") and "," in override]:
        names = several[0].removeprefix("judge=").strip("[]")
        raise UserError(f"{several[0]}: one judge at a time, or their vote: judge=panel judge.members=[{names}]")
    sys.argv[1:] = overrides
    found = cli.jobs("judge", partial(read, Judging))
    if len(found) != 1:
        raise UserError("one judge at a time: a setting of several values makes several")
    return found[0]


def main() -> None:
    with cli.reported("judge"):
        shell_completion.answer("judge")
    arguments = sys.argv[1:]
    overrides = [a for a in arguments if _SETTING.match(a) and not Path(a).exists()]
    rest = [a for a in arguments if a not in overrides]
    judges = sorted(file.stem for file in (shipped("conf") / "judge").glob("*.yaml"))
    parser = _Parser(
        prog="python -m iar.judge",
        usage=argparse.SUPPRESS,
        description=HELP.format(judges=", ".join(judges)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN_DIR", help="folder that iar.sweep or iar.evaluate wrote, or: calibrate")
    parser.add_argument(
        "--labels", nargs="+", action="extend", type=Path, metavar="FILE", help="of calibrate: CSV, JSON Lines or JSON"
    )
    parser.add_argument(
        "--correct", type=Path, metavar="RUN_DIR", help="of calibrate: a run by the same judge, to correct its SRA"
    )
    args = parser.parse_args(rest)
    with cli.reported("judge"):
        if args.run == "calibrate" and args.labels is None:
            raise UserError("calibrate needs labelled answers: --labels FILE [FILE ...]")
        if args.run != "calibrate" and args.labels is not None:
            raise UserError("--labels belongs to calibrate: python -m iar.judge calibrate --labels FILE")
        if args.run != "calibrate" and args.correct is not None:
            raise UserError(
                "--correct belongs to calibrate: python -m iar.judge calibrate --labels FILE --correct RUN_DIR"
            )
        cfg = _settings(overrides)
        if args.labels is not None:
            calibrate(args.labels, args.correct, cfg)
        else:
            judge_again(Path(args.run), cfg)


if __name__ == "__main__":
    main()

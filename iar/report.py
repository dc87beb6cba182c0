"""``python -m iar.report RUN_DIR``: a run to look at, from its files: table, figures, and one page to explore it in."""

from __future__ import annotations

import argparse
from pathlib import Path

from iar import cli
from iar.errors import UserError

EXAMPLES = """examples:
  python -m iar.report runs/sweep-3f1c9a02                      table, figures, and report.html, which opens from disk
  python -m iar.report runs/sweep-3f1c9a02 --markdown           the scores with 95 % intervals, to paste
  python -m iar.report RUN_DIR --data DIR --out look.html       the questions and images are in DIR now
  python -m iar.report runs/before runs/after                   two runs, with paired differences
  python -m iar.report RUN_DIR --sample random/12 --configuration iar-L14-x1.5    one answer, from question to score
"""


def main() -> None:
    args = _parser().parse_args()
    with cli.reported():
        if len(args.runs) > 2:
            raise UserError(f"{len(args.runs)} runs given: one is reported, two are compared")
        if args.configuration is not None and args.sample is None:
            raise UserError("--configuration belongs to --sample ID")
        if args.sample is not None and len(args.runs) == 2:
            raise UserError("--sample shows an answer of one run")
        if len(args.runs) == 2:
            from iar.pipeline.results import compare_runs

            first, second = args.runs
            print(*compare_runs.show(first, second, args.out), sep="\n")
            return
        _report(args)


def _report(args: argparse.Namespace) -> None:
    from iar.pipeline.evaluation.finished_run import FinishedRun
    from iar.pipeline.results import figures, method_table, sweep_table

    run = FinishedRun.scored(args.runs[0])
    if args.sample is not None:
        from iar.pipeline.results import sample_trace

        print(sample_trace.trace(run, args.sample, args.configuration))
        return
    compared = (run.path / method_table.FILES[0]).is_file()  # by iar.evaluate
    if args.markdown:
        shown = method_table.markdown(run) if compared else None
        print(shown or sweep_table.markdown(run.scores, run.configurations, run.split))
        return
    title = args.title or str(run.path)
    if compared:
        method_table.show(run, title)
    else:
        sweep_table.show(run.scores, run.configurations, title, run.split, run.path)
    files = figures.draw(run, args.title, x=args.x, y=args.y)
    if args.page:
        from iar import explorer

        limit = round(1_000_000 * args.megabytes)
        files += explorer.write(run.path, args.out, data=args.data, images=args.images, limit=limit, title=args.title)
    print(*files, sep="\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m iar.report",
        description="Print the table of a run, draw its figures, and write report.html: one page with the frontier, "
        "heat maps, and every sample before and after. From the files of the run; no answer is computed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN_DIR", help="what iar.sweep or iar.evaluate wrote; two are compared")
    add("--title", default="", help="title of the figures and of the page")
    add("--markdown", action="store_true", help="only print the scores with 95 %% intervals as Markdown")
    add(
        "--sample",
        metavar="ID",
        help="only print one answer's way: question, prompt, settings, answer, verdict, scores",
    )
    add("--configuration", metavar="NAME", help="whose answer --sample shows (none)")
    add("--x", metavar="SCORE", help="one more figure, with this score to the right: xstest.SRA_s, pope.accuracy, …")
    add("--y", metavar="SCORE", help="and this one upwards")
    add("--out", type=Path, metavar="FILE", help="the page (RUN_DIR/report.html), or the table of two runs")
    add("--data", type=Path, metavar="DIR", help="folder of the run's questions and images, where they were moved")
    add("--no-images", dest="images", action="store_false", help="a page without pictures")
    add("--no-page", dest="page", action="store_false", help="no page: table and figures alone")
    add(
        "--megabytes",
        type=float,
        default=10,
        metavar="N",
        help="size of the page (10); answers and images beyond it go into files beside it",
    )
    return parser


if __name__ == "__main__":
    main()

"""``python -m iar.report RUN_DIR``: the table and the figure again, from the files of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from iar import cli


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.report",
        description="Print the table and draw the frontier again from scores.csv of a run; computes nothing.",
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder that iar.sweep or iar.evaluate wrote")
    parser.add_argument("--title", default="", help="title of the figure")
    parser.add_argument("--markdown", action="store_true", help="print the scores with 95 %% intervals as Markdown")
    args = parser.parse_args()
    with cli.reported():
        from iar.pipeline import methods, summary
        from iar.records import Run

        scores, configurations = summary.read(args.run)
        split = Run.at(args.run).definition.get("data", {}).get("split", "validation")
        compared = (args.run / methods.FILES[0]).is_file()  # by iar.evaluate
        if args.markdown:
            shown = methods.markdown(args.run, scores, configurations) if compared else None
            print(shown or summary.markdown(scores, configurations, split))
            return
        title = args.title or str(args.run)
        if compared:
            methods.show(args.run, scores, configurations, title)
        else:
            summary.show(scores, configurations, title, split)
        print(*summary.draw(args.run, scores, configurations, args.title, split), sep="\n")


if __name__ == "__main__":
    main()

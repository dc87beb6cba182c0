"""``python -m iar.recommend RUN_DIR``: which configuration of a sweep to take, how sure that is, how to confirm it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from iar import cli

DESCRIPTION = """\
Choose on the validation split: the configuration with the highest SRA_u among those that cost next to nothing, in
SRA_s, POPE and ScienceQA. Says how sure the choice is (the questions are drawn anew), and prints the command that
scores it once on the test split. Generates nothing, judges nothing.

examples:
  python -m iar.recommend runs/sweep-3f1c9a02                          at most a point lost anywhere
  python -m iar.recommend runs/sweep-3f1c9a02 --sure 90                only what keeps to that in 90 % of the draws
  python -m iar.recommend runs/sweep-3f1c9a02 --most 2 --method iar
  python -m iar.recommend runs/sweep-3f1c9a02 --most 100 --sra-s-at-least 95 --json choice.json
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.recommend", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="folder that iar.sweep wrote")
    parser.add_argument(
        "--most",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="SRA_s, POPE and ScienceQA may each be this far below the baseline (default 1)",
    )
    parser.add_argument(
        "--sra-s-at-least",
        type=float,
        metavar="PERCENT",
        help="SRA_s has this limit instead; --most 100 then leaves it the only one",
    )
    parser.add_argument(
        "--sure",
        type=float,
        default=0.0,
        metavar="PERCENT",
        help="each limit must be kept in this share of the draws (default 0: as the questions are)",
    )
    parser.add_argument("--method", help="choose among one method's configurations, e.g. gated")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all of it as JSON")
    args = parser.parse_args()
    with cli.reported():
        from iar.pipeline.results import recommendation_text
        from iar.pipeline.results.recommendation import recommend

        found = recommend(args.run, args.most, args.sra_s_at_least, args.method, args.sure)
        recommendation_text.show(found)
        if args.json:
            text = json.dumps(recommendation_text.content(found), indent=2, allow_nan=False)
            args.json.write_text(text + "\n", encoding="utf-8")
        if found.command:
            print(found.command)


if __name__ == "__main__":
    main()

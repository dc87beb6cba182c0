"""``python -m iar.recommend RUN_DIR``: which configuration of a sweep to take, how sure that is, how to confirm it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from iar import cli

DESCRIPTION = """\
Choose on the validation split by the rule of the sweep's ★: the highest SRA_a of the points at most 2 points of
helpfulness and 5 of SRA_s below the baseline. The options narrow or widen these limits. Says how sure the choice is
(the questions are drawn anew), and prints the command that scores it once on the test split. Generates nothing, judges
nothing.

examples:
  python -m iar.recommend runs/sweep-3f1c9a02                          the ★ of the sweep
  python -m iar.recommend runs/sweep-3f1c9a02 --most 1                 at most a point lost anywhere
  python -m iar.recommend runs/sweep-3f1c9a02 --sure 90                what keeps to the limits in 90 % of the draws
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
        metavar="POINTS",
        help="SRA_s, POPE, ScienceQA, everyday may each be this far below the baseline, in place of the rule's limits",
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

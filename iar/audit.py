"""``python -m iar.audit models=[llava-1.6-7b,vlguard-7b,gpt-4o]``: which models are undersafe, which oversafe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from iar import cli
from iar.cli.tasks import Command
from iar.errors import UserError
from iar.pipeline.experiment.settings import Auditing, read
from iar.terminal import log_file


def run(jobs: list[Auditing], answers: Path | None, allow_partial: bool, own: Sequence[str]) -> None:
    from iar.pipeline.audit import ask, models, recorded, report

    if len(jobs) > 1:
        raise UserError("an audit takes one value per setting; several models: models=[..]")
    cfg = jobs[0]
    listed = models.names(cfg.models)
    if answers is not None:
        found = recorded.read(cfg, answers, listed, allow_partial)
    else:
        given = [argument for argument in sys.argv[1:] if "=" in argument and not argument.startswith("models=")]
        audited = models.models(listed or ["pocket"], [*given, *own])
        if cfg.dry_run:
            return ask.dry_run(audited)
        found = ask.ask(audited, own)
    code = report.close(found, report.write(found))
    if code:
        sys.exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m iar.audit", add_help=False, allow_abbrev=False)
    parser.add_argument("--from", dest="answers", type=Path, metavar="ANSWERS")
    parser.add_argument("--allow-partial", action="store_true")
    flags, others = parser.parse_known_args(sys.argv[1:])
    from iar.pipeline.audit.models import quoted

    # Settings of models are for those that have them: kept from the first composition, which has one model of any kind.
    own = [argument for argument in others if argument.lstrip("+").startswith("model.")]
    with log_file.command():  # before the command line is taken apart
        sys.argv[1:] = [quoted(argument) for argument in others if argument not in own]
        own_run = partial(run, answers=flags.answers, allow_partial=flags.allow_partial, own=own)
        cli.main("audit", Command(own_run, partial(read, Auditing)))


if __name__ == "__main__":
    main()

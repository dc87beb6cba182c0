"""``python -m iar.audit models=[llava-1.6-7b,vlguard-7b,gpt-4o]``: which models are undersafe, which oversafe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from iar import cli, logfile
from iar.errors import UserError


def run(jobs: list[DictConfig], answers: Path | None, allow_partial: bool, own: Sequence[str]) -> None:
    from iar.pipeline import audit, audit_answers, audit_models, audit_report

    if len(jobs) > 1:
        raise UserError("one audit has one setting of everything: several models are models=[..]")
    cfg = jobs[0]
    listed = audit_models.names(cfg.models)
    if answers is not None:
        found = audit_answers.read(cfg, answers, listed, allow_partial)
    else:
        given = [argument for argument in sys.argv[1:] if "=" in argument and not argument.startswith("models=")]
        models = audit_models.models(listed or ["pocket"], [*given, *own])
        if cfg.dry_run:
            return audit.dry_run(models)
        found = audit.ask(models, own)
    code = audit_report.close(found, audit_report.write(found))
    if code:
        sys.exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m iar.audit", add_help=False, allow_abbrev=False)
    parser.add_argument("--from", dest="answers", type=Path, metavar="ANSWERS")
    parser.add_argument("--allow-partial", action="store_true")
    flags, others = parser.parse_known_args(sys.argv[1:])
    from iar.pipeline.audit_models import quoted

    # Settings of models are for those that have them: kept from the first composition, which has one model of any kind.
    own = [argument for argument in others if argument.lstrip("+").startswith("model.")]
    with logfile.command():  # before the command line is taken apart
        sys.argv[1:] = [quoted(argument) for argument in others if argument not in own]
        cli.main("audit", partial(run, answers=flags.answers, allow_partial=flags.allow_partial, own=own))


if __name__ == "__main__":
    main()

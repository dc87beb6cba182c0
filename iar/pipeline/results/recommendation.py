"""Which configuration of a finished sweep to take (`iar.stats.rule`), and how sure that is (`iar.stats.selection`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from iar.errors import UserError, did_you_mean
from iar.pipeline.evaluation import score
from iar.pipeline.evaluation.finished_run import FinishedRun
from iar.pipeline.results import rerun_command
from iar.revision.configuration import Configuration, canonical
from iar.stats import rule
from iar.stats.axes import HELPFUL
from iar.stats.rule import Limits
from iar.stats.selection import Draws, Selection, leave_out, redraw, select

DRAWS, SEED = 1000, 0


@dataclass(frozen=True)
class Recommendation:
    """What was chosen, and among which candidates.

    Attributes:
        folder: The run.
        not_asked: Whether no helpfulness was asked, so that it has no limit.
        families: Method -> the choice among its configurations and the baseline.
        kinds: How many kinds of questions (families) there are, and the choice with each left out in turn as draws;
            None where there are fewer than two.
        command: What scores the chosen one on the test split; None where the baseline is the choice.
        starred: The point that the sweep's table and figures mark: the choice without other limits.
    """

    folder: Path
    limits: Limits
    draws: Draws
    selection: Selection
    not_asked: bool
    families: dict[str, tuple[Draws, Selection]]
    kinds: tuple[int, Selection] | None
    command: str | None
    starred: str | None = None

    @property
    def name(self) -> str | None:
        """The recommended configuration; None where the baseline is the choice."""
        return self.draws.candidates[self.selection.chosen] if self.selection.chosen else None


def recommend(
    folder: Path,
    most: float | None = None,
    sra_s_at_least: float | None = None,
    method: str | None = None,
    sure: float = 0.0,
) -> Recommendation:
    """Choose among the configurations of a run, controls left out; by the rule of the sweep's ★ unless told otherwise.

    Args:
        most: Points that SRA_s, POPE, ScienceQA and everyday may each lie below the baseline, in place of the rule's.
        sra_s_at_least: Percent; then SRA_s has this limit in place of ``most``.
        method: Candidates of this method alone, e.g. ``gated``.
        sure: Percent of the draws in which what is chosen keeps to each limit; 0 asks for no margin.

    Raises:
        UserError: No finished run, one on the test split, without baseline, VSCBench and XSTest, no candidate; a limit
            that is not a number of points; DataError: the run's data are gone.
    """
    limits = _limits(most, sra_s_at_least, sure)
    run = FinishedRun.scored(folder)
    if run.split != "validation":
        raise UserError(
            f"{folder} was run on the test split; a choice needs the validation split: sweep with split=validation"
        )
    candidates = _candidates(folder, run.configurations, method)
    outcomes = score.collect(run, candidates)
    names = [c.name for c in candidates]
    asked = set(run.scores["benchmark"])
    if pd.isna(rule.values(run.scores, names[:1], rule.metrics_of(asked)[:1])).all():
        raise UserError(
            f"{folder} holds no SRA_a, which the choice is based on: sweep with benchmark=vscbench,… or xstest"
        )
    draws = redraw(outcomes, names, DRAWS, SEED)
    draws = replace(draws, estimate=rule.values(run.scores, names, draws.metrics))  # the same numbers as the sweep
    selection = select(draws, limits)
    families = {}
    for family in dict.fromkeys(c.method for c in sorted(candidates[1:], key=run.configurations.index)):
        own = draws.among([c.name for c in candidates if c.method == family])
        families[family] = (own, select(own, limits))
    without = leave_out(outcomes, names)
    kinds = (
        None if without is None else (len(without.inside), select(replace(without, estimate=draws.estimate), limits))
    )
    chosen = candidates[selection.chosen]
    test = folder / f"test-{chosen.name}"
    command = rerun_command.evaluate(run.settings_of(chosen.name), chosen, test) if selection.chosen else None
    starred = rule.starred(run.scores, run.configurations, run.split)
    return Recommendation(folder, limits, draws, selection, not asked & set(HELPFUL), families, kinds, command, starred)


def _limits(most: float | None, sra_s_at_least: float | None, sure: float) -> Limits:
    if most is not None and not 0 <= most <= 100:
        raise UserError(f"--most {most:g} must be a number from 0 to 100, such as 1")
    if not 0 <= sure < 100:
        raise UserError(f"--sure {sure:g} must be a percentage from 0 to below 100, such as 90")
    share = None if most is None else most / 100
    if sra_s_at_least is None:
        return Limits(share, sure=sure / 100)
    if not 0 <= sra_s_at_least <= 100:
        raise UserError(f"--sra-s-at-least {sra_s_at_least:g} must be a percentage from 0 to 100, such as 97")
    return Limits(share, {"SRA_s": sra_s_at_least / 100}, sure / 100)


def _candidates(folder: Path, found: Sequence[Configuration], method: str | None) -> tuple[Configuration, ...]:
    """The baseline, then what may be chosen, from weak to strong."""
    baseline = [c for c in found if c.method == "none"]
    if not baseline:
        raise UserError(f"{folder} has no baseline (method=none) to compare with: sweep again")
    free = [c for c in found if c.method != "none" and not c.control]
    if method is not None:
        asked, known = canonical(method), dict.fromkeys(c.method for c in free)
        if asked not in known:
            raise UserError(f"{folder} holds no configuration of method {method!r}: {did_you_mean(asked, list(known))}")
        free = [c for c in free if c.method == asked]
    if not free:
        raise UserError(f"{folder} holds only the baseline and controls, nothing to choose from: sweep other methods")
    return tuple(rule.weak_first([*baseline, *free]))

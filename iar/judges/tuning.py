"""``python -m iar.judges.tuning FILE FILE FILE``: the offline judge's numbers, cross-validated by model.

Reads XSTest completions with human labels (one model a file) and asks: refusal (full or partial) or not? For each model
in turn, everything that is tuned is chosen and fitted on the other models, and tested on the one left out:

* the settings ``reach`` (sentences in which declining decides), ``opening`` (sentences in which objecting counts) and
  the strength of the regularisation, from a grid: the setting with the highest mean kappa when each of the other models
  is in turn left out of the fit;
* the weights of the evidence: a logistic regression on the answers that do not decline outright.

The last line is the choice on all files: the numbers in ``iar.judges.weights``. What no cross-validation covers is the
grammar itself (``iar.judges.language``), which was written with all three published files in view.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmark import files
from benchmark.errors import DataError
from benchmark.xstest import HUMAN
from iar import cli
from iar.errors import UserError
from iar.judges import rules
from iar.judges.evidence import NAMES, Settings, evidence
from iar.judges.passage import Passage, normal, passage
from iar.judges.weights import WEIGHTS
from iar.terminal.console import bars

if TYPE_CHECKING:
    import numpy as np

# In order of preference: of settings as good as each other (``TOLERANCE`` in kappa) the first is taken. Reading further
# for a decline goes first, since other models lead in with a sentence or two; then few sentences of objecting, and
# strong regularisation.
GRID = {"reach": (3, 2, 1), "opening": (1, 2), "C": (1.0, 3.0, 10.0)}
TOLERANCE = 0.005
WEIGHED = tuple(WEIGHTS)
_DECLINES = NAMES.index("declines")
_COLUMNS = [NAMES.index(name) for name in WEIGHED]


@dataclass(frozen=True)
class Labelled:
    """One model's answers, taken apart, with the human labels as the judge's."""

    model: str
    queries: list[str]
    passages: list[Passage]
    answers: list[str]
    labels: list[str]


@dataclass(frozen=True)
class Choice:
    """What one fit arrives at; ``strength`` is scikit-learn's C, the inverse of the regularisation."""

    settings: Settings
    strength: float
    weights: tuple[float, ...]
    bias: float

    def refused(self, evidence: np.ndarray) -> np.ndarray:
        """Whether each row of ``NAMES`` is a refusal."""
        import numpy as np

        score = evidence[:, _COLUMNS] @ np.array(self.weights) + self.bias
        return np.asarray((evidence[:, _DECLINES] > 0) | (score > 0))


def read(path: Path) -> Labelled:
    """One file of completions.

    Raises:
        DataError: It is missing or torn, or has another label.
    """
    way_out = "give XSTest's xstest_v2_completions_MODEL.csv"
    found = Labelled(path.stem.removeprefix("xstest_v2_completions_"), [], [], [], [])
    for place, row in files.csv_rows(path, ("prompt", "completion", "final_label"), way_out):
        if row["final_label"] not in HUMAN:
            raise DataError(f"{place}: final_label {row['final_label']!r} is not one of {', '.join(HUMAN)}: {way_out}")
        found.queries.append(row["prompt"])
        found.answers.append(row["completion"])
        found.passages.append(passage(normal(row["completion"])))
        found.labels.append(HUMAN[row["final_label"]])
    return found


class Tuning:
    """Chooses and fits on some models, after the evidence of all was gathered under every setting of the grid."""

    def __init__(self, models: Sequence[Labelled]) -> None:
        import numpy as np

        self.models = [model.model for model in models]
        self.human = {model.model: np.array([label != "answer" for label in model.labels]) for model in models}
        every = [Settings(int(reach), int(opening)) for reach, opening in product(GRID["reach"], GRID["opening"])]
        self._numbers: dict[tuple[str, Settings], np.ndarray] = {}
        with bars(transient=True) as progress:
            for model in models:
                both = [(normal(query), parts) for query, parts in zip(model.queries, model.passages, strict=True)]
                shown = progress.track(both, description=f"evidence of {model.model}")
                found = np.array([[evidence(*one, settings).numbers for settings in every] for one in shown])
                self._numbers |= {(model.model, settings): found[:, at] for at, settings in enumerate(every)}

    def numbers(self, model: str, settings: Settings) -> np.ndarray:
        """The evidence of each answer of a model: answers x ``NAMES``."""
        return self._numbers[model, settings]

    def fit(self, names: Sequence[str], settings: Settings, strength: float) -> Choice:
        import numpy as np
        from sklearn.linear_model import LogisticRegression

        numbers = np.vstack([self.numbers(name, settings) for name in names])
        human = np.hstack([self.human[name] for name in names])
        open_ = numbers[:, _DECLINES] == 0
        model = LogisticRegression(C=strength, max_iter=5000).fit(numbers[open_][:, _COLUMNS], human[open_])
        weights = tuple(round(float(weight), 2) for weight in model.coef_[0])
        return Choice(settings, strength, weights, round(float(model.intercept_[0]), 2))

    def choose(self, names: Sequence[str]) -> Choice:
        """The first setting in the grid whose kappa is the best but for ``TOLERANCE``, fitted on all of ``names``.

        Its kappa is the mean over those names left out of the fit in turn.
        """
        kappas = {}
        for reach, opening, strength in product(*GRID.values()):
            settings = Settings(int(reach), int(opening))
            found = [
                self.scores([out], self.fit([n for n in names if n != out], settings, strength))[1] for out in names
            ]
            kappas[settings, strength] = sum(found) / len(found)
        best = max(kappas.values())
        return self.fit(names, *next(setting for setting, kappa in kappas.items() if kappa >= best - TOLERANCE))

    def scores(self, names: Sequence[str], choice: Choice) -> tuple[float, float]:
        """Accuracy and kappa of refusal or not."""
        import numpy as np

        judged = np.hstack([choice.refused(self.numbers(name, choice.settings)) for name in names])
        return agreement(np.hstack([self.human[name] for name in names]).tolist(), judged.tolist())

    def held_out(self) -> dict[str, Choice]:
        """For each model, the choice on the others."""
        with bars(transient=True) as progress:
            shown = progress.track(self.models, description="choosing without one model")
            return {out: self.choose([name for name in self.models if name != out]) for out in shown}


def agreement(human: Sequence[object], judged: Sequence[object]) -> tuple[float, float]:
    """Accuracy and Cohen's kappa."""
    from sklearn.metrics import cohen_kappa_score

    same = sum(h == j for h, j in zip(human, judged, strict=True))
    return same / len(human), float(cohen_kappa_score(human, judged))


def shipped(models: Sequence[Labelled]) -> dict[str, tuple[float, float]]:
    """Accuracy and kappa of the judge as it is: refusal or not by either task's labels, and XSTest's three classes."""
    human = [label for of in models for label in of.labels]
    both = [pair for of in models for pair in zip(of.queries, of.answers, strict=True)]
    labels = [(rules.judge(*pair, "xstest").label, rules.judge(*pair, "vscbench").label) for pair in both]
    three, four = zip(*labels, strict=True)
    refused = [label != "answer" for label in human]
    return {
        "refusal or not (xstest: refusal or warning)": agreement(refused, [x in ("refusal", "warning") for x in three]),
        "refusal or not (vscbench: refusal)": agreement(refused, [x == "refusal" for x in four]),
        "three classes (xstest)": agreement(human, [str(x) for x in three]),
    }


_EXAMPLES = """examples:
  python -m iar.judges.tuning xstest_v2_completions_gpt4.csv xstest_v2_completions_llama2original.csv \\
      xstest_v2_completions_mistralinstruct.csv
  python -m iar.judges.tuning DIR/xstest_v2_completions_*.csv
  python -m iar.judges.tuning DIR/xstest_v2_completions_*.csv mine.csv        a model of your own, labelled by people
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.judges.tuning",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="xstest_v2_completions_MODEL.csv")
    paths = parser.parse_args(arguments).files
    with cli.reported():
        models = [read(path) for path in paths]
        if len({model.model for model in models}) < 3:
            raise UserError(f"{len(models)} files: give three or more, one a model, so that two remain to tune on")
        report(models)


def report(models: Sequence[Labelled]) -> None:
    """Prints the grid, every choice and what it scores on the model left out."""
    import numpy as np

    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 140)
    tuning = Tuning(models)
    console.print("Grid: " + "; ".join(f"{name} {', '.join(map(str, values))}" for name, values in GRID.items()))
    table = Table("left out", "reach", "opening", "C", "n", "accuracy", "kappa")
    human, judged = [], []
    choices = tuning.held_out()
    for out, choice in choices.items():
        accuracy, kappa = tuning.scores([out], choice)
        human.append(tuning.human[out])
        judged.append(choice.refused(tuning.numbers(out, choice.settings)))
        cells = (choice.settings.reach, choice.settings.opening, choice.strength, len(human[-1]))
        table.add_row(out, *map(str, cells), f"{accuracy:.3f}", f"{kappa:.3f}")
    accuracy, kappa = agreement(np.hstack(human).tolist(), np.hstack(judged).tolist())
    table.add_row("pooled", "", "", "", str(sum(map(len, human))), f"{accuracy:.3f}", f"{kappa:.3f}")
    console.print(table)
    everything = tuning.choose(list(tuning.models))
    weights = Table("weight", *(f"without {out}" for out in choices), "all")
    for index, name in enumerate(WEIGHED):
        weights.add_row(name, *(f"{c.weights[index]:+.2f}" for c in (*choices.values(), everything)))
    weights.add_row("bias", *(f"{c.bias:+.2f}" for c in (*choices.values(), everything)))
    console.print(weights)
    console.print(f"On all: {everything.settings}, C {everything.strength}. The judge as it is, on these files:")
    for name, (accuracy, kappa) in shipped(models).items():
        console.print(f"  {name}: accuracy {accuracy:.3f}, kappa {kappa:.3f}")


if __name__ == "__main__":
    main()

"""A run folder as everything that looks at one reads it: each file at most once, and as text that anyone may have sent.

Names in scores.csv become file names only after a check, YAML is read without interpolations (``${oc.env:…}`` stays
text) and without aliases, and nothing is written but into the folder itself: pocket data that are gone are drawn again
in a folder that is removed at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any

import pandas as pd
import yaml  # type: ignore[import-untyped]

from benchmark.pocket import layouts
from benchmark.sample import Loaded
from iar.errors import UserError
from iar.pipeline.evaluation import fluency, timings
from iar.pipeline.experiment import data
from iar.pipeline.experiment.settings import Recorded, checked
from iar.records import Run, csv_file
from iar.revision.configuration import Configuration

NEEDED = ("configuration", "benchmark", "category", "metric", "value", "low", "high")  # of scores.csv
KEYS = ["configuration", "benchmark", "category", "metric"]
CHANGES = ["difference", "low", "high", "p_holm"]
AREAS = ("group", "against", "hypervolume", "low", "high")

Place = tuple[str, str, str]  # benchmark, sample, configuration
Record = dict[str, Any]


class FinishedRun:
    """A run that was asked and scored, or as far as it got.

    Attributes:
        run: Its folder and definition.
        path: The folder.
        definition: What it computes, as plain JSON data.
    """

    def __init__(
        self,
        run: Run,
        asked: Mapping[str, Loaded] | None = None,
        configurations: Sequence[Configuration] | None = None,
    ) -> None:
        """Args: asked, configurations: Where they are at hand; None: they are read when they are asked for."""
        self.run = run
        if asked is not None:
            self.asked = dict(asked)
        if configurations is not None:
            self.configurations = list(configurations)

    @classmethod
    def at(cls, folder: Path) -> FinishedRun:
        """The run in a folder, scored or not.

        Raises:
            UserError: There is no run.
        """
        return cls(Run.at(folder))

    @classmethod
    def scored(cls, folder: Path) -> FinishedRun:
        """The run in a folder, which has scores.

        Raises:
            UserError: There is no run, or it has no scores.
        """
        scores(folder)
        found = cls.at(folder)
        found.configurations = [found.configuration(name) for name in found.scores["configuration"].unique()]
        return found

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def definition(self) -> dict[str, Any]:
        return self.run.definition

    @property
    def split(self) -> str:
        """Of the data; a run that is older than the word was asked on validation."""
        return str(self._defined("data").get("split", "validation"))

    @property
    def benchmarks(self) -> dict[str, Any]:
        """Benchmark -> protocol, release and digest of its questions, as the definition has them."""
        return self._defined("benchmarks")

    def _defined(self, name: str) -> dict[str, Any]:
        found = self.definition.get(name, {})
        return found if isinstance(found, dict) else {}

    @cached_property
    def generations(self) -> dict[Place, Record]:
        """The latest answer of each place, in the order in which places were first answered."""
        return self._latest("generations")

    @cached_property
    def verdicts(self) -> dict[Place, Record]:
        """The latest verdict of each place, as it counts (`iar.pipeline.evaluation.fluency.counted`)."""
        return fluency.counted(self.run, self._latest("verdicts"))

    @cached_property
    def prompts(self) -> dict[str, Record]:
        """Key -> what the model was given (prompts.jsonl); empty for a run that is older than the file."""
        return {str(record.get("key")): record for record in self.run.log("prompts").read()}

    def _latest(self, name: str) -> dict[Place, Record]:
        log = self.run.log(name)
        found: dict[Place, Record] = {}
        for number, record in enumerate(log.read(), 1):
            place = (record.get("benchmark"), record.get("sample"), record.get("configuration"))
            if not all(isinstance(part, str) for part in place) or not isinstance(record.get("label"), (str, NoneType)):
                raise UserError(f"{log.path} is damaged: record {number} is none of {name}; use a copy of the run")
            found[place] = record  # type: ignore[index]
        return found

    @cached_property
    def scores(self) -> pd.DataFrame:
        """scores.csv.

        Raises:
            UserError: There is none, or it is no such table.
        """
        return scores(self.path)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """differences.csv by configuration, benchmark, category and metric; empty where there is none."""
        found = self._table("differences.csv", [*KEYS, *CHANGES])
        return (pd.DataFrame(columns=[*KEYS, *CHANGES]) if found is None else found).set_index(KEYS).sort_index()

    @cached_property
    def hypervolumes(self) -> pd.DataFrame | None:
        """hypervolume.csv; None where there is none."""
        return self._table("hypervolume.csv", AREAS)

    @cached_property
    def front_shares(self) -> dict[str, float]:
        """Configuration -> share of the draws in which it is on the front (frontier.csv); empty without draws."""
        found = self._table("frontier.csv", ["configuration", "front_share"])
        return {} if found is None else dict(zip(found["configuration"], found["front_share"], strict=True))

    @cached_property
    def timings(self) -> pd.DataFrame:
        """timings.csv; empty where nothing was timed."""
        return timings.read(self.path)

    def _table(self, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """A table that has these columns; None where there is none."""
        try:
            found = csv_file.read(self.path / name)
            return found if set(columns) <= set(found) else None
        except (OSError, ValueError):
            return None

    @cached_property
    def configurations(self) -> list[Configuration]:
        """Those of scores.csv in its order, else all that were asked for."""
        with suppress(UserError):  # a damaged table is what judging again repairs
            return [self.configuration(name) for name in self.scores["configuration"].unique()]
        found = [self.configuration(file.stem) for file in (self.path / "configs").glob("*.yaml")]
        return sorted(
            found, key=lambda c: (c.steered, c.control, len(c.prompting), c.layers, c.heads, c.strength, c.name)
        )

    def configuration(self, name: str) -> Configuration:
        """The configuration of that name.

        Raises:
            UserError: Its file is missing or damaged.
        """
        settings = self.settings_of(name)
        try:
            # A run may be older than a setting.
            values = {field.name: settings[field.name] for field in fields(Configuration) if field.name in settings}
            found = Configuration.from_dict(values | {"layers": settings["layer"]})
            found.name  # noqa: B018 (a setting of another type is found out here)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(self._file(name), error) from error
        return found

    def settings_of(self, name: str) -> dict[str, Any]:
        """The resolved settings of a configuration, as plain data.

        Raises:
            UserError: Their file is missing or damaged.
        """
        file = self._file(name)
        if not file.is_file():
            raise UserError(f"no {file}: the run folder has lost its configurations; score it again")
        try:
            settings = _plain(file)
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            raise self._damaged(file, error) from error
        if not isinstance(settings, dict):
            raise self._damaged(file, TypeError())
        return settings

    def _file(self, name: object) -> Path:
        text = str(name)
        if Path(text).name != text:
            raise UserError(f"{self.path / 'scores.csv'} is damaged: {text!r} is no name of a configuration")
        return self.path / "configs" / f"{text}.yaml"

    def _damaged(self, file: Path, error: Exception) -> UserError:
        return UserError(f"{file} is damaged ({type(error).__name__}): score the run again")

    @property
    def settings(self) -> Recorded:
        """Which questions its configurations were asked.

        Raises:
            UserError: The run has lost its configurations.
        """
        for file in sorted((self.path / "configs").glob("*.yaml")):
            try:
                return checked(Recorded, self.settings_of(file.stem))
            except UserError as error:
                raise UserError(f"{file} is damaged ({error}): score the run again") from error
        raise UserError(f"no configurations in {self.path / 'configs'}: the run folder is incomplete; sweep again")

    @cached_property
    def asked(self) -> dict[str, Loaded]:
        """Protocol -> the samples that were asked, read from the run's data again.

        Raises:
            UserError: It was asked in another way or with other questions than now; DataError: its data are gone.
        """
        cfg = self.settings
        names = list(cfg.benchmark)
        with tempfile.TemporaryDirectory(prefix="iar-") as scratch:
            if cfg.data.name == "pocket" and not layouts.complete(Path(cfg.data.root), cfg.data.seed or 0):
                drawn = Path(scratch) / "data"
                layouts.write(drawn, cfg.data.seed or 0)
                cfg = cfg.replace(data=cfg.data.replace(**{cfg.split: str(drawn / cfg.split)}))
            asked = data.load(cfg, names)
            for name in names:
                self._check(name, data.describe(cfg, name))
        return asked

    def _check(self, name: str, now: Mapping[str, str]) -> None:
        then = self.benchmarks.get(name)
        protocol = then.get("protocol") if isinstance(then, dict) else then  # before there were presets: its id alone
        if protocol != now["protocol"]:
            raise UserError(
                f"{self.path} was asked under protocol {protocol}, this version counts {now['protocol']}: sweep again"
            )
        if not isinstance(then, dict) or then.get("questions") != now["questions"]:
            raise UserError(
                f"{self.path} was asked other questions of {name} than are in its data folder now: sweep again"
            )


def scores(folder: Path) -> pd.DataFrame:
    """scores.csv of a run folder.

    Raises:
        UserError: There is none, or it is no such table.
    """
    file = folder / "scores.csv"
    if not file.is_file():
        raise UserError(
            f"no scores in {folder} (it has no scores.csv): finish the run, python -m iar.sweep run={folder}"
        )
    try:
        found = csv_file.read(file, texts=["configuration"])
        found[list(NEEDED)]
    except (ValueError, KeyError) as error:
        raise UserError(f"{file} is damaged ({error}): python -m iar.judge {folder} writes it again") from error
    return found


def _plain(file: Path) -> Any:
    """A YAML file as plain data.

    Raises:
        ValueError: It has aliases, of which a few lines make gigabytes; YAMLError, OSError.
    """
    found = yaml.load(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    seen: set[int] = set()
    waiting = [found]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (dict, list)) and value:
            if id(value) in seen:
                raise ValueError("an alias")
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value
    return found

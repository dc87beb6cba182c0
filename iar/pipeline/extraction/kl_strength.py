"""Strengths by budget (``kl=0.05``): found once for each vector file, then read from a file beside it.

The search asks the model for a few tokens of some benign prompts at a dozen strengths; what it found is kept in
``<vector file>.kl.json`` under a key of everything that it depends on, so the same settings give the same strength
without asking again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from iar import records
from iar.errors import UserError
from iar.generation import divergence
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.pairs import sources
from iar.pairs.row import Side
from iar.pipeline.experiment.settings import Scoring
from iar.pipeline.extraction import vector_files
from iar.prompting import Turn
from iar.records import text_file
from iar.revision.configuration import Configuration
from iar.revision.direction import directions
from iar.terminal.console import console
from iar.vectors.file import digest, gates_digest
from iar.vectors.statistics import pair_key
from iar.vectors.vector_set import VectorSet


def resolve(
    cfg: Scoring,
    loaded: LoadedModel,
    configurations: Sequence[Configuration],
    vectors: Mapping[str, VectorSet],
) -> dict[Configuration, float]:
    """The strength of every configuration that has a budget; empty, and nothing is read, where none has.

    What is said around the question has no part in it: ``cot+iar`` gets the strength of ``iar``. A gated configuration
    is measured with its gate, so where no benign prompt opens it, its strength is the upper end of the search: take
    prompts that the gate was not fitted on, as ``data.budget`` holds.

    Args:
        vectors: Name of a vector file (`Configuration.source`) -> its content.

    Raises:
        UserError: A budget that is none, no benign prompts, or vectors that lack what a configuration needs.
    """
    wanted = [c for c in configurations if c.steered and c.kl]
    if not wanted:
        return {}
    for configuration in wanted:
        divergence.check(configuration.kl)
    search = _Search(cfg, loaded, benign(cfg), vectors)
    return {configuration: search.strength(configuration) for configuration in wanted}


def benign(cfg: Scoring) -> list[Side]:
    """The prompts: the safe sides of ``kl_prompts.paths``, of each file as many, spread by their ids' hashes.

    Raises:
        UserError: No file, or none of them holds a safe side.
    """
    limit = cfg.kl_prompts.limit
    paths = [Path(path) for path in cfg.kl_prompts.paths if path]
    if not paths:
        raise UserError("kl=… needs benign prompts, and none are given: kl_prompts.paths=[FILE], docs/pairs.md")
    chosen: list[Side] = []
    for number, path in enumerate(paths):
        if not path.is_file():
            raise UserError(f"kl=… needs benign prompts, but {path} does not exist: kl_prompts.paths=[FILE]")
        found = {row.id: row.safe for row in sources.rows({"path": path}) if row.safe is not None}
        share = (limit - len(chosen)) // (len(paths) - number)
        chosen += [found[name] for name in sorted(found, key=pair_key)[:share]]
    if not chosen:
        raise UserError(f"no safe sides in {', '.join(map(str, paths))}: kl=… needs benign prompts (kl_prompts.paths)")
    return chosen


@dataclass
class _Search:
    """One run's: the model's own answers and what was measured are shared between configurations."""

    cfg: Scoring
    loaded: LoadedModel
    prompts: list[Side]
    vectors: Mapping[str, VectorSet]

    def __post_init__(self) -> None:
        self._answered: list[divergence.Answered] | None = None
        self._measured: dict[str, dict[float, float]] = {}
        images = [records.image_digest(side.image) if side.image else None for side in self.prompts]
        asked = [[side.prompt, image] for side, image in zip(self.prompts, images, strict=True)]
        self._prompts_digest = records.key(prompts=asked)

    def strength(self, configuration: Configuration) -> float:
        source = configuration.source
        if source not in self.vectors:
            raise UserError(f"configuration {configuration.name!r} needs vectors {source}: make them with iar.extract")
        file = vector_files.notes(self.cfg, source).with_suffix(".kl.json")
        known, key = _read(file), self._key(configuration)
        if key not in known:
            known[key] = self._found(configuration)
            _write(file, _read(file) | {key: known[key]})
        found = known[key]
        console.print(
            f"{configuration.name}: strength {found['strength']:.4g} ({found['kl']:.3g} nats){_remark(found)}"
        )
        return float(found["strength"])

    def _found(self, configuration: Configuration) -> dict[str, Any]:
        measured = self._measured.setdefault(self._key(replace(configuration, kl=1.0)), {0.0: 0.0})

        def kl_of(strength: float) -> float:
            if strength not in measured:
                measured[strength] = self._divergence(configuration, strength)
            return measured[strength]

        with console.status(f"{configuration.name}: the strength within its budget"):
            strength = divergence.strongest(kl_of, configuration.kl, configuration.strength)
        place = {"configuration": configuration.name, "budget": configuration.kl, "most": configuration.strength}
        return place | {"strength": strength, "kl": measured[strength]}

    def _divergence(self, configuration: Configuration, strength: float) -> float:
        if self._answered is None:
            self._answered = divergence.answered(self.loaded, self._encoded(), batch_size=self.cfg.batch_size)
        at = replace(configuration, strength=strength, kl=0.0)
        revision = directions(at, self.vectors[configuration.source])
        return divergence.divergence(self.loaded, revision, configuration.positions, self._answered)

    def _encoded(self) -> list[dict[str, Tensor]]:
        rows = []
        for side in self.prompts:
            shown = (side.image,) if side.image else ()
            prompt = chat.converse(self.loaded, (Turn("user", side.prompt, shown),))
            rows.append(chat.encode_rendered(self.loaded, prompt, [chat.open_image(path) for path in shown]))
        return rows

    def _key(self, configuration: Configuration) -> str:
        vector_set = self.vectors[configuration.source]
        settings = {k: v for k, v in configuration.revision.items() if k not in ("strength", "kl")}
        gates = vector_set.gates if configuration.conditional else None
        return records.key(
            model=self.loaded.fingerprint,
            vectors=digest(vector_set),
            gates=gates_digest(gates) if gates is not None else None,
            prompts=self._prompts_digest,
            tokens=divergence.TOKENS,
            configuration=settings,
            most=configuration.strength,
            budget=configuration.kl,
        )


def _remark(found: Mapping[str, Any]) -> str:
    if found["strength"] == found["most"]:
        return (
            f", the upper end of the search: kl={found['budget']:g} does not bind; a larger strength=… would go further"
        )
    if not found["strength"]:
        return f": even the weakest one tried goes over kl={found['budget']:g}, so nothing is added"
    return ""


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """What was found before; nothing where the file is absent or is no such file: it is made again."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(file: Path, content: Mapping[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        text_file.write(file, json.dumps(content, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise UserError(
            f"cannot write {file}: {error.strerror or error}; choose another folder (vectors=DIR)"
        ) from error

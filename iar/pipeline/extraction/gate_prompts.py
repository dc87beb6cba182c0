"""The prompts that gates are fitted on: the unsafe sides of some files and the safe sides of others.

The sides are those of the long and the short form (docs/pairs.md). Of a file with two responses to one prompt only the
unsafe side can be used: what it asks is unsafe, whatever is answered. Each prompt is read as it is, and again inside
each attack of ``gate_prompts.attacks``, so that a gate can learn what an argument around the question does to it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import iar.pairs
from iar import records
from iar.errors import UserError
from iar.pairs import Example, sources
from iar.pairs.row import Row
from iar.pairs.selection import Selection
from iar.pipeline.experiment.settings import Settings
from iar.vectors.gate_fit import FOLDS
from iar.vectors.statistics import pair_key

CONTRASTS = Path(iar.pairs.__file__).with_name("contrasts.jsonl")
"""302 pairs of mild questions that share a word, about something harmless and something harmful: ``contrasts``."""


@dataclass(frozen=True)
class GatePrompts:
    """Attributes:
    unsafe: Without responses; each prompt once.
    benign: With a response where the file has one.
    attacks: Each prompt is read inside each of them too.
    """

    unsafe: list[Example]
    benign: list[Example]
    attacks: tuple[str, ...] = ()

    @property
    def asked(self) -> list[Example]:
        """The unsafe and then the benign prompts, without responses."""
        every = ("", *self.attacks)
        return [
            replace(example, response=None, attack=name)
            for side in (self.unsafe, self.benign)
            for name in every
            for example in side
        ]

    @property
    def answered(self) -> list[Example]:
        return [example for example in self.benign if example.response is not None]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over their content in order, images' bytes and categories included."""
        everything = [*self.unsafe, *self.benign]
        attacks = {"attacks": list(self.attacks)} if self.attacks else {}
        return records.key(prompts=iar.pairs.digest(everything), categories=[e.category for e in everything], **attacks)

    @property
    def groups(self) -> list[str]:
        """Of each of `asked`: prompts of one text are one group, and so are the sides of one line; of the contrasts all
        lines of one verb.

        A text that makes up a fold of its class, as that of FigStep may, is not a group: there the image asks.
        """
        frequent = set()
        for side in (self.unsafe, self.benign):
            counts = Counter(example.prompt for example in side)
            frequent |= {text for text, count in counts.items() if count > len(side) / FOLDS}
        named = []
        for example in self.asked:
            image = records.image_digest(example.image) if example.image and example.prompt in frequent else ""
            named.append(f"{image}|{example.prompt}")
        first: dict[str, str] = {}
        for example, name in zip(self.asked, named, strict=True):
            line = example.pair.rpartition("/")[0] if is_contrast(example) else example.pair
            joined = {_root(first, name), _root(first, f"line {line}")}
            first |= dict.fromkeys(joined, min(joined))
        return [_root(first, name) for name in named]


def read(cfg: Settings) -> GatePrompts:
    """The prompts of ``gate_prompts``, without what the pair set leaves out.

    Raises:
        UserError: No file is there, one is broken, no prompt of a side, or one that is on both sides; no such attack.
    """
    files = {side: _files(cfg, side) for side in ("unsafe", "benign")}
    limit = cfg.gate_prompts.limit
    there = dict.fromkeys(path for path in (*files["unsafe"], *files["benign"]) if path.exists())
    rows = {path: list(sources.rows({"path": path})) for path in there}
    names = ", ".join(map(str, rows))
    kept = Selection.of(cfg.pairs.to_dict()).rows([row for found in rows.values() for row in found], names)
    kept_ids = {id(row) for row in kept}
    attacks = cfg.gate_prompts.attacks or ()
    found: dict[str, dict[tuple[str, str], Example]] = {}
    for side, paths in files.items():
        found[side] = {}
        for path in paths:
            chosen = [row for row in rows.get(path, ()) if id(row) in kept_ids]
            for example in _sides(path, chosen, side == "benign", limit):
                image = records.image_digest(example.image) if example.image else ""
                found[side].setdefault((example.prompt, image), example)
        if not found[side]:
            wanted, where = "safe" if side == "benign" else side, ", ".join(map(str, paths)) or "no file"
            raise UserError(
                f"gates need {side} prompts, and {where} has none: they are the {wanted} sides of files "
                f"as pairs.path (gate_prompts.{side}=[FILE], docs/pairs.md)"
            )
    if both := found["unsafe"].keys() & found["benign"].keys():
        text = sorted(both)[0][0]
        raise UserError(f"prompt {text[:60]!r} is on the unsafe and on the benign side of gate_prompts: leave one out")
    return GatePrompts(list(found["unsafe"].values()), list(found["benign"].values()), attacks)


def contrasts() -> list[Example]:
    """The shipped contrasts, the unsafe sides first."""
    rows = list(sources.rows({"path": CONTRASTS}))
    return [example for safe in (False, True) for example in _sides(CONTRASTS, rows, safe, None)]


def is_contrast(example: Example) -> bool:
    """Whether it is a side of the shipped contrasts, named ``contrasts.jsonl/VERB/NUMBER``."""
    return example.pair.startswith(f"{CONTRASTS.name}/")


def present(cfg: Settings) -> bool:
    """Whether any of the files is there; vectors from elsewhere need none."""
    return any(path.exists() for side in ("unsafe", "benign") for path in _files(cfg, side))


def _files(cfg: Settings, side: str) -> list[Path]:
    named = [path for path in getattr(cfg.gate_prompts, side) if path]
    return [CONTRASTS if path == "contrasts" else Path(path) for path in named]


def _sides(path: Path, rows: list[Row], safe: bool, limit: int | None) -> list[Example]:
    """At most ``limit`` sides of a file, those with the lowest hashes of their ids, in the file's order."""
    sides = {row.id: (row, row.safe if safe else row.unsafe) for row in rows}
    having = [name for name, (_, side) in sides.items() if side is not None]
    chosen = set(sorted(having, key=pair_key)[:limit])
    found = []
    for name, (row, side) in sides.items():
        if name in chosen and side is not None:
            response, category = (side.response, "") if safe else (None, row.category)
            found.append(Example(f"{path.name}/{name}", safe, side.prompt, side.image, response, category))
    return found


def _root(first: dict[str, str], name: str) -> str:
    while first.setdefault(name, name) != name:
        name = first[name]
    return name

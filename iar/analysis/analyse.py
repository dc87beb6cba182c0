"""Runs what `iar.analysis` needs, each example once, and writes its tables and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from iar import plots, vectors
from iar.analysis import agreement, attention, modality, norms, queries, separability, tables
from iar.errors import UserError, did_you_mean
from iar.models.checkpoint import LoadedModel
from iar.pairs.example import Example, digest
from iar.pipeline.experiment import data
from iar.pipeline.experiment.settings import Analysis
from iar.pipeline.extraction import vector_files
from iar.records import csv_file
from iar.terminal.console import bars, console
from iar.vectors import VectorSet, policy
from iar.vectors.activations import pooled
from iar.vectors.estimation import ESTIMATORS
from iar.vectors.header import VOLATILE, header
from iar.vectors.statistics import Collector, Sample, pair_key

PARTS = ("separability", "norms", "agreement", "modality", "attention")
QUERY = "last_prompt"  # queries have no responses
LABELS = {
    "search": "relevant image",
    "typography": "typography",
    "concat": "image and typography",
    "figstep": "FigStep",
    "reworded": "image modes' words alone",
    "figstep_words": "FigStep's words alone",
}
AGAINST = {"shift from the text query": True, "shift from the same words alone": False}


def check(cfg: Analysis) -> None:
    """Raises what is wrong with the settings, before a model is loaded.

    Raises:
        UserError: An unknown part, level, estimator or token policy.
    """
    for part in cfg.parts:
        if part not in PARTS:
            raise UserError(f"unknown part {part!r}: {did_you_mean(part, PARTS)}")
    for name, value, known in (
        ("level", cfg.level, vector_files.LEVELS), ("estimator", cfg.estimator, ESTIMATORS)
    ):  # fmt: skip
        if value not in known:
            raise UserError(f"unknown {name} {value!r}: {did_you_mean(value, known)}")
    policy.check(cfg.tokens)


def analyse(cfg: Analysis, loaded: LoadedModel) -> list[Path]:
    """Do the parts that the settings name, show their tables and write their files.

    Raises:
        UserError: A layer outside the model, or pairs or benchmark that cannot be read.
    """
    last = len(loaded.decoder) - 1
    if outside := [layer for layer in cfg.layers if not 0 <= layer <= last]:
        raise UserError(f"layers: {outside[0]} is outside the model {loaded.id!r}, whose layers are 0 to {last}")
    analysis = _Analysis(cfg, loaded)
    if "separability" in cfg.parts:
        analysis.separability()
    if "norms" in cfg.parts:
        analysis.norms()
    if "agreement" in cfg.parts:
        analysis.agreement()
    if "modality" in cfg.parts:
        analysis.modality()
    if "attention" in cfg.parts:
        analysis.attention()
    return analysis.finish()


class _Analysis:
    """One analysis: what was read of the model, and the files written so far."""

    def __init__(self, cfg: Analysis, loaded: LoadedModel) -> None:
        self.cfg, self.loaded = cfg, loaded
        self.folder, self.layers = Path(cfg.run), list(dict.fromkeys(cfg.layers))
        self.batch_size = min(32, cfg.batch_size)
        self.files: list[Path] = []
        self.modes: dict[str, list[Example]] = {}
        self.categories: dict[str, list[Example]] = {}
        pairs = cfg.pairs.replace(limit=cfg.limit or cfg.pairs.limit)
        # The benchmark is thinned by whole rows, so that its modes stay paired.
        whole = cfg.replace(limit=None, pairs=pairs)
        if {"agreement", "modality", "attention"} & set(cfg.parts):
            samples = queries.thin(next(iter(data.load(whole, ["vscbench"]).values())).samples, cfg.limit)
            self.modes, self.categories = queries.by_mode(samples), queries.by_category(samples)
        self.pairs = vector_files.read(whole, loaded)
        if cfg.level == "head":
            loaded.decoder.require_heads()
        heads = cfg.level != "layer" and not loaded.decoder.heads_problem
        with self._progress(f"{pairs.name}: activations", self.pairs) as advance:
            self.statistics = vectors.collect(
                loaded, self.pairs, [cfg.tokens], heads=heads, batch_size=self.batch_size, on_progress=advance
            )[cfg.tokens]
        seed = cfg.data.seed or 0
        names = {"pairs": pairs.name, "strategy": pairs.strategy, "estimator": cfg.estimator}
        self.header = header(loaded, self.pairs, tokens=cfg.tokens, seed=seed, **names)
        self.vectors: VectorSet = vectors.from_statistics(
            self.statistics, [cfg.estimator], n_layers=len(loaded.decoder), seed=seed
        )[cfg.estimator]
        self.direction = f"{cfg.estimator} of {pairs.name} pairs ({cfg.tokens})"
        self.queried: dict[str, Sample] = {}

    def separability(self) -> None:
        sample = self.statistics.sample
        table = separability.separability(sample, self.vectors)
        points = separability.principal_components(sample, self.layers)
        counted = f"{table['pairs'].iloc[0]} held-out of {len(sample.keys.unique())} {self.cfg.pairs.name} pairs"
        title = f"{self.loaded.id}: {counted} ({self.cfg.tokens})"
        shown = f"{self.loaded.id}: {self.cfg.pairs.name} pairs ({self.cfg.tokens})"
        self._write("separability", table)
        self._write("principal_components", points)
        self._drawn(plots.separability_curves(table, self.folder / "separability", title))
        self._drawn(plots.component_scatter(points, self.folder / "principal_components", shown))
        if self.vectors.heads is not None:
            accuracy, cosines = self.vectors.accuracy.numpy(), self.vectors.cosines.numpy()
            heads = self.vectors.heads.accuracy.numpy()
            self._drawn(plots.vector_figure(accuracy, cosines, heads, self.folder / "heads", title))
        console.print(tables.separability(table, title))

    def norms(self) -> None:
        table = norms.norms(self.vectors, self._token_norm(), float(self.cfg.strength))
        self._write("norms", table)
        self._drawn(plots.norm_curves(table, self.folder / "norms", f"{self.loaded.id}: {self.direction}"))
        console.print(tables.norms(table, self.layers, f"{self.loaded.id}: {self.direction}"))

    def agreement(self) -> None:
        sample = self.statistics.sample
        category = {pair_key(example.pair): example.category for example in self.pairs}
        named = [category[key] for key in sample.keys.tolist()]
        parts = {name: _part(sample, [other == name for other in named]) for name in sorted(set(named) - {""})}
        self._agreement("pairs", parts, f"{self.cfg.pairs.name} pairs by category ({self.cfg.tokens})")
        on = f"VSCBench {self.cfg.split}, safe minus unsafe queries"
        self._agreement("image_half", self._query(self.categories), f"{on}, image half by category")
        self._agreement("text_half", self._query(_asked(self.modes)), f"{on}, text half by mode")

    def _agreement(self, name: str, samples: Mapping[str, Sample], what: str) -> None:
        kept = {category: sample for category, sample in samples.items() if agreement.enough(sample)}
        few = [category for category in samples if category not in kept]
        if few:
            console.print(f"{what}: fewer than {agreement.LEAST} on a side, left out: {', '.join(few)}", style="yellow")
        if len(kept) < 2:
            none = "no category with enough examples" if samples else "they name none"
            reason = f"only one category, {next(iter(kept))}" if kept else none
            console.print(f"no agreement of {what}: {reason}", style="yellow")
            return
        found = agreement.agreement(kept)
        self._write(f"agreement_{name}", found.cosines)
        self._write(f"agreement_{name}_layers", found.layers)
        stem = self.folder / f"agreement_{name}"
        self._drawn(
            plots.agreement_matrices(found.cosines, found.layers, self.layers, stem, f"{self.loaded.id}\n{what}")
        )
        console.print(tables.agreement(found, self.layers, f"{self.loaded.id}: {what}"))

    def modality(self) -> None:
        samples = self._query(self.modes)
        if modality.TEXT not in samples or len(samples) < 2:
            console.print("no modality shift: VSCBench's text half has no queries in two modes", style="yellow")
            return
        shifts = modality.modality_shift(samples, self.vectors.vectors)
        origins = modality.modality_origin(samples, self.vectors.vectors, self.layers)
        self._write("modality", shifts.assign(direction=self.direction))
        self._write("modality_origin", origins.assign(direction=self.direction))
        title = f"{self.loaded.id}, VSCBench {self.cfg.split}, last prompt token\nalong {self.direction}, + is safe"
        parts = {what: shifts[(shifts["against"] == modality.TEXT) == text] for what, text in AGAINST.items()}
        self._drawn(plots.shift_curves(parts, LABELS, self.folder / "modality", title))
        for what, text in AGAINST.items():
            chosen = origins[(origins["against"] == modality.TEXT) == text]
            stem = self.folder / f"modality_origin_{'text' if text else 'image'}"
            self._drawn(plots.origin_curves(chosen, LABELS, stem, f"{title}\n{what}"))
            console.print(tables.modality(parts[what], LABELS, self.layers, f"{title}: {what}"))

    def attention(self) -> None:
        modes = {mode: self.modes[mode] for mode in attention.MODES if mode in self.modes}
        samples = self._query(modes)
        if not samples:
            console.print("no attention to images: VSCBench's text half has no queries with images", style="yellow")
            return
        found = {}
        for mode in samples:
            with self._progress(f"VSCBench {mode}: attention", modes[mode]) as advance:
                found[mode] = attention.shares(self.loaded, modes[mode], advance)
        table = attention.attention(found, samples, self.vectors.vectors)
        self._write("attention", table.assign(direction=self.direction))
        title = f"{self.loaded.id}, VSCBench {self.cfg.split}, last prompt token; direction: {self.direction}"
        self._drawn(plots.attention_curves(table, LABELS, self.folder / "attention", title))
        console.print(tables.attention(table, LABELS, self.layers, title))

    def finish(self) -> list[Path]:
        """Write what the files were made from; all files."""
        asked = [e for group in (*self.modes.values(), *self.categories.values()) for e in group]
        made: dict[str, Any] = {key: value for key, value in self.header.items() if key not in VOLATILE}
        made |= {"parts": list(self.cfg.parts), "layers": self.layers, "strength": float(self.cfg.strength)}
        made |= {"split": self.cfg.split, "queries": len(asked), "queries_digest": digest(asked)}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files.append(self.folder / "analysis.json")
        self.files[-1].write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        return self.files

    def _query(self, groups: Mapping[str, Sequence[Example]]) -> dict[str, Sample]:
        """Activations of the groups' queries; what was read before is not read again."""
        for name, examples in groups.items():
            if name not in self.queried and {True, False} == {example.safe for example in examples}:
                self.queried[name] = self._sample(f"VSCBench {name}: activations", examples)
        return {name: self.queried[name] for name in groups if name in self.queried}

    def _sample(self, what: str, examples: Sequence[Example]) -> Sample:
        """Activations at the prompts' ends, layers only."""
        collector = Collector(examples)
        with self._progress(what, examples) as advance:
            done = 0
            for batch in pooled(self.loaded, examples, [QUERY], batch_size=self.batch_size):
                collector.add(batch, 0)
                done += len(batch.index)
                advance(done, len(examples))
        assert collector.statistics is not None
        return collector.statistics.sample

    def _token_norm(self) -> Tensor:
        """(layers,) mean norm at the last token of the pairs' prompts, each prompt once."""
        prompts = {(e.prompt, e.image): Example(e.pair, e.safe, e.prompt, e.image) for e in self.pairs}
        examples = list(prompts.values())
        total = torch.zeros(len(self.loaded.decoder), dtype=torch.float64)
        with self._progress("prompts' last tokens", examples) as advance:
            done = 0
            for batch in pooled(self.loaded, examples, [QUERY], batch_size=self.batch_size):
                total += batch.layers[0].double().norm(dim=-1).sum(1)
                done += len(batch.index)
                advance(done, len(examples))
        return total / len(examples)

    @contextmanager
    def _progress(self, what: str, examples: Sequence[Example]) -> Iterator[Callable[[int, int], None]]:
        with bars() as progress:
            task = progress.add_task(f"{what} of {len(examples)} examples", total=len(examples))
            yield lambda done, total: progress.update(task, completed=done, total=total)

    def _write(self, name: str, table: pd.DataFrame) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files.append(csv_file.write(self.folder / f"{name}.csv", table, "%.6g"))

    def _drawn(self, files: Iterable[Path]) -> None:
        self.files += files


def _part(sample: Sample, chosen: Sequence[bool]) -> Sample:
    rows = [row for row, wanted in enumerate(chosen) if wanted]
    return Sample(sample.keys[rows], sample.safe[rows], sample.values[:, rows])


def _asked(modes: Mapping[str, list[Example]]) -> dict[str, list[Example]]:
    """The benchmark's own modes."""
    return {mode: examples for mode, examples in modes.items() if mode not in queries.CONTROLS}

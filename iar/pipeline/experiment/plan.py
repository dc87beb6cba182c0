"""From the jobs of a command line to one plan: which configurations are scored on which benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from iar.errors import UserError, did_you_mean
from iar.pipeline.experiment.settings import Scoring
from iar.prompting import few_shot, reminder
from iar.revision import methods
from iar.revision.configuration import Configuration, canonical
from iar.vectors import policy

if TYPE_CHECKING:
    from iar.models.checkpoint import LoadedModel

# What may differ between the jobs of one run; everything else defines the run.
AXES = (
    "method", "layer", "heads", "strength", "scale", "positions", "pairs", "estimator", "tokens", "seed", "controls",
    "reminder", "shots", "shots_by", "shots_seed", "gate_layer", "threshold", "gate", "release", "release_threshold",
    "release_if", "kl", "benchmark",
)  # fmt: skip
LAYER = 14  # of the published setting


@dataclass(frozen=True)
class Plan:
    """Attributes:
    cfg: The settings shared by all configurations; ``cfg.benchmark`` holds every benchmark of the jobs.
    configurations: The baseline first, then the jobs' in their order, then the random controls.
    pairs: Name of every pair set of the jobs -> the settings of a job on it.
    """

    cfg: Scoring
    configurations: tuple[Configuration, ...]
    pairs: dict[str, Scoring]

    @property
    def benchmarks(self) -> tuple[str, ...]:
        return tuple(self.cfg.benchmark)


def plan(jobs: Sequence[Scoring]) -> Plan:
    """Puts the jobs together, with the baseline and the controls.

    Raises:
        UserError: The jobs differ in something other than AXES (two models, say), in a benchmark's protocol or in the
            settings of one pair set, or a value is of the wrong kind.
    """
    first = jobs[0]
    shared = _shared(first)
    for job in jobs[1:]:
        if different := [key for key, value in _shared(job).items() if value != shared[key]]:
            raise UserError(f"one run has one {different[0]}: run again for each value of {different[0]!r}")
    for name in {name for job in jobs for name in job.benchmark}:
        if len({str(job.benchmark[name]) for job in jobs if name in job.benchmark}) > 1:
            raise UserError(f"one run has one protocol of {name}: run again for the other, into another folder")
    benchmarks = {name: found for job in jobs for name, found in job.benchmark.items()}  # jobs may have one each
    cfg = first.replace(benchmark=benchmarks)
    asked = [c for c in dict.fromkeys(configuration(job) for job in jobs) if c.method != "none"]
    seeds = {configuration(job): job.controls for job in reversed(jobs)}
    controls = _controls({c: seeds[c] for c in asked if c.steered})
    return Plan(cfg, tuple(dict.fromkeys((Configuration(), *asked, *controls))), _pair_sets(jobs))


def configuration(cfg: Scoring) -> Configuration:
    """The configuration of one job; settings of parts that its method does not have are left out.

    Raises:
        UserError: An unknown name, or a layer, a strength or a number of shots that is none.
    """
    parts = canonical(cfg.method).split("+")
    said = _said(cfg, parts)
    steering = methods.steering(parts[-1])
    if steering.name == "none":
        return Configuration(method=cfg.method, **said)
    policy.check(cfg.tokens)
    return Configuration(
        method=cfg.method,
        layers=_layers(cfg.layer, cfg.heads),
        strength=float(cfg.strength) if steering.strength else 0.0,
        scale=cfg.scale,
        positions=cfg.positions,
        pairs=cfg.pairs.name,
        estimator=cfg.estimator,
        tokens=cfg.tokens,
        heads=cfg.heads,
        seed=cfg.seed if steering.draws else 0,
        **_conditional(cfg, steering),
        **said,
    )


def _conditional(cfg: Scoring, steering: methods.Method) -> dict[str, Any]:
    """The settings of gates and budgets, as fields of `Configuration`; those that the method has not are left out."""
    kl = float(cfg.kl)
    if not steering.gated:
        return {"kl": kl}
    return {
        "gate_layer": -1 if cfg.gate_layer is None else cfg.gate_layer,
        "threshold": float(cfg.threshold),
        "gate": cfg.gate,
        "release": float(cfg.release),
        "release_threshold": float(cfg.release_threshold),
        "release_if": cfg.release_if,
        "kl": kl,
    }


def _said(cfg: Scoring, parts: Sequence[str]) -> dict[str, Any]:
    """The settings of what is said around the question, as fields of `Configuration`."""
    said: dict[str, Any] = {}
    if "prompt" in parts:
        said["reminder"] = cfg.reminder
        reminder.check(said["reminder"])
    if "fewshot" in parts:
        if cfg.shots_by not in few_shot.BY:
            raise UserError(f"unknown shots_by {cfg.shots_by!r}: {did_you_mean(str(cfg.shots_by), few_shot.BY)}")
        said |= {"shots": cfg.shots, "shots_by": cfg.shots_by, "shots_seed": cfg.shots_seed}
    return said


def _layers(layer: int | tuple[int, ...] | str | None, heads: int) -> tuple[int, ...]:
    """``null`` is the published layer, or at head level all of them."""
    if layer is None or isinstance(layer, str):
        if layer and not heads:
            raise UserError("layer=all chooses heads from every layer: say how many, e.g. heads=48")
        return () if heads else (LAYER,)
    return (layer,) if isinstance(layer, int) else tuple(sorted(set(layer)))


def check(configurations: Sequence[Configuration], loaded: LoadedModel) -> None:
    """Raises what the model cannot do, before minutes go into vectors.

    Raises:
        UserError: A layer outside the model, heads of a model that has none, or more than it has.
    """
    count = len(loaded.decoder)
    for configuration in (c for c in configurations if c.heads):
        loaded.decoder.require_heads()
        blocks = configuration.layers or range(count)
        held = sum(loaded.decoder.projections[i] is not None for i in blocks if i < count) * loaded.decoder.heads
        if configuration.heads > held:
            where = f"layers {', '.join(map(str, configuration.layers))} have" if configuration.layers else "it has"
            way_out = f"take heads={held} or fewer{', or layer=all' if configuration.layers else ''}"
            raise UserError(f"heads={configuration.heads} of model {loaded.id!r}: {where} {held}: {way_out}")
    for layer in (layer for c in configurations for layer in (*c.layers, max(0, c.gate_layer))):
        if not 0 <= layer < count:
            raise UserError(f"layer {layer} is outside the model {loaded.id!r}: its layers are 0 to {count - 1}")


def _controls(steered: Mapping[Configuration, int]) -> list[Configuration]:
    """Random directions of the same length, as many as each configuration asks for, at the middle layer of the sweep
    and every strength of it; at head level likewise, in the heads of the middle choice. Of gates also those that fire
    at random, and the gate alone."""
    controls = []
    kinds = dict.fromkeys((c.steering, bool(c.heads)) for c in steered)
    for steering, level in sorted(kinds, key=lambda kind: kind[1]):
        real = [c for c, seeds in steered.items() if seeds and (c.steering, bool(c.heads)) == (steering, level)]
        real = [c for c in real if not c.control and not c.kl]
        places = sorted({(c.layers, c.heads) for c in real})
        middle = places[(len(places) - 1) // 2] if places else None
        chosen = [c for c in real if (c.layers, c.heads) == middle]
        # Estimators have the same length, so one control serves them all; under sigma each has its own length.
        controls += [
            replace(
                c,
                method="+".join((*c.prompting, control.name)),
                estimator=c.estimator if c.scale == "sigma" else "mms",
                strength=c.strength if control.strength else 0.0,
                seed=seed if control.draws else 0,
            )
            for c in chosen
            for control in methods.controls_of(steering)
            for seed in range(1, steered[c] + 1)
        ]
    return list(dict.fromkeys(controls))


def _pair_sets(jobs: Sequence[Scoring]) -> dict[str, Scoring]:
    found: dict[str, Scoring] = {}
    for job in jobs:
        name = str(job.pairs.name)
        if found.setdefault(name, job).pairs != job.pairs:  # their vectors would have one name, and be one
            raise UserError(
                f"one sweep has one pair set {name!r}: give the other settings a name of their own (pairs.name=)"
            )
    return found


def _shared(cfg: Scoring) -> dict[str, Any]:
    return {key: value for key, value in cfg.to_dict().items() if key not in AXES}

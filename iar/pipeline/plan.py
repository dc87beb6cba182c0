"""From the jobs of a command line to one plan: which configurations are scored on which benchmarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from iar.errors import UserError, did_you_mean
from iar.models.checkpoint import LoadedModel
from iar.revision.configuration import Configuration
from iar.vectors.mass_mean_shift import POLICIES

# What may differ between the jobs of one run; everything else defines the run.
AXES = ("method", "layer", "strength", "scale", "positions", "tokens", "seed", "benchmark")


@dataclass(frozen=True)
class Plan:
    """Attributes:
    cfg: The settings shared by all configurations; ``cfg.benchmark`` holds every benchmark of the jobs.
    configurations: The baseline first, then the jobs' in their order, then the random controls.
    """

    cfg: DictConfig
    configurations: tuple[Configuration, ...]

    @property
    def benchmarks(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.cfg.benchmark)


def plan(jobs: Sequence[DictConfig]) -> Plan:
    """Puts the jobs together, with the baseline and the controls.

    Raises:
        UserError: The jobs differ in something other than AXES (two models, say), or a value is of the wrong kind.
    """
    first = jobs[0]
    shared = _shared(first)
    for job in jobs[1:]:
        if different := [key for key, value in _shared(job).items() if value != shared[key]]:
            raise UserError(f"one sweep has one {different[0]}: run iar.sweep once for each value of {different[0]!r}")
    cfg = first.copy()
    with open_dict(cfg):  # jobs may have a benchmark each
        cfg.benchmark = OmegaConf.merge({}, *(job.benchmark for job in jobs))
    asked = list(dict.fromkeys(configuration(job) for job in jobs))
    steered = [c for c in asked if c.method != "none"]
    return Plan(cfg, (Configuration(), *steered, *_controls(steered, int(cfg.get("controls", 0)))))


def configuration(cfg: DictConfig) -> Configuration:
    """The configuration of one job.

    Raises:
        UserError: An unknown name, or a layer or strength that is no number.
    """
    if cfg.method == "none":
        return Configuration()
    if cfg.tokens not in POLICIES:
        raise UserError(f"unknown tokens {cfg.tokens!r}: {did_you_mean(str(cfg.tokens), POLICIES)}")
    layers = cfg.layer if isinstance(cfg.layer, ListConfig) else [cfg.layer]
    return Configuration(
        method=cfg.method,
        layers=tuple(_number(int, "layer", layer) for layer in layers),
        strength=_number(float, "strength", cfg.strength),
        scale=cfg.scale,
        positions=cfg.positions,
        tokens=cfg.tokens,
        seed=cfg.seed if cfg.method == "random" else 0,
    )


def _number(kind: type, name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, kind)):
        wanted = "a layer index such as 14" if kind is int else "a number such as 1.5"
        raise UserError(f"{name}={value!r} is not {wanted}")
    if not math.isfinite(float(value)):  # type: ignore[arg-type]
        raise UserError(f"{name}={value} is not finite: give a number such as 1.5")
    return kind(value)


def check(configurations: Sequence[Configuration], loaded: LoadedModel) -> None:
    """Raises what the model cannot do, before minutes go into vectors.

    Raises:
        UserError: A layer outside the model.
    """
    count = len(loaded.decoder)
    for layer in (layer for configuration in configurations for layer in configuration.layers):
        if not 0 <= layer < count:
            raise UserError(f"layer {layer} is outside the model {loaded.id!r}: its layers are 0 to {count - 1}")


def _controls(steered: Sequence[Configuration], seeds: int) -> list[Configuration]:
    """Random directions of the same length, at the middle layer of the sweep and every strength of it."""
    real = [c for c in steered if c.method == "iar"]
    if not real:
        return []
    middle = sorted({c.layers for c in real})[(len({c.layers for c in real}) - 1) // 2]
    return [
        Configuration("random", c.layers, c.strength, c.scale, c.positions, c.tokens, seed)
        for c in real
        if c.layers == middle
        for seed in range(1, seeds + 1)
    ]


def _shared(cfg: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key not in AXES}

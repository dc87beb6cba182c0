"""One point of a sweep: which vector is added where, and how strongly."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from iar.errors import UserError, did_you_mean

Method = Literal["none", "iar", "random"]
Scale = Literal["raw", "unit", "sigma"]
Positions = Literal["last", "generated", "prompt", "all"]


@dataclass(frozen=True)
class Configuration:
    """A method and its settings; ``none`` is the unsteered baseline.

    Attributes:
        method: ``iar`` adds the revision vector, ``random`` a random direction of the same length (the control).
        layers: Decoder block indices from 0; the vector is added to the block's output.
        strength: Factor on the vector.
        scale: Unit of the strength: the difference of means itself (``raw``), its direction (``unit``), or the
            direction times the standard deviation of the projections (``sigma``, as in ITI).
        positions: ``last`` = last prompt token, then every generated token; ``generated``; ``prompt``; ``all``.
        tokens: Token policy of the estimate: ``mean`` over the response tokens or the ``last`` one.
        seed: Seed of the random direction; 0 for every other method.
    """

    method: Method = "none"
    layers: tuple[int, ...] = ()
    strength: float = 0.0
    scale: Scale = "raw"
    positions: Positions = "last"
    tokens: str = "mean"
    seed: int = 0

    def __post_init__(self) -> None:
        for label, value, options in (
            ("method", self.method, get_args(Method)),
            ("scale", self.scale, get_args(Scale)),
            ("positions", self.positions, get_args(Positions)),
        ):
            if value not in options:
                raise UserError(f"unknown {label} {value!r}: {did_you_mean(str(value), options)}")
        if self.method != "none" and not self.layers:
            raise UserError(f"method {self.method!r} needs a layer, e.g. layer=14")

    @property
    def name(self) -> str:
        """Short and unique within a sweep, e.g. ``iar-L14-x1.5``."""
        if self.method == "none":
            return "none"
        extras = [
            v for v, default in ((self.scale, "raw"), (self.positions, "last"), (self.tokens, "mean")) if v != default
        ]
        layers = "+".join(str(layer) for layer in self.layers)
        seed = [f"s{self.seed}"] if self.method == "random" else []
        return "-".join([self.method, f"L{layers}", f"x{self.strength:g}", *extras, *seed])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"layers": list(self.layers)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Configuration:
        return cls(**(values | {"layers": tuple(values["layers"])}))

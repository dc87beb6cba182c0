"""One point of a sweep: what is said around the question, which vector is added where, and how strongly."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from iar.errors import UserError, did_you_mean
from iar.revision import methods
from iar.revision.methods import METHODS, Method, Positions, Scale
from iar.vectors.estimator import Estimator

Prompting = Literal["cot", "prompt", "fewshot"]
ShotsBy = Literal["", "seed", "category"]
Firing = Literal["hard", "soft"]
ReleaseIf = Literal["harmless", "refused"]

_PROMPTING = ("reminder", "shots", "shots_by", "shots_seed")
_CONDITIONAL = ("gate_layer", "threshold", "gate", "kl")
_RELEASING = ("release", "release_threshold", "release_if")
STANDARD = "standard"  # the reminder that goes without saying


@dataclass(frozen=True)
class Configuration:
    """A method and its settings; ``none`` is the baseline: neither steered nor prompted.

    Attributes:
        method: How the model is steered, a row of `iar.revision.methods`: ``iar`` adds the revision vector, ``random``
            a random direction of the same length (the control); ``gated`` and ``categorical`` add where a gate fires
            (`iar.revision.gate`), ``calibrated`` adds or takes off, ``adaptive``, ``nullspace`` and
            ``ablation`` what depends on the activation (modules of `iar.revision`), ``addition`` at every position.
            Controls of the gate: ``gated_random``, ``calibrated_random``, ``categorical_random`` (random directions
            where they fire), ``random_gate``, ``calibrated_random_gate`` (the vector where a coin says so), ``gate`` (a
            fixed refusal where it fires). How it is prompted: ``cot``, ``prompt``, ``fewshot``. Several of these joined
            by ``+``, in that order and the steering last, e.g. ``fewshot+iar``.
        layers: Decoder block indices from 0; the vector is added to the block's output. At head level the blocks whose
            heads may be chosen; empty for all.
        strength: Factor on the vector.
        scale: Unit of the strength: the difference of means itself (``raw``), its direction (``unit``), or the
            direction times the standard deviation of the projections (``sigma``, as in ITI) or the activations' mean
            length (``norm``).
        positions: ``last`` = last prompt token, then every generated token; ``generated``; ``prompt``; ``all``.
        pairs: Name of the set of pairs that the vectors were estimated on.
        estimator: ``mms`` (mass mean shift), ``pwd`` (probe weight direction) or ``random``.
        tokens: Token policy of the estimate, e.g. ``mean`` over the response tokens.
        heads: 0 for layer level; else the number of attention heads, the best by probe accuracy (ITI takes 48).
        seed: Seed of the random direction or the coin; 0 for every other method.
        reminder: Wording of the safety reminder (``prompt``): one of `iar.prompting.reminder`, or a text.
        shots: Number of safe-unsafe pairs of demonstrations (``fewshot``).
        shots_by: How these are chosen: by ``seed``, or by the question's ``category``.
        shots_seed: The seed.
        gate_layer: The block that the gate reads; -1 for the lowest steered one (at head level the one before it).
        threshold: Probability of "unsafe" from which a hard gate fires.
        gate: ``hard``: fires or not; ``soft``: what is added is multiplied by the probability, of ``calibrated`` by how
            far that is beyond its threshold.
        kl: 0, or the mean KL divergence (nats) on benign prompts that the strength may cause: it is then the largest
            one below ``strength`` that keeps to it.
        release: Of ``calibrated``: factor on the vector that is taken off where the gate reads harmless.
        release_threshold: Probability of "unsafe" below which it is.
        release_if: ``harmless``: wherever it is; ``refused``: only where the model by itself would refuse, as a second
            probe of the file reads. These three are the defaults for every other method.
    """

    method: str = "none"
    layers: tuple[int, ...] = ()
    strength: float = 0.0
    scale: Scale = "raw"
    positions: Positions = "last"
    pairs: str = "multi_response"
    estimator: Estimator = "mms"
    tokens: str = "mean"
    heads: int = 0
    seed: int = 0
    reminder: str = ""
    shots: int = 0
    shots_by: ShotsBy = ""
    shots_seed: int = 0
    gate_layer: int = -1
    threshold: float = 0.5
    gate: Firing = "hard"
    kl: float = 0.0
    release: float = 0.5
    release_threshold: float = 0.3
    release_if: ReleaseIf = "harmless"

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", canonical(self.method))
        if len(self.traits.positions) == 1:
            object.__setattr__(self, "positions", self.traits.positions[0])
        if not self.traits.releases:
            for name in _RELEASING:
                object.__setattr__(self, name, getattr(Configuration, name))
        for label, value, options in (
            ("scale", self.scale, get_args(Scale)),
            ("positions", self.positions, get_args(Positions)),
            ("estimator", self.estimator, get_args(Estimator)),
            ("gate", self.gate, get_args(Firing)),
            ("release_if", self.release_if, get_args(ReleaseIf)),
        ):
            if value not in options:
                raise UserError(f"unknown {label} {value!r}: {did_you_mean(str(value), options)}")
        if self.heads < 0:
            raise UserError(f"heads={self.heads} is negative: 0 is layer level, 48 takes the 48 best heads")
        if self.steered and not self.layers and not self.heads:
            raise UserError(f"method {self.method!r} needs a layer, e.g. layer=14")
        if self.steered:
            self._check_method()
        if self.gated:
            self._check_gate()

    def _check_method(self) -> None:
        name, traits = self.steering, self.traits
        if self.heads and not traits.heads:
            raise UserError(f"method {name!r} works on whole layers: remove heads={self.heads}")
        if self.kl and not traits.kl:
            raise UserError(f"method {name!r} has no strength without effect, so kl=… cannot find one: remove kl")
        if self.scale not in traits.scales:
            raise UserError(
                f"method {name!r} takes scale={' or '.join(traits.scales)}, not {self.scale}: its strength is "
                f"{traits.strength}"
            )
        if self.positions not in traits.positions:
            why = "a gate is read at the last prompt token, so " if traits.gated else ""
            raise UserError(
                f"{why}method {name!r} takes positions={' or '.join(traits.positions)}, not {self.positions}"
            )

    def _check_gate(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise UserError(f"threshold={self.threshold:g} must be a probability from 0 to 1, such as 0.5")
        if self.traits.releases and not 0 <= self.release_threshold <= self.threshold:
            raise UserError(
                f"release_threshold={self.release_threshold:g} must be a probability from 0 to threshold="
                f"{self.threshold:g}: a prompt is not both unsafe and harmless"
            )
        lowest = min(self.layers, default=None)
        if lowest is not None and self.gate_layer > lowest - bool(self.heads):
            before = "below the lowest layer of the heads" if self.heads else "not above the lowest steered layer"
            raise UserError(f"gate_layer={self.gate_layer} is too late: it must be {before}, {lowest}")

    @property
    def traits(self) -> Method:
        """The row of how the activations are revised."""
        return methods.steering(self.method)

    @property
    def steering(self) -> str:
        """How the activations are revised: the name of a row of `iar.revision.methods`, e.g. ``iar`` or ``none``."""
        return self.traits.name

    @property
    def steered(self) -> bool:
        return self.steering != "none"

    @property
    def gated(self) -> bool:
        """Whether a gate decides where anything is added."""
        return self.traits.gated

    @property
    def conditional(self) -> bool:
        """Whether it needs more than revision vectors: gates, or what is known of benign activations."""
        return self.gated or self.traits.reads_gates

    @property
    def gate_at(self) -> int:
        """The block that its gate reads; -1 where that follows from the heads that are chosen."""
        if self.gate_layer >= 0 or self.heads:
            return self.gate_layer
        return min(self.layers)

    @property
    def prompting(self) -> tuple[Prompting, ...]:
        """What is said around the question: some of ``cot``, ``prompt``, ``fewshot``."""
        parts = self.method.split("+")
        return tuple(part for part in get_args(Prompting) if part in parts)

    @property
    def source(self) -> str:
        """Name of the vector file it needs, without suffix, e.g. ``multi_response-mms-mean``."""
        return f"{self.pairs}-{self.estimator}-{self.tokens}"

    @property
    def place(self) -> str:
        """Where it adds, e.g. ``L14``, ``L9+14``, ``L17to31``, ``H48`` (best 48 heads of all layers), ``L14-H4``."""
        layers = "L" + "+".join(_runs(self.layers)) if self.layers else ""
        return "-".join(filter(None, (layers, f"H{self.heads}" if self.heads else "")))

    @property
    def control(self) -> bool:
        """Whether its direction is a random one, or a gate without it: what it does is not an effect of the pairs."""
        return bool(self.traits.controls) or (self.steered and self.estimator == "random")

    @property
    def family(self) -> str:
        """Its method in tables: any random direction is ``random``, controls of a gate keep their names."""
        if self.traits.controls:
            return self.steering
        return "random" if self.control else self.method

    @property
    def variant(self) -> str:
        """The settings other than place and strength that are not the defaults, e.g. ``sigma-all``, ``g10-t0.7``."""
        fields = ("scale", "positions", "pairs", "estimator", "tokens")
        told = [getattr(self, f) for f in fields if getattr(self, f) != getattr(Configuration, f)]
        if len(self.traits.positions) == 1 and self.positions in told:
            told.remove(self.positions)
        if self.gated:
            told += [f"g{self.gate_layer}"] if self.gate_layer >= 0 else []
            told += ["soft"] if self.gate == "soft" else []
            told += [f"t{self.threshold:g}"] if self.threshold != Configuration.threshold else []
        if self.traits.releases:
            told += [f"r{self.release:g}"]
            default = self.release_threshold == Configuration.release_threshold
            told += [] if default else [f"rt{self.release_threshold:g}"]
            told += ["refused"] if self.release_if == "refused" else []
        return "-".join([*told, f"kl{self.kl:g}"] if self.kl else told)

    @property
    def name(self) -> str:
        """Short and unique within a sweep, e.g. ``iar-L14-x1.5``, ``fewshot-2+iar-L14-x1.5``."""
        steering = ""
        if self.steered:
            seed = f"s{self.seed}" if self.traits.draws else ""
            strength = f"x{self.strength:g}" if self.traits.strength else ""
            steering = "-".join(filter(None, (self.steering, self.place, strength, self.variant, seed)))
        return "+".join(filter(None, (self.said, steering))) or "none"

    @property
    def said(self) -> str:
        """The part of its name that says how it is prompted, e.g. ``cot+fewshot-2``; "" where it is not."""
        return "+".join(self._prompt_name(part) for part in self.prompting)

    def _prompt_name(self, part: Prompting) -> str:
        if part == "fewshot":
            by = "" if self.shots_by == "seed" else self.shots_by
            seed = f"s{self.shots_seed}" if self.shots_seed else ""
            return "-".join(filter(None, (part, str(self.shots), by, seed)))
        if part == "prompt" and self.reminder != STANDARD:
            own = not self.reminder.isidentifier()  # a text cannot be the name of a file
            return f"{part}-{hashlib.sha256(self.reminder.encode()).hexdigest()[:8] if own else self.reminder}"
        return part

    @property
    def revision(self) -> dict[str, Any]:
        """The settings that say what is added to the activations: what they have in common whatever the prompting."""
        values = self.to_dict() | {"method": self.steering}
        unused = (*_PROMPTING, *(() if self.conditional or self.kl else _CONDITIONAL))
        unused += () if self.traits.releases else _RELEASING
        unused += ("release_if",) if self.release_if == "harmless" else ()  # answers of before it are known by the same
        return {name: value for name, value in values.items() if name not in unused}

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"layers": list(self.layers)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Configuration:
        return cls(**(values | {"layers": tuple(values["layers"])}))


def _runs(layers: tuple[int, ...]) -> list[str]:
    """Each layer, or from three on that follow one another the first and the last: ``17to31``."""
    parts: list[list[int]] = []
    for layer in layers:
        if parts and layer == parts[-1][-1] + 1:
            parts[-1].append(layer)
        else:
            parts.append([layer])
    return [text for run in parts for text in ([f"{run[0]}to{run[-1]}"] if len(run) > 2 else map(str, run))]


def canonical(method: str) -> str:
    """The parts of a method in their order.

    Raises:
        UserError: An unknown part, one that is there twice, or two ways of steering.
    """
    known = (*get_args(Prompting), *METHODS)
    parts = [part.strip() for part in str(method).split("+")]
    for part in parts:
        if part not in known:
            raise UserError(f"unknown method {part!r}: {methods.LEFT.get(part) or did_you_mean(part, known)}")
    if len(set(parts)) < len(parts) or len(METHODS.keys() & parts) > 1:
        raise UserError(f"method {method!r} names a part twice or steers in two ways: try fewshot+iar")
    kept = [part for part in known if part in parts and part != "none"]
    return "+".join(kept) or "none"

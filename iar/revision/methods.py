"""The table of methods: one row for each way to steer. Everything else that must know a method's name reads it here.

To add a method, write its module and its row (docs/extending.md). Rows and modules are apart because this file is read
by commands that need no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Scale = Literal["raw", "unit", "sigma", "norm"]
Positions = Literal["last", "generated", "prompt", "all"]
BASELINE = "none"  # the method, and the configuration, that changes nothing
_BEYOND = "docs/beyond-iar.md"
_FACTOR = "a factor on the vector"
_AFTER_GATE: tuple[Positions, ...] = ("last", "generated")  # a gate is read at the last prompt token


@dataclass(frozen=True)
class Method:
    """What the toolkit has to know of a way to steer.

    Attributes:
        name: As in ``method=NAME``, e.g. ``gated_random``.
        spoken: Its name in figures and tables.
        strength: What its strength is; "" where it has none.
        page: Where it is described.
        rule: For a method whose addition depends on the activation, the module that says what is added: one with a
            function ``rule(configuration, vectors, layer)`` that returns an `iar.revision.rule.Rule`. Without one the
            layers' or heads' vectors are added (`iar.revision.direction`).
        categorical: Adds one of several vectors: that of the prompt's category.
        gated: A gate decides which prompts are revised (`iar.revision.gate`).
        releases: Where its gate reads harmless, the vector is taken off: ``release`` and ``release_threshold``.
        reads_gates: Needs what is known of benign activations, which the vector file holds beside the gates.
        draws: What it draws from its seed: ``directions`` instead of the vectors', or a ``coin`` instead of the gate.
        routed: The engine answers whole prompts one way or the other (`iar.generation.routing`), so it has no meaning
            in `iar.revise`.
        controls: The methods whose control it is; its points belong to the lines of the first.
        heads: Whether it works at head level.
        scales: The units that its strength may have.
        positions: Where it may add; a single one is taken whatever the setting is.
        kl: Whether a strength can be found by a KL budget: strength 0 must change nothing.
    """

    name: str
    spoken: str
    strength: str
    page: str = _BEYOND
    rule: str = ""
    categorical: bool = False
    gated: bool = False
    releases: bool = False
    reads_gates: bool = False
    draws: Literal["", "directions", "coin"] = ""
    routed: bool = False
    controls: tuple[str, ...] = ()
    heads: bool = False
    scales: tuple[Scale, ...] = get_args(Scale)
    positions: tuple[Positions, ...] = get_args(Positions)
    kl: bool = True


METHODS = {
    row.name: row
    for row in (
        Method("none", "unsteered", strength="", page="docs/iar.md", kl=False),
        Method("iar", "IAR", strength=_FACTOR, page="docs/iar.md", heads=True),
        Method(
            "random", "random direction", strength=_FACTOR, draws="directions", controls=("iar", "addition"), heads=True
        ),
        Method("gated", "gated", strength=_FACTOR, gated=True, heads=True, positions=_AFTER_GATE),
        Method(
            "calibrated",
            "calibrated",
            strength="a factor on the vector where the gate reads unsafe",
            gated=True,
            releases=True,
            heads=True,
            positions=_AFTER_GATE,
            kl=False,
        ),
        Method(
            "categorical",
            "categorical",
            strength="a factor on the category's vector",
            categorical=True,
            gated=True,
            scales=("raw", "unit"),
            positions=_AFTER_GATE,
        ),
        Method(
            "adaptive",
            "adaptive",
            strength="a factor on the shortfall",
            rule="iar.revision.adaptive",
            reads_gates=True,
            scales=("raw", "unit"),
        ),
        Method("nullspace", "nullspace", strength=_FACTOR, rule="iar.revision.nullspace", reads_gates=True),
        Method(
            "ablation",
            "ablation",
            strength="a share of the component along the vector",
            rule="iar.revision.ablation",
            scales=("raw",),
        ),
        Method("addition", "addition", strength=_FACTOR, positions=("all",)),
        Method(
            "gated_random",
            "gate, random direction",
            strength=_FACTOR,
            gated=True,
            draws="directions",
            controls=("gated",),
            heads=True,
            positions=_AFTER_GATE,
        ),
        Method(
            "calibrated_random",
            "calibrated, random",
            strength="a factor on the vector where the gate reads unsafe",
            gated=True,
            releases=True,
            draws="directions",
            controls=("calibrated",),
            heads=True,
            positions=_AFTER_GATE,
            kl=False,
        ),
        Method(
            "calibrated_random_gate",
            "calibrated, random gate",
            strength="a factor on the vector where the gate reads unsafe",
            gated=True,
            releases=True,
            draws="coin",
            routed=True,
            controls=("calibrated",),
            heads=True,
            positions=_AFTER_GATE,
            kl=False,
        ),
        Method(
            "categorical_random",
            "categorical, random",
            strength="a factor on the category's vector",
            categorical=True,
            gated=True,
            draws="directions",
            controls=("categorical",),
            scales=("raw", "unit"),
            positions=_AFTER_GATE,
        ),
        Method(
            "random_gate",
            "random gate",
            strength=_FACTOR,
            gated=True,
            draws="coin",
            routed=True,
            controls=("gated",),
            heads=True,
            positions=_AFTER_GATE,
        ),
        Method(
            "gate",
            "gate alone",
            strength="",
            gated=True,
            routed=True,
            controls=("gated",),
            heads=True,
            positions=_AFTER_GATE,
            kl=False,
        ),
    )
}

LEFT = {
    "rotation": "it left the toolkit, as it helped on no model measured; an earlier version reads runs that hold it"
}


def steering(method: str) -> Method:
    """The row of the part of a method that steers; that of ``none`` where none does.

    >>> steering("fewshot+iar").spoken, steering("fewshot").spoken
    ('IAR', 'unsteered')
    """
    return METHODS.get(method.rpartition("+")[2], METHODS["none"])


def controls() -> tuple[str, ...]:
    """The methods that are not candidates: each shows what another is worth without its direction or its gate."""
    return tuple(row.name for row in METHODS.values() if row.controls)


def controls_of(name: str) -> tuple[Method, ...]:
    """What is asked beside a method, each at its place and strengths."""
    return tuple(row for row in METHODS.values() if name in row.controls)


def group(family: str, place: str) -> str:
    """Under what a configuration stands in hypervolume.csv and in the figures; prompts alone are their own.

    >>> group("iar", "L14"), group("iar", "L14-H4"), group("cot", "")
    ('iar, layer level', 'iar, head level', 'cot')
    """
    return f"{family}, {'head' if 'H' in place else 'layer'} level" if place else family


def spoken(part: str) -> str:
    """One part of a method as figures and tables name it; ways of prompting are called what they are."""
    return METHODS[part].spoken if part in METHODS else part.replace("_", " ")

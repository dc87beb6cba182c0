"""What a model is asked and how an answer counts. Knows no model: never imports torch or iar, but for
`benchmark.speed`, when a figure is run.
"""

from __future__ import annotations

import importlib

from benchmark.errors import DataError, did_you_mean
from benchmark.protocol import Protocol

__all__ = ["DataError", "Protocol", "names", "protocol", "protocols"]

# Benchmark -> its presets, the default first. The module of a benchmark (`-` as `_`) holds PROTOCOLS, a tuple of these.
_PRESETS: dict[str, tuple[str, ...]] = {
    "vscbench": ("full", "image", "text", "text-only", "image-authors", "text-authors"),
    "pope": (
        *("official-9000", "llava-8910", "official-9000-authors", "llava-8910-authors"),
        *("official-9000-exact", "llava-8910-exact"),
    ),
    "scienceqa": ("llava-full", "llava-img", "text", "llava-full-authors", "llava-img-authors"),
    "xstest": ("default",),
    "everyday": ("full", "text"),
    "figstep": ("safebench", "safebench-tiny"),
    "mm-safetybench": ("default", "tiny"),
    "vlguard": ("default",),
    "dualbench": ("recreated",),
    "manifest": ("default", "yes-no", "letter", "short-answer"),
}


def names() -> list[str]:
    """The benchmarks there are."""
    return list(_PRESETS)


def protocols() -> list[str]:
    """The presets there are, e.g. ``pope/official-9000``; a benchmark with one preset is named alone (``xstest``)."""
    return [
        benchmark if preset == "default" else f"{benchmark}/{preset}"
        for benchmark, presets in _PRESETS.items()
        for preset in presets
    ]


def protocol(name: str) -> Protocol:
    """The protocol of that name; a benchmark's name alone means its first preset.

    Its module is imported on first use, so that asking for names costs nothing.

    Raises:
        DataError: There is none of that name.
    """
    benchmark, _, preset = name.partition("/")
    if benchmark not in _PRESETS or (preset or _PRESETS[benchmark][0]) not in _PRESETS[benchmark]:
        own = [known for known in protocols() if known.partition("/")[0] == benchmark]
        raise DataError(f"unknown protocol {name!r}: {did_you_mean(name, own or {*protocols(), *names()})}")
    module = importlib.import_module(f"benchmark.{benchmark.replace('-', '_')}")
    wanted = preset or _PRESETS[benchmark][0]
    full = benchmark if wanted == "default" else f"{benchmark}/{wanted}"
    found: Protocol = next(protocol for protocol in module.PROTOCOLS if protocol.name == full)
    return found

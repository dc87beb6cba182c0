"""The figures there are; nothing heavy is imported before one is run."""

from __future__ import annotations

from importlib import import_module

from benchmark.speed.figure import Asked, Figure, Result

FIGURES = {
    figure.name: figure
    for figure in (
        Figure("pope18", "18 questions an image, 17 configurations, positions=last", "sweeps", 4, "pope18"),
        Figure("pope18-end", "the same with two tokens an answer: the word and its end", "sweeps", 1.3, "pope18_end"),
        Figure(
            "one-question", "one question an image, one-word answers, positions=last", "sweeps", 1.2, "one_question"
        ),
        Figure("vscbench64", "64-token answers, positions=last", "sweeps", 3.5, "vscbench64"),
        Figure("all18", "18 questions an image, positions=all", "sweeps", 3, "all18"),
        Figure("grid65", "65 against 17 configurations, 18 questions an image", "sweeps", 1, "grid65"),
        Figure("generate", "steered against unsteered generate, batch of 16", "generating", 1.8, "generate"),
        Figure("extract", "extraction for all layers against a bare forward pass", "extracting", 3.2, "extract"),
        Figure("extract-peers", "the same beside other libraries, text pairs", "extracting", 2, "extract_peers"),
        Figure(
            "sweep-peers", "17 configurations beside other libraries' loops, text", "peer_sweeps", 1.5, "sweep_peers"
        ),
        Figure("memory", "peak memory of extraction and of sweeps", "memory", 1.2, "memory"),
        Figure("pocket", "make sweep on the pocket model, after set-up", "commands", 2, "pocket"),
        Figure("scoring", "verdicts, scores and report of 200,000 records", "scoring", 2, "scoring"),
        Figure("startup", "python -m iar.sweep --help; import benchmark", "commands", 0.2, "startup"),
        Figure("serve", "17 settings of one prompt against one, over HTTP", "serving", 6.4, "serve"),
        Figure("serve-load", "32 clients for five minutes (--seconds); not part of all", "serving", 6, "serve_load"),
        Figure("gpu", "LLaVA-7B with random weights in bf16 on a GPU; not part of all", "gpu", 5, "gpu"),
    )
}
ALL = tuple(name for name in FIGURES if name not in ("gpu", "serve-load"))


def measure(name: str, asked: Asked) -> Result:
    """Run one figure."""
    figure = FIGURES[name]
    found: Result = getattr(import_module(f"benchmark.speed.{figure.module}"), figure.function)(asked)
    return found

"""Activation steering for vision-language models.

    model = iar.load("DIR")
    vectors = iar.extract(model, "pairs.jsonl")
    answers = iar.generate(model, ["How do I use this?"], vectors, settings=[None, {"layer": 14, "strength": 1.5}])
    iar.judge(answers)

    with iar.revise(model, vectors, layers=[14], strength=1.5):  # any code of your own, on any transformers model
        model.model.generate(...)

    run = iar.sweep(layer=[9, 14, 19, 24], strength=[1, 2])  # what python -m iar.sweep does
    run.scores, run.frontier()
    run = iar.load_run("runs/sweep-1a2b3c4d")

Every name is imported on first use: ``import iar`` loads nothing else.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iar.extract import extract
    from iar.generation.asking import generate
    from iar.judge import judge
    from iar.models.checkpoint import LoadedModel, load
    from iar.pipeline.results.run import Run, load_run
    from iar.revision.context import revise
    from iar.sweep import sweep
    from iar.vectors.vector_set import VectorSet as Vectors

__all__ = [
    "LoadedModel", "Run", "Vectors", "extract", "generate", "judge", "load", "load_run", "revise", "sweep",
]  # fmt: skip

_NAMES = {
    "LoadedModel": ("iar.models.checkpoint", "LoadedModel"),
    "Run": ("iar.pipeline.results.run", "Run"),
    "Vectors": ("iar.vectors.vector_set", "VectorSet"),
    "generate": ("iar.generation.asking", "generate"),
    "load": ("iar.models.checkpoint", "load"),
    "load_run": ("iar.pipeline.results.run", "load_run"),
    "revise": ("iar.revision.context", "revise"),
}
# Modules: those of the same name as a function are callable (`iar.callable_module`).
_MODULES = ("extract", "judge", "sweep", "models", "pairs", "vectors")


def _find_benchmark() -> None:
    """`benchmark` is the package that came with this one, whatever in the working folder has that name.

    Raises:
        ImportError: Another one is imported already.
    """
    folder = Path(__file__).parent.parent / "benchmark"
    ours = folder / "__init__.py"
    if not ours.is_file():
        return
    if (there := sys.modules.get("benchmark")) is not None:
        if there.__file__ is not None and Path(there.__file__).resolve() != ours.resolve():
            raise ImportError(f"{there.__file__} hides IAR's package benchmark: import iar before it, or rename it")
        return
    found = find_spec("benchmark")
    other = None if found is None else found.origin
    if other is not None and Path(other).resolve() == ours.resolve():
        return
    if other is not None:
        warnings.warn(f"IAR uses its own package benchmark, not {other}: rename that one", stacklevel=3)
    spec = spec_from_file_location("benchmark", ours, submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None
    sys.modules["benchmark"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["benchmark"])


_find_benchmark()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, found = _NAMES[name]
    return getattr(import_module(module), found)


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_MODULES})

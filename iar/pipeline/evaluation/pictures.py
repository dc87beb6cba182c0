"""A benchmark with pictures is not a question to a model that reads none: refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence

import benchmark
from iar.errors import UserError
from iar.pipeline.experiment import data
from iar.pipeline.experiment.settings import Scoring


def check(cfg: Scoring, names: Sequence[str], local: bool = False) -> None:
    """Raises where the model's config says that it reads no images and one of the benchmarks shows some.

    Args:
        local: Without asking the Hub for a config that is not on this machine.

    Raises:
        UserError: Names the model, the benchmark and what can be asked instead.
    """
    pictured = [name for name in names if _pictured(cfg, name)]
    if not pictured or cfg.model.kind == "endpoint" or cfg.model.path == "pocket":
        return
    from iar.models.sight import reads_images  # loads transformers

    if reads_images(cfg.model, local) is False:
        name = pictured[0]
        texts = [known for known in benchmark.protocols() if benchmark.protocol(known).images == "none"]
        own = [known for known in texts if known.startswith(f"{name}/")]
        way_out = f"benchmark.{name}.protocol={own[0]}" if own else f"take one of text ({', '.join(texts)})"
        raise UserError(
            f"model {cfg.model.name!r} reads no images, and {data.protocol(cfg, name).name} shows some: {way_out}"
        )


def _pictured(cfg: Scoring, name: str) -> bool:
    if data.protocol(cfg, name).images == "none":
        return False
    # What a manifest shows stands in it.
    return name != "manifest" or any(s.images for found in data.load(cfg, [name]).values() for s in found.samples)

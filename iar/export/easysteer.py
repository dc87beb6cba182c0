"""Settings of EasySteer (a fork of vLLM that steers): JSON for its ``steering`` field, beside a GGUF of the directions.

Its clauses say all four of our positions: ``last`` is the last prompt token and every generated one, and so on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from iar.export.constant import constant
from iar.export.control_vector import write_directions
from iar.records import text_file
from iar.revision import Configuration
from iar.vectors import VectorSet

CLAUSES: dict[str, dict[str, Any]] = {
    "last": {"prompt_positions": [-1], "generation": "all"},
    "generated": {"generation": "all"},
    "prompt": {"prompt": "all"},
    "all": {"prompt": "all", "generation": "all"},
}


def write(vectors: VectorSet, configuration: Configuration, out: Path) -> Path:
    """Write ``out`` (JSON) and the directions beside it, ``out`` with the suffix ``.gguf``; returns the second.

    Raises:
        UserError: The gguf package is missing, or what is added depends on the prompt or the activation.
    """
    added = constant(configuration, vectors, "EasySteer's vector", positions=tuple(CLAUSES))
    directions = out.with_suffix(".gguf")
    write_directions(directions, added, vectors)
    vector = {
        "source": str(directions.resolve()),
        "algorithm": "direct",
        "scale": 1.0,  # the strength is in the directions
        "layers": sorted(added),
        "normalize": False,
        "apply": CLAUSES[configuration.positions],
        "name": configuration.name,
    }
    text_file.write(out, json.dumps({"vectors": [vector]}, indent=2) + "\n")
    return directions

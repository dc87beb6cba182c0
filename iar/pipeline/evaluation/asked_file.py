"""asked.json: how much a run asks, for whoever watches it (`iar.watch`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.sample import Loaded
from iar.records import text_file
from iar.revision.configuration import Configuration

NAME = "asked.json"


def write(folder: Path, asked: Mapping[str, Loaded], configurations: Sequence[Configuration]) -> Path:
    """Writes it beside the definition.

    Raises:
        UserError: It cannot be written.
    """
    questions: dict[str, int] = {}
    for name, loaded in asked.items():
        benchmark = name.partition("/")[0]
        questions[benchmark] = questions.get(benchmark, 0) + len(loaded.samples)
    content = {"configurations": [configuration.name for configuration in configurations], "questions": questions}
    return text_file.write(folder / NAME, json.dumps(content, indent=1) + "\n")

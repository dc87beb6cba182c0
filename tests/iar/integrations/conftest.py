"""Twelve questions and what `iar.revise` answers to them; a task of our own, and what `benchmark score` makes of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import iar
from benchmark import __main__ as command
from benchmark import pope
from benchmark.sample import Sample
from iar.models import LoadedModel, chat
from iar.models.pocket import WEIGHTS
from iar.vectors import VectorSet, file
from iar.vectors.header import header

QUESTIONS = (
    *("Is there a spoon?", "How do I use this knife?", "Which letter?", "hello", "A. cat B. dog"),
    *("What is on the table?", "Is the spoon red?", "What can you help with?", "Yes or no?", "I am sorry?"),
    *("cat or fish", "Is there a dog here?"),
)
SETTINGS = {"none": {}, "last": {"positions": "last"}, "all": {"positions": "all"}}
NEW = 8


def drawn(loaded: LoadedModel, layers: int, hidden: int, scale: float, seed: int = 0) -> VectorSet:
    directions, ones = torch.randn(layers, hidden, generator=torch.Generator().manual_seed(seed)), torch.ones(layers)
    return VectorSet(directions * scale, ones, ones, ones, ones, header=header(loaded, []))


@pytest.fixture(scope="session")
def vectors(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "v.safetensors"
    file.write(path, drawn(tiny, 6, 32, 4))
    return path


@pytest.fixture
def changing(vectors: Path, tmp_path: Path) -> Callable[[], Path]:
    """A vector file; from the second call on it has changed in place under its name."""
    path = tmp_path / "v.safetensors"
    path.write_bytes(vectors.read_bytes())
    calls: list[None] = []

    def change() -> Path:
        if calls:
            known = file.read(path)
            file.write(path, replace(known, vectors=-known.vectors))
        calls.append(None)
        return path

    return change


def words(vectors: Path, name: str) -> dict[str, Any]:
    """The arguments of a model that is steered so."""
    return {} if name == "none" else {"vectors": str(vectors), "layers": "2", "strength": "2", "positions": name}


def revised(tiny: LoadedModel, vectors: Path, name: str, **more: Any) -> Any:
    place = {"method": "none"} if name == "none" else {"layers": 2, "strength": 2.0, "positions": name}
    return iar.revise(tiny, vectors, **place, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def pictures(images: list[Path]) -> list[Path]:
    """One for each question."""
    return [images[i % 3] for i in range(len(QUESTIONS))]


@pytest.fixture(scope="session")
def wanted(tiny: LoadedModel, vectors: Path, pictures: list[Path]) -> Callable[..., list[str]]:
    """Answers by `iar.revise` around ``generate``, one question at a time: wanted("last", pictured=True)."""

    def answer(name: str, text: str, shown: list[Any]) -> str:
        features, _ = chat.encode(tiny, [text], [shown])
        model: Any = tiny.model
        with torch.no_grad(), revised(tiny, vectors, name):
            ids = model.generate(**features, max_new_tokens=NEW, do_sample=False)
        return str(tiny.tokenizer.decode(ids[0, features["input_ids"].shape[1] :], skip_special_tokens=True))

    def find(name: str, pictured: bool = True) -> list[str]:
        shown = [[chat.open_image(path)] if pictured else [] for path in pictures]
        found = [answer(name, *one) for one in zip(QUESTIONS, shown, strict=True)]
        assert len(set(found)) > 3
        return found

    return find


class Task:
    """POPE's questions on the pocket data, for the pocket model with a vector drawn at random.

    Attributes:
        rows: ``id``, ``prompt``, ``image``, ``reference``.
        arguments: Of the steered model, as ``--model_args`` has them.
    """

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.folder = data, folder
        samples: list[Sample] = pope.load(data).samples
        self.rows = [
            {"id": one.id, "prompt": one.prompt, "image": str(one.images[0]), "reference": one.reference}
            for one in samples
        ]
        (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        file.write(folder / "v.safetensors", drawn(iar.load(WEIGHTS), 32, 64, 6))
        self.words = {"vectors": str(folder / "v.safetensors"), "layers": "14", "strength": "1"}
        self.arguments = ",".join(f"{name}={value}" for name, value in {"pretrained": "pocket", **self.words}.items())

    def scored(self, answers: Mapping[str, str]) -> float:
        """What ``python -m benchmark score`` says of them: the share of right answers to all questions."""
        assert answers.keys() == {row["id"] for row in self.rows}
        path = self.folder / "answers.jsonl"
        path.write_text("".join(json.dumps({"id": name, "answer": text}) + "\n" for name, text in answers.items()))
        asked = ["--data", self.data, "--answers", path, "--csv", self.folder / "scores.csv"]
        assert command.main(["score", "pope/official-9000", *map(str, asked)]) == 0
        with (self.folder / "scores.csv").open() as rows:
            (row,) = (row for row in csv.DictReader(rows) if (row["category"], row["metric"]) == ("all", "accuracy"))
        assert int(row["n_scored"]) == len(self.rows)
        return float(row["value"])


@pytest.fixture(scope="session")
def task(pocket_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Task:
    return Task(pocket_data / "test/pope", tmp_path_factory.mktemp("task"))

"""Writes the pocket data sets in the authors' own file layouts, so that the loaders of the real data read them.

``DIR/train/`` holds what vectors are made from: ``pairs.jsonl`` (one request, two responses), ``instructions.jsonl``
(a safe and an unsafe request, the one answered, the other refused), ``requests.jsonl`` (requests one by one),
``benign.jsonl`` (questions of ability) and ``budget.jsonl`` (such questions and safe requests, other ones);
``DIR/{validation,test}/{vscbench,pope,scienceqa}`` the benchmarks. The three splits share no scene and no combination
(object x request, verb x object, stem x word).
"""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pandas as pd

from benchmark import families
from benchmark.errors import DataError
from benchmark.pocket import contrasts, questions, requests, scenes
from benchmark.pocket.requests import Split
from benchmark.scienceqa import LETTERS
from benchmark.vscbench import IMAGE_MODES, MODES


@dataclass(frozen=True)
class Sizes:
    """How much to write: rows of VSCBench's halves (x 6 and x 5 items), POPE pictures, ScienceQA problems, pairs."""

    image_rows: int
    text_rows: int
    pictures: int
    problems: int


SIZES = {"validation": Sizes(24, 28, 40, 120), "test": Sizes(75, 90, 100, 450)}
PAIRS = 256
BUDGET = 64  # questions of ability, and as many safe requests
VERSION = 6  # raised whenever the same seed writes other bytes


_MARK = "pocket.json"  # written last: the folder is ours, and whole


def complete(root: Path, seed: int = 0) -> bool:
    """Whether `root` holds all the data of this seed and version."""
    mark = root / _MARK
    return mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == {"version": VERSION, "seed": seed}


def write(root: Path, seed: int = 0, pairs: int = PAIRS, on_step: Callable[[str], None] = lambda step: None) -> None:
    """Everything, under `root`. The same seed writes the same bytes.

    Raises:
        DataError: `root` holds something that is not pocket data.
    """
    if (root / _MARK).is_file():
        for split in ("train", *SIZES):
            shutil.rmtree(root / split, ignore_errors=True)
    elif root.is_dir() and any(root.iterdir()):
        raise DataError(f"{root} is not empty and not pocket data: choose another folder or empty it")
    root.mkdir(parents=True, exist_ok=True)
    (root / _MARK).write_text("{}", encoding="utf-8")
    contrasts.write_pairs(root / "train", Random(f"{seed}/pairs"), pairs)
    on_step("train: pairs")
    contrasts.write_instructions(root / "train", Random(f"{seed}/instructions"), pairs)
    on_step("train: instructions")
    contrasts.write_requests(root / "train", Random(f"{seed}/requests"), pairs)
    on_step("train: requests")
    contrasts.write_benign(root / "train", Random(f"{seed}/benign"), pairs)
    on_step("train: benign")
    contrasts.write_budget(root / "train", Random(f"{seed}/budget"), min(pairs, BUDGET))
    on_step("train: budget")
    for split, size in SIZES.items():
        rng = Random(f"{seed}/{split}")
        write_vscbench(root / split / "vscbench", rng, split, size)  # type: ignore[arg-type]
        on_step(f"{split}: vscbench")
        write_pope(root / split / "pope", rng, size.pictures)
        on_step(f"{split}: pope")
        write_scienceqa(root / split / "scienceqa", rng, split, size.problems)  # type: ignore[arg-type]
        on_step(f"{split}: scienceqa")
    (root / _MARK).write_text(json.dumps({"version": VERSION, "seed": seed}), encoding="utf-8")


def write_vscbench(root: Path, rng: Random, split: Split, size: Sizes) -> None:
    """VSCBench's two xlsx files and image folders, for the three of its six categories that can be drawn mildly.

    The families are the objects: there are nine hazards, however many pictures of them.
    """
    categories = tuple(scenes.LOOKALIKES)
    things: dict[str, str] = {}
    rows = [_image_row(root, rng, split, categories[i % 3], i // 3, things) for i in range(size.image_rows)]
    _write_xlsx(root / "vscbench_image_centric.xlsx", rows)
    # Rows are half unsafe, whatever the verbs and objects of the split are.
    rows = [_text_row(root, rng, split, i, bool(i % 2), things) for i in range(size.text_rows)]
    _write_xlsx(root / "vscbench_text_centric.xlsx", rows)
    families.write(root, things)


def _image_row(
    root: Path, rng: Random, split: Split, category: str, number: int, things: dict[str, str]
) -> dict[str, str]:
    """One request with three pictures of harmless objects and three of their hazardous look-alikes.

    Args:
        things: Filled with the object of each sample, by the sample's id.
    """
    harmless, hazards = zip(*scenes.LOOKALIKES[category], strict=True)
    while True:
        template = rng.choice(requests.IMAGE_REQUESTS)
        sides = [
            [n for n in names if requests.split_of("image", n, template) == split] for names in (harmless, hazards)
        ]
        if all(sides):
            break
    row = {"Category": category, "Prompt": template}
    for kind, names in zip(("safe", "unsafe"), sides, strict=True):
        for i in range(3):
            request = requests.image_request(rng, split, rng.choice(names), template)
            file = f"{kind}_{category}_{number}_{i}.png"
            assert request.scene is not None
            request.scene.save(root / "vscbench_image_centric_images" / category / file)
            row[f"{kind}_img_{i}"] = file
            things[f"image/{category}/{number}/{kind}_{i}"] = request.object
    return row


def _text_row(
    root: Path, rng: Random, split: Split, number: int, unsafe: bool, things: dict[str, str]
) -> dict[str, str]:
    """One (verb, object) in all five modes; the type names what makes it safe, as in XSTest. ``things`` as above."""
    while True:
        verb, name = requests.text_combination(rng, split)
        if requests.is_safe(verb, name) != unsafe:
            break
    template = rng.choice(requests.TEXT_REQUESTS)
    modes = {mode: requests.text_request(rng, verb, name, template, mode) for mode in MODES}
    things |= {f"text/{number}/{mode}": name for mode in MODES}
    kind = "safe_contexts" if verb in requests.SAFE_VERBS else "safe_targets"
    thing = scenes.article(name)
    row = {
        "type": f"contrast_{kind}" if unsafe else kind,
        "focus": verb,
        "prompt_origin": modes["txt"].origin,
        "prompt_mm": modes["search"].prompt,
        "object": thing,
        "prompt_figstep": f"Steps to {verb} {thing}.",
    }
    files = dict(zip(IMAGE_MODES, ("d_{}_0", "{}_{o}", "{}_concat", "{}_figstep"), strict=True))
    for mode, pattern in files.items():
        file = pattern.format(number, o=name) + ".png"
        scene = modes[mode].scene
        assert scene is not None
        scene.save(root / "vscbench_text_centric_images" / mode / file)
        row[f"{mode}_img"] = file
    return row


def write_pope(root: Path, rng: Random, pictures: int) -> None:
    """POPE's three JSON Lines files: per picture, each object that is there and as many that are not."""
    lines: dict[str, list[str]] = {how: [] for how in questions.NEGATIVES}
    for i in range(pictures):
        scene = scenes.random_scene(rng)
        file = f"pocket_{i:06d}.png"
        scene.save(root / "images" / file)
        present = [item.name for item in scene.items]
        for how, rows in lines.items():
            asked: list[str] = []
            for name in present:
                other = questions.absent(rng, present + asked, how)
                asked.append(other)
                for thing, label in ((name, "yes"), (other, "no")):
                    row = {
                        "question_id": len(rows) + 1,
                        "image": file,
                        "text": questions.presence(thing),
                        "label": label,
                    }
                    rows.append(json.dumps(row))
    for how, rows in lines.items():
        (root / f"coco_pope_{how}.json").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_scienceqa(root: Path, rng: Random, split: Split, count: int) -> None:
    """problems.json, pid_splits.json and images/{split}/{pid}/image.png; every second problem has a picture."""
    folder = {"validation": "val", "test": "test", "train": "train"}[split]
    problems = {}
    for i in range(count):
        choice = questions.image_choice(rng) if i % 2 else questions.text_choice(rng, split)
        pid = str(i + 1)
        if choice.scene is not None:
            choice.scene.save(root / "images" / folder / pid / "image.png")
        problems[pid] = {
            "question": choice.stem,
            "choices": list(choice.options),
            "answer": choice.answer,
            "hint": choice.hint,
            "image": "image.png" if choice.scene is not None else None,
            "task": "closed choice",
            "grade": "grade1",
            "subject": "natural science",
            "topic": choice.topic,
            "category": choice.topic,
            "skill": choice.stem,
            "lecture": "",
            "solution": f"The answer is {LETTERS[choice.answer]}.",
            "split": folder,
        }
    root.mkdir(parents=True, exist_ok=True)
    splits = {name: list(problems) if name == folder else [] for name in ("train", "val", "test")}
    (root / "problems.json").write_text(json.dumps(problems, indent=1), encoding="utf-8")
    (root / "pid_splits.json").write_text(json.dumps(splits), encoding="utf-8")


def _write_xlsx(path: Path, rows: list[dict[str, str]]) -> None:
    """An xlsx without the times of writing that openpyxl puts into it, so that the same rows are the same bytes."""
    buffer = io.BytesIO()
    pd.DataFrame(rows).to_excel(buffer, index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2025-01-01T00:00:00Z", content)
            target.writestr(zipfile.ZipInfo(name), content)

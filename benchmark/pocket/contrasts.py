"""Writes what revision vectors are estimated from: pairs of responses, pairs of requests, and requests alone."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from benchmark.pocket import requests, scenes
from benchmark.pocket.requests import Request
from benchmark.vscbench import MODES


def write_pairs(root: Path, rng: Random, count: int) -> None:
    """Unsafe requests of the training split, image and text half in turn, each with a safe and an unsafe response."""
    lines: list[str] = []
    while len(lines) < count:
        kind = requests.random_text_request if len(lines) % 2 else requests.image_request
        request = kind(rng, "train")
        if request.safe:
            continue
        name = f"{len(lines):04d}"
        image = f"images/{name}.png" if request.scene else None
        if request.scene and image:
            request.scene.save(root / image)
        pair = {"id": name, "category": _category(request.object), "image": image, "prompt": request.prompt}
        lines.append(json.dumps(pair | {"safe": request.refusing, "unsafe": request.helping}))
    root.mkdir(parents=True, exist_ok=True)
    (root / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_instructions(root: Path, rng: Random, count: int) -> None:
    """Safe against unsafe requests of the training split in the same template, image and text half in turn.

    The sides differ in the object shown (image half, same text) or in the object or the verb (text half, same mode).
    The safe one is answered and the unsafe one refused: they are demonstrations too.
    """
    lines = []
    for i in range(count):
        safe, unsafe = _text_contrast(rng) if i % 2 else _image_contrast(rng)
        sides = {"safe": _side(root, "instructions", f"{i:04d}_safe", safe) | {"response": safe.helping}}
        sides["unsafe"] = _side(root, "instructions", f"{i:04d}_unsafe", unsafe) | {"response": unsafe.refusing}
        lines.append(json.dumps({"id": f"{i:04d}", "category": _category(unsafe.object)} | sides))
    (root / "instructions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_requests(root: Path, rng: Random, count: int) -> None:
    """`count` unsafe and as many safe requests of the training split in turn, image and text half in turn.

    A line has the one side that the request is on: nothing is paired.
    """
    lines: list[str] = []
    while len(lines) < 2 * count:
        kind = requests.random_text_request if len(lines) // 2 % 2 else requests.image_request
        request = kind(rng, "train")
        if request.safe != bool(len(lines) % 2):
            continue
        name = f"{len(lines):04d}"
        side = {"safe" if request.safe else "unsafe": _side(root, "requests", name, request)}
        category = {} if request.safe else {"category": _category(request.object)}
        lines.append(json.dumps({"id": name} | category | side))
    (root / "requests.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _image_contrast(rng: Random) -> tuple[Request, Request]:
    """One request about a harmless object and about its hazardous look-alike."""
    while True:
        pair, template = rng.choice(scenes.PAIRS), rng.choice(requests.IMAGE_REQUESTS)
        if all(requests.split_of("image", name, template) == "train" for name in pair):
            safe, unsafe = (requests.image_request(rng, "train", name, template) for name in pair)
            return safe, unsafe


def _text_contrast(rng: Random) -> tuple[Request, Request]:
    """One request about using a hazard; safe with the harmless look-alike, or with a verb that does not use it."""
    while True:
        verb, name = requests.text_combination(rng, "train")
        partners = [(verb, scenes.TWIN.get(name, name)), *((other, name) for other in requests.SAFE_VERBS)]
        partners = [partner for partner in partners if requests.split_of("text", *partner) == "train"]
        if requests.is_safe(verb, name) or not partners:
            continue
        partner = partners[0] if len(partners) == 1 or rng.random() < 0.5 else rng.choice(partners[1:])
        template, mode = rng.choice(requests.TEXT_REQUESTS), rng.choice(MODES)
        safe = requests.text_request(rng, *partner, template, mode)
        return safe, requests.text_request(rng, verb, name, template, mode)


def _side(root: Path, folder: str, name: str, request: Request) -> dict[str, str | None]:
    """A request as one side of a pair; its picture is saved below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    image = f"{folder}/{name}.png" if request.scene else None
    if request.scene and image:
        request.scene.save(root / image)
    return {"prompt": request.prompt, "image": image}


def _category(name: str) -> str:
    return next(category for category, pairs in scenes.LOOKALIKES.items() if name in dict(pairs).values())

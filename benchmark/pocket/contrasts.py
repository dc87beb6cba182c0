"""Writes what vectors and gates are made from: pairs of responses, pairs of requests, requests and questions alone."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from benchmark import pope, scienceqa
from benchmark.pocket import questions, requests, scenes
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
        pair = {"id": name, "category": _category(request.object), "mode": request.mode, "image": image}
        pair |= {"prompt": request.prompt}
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
        named = {"category": _category(unsafe.object), "mode": unsafe.mode}
        lines.append(json.dumps({"id": f"{i:04d}"} | named | sides))
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
        lines.append(json.dumps({"id": name} | category | {"mode": request.mode} | side))
    (root / "requests.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_benign(root: Path, rng: Random, count: int) -> None:
    """Questions of ability, asked as POPE and ScienceQA ask them: presence, choice with a picture, presence, choice
    without one, in turn, each with its right answer; half of the presences are there. Words and stems of the choices
    without a picture are those of the training split."""
    lines = [json.dumps({"id": f"{i:04d}", "safe": _ability(root, "benign", f"{i:04d}", rng, i)}) for i in range(count)]
    (root / "benign.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_budget(root: Path, rng: Random, count: int) -> None:
    """`count` questions of ability and as many safe requests of the training split in turn, the image and the text half
    of these in turn. Gates are fitted on other ones, so they fire on these as often as on any."""
    lines: list[str] = []
    asked = 0
    while len(lines) < 2 * count:
        name = f"{len(lines):04d}"
        if len(lines) % 2 == 0:
            side = _ability(root, "budget", name, rng, len(lines) // 2)
        else:
            request = (requests.random_text_request if asked % 2 else requests.image_request)(rng, "train")
            if not request.safe:
                continue
            side, asked = _side(root, "budget", name, request), asked + 1
        lines.append(json.dumps({"id": name, "safe": side}))
    (root / "budget.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _ability(root: Path, folder: str, name: str, rng: Random, i: int) -> dict[str, str | None]:
    """The `i`-th question of ability as a safe side, with its right answer; its picture is saved below `root`."""
    prompt, scene, answer = _presence(rng, bool(i // 2 % 2)) if i % 2 == 0 else _choice(rng, pictured=i % 4 == 1)
    image = f"{folder}/{name}.png" if scene else None
    if scene and image:
        scene.save(root / image)
    return {"prompt": prompt, "image": image, "response": answer}


def _presence(rng: Random, there: bool) -> tuple[str, scenes.Scene, str]:
    scene = scenes.random_scene(rng)
    present = [item.name for item in scene.items]
    name = rng.choice(present) if there else questions.absent(rng, present, rng.choice(questions.NEGATIVES))
    return questions.presence(name) + pope.SUFFIX, scene, "Yes" if there else "No"


def _choice(rng: Random, pictured: bool) -> tuple[str, scenes.Scene | None, str]:
    choice = questions.image_choice(rng) if pictured else questions.text_choice(rng, "train")
    prompt = scienceqa.prompt({"hint": choice.hint, "question": choice.stem, "choices": choice.options})
    return prompt, choice.scene, choice.letter


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

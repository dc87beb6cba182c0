from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.pipeline.extraction import gate_prompts


def write(path: Path, *lines: dict) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def unsafe(name: str, prompt: str, **more: str) -> dict:
    return {"id": name, "unsafe": {"prompt": prompt}, **more}


def benign(name: str, prompt: str, **more: str) -> dict:
    return {"id": name, "safe": {"prompt": prompt, **more}}


@pytest.fixture
def settings(compose, tmp_path):
    def make(bad: list[Path], good: list[Path], *more: str):
        cfg = compose("sweep", f"data.root={tmp_path}", *more)
        sides = {"unsafe": tuple(map(str, bad)), "benign": tuple(map(str, good))}
        return cfg.replace(gate_prompts=cfg.gate_prompts.replace(**sides))

    return make


def test_the_pocket_prompts(compose, pocket_data):
    """Unsafe requests of two files; harmless requests, answered ones and questions of ability."""
    found = gate_prompts.read(compose("sweep", f"data.root={pocket_data}"))
    files = Counter(e.pair.partition("/")[0] for e in found.unsafe)
    assert files == {"pairs.jsonl": 6, "requests.jsonl": 6}
    files = Counter(e.pair.partition("/")[0] for e in found.benign)
    assert files == {"requests.jsonl": 6, "instructions.jsonl": 6, "benign.jsonl": 6}
    assert not any(e.safe or e.response for e in found.unsafe) and all(e.category for e in found.unsafe)
    assert len(found.answered) == 12 and all(e.safe and not e.category for e in found.benign)
    assert [e.safe for e in found.asked] == [False] * 12 + [True] * 18
    assert all(e.response is None for e in found.asked)
    assert len(found.groups) == 30


def test_each_prompt_is_read_inside_each_attack_too(compose, pocket_data):
    def read(attacks: str):
        return gate_prompts.read(compose("sweep", f"data.root={pocket_data}", f"gate_prompts.attacks={attacks}"))

    alone, found = read("[]"), read("[system,turns,system]")
    assert found.attacks == ("system", "turns") and found.unsafe == alone.unsafe and found.answered == alone.answered
    asked = [(e.prompt, e.image, e.safe) for e in found.asked]
    bad, good = ([(e.prompt, e.image, e.safe) for e in side] for side in (found.unsafe, found.benign))
    assert asked == bad * 3 + good * 3
    assert [e.attack for e in found.asked[:36]] == [""] * 12 + ["system"] * 12 + ["turns"] * 12
    groups = found.groups  # what is asked alone and inside an attack is held out together
    assert groups[:12] == groups[12:24] == groups[24:36] == alone.groups[:12]
    assert groups[36:54] == groups[54:72] == groups[72:] == alone.groups[12:]
    assert found.digest != alone.digest == gate_prompts.GatePrompts(found.unsafe, found.benign).digest
    for given, names in (("turns", ("turns",)), ("null", ()), ("[]", ()), ("[prefix,prefix]", ("prefix",))):
        assert read(given).attacks == names
    with pytest.raises(UserError, match="unknown attack 'sistem': did you mean 'system'"):
        read("[sistem]")


def test_each_prompt_once_and_none_on_both_sides(settings, tmp_path, images):
    bad = write(tmp_path / "bad.jsonl", unsafe("0", "How?"), unsafe("1", "How?"), unsafe("2", "Why?"))
    good = write(tmp_path / "good.jsonl", benign("0", "What?", image=str(images[0])), benign("1", "What?"))
    found = gate_prompts.read(settings([bad, bad], [good]))
    assert [e.prompt for e in found.unsafe] == ["How?", "Why?"] and len(found.benign) == 2
    both = write(tmp_path / "both.jsonl", benign("0", "Why?"))
    with pytest.raises(UserError, match=r"prompt 'Why\?' is on the unsafe and on the benign side"):
        gate_prompts.read(settings([bad], [good, both]))


def test_a_side_without_prompts_is_named(settings, tmp_path):
    bad = write(tmp_path / "bad.jsonl", unsafe("0", "How?"))
    message = (
        r"^gates need benign prompts, and .*bad\.jsonl has none: .* \(gate_prompts\.benign=\[FILE\], docs/pairs\.md\)$"
    )
    with pytest.raises(UserError, match=message):
        gate_prompts.read(settings([bad], [bad]))
    missing = tmp_path / "missing.jsonl"
    with pytest.raises(UserError, match="gates need unsafe prompts"):
        gate_prompts.read(settings([missing], [bad]))
    assert gate_prompts.present(settings([missing], [bad])) and not gate_prompts.present(settings([missing], []))
    for wrong in ("0", "1", "many", "true"):
        with pytest.raises(UserError, match=f"gate_prompts.limit={wrong} must be a whole number from 2 or null"):
            settings([bad], [bad], f"gate_prompts.limit={wrong}")


def test_a_limit_takes_the_same_prompts_whatever_the_others_are(settings, tmp_path):
    lines = [unsafe(str(i), f"How {i}?") for i in range(20)]
    good = write(tmp_path / "good.jsonl", *(benign(str(i), f"What {i}?") for i in range(20)))
    few = gate_prompts.read(settings([write(tmp_path / "bad.jsonl", *lines)], [good], "gate_prompts.limit=5"))
    assert len(few.unsafe) == len(few.benign) == 5
    places = [int(e.pair.partition("/")[2]) for e in few.unsafe]
    assert places == sorted(places) != list(range(5))
    turned = gate_prompts.read(settings([write(tmp_path / "bad.jsonl", *lines[::-1])], [good], "gate_prompts.limit=5"))
    assert {e.prompt for e in turned.unsafe} == {e.prompt for e in few.unsafe}


def test_the_digest_follows_prompts_answers_and_categories(settings, tmp_path):
    good = write(tmp_path / "good.jsonl", benign("0", "What?"))

    def digest(line: dict, side: Path = good) -> str:
        return gate_prompts.read(settings([write(tmp_path / "bad.jsonl", line)], [side])).digest

    first = digest(unsafe("0", "How?"))
    assert digest(unsafe("7", "How?", mode="txt")) == first  # names are no content
    answered = write(tmp_path / "answered.jsonl", benign("0", "What?", response="That."))
    others = [
        digest(unsafe("0", "Why?")),
        digest(unsafe("0", "How?", category="drugs")),
        digest(unsafe("0", "How?"), answered),
    ]
    assert len({first, *others}) == 4


def test_groups(settings, tmp_path, images):
    """One text is a group, also with several images, and so are the sides of a line; not a text that is everywhere."""
    shown = [{"prompt": "What is this?", "image": str(image)} for image in images]
    bad = [{"id": str(i), "unsafe": side} for i, side in enumerate(shown[:2])]
    bad += [unsafe(f"u{i}", f"How {i}?") for i in range(10)]
    bad += [{"id": "both", "unsafe": {"prompt": "How x?"}, "safe": {"prompt": "Why 3?"}}]
    file = write(tmp_path / "bad.jsonl", *bad)
    good = write(
        tmp_path / "good.jsonl", {"id": "x", "safe": shown[2]}, *(benign(str(i), f"What {i}?") for i in range(8))
    )
    found = gate_prompts.read(settings([file], [file, good]))
    of = dict(zip([(e.prompt, e.image) for e in found.asked], found.groups, strict=True))
    assert len({of["What is this?", image] for image in images}) == 1
    assert of["How x?", None] == of["Why 3?", None] != of["How 4?", None]
    assert len(set(found.groups)) == 1 + 10 + 1 + 8
    many = [{"id": f"m{i}", "unsafe": {"prompt": "List.", "image": str(image)}} for i, image in enumerate(images)]
    found = gate_prompts.read(settings([write(tmp_path / "many.jsonl", *many, *bad[2:8])], [good]))
    assert len({group for e, group in zip(found.asked, found.groups, strict=True) if e.prompt == "List."}) == 3


def test_what_is_left_out(compose, pocket_data):
    settings = [f"data.root={pocket_data}", "pairs.name=own"]
    whole = gate_prompts.read(compose("sweep", *settings))
    mode = json.loads((pocket_data / "train/pairs.jsonl").read_text().splitlines()[1])["mode"]
    for name, kind in (("drugs", "category"), (mode, "mode")):
        found = gate_prompts.read(compose("sweep", *settings, f"pairs.leave_out=[{name}]"))
        lines = {}
        for file in ("pairs", "requests"):
            rows = map(json.loads, (pocket_data / f"train/{file}.jsonl").read_text().splitlines())
            lines |= {f"{file}.jsonl/{row['id']}": row for row in rows}
        assert 0 < len(found.unsafe) < len(whole.unsafe)
        assert all(lines[e.pair][kind] != name for e in found.unsafe)
        assert sum(e.pair.startswith("benign") for e in found.benign) == 6
        assert found.digest != whole.digest

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from iar.pairs import Example, copies, digest


def test_digest_follows_content_and_order_but_not_names(tmp_path: Path, images: list[Path]) -> None:
    copy = tmp_path / "copy.png"
    shutil.copy(images[0], copy)
    example = Example("1", True, "p", images[0], "r", "drugs")
    assert digest([example]) == digest([Example("2", True, "p", copy, "r")])
    others = [
        replace(example, image=images[1]),
        replace(example, image=None),
        replace(example, safe=False),
        replace(example, prompt="q"),
        replace(example, response=None),
    ]
    assert len({digest([e]) for e in [example, *others]} | {digest([example] * 2), digest([])}) == 8
    assert digest([example, others[0]]) != digest([others[0], example])


def test_copies_say_the_same_of_the_same_bytes(tmp_path: Path, images: list[Path]) -> None:
    copy = tmp_path / "copy.png"
    shutil.copy(images[0], copy)

    def pair(
        name: str, prompt: str = "p q", image: Path = images[0], safe: str = "no", unsafe: str = "yes"
    ) -> list[Example]:
        return [Example(name, True, prompt, image, safe), Example(name, False, prompt, image, unsafe)]

    first = pair("1")
    same = [*pair("2", "p  q\n", copy), *reversed(pair("3"))]
    others = [
        *pair("4", "P q"),
        *pair("5", image=images[1]),
        *pair("6", safe="yes", unsafe="no"),
        *pair("7", unsafe="y"),
    ]
    one_sided = [Example("8", True, "p q", images[0], "no"), Example("9", True, "p q", images[0], "no")]
    assert copies([*first, *same, *others, *one_sided]) == {"2": "1", "3": "1", "9": "8"}
    assert copies(first * 2) == {} and copies([]) == {}

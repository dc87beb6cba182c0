"""What harnesses share: settings that are checked at once, and a key that tells apart whatever answers differently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.integrations.answers import Answers


def test_wrong_settings_come_before_the_first_question(tiny_folder: Path, vectors: Path) -> None:
    for words, said in (
        ({"vectors": str(vectors), "layer": "2"}, "unknown setting 'layer'"),
        ({"vectors": str(vectors)}, "nothing to revise"),
        ({"vectors": str(vectors), "layers": "9"}, "layer 9 is outside"),
        ({"layers": "2"}, "layers without vectors"),
        ({"batch_size": "auto"}, "batch_size=auto"),
    ):
        with pytest.raises(UserError, match=said):
            Answers(str(tiny_folder), **words)  # type: ignore[arg-type]


def test_the_key_is_of_what_was_read(tiny_folder: Path, changing: Callable[[], Path]) -> None:
    path = str(changing())
    made = [Answers(str(tiny_folder), path, layers="2", strength=strength) for strength in ("1", "1", "2")]
    assert made[0].key == made[1].key == made[0].current() != made[2].key
    assert Answers(str(tiny_folder)).current() not in {one.key for one in made}
    changing()
    assert Answers(str(tiny_folder), path, layers="2", strength="1").key != made[0].key
    with pytest.raises(UserError, match="has changed since it was read: load the model again"):
        made[0].current()


def test_how_tokens_are_chosen(tiny_folder: Path) -> None:
    own = Answers(str(tiny_folder))
    greedy, drawn = (
        own.generate([("USER: hello ASSISTANT:", {"max_gen_toks": 20, **options}, ())])
        for options in ({"temperature": 9.0}, {"do_sample": True, "temperature": 9.0})
    )
    assert greedy == own.generate([("USER: hello ASSISTANT:", {"max_gen_toks": 20}, ())]) != drawn
    with pytest.raises(UserError, match="num_beams=2 is not supported"):
        own.generate([("USER: hello ASSISTANT:", {"num_beams": 2}, ())])

from __future__ import annotations

import pytest

from iar.errors import UserError
from iar.revision.words import settings


def test_words_become_what_revise_takes() -> None:
    given = {"layers": "9+14", "strength": "1.5", "positions": "last", "heads": "0", "threshold": 0.4, "gate": "soft"}
    wanted = {"layers": (9, 14), "strength": 1.5, "positions": "last", "heads": 0, "threshold": 0.4, "gate": "soft"}
    assert settings(given) == wanted
    for layers in ("14", 14, [14], "[14]"):
        assert settings({"layers": layers}) == {"layers": (14,)}
    assert settings({"layers": "[9, 14]"}) == settings({"layers": (9, 14)}) == {"layers": (9, 14)}
    assert settings({"layers": ""}) == {"layers": ()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"layer": "14"}, "unknown setting 'layer'.*layers"),
        ({"layers": "x"}, "layers=x must be block numbers, such as layers=14 or layers=9"),
        ({"layers": 1.5}, "layers=1.5 must be block numbers"),
        ({"layers": True}, "layers=True must be"),
        ({"strength": "much"}, "strength=much must be a number"),
        ({"heads": "1.5"}, "heads=1.5 must be a whole number"),
        ({"seed": True}, "seed=True must be a whole number"),
    ],
)
def test_one_line(words: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        settings(words)

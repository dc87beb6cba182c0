"""What of a growing text stands whatever follows."""

from __future__ import annotations

import pytest

from iar.serve.text import cut, settled


@pytest.mark.parametrize("stops", [[], ["###", "\n\n", "Q:"], ["a"]])
def test_what_is_settled_begins_every_longer_text(stops: list[str]) -> None:
    text = "Yes, it is.  A spoon\n##\n\n Q: more ### end a"
    whole = cut(text, stops).strip()
    sent = ""
    for end in range(1, len(text) + 1):
        if cut(text[:end], stops) != text[:end]:
            break
        part = settled(text[:end], stops)
        assert part.startswith(sent) and whole.startswith(part)
        sent = part
    assert whole.startswith(sent)


def test_half_of_a_character_waits() -> None:
    raw = "naïve 🙂!".encode()
    parts = [settled(raw[:end].decode("utf-8", "replace"), []) for end in range(1, len(raw) + 1)]
    assert all("\ufffd" not in part and "naïve 🙂!".startswith(part) for part in parts) and parts[-1] == "naïve 🙂!"

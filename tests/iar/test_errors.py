"""What a setting that must be a whole number may be."""

from __future__ import annotations

import pytest

from iar.errors import UserError, whole_number


def test_a_whole_number_from_1_is_handed_back() -> None:
    assert [whole_number("limit", value) for value in (1, 300)] == [1, 300]


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None])
def test_anything_else_is_named(value: object) -> None:
    with pytest.raises(UserError, match=rf"^judge\.batch_size={value} must be a whole number from 1$"):
        whole_number("judge.batch_size", value)

"""What a setting that must be a whole number may be."""

from __future__ import annotations

import pytest

from iar.errors import UserError, need, whole_number


def test_a_whole_number_from_1_is_handed_back() -> None:
    assert [whole_number("limit", value) for value in (1, 300)] == [1, 300]


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None])
def test_anything_else_is_named(value: object) -> None:
    with pytest.raises(UserError, match=rf"^judge\.batch_size={value} must be a whole number from 1$"):
        whole_number("judge.batch_size", value)


def test_what_is_not_installed_is_named_with_its_extra() -> None:
    need("this", "remote", "json", "csv")
    with pytest.raises(UserError, match=r"^asking m needs the no_such package: pip install 'iar\[remote\]'$"):
        need("asking m", "remote", "json", "no_such")
    with pytest.raises(UserError, match="needs the no_such and nor_this packages: "):
        need("asking m", "remote", "no_such", "nor_this")

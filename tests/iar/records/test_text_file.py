from __future__ import annotations

import errno

import pytest

from iar.errors import UserError
from iar.records import text_file


def test_a_text_replaces_what_was_there(tmp_path):
    file = tmp_path / "t.md"
    file.write_text("old")
    assert text_file.write(file, "“x”\r\n") == file
    assert file.read_bytes() == "“x”\r\n".encode() and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(("number", "way_out"), [(errno.ENOSPC, "make room"), (errno.EACCES, "writable folder")])
def test_what_was_there_stays_if_it_cannot_be_written(tmp_path, number, way_out):
    file = tmp_path / "t.csv"
    file.write_text("old")
    with pytest.raises(UserError, match=rf"cannot write .*t\.csv: .*{way_out}"), text_file.replacing(file) as partial:
        partial.write_text("half")
        raise OSError(number, "no")
    assert file.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*: No such file or directory; choose a writable folder"):
        text_file.write(tmp_path / "nowhere/t.csv", "")

from __future__ import annotations

import re

import pytest

from iar.explorer import parts


def test_packing_keeps_everything_and_holds_no_markup():
    content = {"a": ["</script><!--", "\u2028\u2029", "\ud800", "é"], "b": [None, 1.5, True]}
    part = parts.pack("core", content)
    assert parts.unpack(part) == content
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", part.packed)
    assert parts.pack("core", content) == part
    with pytest.raises(ValueError):
        parts.pack("core", [float("nan")])


def test_what_fits_stands_inside_in_order():
    found = [parts.Part(f"answers{n}", "x" * size) for n, size in enumerate((50, 30, 30, 5))]
    names = [[part.name for part in side] for side in parts.divide(found, 85)]
    assert names == [["answers0", "answers1"], ["answers2", "answers3"]]  # none after one that does not fit
    assert parts.divide(found, 115) == (found, [])
    assert [part.name for part in parts.divide(found, 0)[0]] == ["answers0"]  # the page needs it


def test_files_beside(tmp_path):
    folder = tmp_path / "report_files"
    assert parts.write(folder, "t", []) == [] and not folder.exists()
    one, two = parts.pack("answers0", [1]), parts.pack("images0", [2])
    assert parts.write(folder, "t", [one, two]) == [folder / "answers0.js", folder / "images0.js"]
    assert (folder / "answers0.js").read_text() == f'iarPart("t","answers0","{one.packed}");\n'
    (folder / "own-notes.js").write_text("mine")
    parts.write(folder, "u", [one])
    assert sorted(path.name for path in folder.iterdir()) == ["answers0.js", "own-notes.js"]
    parts.write(folder, "u", [])
    assert [path.name for path in folder.iterdir()] == ["own-notes.js"]

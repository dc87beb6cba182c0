from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.errors import DataError
from benchmark.render import fonts

SHIPPED = Path(fonts.__file__).parent / "fonts"


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(fonts, "_installed", list)


def test_a_shipped_font_stands_in_and_says_so(nothing_installed):
    found = fonts.find(fonts.FREE_MONO_BOLD)
    assert found.path == SHIPPED / "LiberationMono-Bold.ttf"
    assert "LiberationMono-Bold (shipped)" in found.said and "FreeMonoBold is not on this system" in found.said
    assert "fonts-freefont-ttf" in found.said and "--font FILE" in found.said
    assert fonts.find(fonts.ARIAL).path == SHIPPED / "LiberationSans-Regular.ttf"
    assert fonts.find(fonts.LIBERATION_SANS).said == "Liberation Sans (shipped)"


def test_the_authors_font_is_taken_where_it_is_installed_whatever_its_case(monkeypatch, tmp_path):
    arial = Path(shutil.copy(SHIPPED / "LiberationSans-Regular.ttf", tmp_path / "ARIAL.TTF"))
    monkeypatch.setattr(fonts, "_installed", lambda: [tmp_path / "Other.ttf", arial])
    found = fonts.find(fonts.ARIAL)
    assert found.path == arial and found.said == f"ARIAL ({arial})"


def test_a_given_file_comes_first_and_must_be_a_font(tmp_path):
    mine = Path(shutil.copy(SHIPPED / "LiberationMono-Bold.ttf", tmp_path / "mine.ttf"))
    assert fonts.find(fonts.ARIAL, mine).path == mine
    for wrong in (tmp_path / "missing.ttf", Path(__file__)):
        with pytest.raises(DataError, match="is not a readable font file"):
            fonts.find(fonts.ARIAL, wrong)


def test_without_a_chinese_font_the_error_names_the_way_out(nothing_installed):
    with pytest.raises(DataError, match=r"Chinese font is not on this system: install one \(Debian: .*--font FILE"):
        fonts.find(fonts.CHINESE)


def test_characters_that_a_font_lacks_are_refused():
    font = fonts.find(fonts.LIBERATION_SANS)
    assert font.missing("Café, “né” – Ω\n") == "" and font.missing("ok 写a写段") == "写段"
    font.check("Café")
    with pytest.raises(DataError, match=r"LiberationSans-Regular.ttf has no character '写'"):
        font.check("写一段")


def test_the_shipped_fonts_are_small_licensed_and_as_wide_as_the_authors():
    files = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert set(files) == {"LICENSE-Liberation.txt", "LiberationMono-Bold.ttf", "LiberationSans-Regular.ttf"}
    assert sum(files.values()) < 1_000_000
    licence = (SHIPPED / "LICENSE-Liberation.txt").read_text()
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence and "Reserved Font Name Liberation" in licence
    mono = fonts.Font(SHIPPED / "LiberationMono-Bold.ttf", "").at(80)
    assert {mono.getlength(c) for c in "iWm.1"} == {48.0}  # FreeMonoBold: 600/1000 of 80 px
    # Arial's advance widths in 1/2048 em, from its hmtx table
    sans = fonts.Font(SHIPPED / "LiberationSans-Regular.ttf", "").at(2048)
    assert [sans.getlength(c) for c in "aiWm 0"] == [1139, 455, 1933, 1706, 569, 1139]

"""Which font draws a text: the one that the authors used where it is installed, else a shipped one of its metrics.

``FreeMonoBold`` (FigStep) and Arial (QueryRelevant) cannot be shipped here: the one is GPL, the other not free. Where
they are missing, Liberation Mono Bold and Liberation Sans (SIL Open Font License, ``fonts/``) stand in: their
characters are as wide, so that lines break alike, but their shapes differ. A Chinese font is too large to ship.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from benchmark.errors import DataError

_SHIPPED = Path(__file__).parent / "fonts"


@dataclass(frozen=True)
class Wanted:
    """A font by its name, the file names that it has on one system or another, and what to do where it is missing.

    Attributes:
        name: As a person calls it.
        files: File names to look for, best first; the case of letters does not matter.
        shipped: File that stands in for it, ``""`` if there is none.
        package: Where it can be had.
    """

    name: str
    files: tuple[str, ...]
    shipped: str
    package: str


FREE_MONO_BOLD = Wanted("FreeMonoBold", ("FreeMonoBold.ttf",), "LiberationMono-Bold.ttf", "Debian: fonts-freefont-ttf")
ARIAL = Wanted("Arial", ("Arial.ttf",), "LiberationSans-Regular.ttf", "Debian: ttf-mscorefonts-installer")
LIBERATION_SANS = Wanted("Liberation Sans", (), "LiberationSans-Regular.ttf", "")
CHINESE = Wanted(
    "a Chinese font",
    (
        "NotoSansCJK-Regular.ttc",
        "NotoSansCJK-VF.ttc",
        "NotoSansCJKsc-Regular.otf",
        "NotoSansSC-Regular.otf",
        "NotoSansSC-Regular.ttf",
        "SourceHanSansSC-Regular.otf",
        "wqy-microhei.ttc",
        "wqy-zenhei.ttc",
        "DroidSansFallbackFull.ttf",
        "DroidSansFallback.ttf",
        "PingFang.ttc",
        "Hiragino Sans GB.ttc",
        "STHeiti Light.ttc",
        "Arial Unicode.ttf",
        "msyh.ttc",
        "simhei.ttf",
        "simsun.ttc",
    ),
    "",
    "Debian: fonts-noto-cjk or fonts-wqy-microhei",
)


@dataclass(frozen=True)
class Font:
    """A font file, and in ``said`` what to tell the user about the choice."""

    path: Path
    said: str

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """The font at ``size`` pixels. The basic layout, so that it draws the same whether Raqm is there or not."""
        return ImageFont.truetype(str(self.path), size, layout_engine=ImageFont.Layout.BASIC)

    def missing(self, text: str) -> str:
        """The characters of ``text`` that the font does not have, each once, in order; ``""`` if it has all."""
        return "".join(dict.fromkeys(c for c in text if not c.isspace() and ord(c) not in _characters(self.path)))

    def check(self, text: str) -> None:
        """Refuses a text that would be drawn as boxes.

        Raises:
            DataError: The font lacks a character of it.
        """
        if lacking := self.missing(text):
            raise DataError(f"{self.path.name} has no character {lacking[0]!r}: use another font (--font FILE)")


def find(wanted: Wanted, file: Path | None = None) -> Font:
    """The font to draw with: ``file`` if given, else the wanted one from the system, else the shipped one.

    Raises:
        DataError: ``file`` is not a font, or the wanted font is not on the system and none is shipped for it.
    """
    if file is not None:
        try:
            ImageFont.truetype(str(file), 20)
        except OSError as error:
            raise DataError(f"{file} is not a readable font file ({error}): give a TTF, OTF or TTC") from error
        return Font(file, f"{file} (as asked for)")
    installed = {path.name.lower(): path for path in reversed(_installed())}
    for name in wanted.files:
        if found := installed.get(name.lower()):
            return Font(found, f"{found.stem} ({found})")
    if not wanted.shipped:
        raise DataError(f"{wanted.name} is not on this system: install one ({wanted.package}) or give --font FILE")
    path = _SHIPPED / wanted.shipped
    if not wanted.files:
        return Font(path, f"{wanted.name} (shipped)")
    hint = f"install it ({wanted.package}) or give --font FILE to draw as the authors did"
    return Font(path, f"{path.stem} (shipped): same widths, but {wanted.name} is not on this system; {hint}")


def _installed() -> list[Path]:
    from matplotlib.font_manager import findSystemFonts  # slow to import

    return sorted(Path(path) for path in findSystemFonts())


@lru_cache(maxsize=8)
def _characters(path: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(path)).get_charmap())

"""What each kind of image makes of a row: the pixels, and the line of the manifest that asks about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmark import drawing
from benchmark.errors import DataError
from benchmark.figstep import PROMPT as FIGSTEP_PROMPT
from benchmark.images import problem
from benchmark.render import figstep, perturbations, typography
from benchmark.render.fonts import Font
from benchmark.render.perturbations import ORIGINAL, Brush
from benchmark.render.writing import Drawn, Row

Builder = Callable[[Row], Iterator[Drawn]]
DESCRIBE = "Describe the image."


def of_figstep(font: Font, prompt: str | None, label: str) -> Builder:
    """FigStep's image; asked with the authors' sentence unless another prompt is given."""

    def draw(row: Row) -> Iterator[Drawn]:
        _check(row, font)
        line = _line(row, row.id, prompt or FIGSTEP_PROMPT, label, "figstep")
        warning = "the text runs out of the frame, as in the authors' code" if figstep.clipped(row.text, font) else ""
        yield Drawn(row.id, figstep.draw(row.text, font), line, warning=warning)

    return draw


def of_typography(font: Font, prompt: str | None, label: str) -> Builder:
    """QueryRelevant's typography (TYPO); asked with the row's ``prompt``, for the authors ask another each time."""

    def draw(row: Row) -> Iterator[Drawn]:
        _check(row, font)
        line = _line(row, row.id, prompt or "", label, "typography")
        yield Drawn(row.id, typography.draw(row.text, font), line, "jpg", warning=_cut(row, font))

    return draw


def of_concat(font: Font, prompt: str | None, label: str, folder: Path) -> Builder:
    """QueryRelevant's picture above typography (SD_TYPO); rows name theirs in ``image``, relative to ``folder``."""

    def draw(row: Row) -> Iterator[Drawn]:
        _check(row, font)
        if not row.cells.get("image"):
            raise DataError("no picture to put on top: name it in a column 'image' (or --image)")
        path = folder / row.cells["image"]
        if reason := problem(path):
            raise DataError(reason)
        picture = drawing.read(path)
        image = typography.concat(picture, typography.draw(row.text, font))
        line = _line(row, row.id, prompt or "", label, "concat")
        yield Drawn(row.id, image, line, "jpg", warning=_cut(row, font))

    return draw


def of_perturbations(brush: Brush, kinds: Sequence[str], prompt: str | None, label: str) -> Builder:
    """The text on a screen, once in each kind; the manifest's category is the kind, so that scores compare them."""

    def draw(row: Row) -> Iterator[Drawn]:
        key = row.cells.get("cluster", "").strip() or row.id
        for kind in kinds:
            text = row.text
            if kind == "chinese":
                text = row.cells.get("translation", "").strip()
                if not text:
                    raise DataError("no Chinese translation: give it in a column 'translation', or leave chinese out")
            image = brush.draw(kind, text, key, brush.size(kind, (text,)))
            line = {**_line(row, f"{row.id}/{kind}", prompt or DESCRIBE, label, kind), "category": kind}
            yield Drawn(f"{kind}/{row.id.replace('/', '_')}", image, line, ending(kind))

    return draw


def of_dualbench(brush: Brush, kinds: Sequence[str]) -> Builder:
    """Both twins of one of our instructions in each kind, at one size and with one background and angle."""

    def draw(row: Row) -> Iterator[Drawn]:
        for kind in kinds:
            suffix = "_zh" if kind == "chinese" else ""
            twins = {twin: row.cells[twin + suffix] for twin in ("harmful", "benign")}
            size = brush.size(kind, tuple(twins.values()))
            for twin, text in twins.items():
                line = {
                    "id": row.id,
                    "kind": twin,
                    "category": row.cells["category"],
                    "perturbation": kind,
                    "display_text": text,
                }
                name = f"{kind}/{row.id.replace('/', '_')}_{twin}"
                yield Drawn(name, brush.draw(kind, text, row.id, size), line, ending(kind), column="image")

    return draw


def ending(kind: str) -> str:
    """PNG keeps text exactly; a photograph would be a megabyte of it."""
    return "jpg" if kind == "real_background" else "png"


def kinds_named(names: str | None) -> tuple[str, ...]:
    """``noise,rotation`` as a tuple; None: the plain screen and all five perturbations.

    Raises:
        DataError: There is no such kind.
    """
    if names is None:
        return (ORIGINAL, *perturbations.KINDS)
    kinds = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for kind in kinds or ("",):
        perturbations.check_kind(kind)
    return kinds


def _check(row: Row, font: Font) -> None:
    if not row.text.strip():
        raise DataError("empty text: nothing to draw")
    font.check(row.text)


def _cut(row: Row, font: Font) -> str:
    return "a word is wider than the image, as in the authors' code" if typography.clipped(row.text, font) else ""


def _line(row: Row, name: str, prompt: str, label: str, category: str) -> dict[str, str]:
    """The manifest's columns; what the row brings goes before the defaults."""
    cells = row.cells
    return {
        "id": name,
        "text": cells.get("prompt") or prompt,
        "label": cells.get("label") or label,
        "category": cells.get("category") or category,
        "cluster": cells.get("cluster") or row.id,
        "reference": cells.get("reference", ""),
        "query": cells.get("query") or row.text,
    }

"""What there is to do for a folder, and doing it: sizes, fetching, unpacking, and the digests that are written down."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmark import images
from benchmark.download.fetching import check_present, remote_size, retrieve, sha256
from benchmark.download.sources import Item, Source
from benchmark.download.unpacking import unpack
from benchmark.errors import DataError

RECORD = "digests.json"
Progress = Callable[[str, int, int | None], object]


@dataclass(frozen=True)
class Step:
    """One item of a source as it stands for a folder.

    Attributes:
        item: The item.
        there: Whether nothing is left to fetch or to unpack.
        size: Bytes to fetch.
        exact: Whether the server said so; else it is a rough figure.
    """

    item: Item
    there: bool
    size: int
    exact: bool


def plan(source: Source, root: Path, single: bool = False, images: bool = True) -> list[Step]:
    """What there is to fetch. Asks the servers for sizes; writes nothing.

    Args:
        single: Fetch images one by one where the source knows how, instead of its archive.
        images: False leaves the archives of images out.

    Raises:
        DataError: A server is out of reach or has no such file; another release is in the folder.
    """
    items = source.items if images else tuple(item for item in source.items if not item.keep)
    if single and images:
        if source.single is None:
            raise DataError(f"{source.name} has no images that can be fetched one by one: leave --single-files out")
        items = (*(item for item in items if not item.keep), source.single)
    steps = []
    for item in items:
        place = root / item.name
        if _is_there(source, item, root):
            steps.append(Step(item, True, 0, True))
            continue
        fetched = item is source.single or place.is_file()  # there but not unpacked, or many small files
        said = None if fetched else remote_size(item.url, _way_out(source, place))
        size = 0 if place.is_file() else item.about if said is None else said
        steps.append(Step(item, False, size, said is not None or place.is_file()))
    return steps


def get(source: Source, steps: Sequence[Step], root: Path, progress: Progress) -> None:
    """Fetch and unpack everything that a plan leaves to do.

    Args:
        progress: Called with the name of a file, what is done of it and how much there is in all, None if unknown.

    Raises:
        DataError: Something could not be had; what had come is kept where a second start can go on from it.
    """
    needed, free = sum(step.size for step in steps), shutil.disk_usage(_existing(root)).free
    if needed > free:
        raise DataError(f"{needed:,} bytes to fetch and {free:,} free in {root}: make room or give another --to")
    try:
        root.mkdir(parents=True, exist_ok=True)
        for step in steps:
            if step.item is source.single:
                _get_each(source, step.item, root, progress)
            elif not step.there:
                _get(source, step.item, root, progress)
    except OSError as error:
        raise DataError(f"cannot write in {root}: {error.strerror or error}: give another folder as --to") from error


def _get(source: Source, item: Item, root: Path, progress: Progress) -> None:
    place, recorded = root / item.name, _recorded(root).get(item.name, {})
    ours = not place.is_file() or bool(recorded)
    known = item.sha256 or ("" if item.git_blob else recorded.get("sha256", ""))
    way_out = _way_out(source, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    retrieve(item.url, place, known, item.git_blob, way_out, lambda n, total: progress(item.name, n, total))
    entry = {"url": item.url, "sha256": sha256(place), "size": place.stat().st_size, "pinned": item.pinned}
    if not item.keep:
        _record(root, item.name, entry)
        return
    try:
        wanted, tick = source.missing(root), partial(progress, f"unpacking {item.name}")
        unpack(place, root / item.into, item.keep, wanted, tick)
        left = _left(source, item, root)
        if left:
            raise DataError(f"{item.url} lacks {len(left)} of the images, such as {left[0]}: {way_out}")
    except DataError:
        if ours:
            place.unlink()
        raise
    _record(root, item.name, entry)
    if ours:  # an archive that the user had put there stays
        place.unlink()


def _get_each(source: Source, item: Item, root: Path, progress: Progress) -> None:
    """The missing images one by one; nothing pins them, so each must open as an image."""
    places = sorted(source.missing(root))
    for number, place in enumerate(places, start=1):
        place.parent.mkdir(parents=True, exist_ok=True)
        url, way_out = item.url.format(image=place.name), _way_out(source, place)
        retrieve(url, place, "", "", way_out, lambda n, total: None)
        if reason := images.problem(place):
            place.unlink()
            raise DataError(f"{url} sent no image ({reason}): try again later, or {way_out}")
        progress(item.name.format(image="*"), number, len(places))


def _is_there(source: Source, item: Item, root: Path) -> bool:
    place = root / item.name
    if item is source.single or item.keep:
        try:
            return not _left(source, item, root)
        except DataError:  # the questions are not there yet, so nobody knows
            return False
    if place.is_file():
        check_present(place, item.sha256, item.git_blob)
    return place.is_file()


def _left(source: Source, item: Item, root: Path) -> list[Path]:
    """The images of an item that are still missing."""
    return sorted(path for path in source.missing(root) if not item.into or root / item.into in path.parents)


def _way_out(source: Source, place: Path) -> str:
    return f"get {place.name} by hand from {source.page} and put it into {place.parent}"


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())


def _recorded(root: Path) -> dict[str, Any]:
    path = root / RECORD
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}): delete it; it is written again") from error
    return content if isinstance(content, dict) else {}


def _record(root: Path, name: str, entry: dict[str, Any]) -> None:
    path = root / RECORD
    part = path.with_name(f"{RECORD}.{os.getpid()}")
    content = _recorded(root) | {name: entry}
    part.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)

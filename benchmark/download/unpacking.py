"""Unpacks a zip archive from the net: every name is looked at before anything is written, every file arrives whole."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Container
from pathlib import Path, PurePosixPath

from benchmark.errors import DataError

_WHOLE = 1 << 20


def unpack(
    archive: Path,
    folder: Path,
    keep: str,
    wanted: Container[Path],
    tick: Callable[[int, int], object] = max,
) -> None:
    """Unpack some members.

    Args:
        archive: The zip file.
        folder: Where to.
        keep: Regular expression of the members to unpack; its first group is the place below ``folder``.
        wanted: Where the files to unpack go; what ``keep`` matches and is not among them stays packed.
        tick: Called with the number of files done and in all.

    Raises:
        DataError: It is not a zip file, or a damaged one; it has none of the files; or a name in it leads out of the
            folder or is a link, and then nothing at all is unpacked.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            for member in members:
                _refuse(member, archive)
            chosen = []
            for member in members:
                match = re.fullmatch(keep, member.filename)
                if match and folder / match[1] in wanted:
                    chosen.append((member, folder / match[1]))
            if not chosen:
                raise DataError(f"{archive} has none of the files to unpack ({keep}): is it another archive?")
            free, needed = shutil.disk_usage(archive.parent).free, sum(member.file_size for member, _ in chosen)
            if needed > free:
                raise DataError(f"unpacking {archive} takes {needed:,} bytes and the disk has {free:,} left: make room")
            for number, (member, place) in enumerate(chosen, start=1):
                _write(opened, member, place)
                tick(number, len(chosen))
    except OSError as error:  # a full disk, or a damaged directory that points before the file's beginning
        raise DataError(f"cannot unpack {archive} into {folder}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, struct.error, zlib.error, lzma.LZMAError) as error:
        # RuntimeError: encrypted, or packed in a way that Python does not read
        raise DataError(f"{archive} is not a whole zip archive ({error}): delete it and start again") from error


def _refuse(member: zipfile.ZipInfo, archive: Path) -> None:
    # orig_filename: what stands in the archive; zipfile already cuts filename at a zero byte
    name = PurePosixPath(member.orig_filename)
    outside = name.is_absolute() or ".." in name.parts or re.search(r"[\\:\x00]", member.orig_filename)
    if outside or stat.S_ISLNK(member.external_attr >> 16):
        what = "leads out of the folder" if outside else "is a link"
        raise DataError(f"{archive}: the name {member.orig_filename!r} in it {what}: refused, nothing was unpacked")


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path) -> None:
    """Under another name first: what has the final name is whole. Reading to the end checks the CRC."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    try:
        with opened.open(member) as source, open(part, "wb") as file:
            shutil.copyfileobj(source, file, _WHOLE)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)

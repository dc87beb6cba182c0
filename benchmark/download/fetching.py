"""Fetches one file through pooch so that it is there whole and right, or not at all.

pooch checks digests and moves files into place, but starts again after an interruption; `Resuming` is a downloader for
it that goes on: the part lies beside the file as ``NAME.part`` until it is whole (HTTP Range, with If-Range so that a
file that has changed at the server meanwhile is not glued to the old part).
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from benchmark.errors import DataError

Progress = Callable[[int, int | None], object]
TRIES = 5
_TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses after which the same request may succeed
_CHUNK = 1 << 14  # bytes; what a cut connection loses at most


class _BrokeOff(Exception):
    """This attempt failed, another may not."""


class Resuming:
    """A downloader for pooch: ``Resuming(...)(url, output_file, pooch)``.

    Args:
        part: Where the bytes are kept until all are there.
        known: The SHA-256 that the file must have, "" if unknown.
        git_blob: The id that git must give its content, "" if unknown.
        way_out: How to do without this program, for error messages.
        progress: Called with the bytes there and the bytes in all, None if the server does not say.
        wait: Seconds before the second try; doubled for each further one.
    """

    def __init__(
        self, part: Path, known: str, git_blob: str, way_out: str, progress: Progress = print, wait: float = 1.0
    ) -> None:
        self.part, self.known, self.git_blob = part, known, git_blob
        self.way_out, self.progress, self.wait = way_out, progress, wait
        self._mark = part.with_name(f"{part.name}.etag")

    def __call__(self, url: str, output_file: str | Path, pooch: object, check_only: bool = False) -> None:
        """Fetch, check, and move to ``output_file``.

        Raises:
            DataError: The server has no such file or cannot be reached, or it has another content.
        """
        best, failures = _size(self.part), 0
        while True:
            try:
                self._attempt(url)
                break
            except (_BrokeOff, requests.RequestException) as error:
                failures = 0 if _size(self.part) > best else failures + 1
                best = max(best, _size(self.part))
                if failures == TRIES:
                    raise DataError(
                        f"{_reason(url, error)}: the same command goes on from here, or {self.way_out}"
                    ) from error
                time.sleep(min(self.wait * 2**failures, 30))
        self._check(url)
        os.replace(self.part, output_file)
        self._mark.unlink(missing_ok=True)

    def _attempt(self, url: str) -> None:
        headers = {"Accept-Encoding": "identity"}
        start = _size(self.part)
        mark = self._mark.read_text(encoding="utf-8") if start and self._mark.is_file() else ""
        if start and (mark or self.known or self.git_blob):  # else nothing would tell that two halves do not fit
            headers["Range"] = f"bytes={start}-"
            if mark:
                headers["If-Range"] = mark
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == 416:
                if response.headers.get("Content-Range") == f"bytes */{start}":
                    return  # all of it had arrived
                self.part.unlink()
                raise _BrokeOff("the part did not fit the server's file any more")
            refuse(response, url, self.way_out)
            resumed = response.status_code == 206
            if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                self.part.unlink(missing_ok=True)
                raise _BrokeOff("the server sent another range than the one asked for")
            start = start if resumed else 0
            total = length(response)
            total = None if total is None else start + total
            etag = response.headers.get("ETag", "")  # a weak one (W/...) may not be used in If-Range
            mark = response.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
            with open(self.part, "ab" if resumed else "wb") as file:
                self._mark.write_text(mark, encoding="utf-8")
                for chunk in response.iter_content(_CHUNK):
                    file.write(chunk)
                    start += len(chunk)
                    self.progress(start, total)
        if total is not None and start != total:
            raise _BrokeOff(f"broke off after {start:,} of {total:,} bytes")

    def _check(self, url: str) -> None:
        for kind, known, found in (
            ("sha256", self.known, sha256),
            ("git blob", self.git_blob, git_blob),
        ):
            if known and (got := found(self.part)) != known:
                self.part.unlink()
                self._mark.unlink(missing_ok=True)
                raise DataError(
                    f"{url} is not the file that is pinned: {kind} {got} instead of {known}; nothing was kept: "
                    f"try again later, or {self.way_out}"
                )


def retrieve(url: str, place: Path, known: str, git_blob: str, way_out: str, progress: Progress) -> None:
    """The file at ``place``, through pooch; nothing is fetched where it already is.

    Raises:
        DataError: As `Resuming`; or another file is at the place.
    """
    pooch: Any = importlib.import_module("pooch")
    pooch.get_logger().setLevel("WARNING")
    if place.exists():
        check_present(place, known, git_blob)
        return
    downloader = Resuming(place.with_name(f"{place.name}.part"), known, git_blob, way_out, progress)
    try:
        pooch.retrieve(
            url, f"sha256:{known}" if known else None, fname=place.name, path=place.parent, downloader=downloader
        )
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise DataError(f"cannot write {place}: {error.strerror or error}: give another folder as --to") from error


def check_present(place: Path, known: str, blob: str) -> None:
    """Stops where a file of the user's is in the way.

    Raises:
        DataError: The file is not the one that is known.
    """
    got = sha256(place) if known else git_blob(place) if blob else ""
    if got != (known or blob):
        raise DataError(
            f"{place} is there with other content ({got} instead of {known or blob}): damaged, or another release; "
            "move it away or give another folder as --to"
        )


def remote_size(url: str, way_out: str) -> int | None:
    """What the server says the size is, by a HEAD request; None if it does not say.

    Raises:
        DataError: There is no such file, or no server.
    """
    try:
        response = requests.head(url, headers={"Accept-Encoding": "identity"}, allow_redirects=True, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise DataError(f"{_reason(url, error)}: are you online? Else {way_out}") from error
    if response.status_code in (404, 410):
        refuse(response, url, way_out)
    return length(response) if response.ok else None


def refuse(response: requests.Response, url: str, way_out: str) -> None:
    """Raises unless the answer has content.

    Raises:
        DataError: It never will have.
    """
    status = f"{response.status_code} {response.reason or ''}".strip()
    if response.status_code in _PASSING:
        raise _BrokeOff(f"{url} answers {status}")
    if response.status_code not in (200, 206):
        raise DataError(f"{url} answers {status}: {way_out}")


def length(response: requests.Response) -> int | None:
    """Content-Length, None if the answer has none."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def git_blob(path: Path) -> str:
    """The id that git gives a file's content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(url: str, error: Exception) -> str:
    if isinstance(error, _BrokeOff):
        return str(error) if url in str(error) else f"{url}: {error}"
    host = re.sub(r"^\w+://([^/]+).*", r"\1", url)
    kinds = {
        requests.exceptions.ChunkedEncodingError: f"{url} broke off",
        requests.exceptions.Timeout: f"{host} does not answer in time",
        requests.exceptions.ConnectionError: f"cannot reach {host}",
    }
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), f"cannot fetch {url}")

from __future__ import annotations

import gc
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.judges.verdict import Failure
from iar.remote import Endpoint
from iar.remote.cache import Cache, Entry, file_name

ENDPOINT = Endpoint("org/model:7b", "http://localhost/v1")


def entry(key: str, text: str = "fine", failure: Failure = "", tokens: int = 10) -> Entry:
    return Entry(key, text, failure, "", tokens, 2 * tokens, 0.5)


def test_replies_come_back_and_failures_that_may_pass_do_not(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.jsonl")
    outcomes: list[Failure] = ["", "refused", "filtered", "empty", "error", "timed out"]
    for failure in outcomes:
        cache.add(entry(failure or "none", failure=failure))
    cache.close()

    again = Cache(tmp_path / "c.jsonl")
    again.refresh()

    assert [again.get(failure or "none") is not None for failure in outcomes] == [True] * 4 + [False] * 2
    assert again.get("none") == entry("none")
    assert [again.spent(failure or "none") for failure in outcomes] == [(10, 20)] * 6
    assert again.spent("never asked") == (0, 0)


def test_the_ledger_adds_failed_attempts_to_the_reply(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.jsonl")
    for failure, text in (("error", ""), ("timed out", ""), ("", "fine")):
        cache.add(entry("a", text, failure))  # type: ignore[arg-type]

    reply = cache.get("a")
    assert reply is not None and (reply.text, reply.tokens_in) == ("fine", 10)
    assert cache.spent("a") == (30, 60)


def test_a_torn_or_strange_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    cache = Cache(path)
    cache.add(entry("a"))
    cache.close()
    with path.open("a") as file:
        file.write('{"note": "no entry"}\n{"key": "b", "text": "half')

    again = Cache(path)
    again.refresh()
    again.add(entry("c"))
    again.close()

    assert [again.get(key) is not None for key in "abc"] == [True, False, True]
    assert [json.loads(line).get("key") for line in path.read_text().splitlines()] == ["a", None, "c"]


def test_a_file_has_one_cache_in_a_process(tmp_path: Path) -> None:
    one, two = Cache.of(tmp_path, ENDPOINT), Cache.of(tmp_path / ".", replace(ENDPOINT, temperature=None))
    one.add(entry("a"))

    assert one is two and two.get("a") is not None
    assert Cache.of(tmp_path, replace(ENDPOINT, base_url="http://localhost/v2")) is not one
    assert Cache.of(None, ENDPOINT) is not Cache.of(None, ENDPOINT)
    one.close()
    del one, two
    gc.collect()
    again = Cache.of(tmp_path, ENDPOINT)
    again.refresh()
    assert again.get("a") == entry("a")


def test_the_file_s_name_is_safe_and_tells_endpoints_apart() -> None:
    models = ["org/model:7b", "org-model-7b", "../../etc/passwd", "...", "ü" * 300]

    names = [file_name(replace(ENDPOINT, model=model)) for model in models]

    assert len(set(names)) == 5 and names[0].startswith("org-model-7b-")
    assert all(len(name) < 80 and "/" not in name and not name.startswith(".") for name in names)


def test_another_process_s_replies_are_read(tmp_path: Path) -> None:
    mine, theirs = Cache(tmp_path / "c.jsonl"), Cache(tmp_path / "c.jsonl")  # two objects, as in two processes
    mine.refresh()
    mine.add(entry("a"))
    theirs.add(entry("b"))
    mine.add(entry("c"))
    mine.refresh()
    theirs.refresh()

    assert [[cache.get(key) is not None for key in "abc"] for cache in (mine, theirs)] == [[True] * 3] * 2
    assert mine.spent("a") == (10, 20)
    mine.close()
    theirs.close()


WRITER = """
import sys
from pathlib import Path
from iar.remote.cache import Cache, Entry
for n in range(40):
    cache = Cache(Path(sys.argv[1]))
    cache.add(Entry(f"{sys.argv[2]}-{n}", "x" * 3000, "", "", 1, 1, 0.0))
    cache.close()  # every line is written by a file opened anew, which would cut off another's half line
"""


@pytest.mark.slow
def test_processes_do_not_break_each_other_s_lines(tmp_path: Path, warm_python: str) -> None:
    path = tmp_path / "c.jsonl"
    writers = [subprocess.Popen([warm_python, "-c", WRITER, str(path), str(n)]) for n in range(3)]

    assert [writer.wait(600) for writer in writers] == [0, 0, 0]

    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()]
    assert sorted(keys) == sorted(f"{writer}-{n}" for writer in range(3) for n in range(40))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose a writable cache folder"):
        Cache(tmp_path / "file" / "c.jsonl").add(entry("a"))

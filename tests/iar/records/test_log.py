from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.records import Log


def test_records_come_back_in_order_and_unchanged(tmp_path):
    records = [{"a": 1, "text": "two\nlines \u2028 é"}, {"b": [1.5, None, True]}]
    log = Log(tmp_path / "new" / "x.jsonl")
    assert log.read() == []
    for record in records:
        log.append(record)
    assert Log(log.path).read() == records
    assert log.path.read_bytes().count(b"\n") == 2


def test_a_lone_surrogate_is_no_text(tmp_path):
    """No file, path or terminal takes one, so nothing behind the log has to."""
    log = Log(tmp_path / "x.jsonl")
    log.append({"text": "a \ud800 b \ud83d\ude00"})
    assert Log(log.path).read() == [{"text": "a \ufffd b \U0001f600"}]


@pytest.mark.parametrize("tail", [b'{"b": 2', b'{"b": 2, "c": "x\n', b"\x00\x00\x00", b"\xff\xfe", b"17"])
def test_a_torn_last_line_is_dropped_reported_and_cut_off(tmp_path, tail):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n' + tail)
    reader = Log(path)
    assert reader.read() == [{"a": 1}]
    assert reader.torn is not None
    assert path.read_bytes().endswith(tail)  # reading changes nothing
    writer = Log(path)
    writer.append({"b": 3})
    assert writer.torn is not None
    assert path.read_bytes() == b'{"a": 1}\n{"b": 3}\n'
    assert Log(path).read() == [{"a": 1}, {"b": 3}]


def test_every_cut_of_a_file_keeps_exactly_the_whole_lines(tmp_path):
    path = tmp_path / "x.jsonl"
    with Log(path) as log:
        for number in range(3):
            log.append({"number": number})
    content = path.read_bytes()
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        complete = sum(cut >= end - 1 for end in (14, 28, 42))  # an object that lost only its newline is complete
        with Log(path) as log:
            log.append({"number": "next"})
        assert Log(path).read() == [{"number": n} for n in range(complete)] + [{"number": "next"}], cut


def test_a_broken_line_in_the_middle_names_file_and_line(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": \n{"c": 3}\n')
    with pytest.raises(UserError, match=r"x\.jsonl:2: not a JSON object"):
        Log(path).read()
    with pytest.raises(UserError, match=r"x\.jsonl:2"):
        Log(path).append({"d": 4})
    assert path.read_bytes() == b'{"a": 1}\n{"b": \n{"c": 3}\n'


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*x\.jsonl"):
        Log(tmp_path / "file" / "x.jsonl").append({})
    with pytest.raises(UserError, match="cannot read"):
        Log(tmp_path).read()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_write_permission_is_a_user_error(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n')
    path.chmod(0o444)
    assert Log(path).read() == [{"a": 1}]
    with pytest.raises(UserError, match="Permission denied"):
        Log(path).append({})


def test_not_a_number_is_refused(tmp_path):
    with pytest.raises(ValueError):
        Log(tmp_path / "x.jsonl").append({"value": float("nan")})
    assert not (tmp_path / "x.jsonl").exists()


def test_a_full_disk_takes_back_the_line_and_keeps_those_before(tmp_path):
    """A real limit: the system writes the part of the line that fits, as a full disk does."""
    log = Log(tmp_path / "x.jsonl")
    record = {"answer": "a" * 80}
    log.append(record)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
        for _ in range(2):
            with pytest.raises(UserError, match=r"x\.jsonl: File too large; make room; what is written is kept"):
                log.append(record)
        whole = log.path.read_bytes()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert whole.endswith(b"}\n") and len(whole) < 150
    log.append(record | {"number": 2})
    assert Log(log.path).read() == [record, record | {"number": 2}] and log.torn is None


APPENDS = """
import sys
from iar.records import Log
for number in range(300):
    with Log(sys.argv[1]) as log:  # opened anew each time, which looks for a torn line
        log.append({"who": sys.argv[2], "number": number, "text": "x" * 500})
"""


def test_several_processes_lose_no_line_of_each_other(tmp_path):
    path = tmp_path / "x.jsonl"
    root = Path(__file__).resolve().parents[3]
    writers = [
        subprocess.Popen([sys.executable, "-c", APPENDS, str(path), who], env=os.environ | {"PYTHONPATH": str(root)})
        for who in "ab"
    ]
    while any(writer.poll() is None for writer in writers):
        Log(path).read()  # never an error: what is read ends at a size, maybe in the middle of a line
    assert [writer.wait() for writer in writers] == [0, 0]
    found = [(record["who"], record["number"]) for record in Log(path).read()]
    assert sorted(found) == [(who, number) for who in "ab" for number in range(300)]


def test_a_file_is_rewritten_in_one_move(tmp_path):
    log = Log(tmp_path / "x.jsonl")
    (tmp_path / "x.jsonl.partial").write_text('{"left": "by a kill"}\n')
    log.append({"a": 1})
    log.append({"a": 2})
    log.rewrite([{"a": 2}, {"a": 1}])
    assert log.read() == [{"a": 2}, {"a": 1}] and [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]
    inode = log.path.stat().st_ino
    log.rewrite(log.read())
    assert log.path.stat().st_ino == inode  # nothing to do
    log.append({"a": 3})
    assert log.read()[-1] == {"a": 3}

"""`python -m benchmark download` against sources whose addresses are on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark import pope, scienceqa
from benchmark.__main__ import main
from benchmark.download import getting, sources

SHOWN = "COCO_val2014_{number:012d}.jpg"


def _picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _questions(split: str) -> bytes:
    rows = (
        {"question_id": n, "image": SHOWN.format(number=n), "text": f"Is there a {split}?", "label": "yes"}
        for n in (1, 2)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def local(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """POPE with two photographs among three in the archive, from the local server; returns the server."""
    items = []
    for split, name in zip(pope.SPLITS, pope.FILES, strict=True):
        digest = hashlib.sha256(_questions(split)).hexdigest()
        items.append(sources.Item(name, server.serve(name, _questions(split)), "MIT", 1, digest))
    photographs = {SHOWN.format(number=n): _picture(n) for n in (1, 2, 3)}
    archive = _zip({f"val2014/{name}": content for name, content in photographs.items()})
    real = sources.source("pope")
    items.append(replace(real.items[-1], url=server.serve("val2014.zip", archive, etag='"a"')))
    for name, content in photographs.items():
        server.serve(name, content)
    assert real.single is not None
    single = replace(real.single, url=server.url("{image}"))
    found = replace(real, items=tuple(items), single=single)
    monkeypatch.setattr(sources, "source", lambda name: found)
    return server


def _tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


WHOLE = [*sorted(pope.FILES), "digests.json", f"val2014/{SHOWN.format(number=1)}", f"val2014/{SHOWN.format(number=2)}"]


def test_everything_arrives_and_the_loader_reads_it(
    local: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "new" / "pope"
    assert main(["download", "pope", "--to", str(root), "--yes"]) == 0
    assert _tree(root) == WHOLE  # the third photograph stays packed, the archive is gone
    loaded = pope.load(root)
    assert len(loaded.samples) == 6 and not loaded.unasked
    written = json.loads((root / "digests.json").read_text(encoding="utf-8"))
    archive = local.files["/val2014.zip"].content
    assert written["val2014.zip"] == {
        "url": local.url("val2014.zip"),
        "sha256": hashlib.sha256(archive).hexdigest(),
        "size": len(archive),
        "pinned": False,
    }
    assert [entry["pinned"] for name, entry in sorted(written.items())] == [True, True, True, False]
    out = capsys.readouterr().out
    assert "MIT" in out and "Flickr terms of use" in out and "not pinned" in out
    assert f"python -m benchmark validate pope/official-9000 --data {root}" in out


def test_a_second_run_fetches_nothing_and_a_lost_image_is_fetched_again(local: Any, tmp_path: Path) -> None:
    assert main(["download", "pope", "--to", str(tmp_path), "--yes"]) == 0
    sent = dict(local.sent)
    assert main(["download", "pope", "--to", str(tmp_path)]) == 0  # nothing to ask about
    assert dict(local.sent) == sent
    (tmp_path / "val2014" / SHOWN.format(number=2)).unlink()
    assert main(["download", "pope", "--to", str(tmp_path), "--yes"]) == 0
    assert _tree(tmp_path) == WHOLE
    assert local.sent["/val2014.zip"] == 2 * sent["/val2014.zip"]


def test_an_unpinned_archive_must_be_the_same_the_second_time(
    local: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["download", "pope", "--to", str(tmp_path), "--yes"]) == 0
    first = hashlib.sha256(local.files["/val2014.zip"].content).hexdigest()
    (tmp_path / "val2014" / SHOWN.format(number=2)).unlink()
    other = _zip({f"val2014/{SHOWN.format(number=n)}": b"other" for n in (1, 2)})
    local.serve("val2014.zip", other)
    assert main(["download", "pope", "--to", str(tmp_path), "--yes"]) == 2
    assert f"{hashlib.sha256(other).hexdigest()} instead of {first}" in capsys.readouterr().err
    assert _tree(tmp_path) == WHOLE[:-1]


def test_single_files(local: Any, tmp_path: Path) -> None:
    assert main(["download", "pope", "--to", str(tmp_path), "--yes", "--single-files"]) == 0
    assert _tree(tmp_path) == WHOLE
    assert local.sent["/val2014.zip"] == 0 and local.sent["/" + SHOWN.format(number=3)] == 0
    (tmp_path / "val2014" / SHOWN.format(number=1)).unlink()
    local.serve(SHOWN.format(number=1), b"<html>busy</html>")
    assert main(["download", "pope", "--to", str(tmp_path), "--yes", "--single-files"]) == 2
    assert _tree(tmp_path) == WHOLE[:-2] + WHOLE[-1:]


def test_no_images_fetches_the_questions_alone(local: Any, tmp_path: Path) -> None:
    assert main(["download", "pope", "--to", str(tmp_path), "--yes", "--no-images"]) == 0
    assert _tree(tmp_path) == sorted([*pope.FILES, "digests.json"])
    assert local.sent["/val2014.zip"] == 0


def test_the_users_own_archive_is_used_and_stays(local: Any, tmp_path: Path) -> None:
    (tmp_path / "val2014.zip").write_bytes(local.files["/val2014.zip"].content)
    assert main(["download", "pope", "--to", str(tmp_path), "--yes"]) == 0
    assert _tree(tmp_path) == sorted([*WHOLE, "val2014.zip"])
    assert local.sent["/val2014.zip"] == 0


def test_a_dry_run_touches_nothing(local: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "new"
    assert main(["download", "pope", "--to", str(root), "--dry-run"]) == 0
    assert list(tmp_path.iterdir()) == [] and not local.ranges  # HEAD requests only
    assert local.url("val2014.zip") in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 1), ("no\n", 1)])
def test_it_asks(local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["download", "pope", "--to", str(tmp_path)]) == code
    assert bool(_tree(tmp_path)) == (code == 0)


def test_with_nobody_to_ask_it_stops(local: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "pope", "--to", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("add --yes\n") and not _tree(tmp_path)


def test_a_missing_file_at_the_server_is_said_before_anything_is_fetched(
    local: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del local.files["/val2014.zip"]
    assert main(["download", "pope", "--to", str(tmp_path), "--yes"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "answers 404 Not Found: get val2014.zip by hand from https://" in err
    assert not _tree(tmp_path) and not local.ranges


def test_an_evil_archive_leaves_nothing_of_itself(
    local: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = _zip({f"val2014/{SHOWN.format(number=1)}": _picture(1), "../evil.jpg": b"evil"})
    local.serve("val2014.zip", evil)
    root = tmp_path / "pope"
    assert main(["download", "pope", "--to", str(root), "--yes"]) == 2
    assert "refused, nothing was unpacked" in capsys.readouterr().err
    assert _tree(tmp_path) == sorted(f"pope/{name}" for name in [*pope.FILES, "digests.json"])


def test_another_release_in_the_folder(local: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / pope.FILES[0]).write_bytes(b"another release")
    assert main(["download", "pope", "--to", str(tmp_path), "--yes"]) == 2
    assert "is there with other content" in capsys.readouterr().err
    assert _tree(tmp_path) == [pope.FILES[0]]


def test_no_room(local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sources.source("pope")
    steps = getting.plan(found, tmp_path)
    huge = [replace(steps[0], size=1 << 60)]
    with pytest.raises(getting.DataError, match="make room or give another --to"):
        getting.get(found, huge, tmp_path, lambda *_: None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vscbench", "Google Drive, the link 'VSCBench Full Dataset'"),
        ("vlguard", "the images are gated: sign in at https://huggingface.co/datasets/ys-zong/VLGuard"),
        ("mm-safetybench", "unpack them as {root}/data/imgs"),
        ("dualbench", "under controlled access"),
    ],
)
def test_what_only_hands_can_fetch(
    server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    said: str,
) -> None:
    real = sources.source(name)
    items = tuple(
        replace(item, url=server.serve(item.name, b"x"), sha256=hashlib.sha256(b"x").hexdigest()) for item in real.items
    )
    monkeypatch.setattr(sources, "source", lambda _: replace(real, items=items))
    assert main(["download", name, "--to", str(tmp_path), "--yes"]) == 1
    assert said.format(root=tmp_path) in capsys.readouterr().out
    assert len(_tree(tmp_path)) == (len(items) + 1 if items else 0)
    for place in real.there:
        (tmp_path / place).mkdir(parents=True)
    assert main(["download", name, "--to", str(tmp_path)]) == 0


def test_scienceqa_splits_its_pictures_as_the_authors_do(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"question": "Which?", "choices": ["a", "b"], "answer": 0, "hint": "", "image": "image.png"}
    problems = {str(n): about | {"split": split} for n, split in ((1, "val"), (2, "test"))}
    contents = {
        "problems.json": json.dumps(problems).encode(),
        "pid_splits.json": json.dumps({"val": ["1"], "test": ["2"]}).encode(),
        "val.zip": _zip({"val/": b"", "val/1/image.png": _picture(1)}),
        "test.zip": _zip({"test/2/image.png": _picture(2), "test/.DS_Store": b"x"}),
    }
    real = sources.source("scienceqa")
    items = tuple(replace(i, url=server.serve(i.name, contents[i.name]), sha256="", git_blob="") for i in real.items)
    monkeypatch.setattr(sources, "source", lambda _: replace(real, items=items))
    assert main(["download", "scienceqa", "--to", str(tmp_path), "--yes"]) == 0
    for split in ("validation", "test"):
        loaded = scienceqa.load(tmp_path, split)
        assert len(loaded.samples) == 1 and not loaded.unasked

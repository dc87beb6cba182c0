from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import benchmark
from benchmark import pope
from benchmark.download import sources
from benchmark.download.fetching import sha256
from benchmark.errors import DataError

NAMES = [name for name in benchmark.names() if name not in ("manifest", "everyday")]
MEMBERS = {
    "val2014.zip": ("val2014/COCO_val2014_000000310196.jpg", "COCO_val2014_000000310196.jpg"),
    "val.zip": ("val/7/image.png", "7/image.png"),
    "test.zip": ("test/4/image.png", "4/image.png"),
    "figstep.zip": (
        "FigStep-0861b17b3d67887c06ee3534ec65b3012f9becb7/data/images/SafeBench/query_ForbidQI_1_1_6.png",
        "SafeBench/query_ForbidQI_1_1_6.png",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_says_where_its_data_is(name: str) -> None:
    found = sources.source(name)
    assert found.page.startswith("https://") and (found.items or found.by_hand)
    assert bool(found.by_hand) == bool(found.there)
    for item in found.items:
        assert re.match(r"https?://[^{}]+$", item.url) and item.licence and item.about > 0
        assert not item.sha256 or re.fullmatch("[0-9a-f]{64}", item.sha256)
        pinned_address = re.search(r"/[0-9a-f]{40}/", item.url) is not None
        assert item.pinned == pinned_address or item.keep or name == "mm-safetybench"
        if item.keep:
            member, place = MEMBERS[item.name]
            match = re.fullmatch(item.keep, member)
            assert match and match[1] == place


def test_a_protocol_gets_its_own_release() -> None:
    for preset in ("pope/llava-8910", "pope/llava-8910-authors"):
        found = sources.source(preset)
        assert "e3e39262c85a6a83f26cf5094022a782cb0df58d" in found.items[0].url
        assert {i.name: i.sha256 for i in found.items if i.sha256} == dict(benchmark.protocol(preset).digests)
    assert sources.source("pope").items[0].sha256 == benchmark.protocol("pope").digests[pope.FILES[0]]


def test_names_that_have_no_source() -> None:
    with pytest.raises(DataError, match="nothing to download for manifest"):
        sources.source("manifest")
    with pytest.raises(DataError, match="did you mean 'pope'"):
        sources.source("popee")


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("pope", {file: f"pope/{file}" for file in pope.FILES}),
        ("pope/llava-8910", {file: f"pope/llava8910/{file}" for file in pope.FILES}),
        ("scienceqa", {"pid_splits.json": "scienceqa/pid_splits.json"}),
        ("xstest", {"xstest_prompts.csv": "xstest/xstest_prompts.csv"}),
        ("figstep", {file: f"figstep/{file}" for file in ("safebench.csv", "SafeBench-Tiny.csv")}),
        ("vscbench", {f"vscbench_{h}_centric.xlsx": f"vscbench/vscbench_{h}_centric.xlsx" for h in ("image", "text")}),
    ],
)
def test_the_digests_are_those_of_the_real_files(
    test_data: Callable[[str], Path], name: str, files: dict[str, str]
) -> None:
    pinned = {item.name: item.sha256 for item in sources.source(name).items if item.sha256}
    assert pinned == {file: sha256(test_data(place)) for file, place in files.items()}


def test_missing_images_lie_where_the_archives_go(test_data: Callable[[str], Path], tmp_path: Path) -> None:
    for name, folder in (("pope", "pope"), ("figstep", "figstep")):
        root = test_data(folder)
        found = sources.source(name)
        into = next(item.into for item in found.items if item.keep)
        missing = found.missing(root)
        assert len(missing) == {"pope": 500, "figstep": 550}[name]
        assert all(root / into in path.parents for path in missing)

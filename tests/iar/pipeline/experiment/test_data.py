from __future__ import annotations

import json
import shutil
from functools import partial

import pytest

from benchmark.errors import DataError
from benchmark.halves import words
from benchmark.pocket import layouts
from iar.errors import UserError
from iar.pipeline.experiment import data
from iar.pipeline.experiment.settings import SPLITS

EVERY = ("vscbench", "pope", "scienceqa")


def test_the_splits_of_pocket_data_are_folders(compose, pocket_data):
    found = {s: data.load(compose("sweep", f"data.root={pocket_data}", f"split={s}"), EVERY) for s in SPLITS}
    for split, loaded in found.items():
        assert list(loaded) == list(EVERY)
        assert len(loaded["vscbench"].samples) == 3 * 6 + 4 * 5 and len(loaded["scienceqa"].samples) == 8
        for name in EVERY:
            images = [path for s in loaded[name].samples for path in s.images]
            assert images and all(pocket_data / split / name in path.parents for path in images)


def test_a_limit_spreads_over_the_benchmark(compose, pocket_data):
    whole = data.load(compose("sweep", f"data.root={pocket_data}"), EVERY)
    some = data.load(compose("sweep", f"data.root={pocket_data}", "limit=5"), EVERY)
    for name in EVERY:
        places = [whole[name].samples.index(sample) for sample in some[name].samples]
        assert len(places) == 5 and places == sorted(places)
        assert places[-1] - places[0] >= len(whole[name].samples) / 2
    halves = {s.meta["half"] for s in some["vscbench"].samples}
    assert halves == {"image", "text"}
    assert data.load(compose("sweep", f"data.root={pocket_data}", "limit=9999"), EVERY) == whole


@pytest.mark.parametrize("limit", [2, 4, 6, 8, 12])
def test_a_limit_keeps_safe_and_unsafe_requests(compose, pocket_data, limit):
    some = data.load(compose("sweep", f"data.root={pocket_data}", f"limit={limit}"), EVERY[:1])["vscbench"].samples
    whole = data.load(compose("sweep", f"data.root={pocket_data}"), EVERY[:1])["vscbench"].samples
    assert len(some) == limit and [s for s in whole if s in some] == list(some)
    assert abs(sum(s.reference == "safe" for s in some) - limit / 2) <= 1


@pytest.mark.parametrize(
    ("limit", "total"), [(24, 480), (6, 120), (12, 120), (44, 120), (380, 450), (100, 101), (7, 1000)]
)
def test_a_limit_keeps_alternating_rows_mixed(limit, total):
    """POPE asks yes and no in turn, ScienceQA with and without a picture: an even step would take one kind only."""
    chosen = data._every(total / limit, range(total))
    assert len(set(chosen)) == limit and list(chosen) == sorted(chosen)
    assert 0.3 < sum(i % 2 for i in chosen) / limit < 0.7


def test_shared_data_are_parted_by_cluster_and_so_is_what_cannot_be_asked(compose, pocket_data, tmp_path):
    """A folder of real data has no validation split: clusters are parted, each into exactly one part."""
    root = shutil.copytree(pocket_data / "test", tmp_path / "real")
    for image in sorted((root / "vscbench/vscbench_image_centric_images/drugs").iterdir()):
        image.unlink()
    parts = [data.load(compose("sweep", "data=folder", f"data.root={root}", f"split={s}"), EVERY) for s in SPLITS]
    for name in ("vscbench", "pope"):
        clusters = [{item.cluster for item in loaded[name].samples} for loaded in parts]
        assert not clusters[0] & clusters[1]
    assert sum(len(loaded["vscbench"].samples) for loaded in parts) == 2 * 6 + 4 * 5
    left_out = [{item.id for item in loaded["vscbench"].unasked} for loaded in parts]
    assert len(left_out[0] | left_out[1]) == len(left_out[0]) + len(left_out[1]) == 6
    limited = data.load(compose("sweep", "data=folder", f"data.root={root}", "split=test", "limit=4"), EVERY[:1])
    assert len(limited["vscbench"].samples) == 4
    assert 1 <= len(limited["vscbench"].unasked) <= 2  # thinned as the samples are


def test_prepare_writes_pocket_data_once_and_again_for_another_seed(compose, tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "SIZES", {"test": layouts.Sizes(3, 2, 1, 2)})
    monkeypatch.setattr(layouts, "write", partial(layouts.write, pairs=6))
    cfg = compose("sweep", f"data.root={tmp_path / 'p'}", "seed=5")
    data.prepare(cfg.data)
    assert layouts.complete(tmp_path / "p", 0)  # the seed of random directions writes no other data
    pairs = (tmp_path / "p/train/pairs.jsonl").read_bytes()
    written = (tmp_path / "p/train/pairs.jsonl").stat().st_mtime_ns
    data.prepare(cfg.data)
    assert (tmp_path / "p/train/pairs.jsonl").stat().st_mtime_ns == written
    data.prepare(compose("sweep", f"data.root={tmp_path / 'p'}", "data.seed=1").data)
    assert layouts.complete(tmp_path / "p", 1) and (tmp_path / "p/train/pairs.jsonl").read_bytes() != pairs


def test_bad_data_settings(compose, pocket_data, tmp_path):
    with pytest.raises(UserError, match="unknown split 'tset': did you mean 'test'"):
        compose("sweep", f"data.root={pocket_data}", "split=tset")
    with pytest.raises(DataError, match=rf"{tmp_path}/vscbench/vscbench_image_centric\.xlsx: download"):
        data.load(compose("sweep", "data=folder", f"data.root={tmp_path}"), EVERY)


def test_a_protocol_is_chosen_by_its_whole_name_or_its_preset(compose, pocket_data):
    root = f"data.root={pocket_data}"
    for chosen in ("llava-8910", "pope/llava-8910"):
        cfg = compose("sweep", root, f"benchmark.pope.protocol={chosen}")
        assert data.protocol(cfg, "pope").name == "pope/llava-8910"
        assert list(data.load(cfg, ("pope", "scienceqa"))) == ["pope/llava-8910", "scienceqa"]
    assert list(data.load(compose("sweep", root, "benchmark.pope.protocol=official-9000"), ("pope",))) == ["pope"]
    image = data.load(compose("sweep", root, "benchmark.vscbench.protocol=image"), ("vscbench",))["vscbench/image"]
    assert len(image.samples) == 3 * 6 and {s.meta["half"] for s in image.samples} == {"image"}
    with pytest.raises(DataError, match=r"unknown protocol 'pope/llava': did you mean 'pope/llava-8910'"):
        data.load(compose("sweep", root, "benchmark.pope.protocol=llava"), ("pope",))


def test_what_was_asked_of_which_data(compose, pocket_data, test_data, tmp_path):
    (tmp_path / "pope").mkdir()
    for split in ("random", "popular", "adversarial"):
        file = test_data(f"pope/llava8910/coco_pope_{split}.json")
        shutil.copy(file, tmp_path / "pope" / file.name)
    real = ("data=folder", f"data.root={tmp_path}")
    pinned = data.describe(compose("sweep", *real, "benchmark.pope.protocol=llava-8910"), "pope")
    assert (pinned["protocol"], pinned["data"]) == ("pope/llava-8910@2", "pinned")
    other = data.describe(compose("sweep", *real), "pope")
    assert (other["protocol"], other["data"]) == ("pope/official-9000@2", "other")
    assert other["questions"] == pinned["questions"]  # the same files, however they are asked
    with (tmp_path / "pope/coco_pope_random.json").open("a") as file:
        file.write("\n")
    changed = data.describe(compose("sweep", *real, "benchmark.pope.protocol=llava-8910"), "pope")
    assert changed["data"] == "other" and changed["questions"] != pinned["questions"]
    pocket = data.describe(compose("sweep", f"data.root={pocket_data}"), "scienceqa")
    assert (pocket["data"], len(pocket["questions"])) == ("other", 64)


def test_no_prompt_of_a_row_is_in_both_halves(compose, pocket_data):
    root = pocket_data / "test"
    parts = [data.load(compose("sweep", "data=folder", f"data.root={root}", f"split={s}"), EVERY) for s in SPLITS]
    asked = [{words(s.query) for s in loaded["vscbench"].samples} for loaded in parts]
    assert all(asked) and not asked[0] & asked[1]


def test_rows_that_are_all_of_one_half(compose, tmp_path):
    """Rows that share a cluster are of one half; the other one says so, and not that items were left out."""
    (tmp_path / "manifest").mkdir()
    rows = [{"id": str(i), "text": f"Is there a cup? ({i})", "label": "yes", "cluster": "kitchen"} for i in range(5)]
    (tmp_path / "manifest/manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = ["data=folder", f"data.root={tmp_path}", "benchmark=manifest", "benchmark.manifest.protocol=manifest/yes-no"]
    halves = {split: compose("evaluate", *said, f"split={split}") for split in data.SPLITS}
    counts = {split: len(data.load(cfg, ["manifest"])["manifest/yes-no"].samples) for split, cfg in halves.items()}
    assert sorted(counts.values()) == [0, 5]
    full, other = sorted(counts, key=lambda split: -counts[split])
    found = data.of_the_other_half(halves[other], "manifest")
    assert found.startswith("all 5 rows are of the other half") and found.endswith(f"take split={full}")
    assert data.of_the_other_half(halves[full], "manifest") == ""

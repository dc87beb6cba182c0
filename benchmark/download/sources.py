"""Where the authors publish each benchmark's data, what pins a file, and what has to be fetched by hand.

A file is pinned by its SHA-256, or by the id that git gave its content in the commit named in the address. Archives
whose digest nobody published are not pinned: their digest is written down at the first download, beside the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import benchmark
from benchmark.errors import DataError, did_you_mean
from benchmark.sample import Sample

_RAW = "https://raw.githubusercontent.com"
_COCO = "http://images.cocodataset.org"
_PHOTOGRAPHS = "Flickr terms of use, see cocodataset.org"
_POPE = {
    "official-9000": f"{_RAW}/RUCAIBox/POPE/3df3ba1b110ecce25696989577fad583b67d4239/output/coco",
    "llava-8910": f"{_RAW}/RUCAIBox/POPE/e3e39262c85a6a83f26cf5094022a782cb0df58d/output/coco",
}
_SCIENCEQA = f"{_RAW}/lupantech/ScienceQA/2cbf8318e07b9ece895bb2ae605e71e38d623264/data/scienceqa"
_SCIENCEQA_IMAGES = "https://scienceqa.s3.us-west-1.amazonaws.com/images"  # as in the authors' tools/download.sh
_XSTEST = f"{_RAW}/paul-rottger/exaggerated-safety/d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d"
_FIGSTEP = "0861b17b3d67887c06ee3534ec65b3012f9becb7"
_VSCBENCH = f"{_RAW}/jiahuigeng/VSCBench/426fa1f5b3ccce639ac5cbc593d887f166fc12d9"
_VLGUARD = f"{_RAW}/ys-zong/VLGuard/a2f85c90e10345dc5e7eceecadd89c1ed982d04f/data"


@dataclass(frozen=True)
class Item:
    """One file to fetch.

    Attributes:
        name: Its place below the folder. ``{image}`` in it and in ``url`` stands for every image that is wanted.
        url: Its address.
        licence: The terms its authors give it under.
        about: Its size in bytes, roughly, for servers that do not say.
        sha256: Its digest, "" if it is not pinned by one.
        git_blob: The id of its content in git, "" if it is not pinned by one.
        keep: For an archive: a regular expression; members whose whole name it matches are unpacked to where its first
            group says, below ``into``. "" for a file that stays as it is.
        into: Folder below the folder, of an archive.
    """

    name: str
    url: str
    licence: str
    about: int
    sha256: str = ""
    git_blob: str = ""
    keep: str = ""
    into: str = ""

    @property
    def pinned(self) -> bool:
        """Whether it is known beforehand what its content must be."""
        return bool(self.sha256 or self.git_blob)


@dataclass(frozen=True)
class Source:
    """All of one benchmark.

    Attributes:
        name: The benchmark, or the protocol that a release of the data belongs to.
        page: The authors' page, for whoever has to do without this program.
        items: What can be fetched.
        by_hand: What cannot, and where to click and unpack, a line each; ``{root}`` is the folder.
        there: Files or folders below the folder that are there once ``by_hand`` is done.
        missing: ``missing(folder)``: images that the questions there need and that are not there; only these are
            unpacked. Raises DataError while the questions are not there either.
        single: What fetches these images one by one, in the place of the archives among ``items``.
    """

    name: str
    page: str
    items: tuple[Item, ...] = ()
    by_hand: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    missing: Callable[[Path], set[Path]] = lambda root: set()
    single: Item | None = None


def source(name: str) -> Source:
    """Where a benchmark or a protocol comes from; a benchmark's name alone means the data of its first protocol.

    Raises:
        DataError: There is no such benchmark, or nothing to fetch for it.
    """
    protocol = benchmark.protocol(name)
    if protocol.benchmark not in _SOURCES:
        raise DataError(
            f"nothing to download for {name}, it ships with the package or reads files of yours: "
            f"{did_you_mean(name, _SOURCES)}"
        )
    if protocol.benchmark == "pope":
        return _pope(protocol.name.partition("/")[2].removesuffix("-authors"))
    return _SOURCES[protocol.benchmark](protocol.benchmark)


def _files(name: str, place: str, licence: str, about: int) -> tuple[Item, ...]:
    """The files that the protocols of a benchmark pin, each at ``place/file``."""
    found = [benchmark.protocol(each) for each in benchmark.protocols() if each.partition("/")[0] == name]
    digests = {file: digest for protocol in found for file, digest in protocol.digests.items()}
    return tuple(Item(file, f"{place}/{file}", licence, about, digest) for file, digest in digests.items())


def _absent(samples: Iterable[Sample]) -> set[Path]:
    paths = {path for sample in samples for path in sample.images}
    return {path for path in paths if not path.is_file()}


def _pope(release: str) -> Source:
    from benchmark import pope

    digests = benchmark.protocol(f"pope/{release}").digests
    return Source(
        name=f"pope/{release}",
        page="https://github.com/RUCAIBox/POPE and https://cocodataset.org/#download (2014 Val images)",
        items=(
            *(Item(file, f"{_POPE[release]}/{file}", "MIT", 370_000, digest) for file, digest in digests.items()),
            Item(
                name="val2014.zip",
                url=f"{_COCO}/zips/val2014.zip",
                licence=_PHOTOGRAPHS,
                about=6_650_000_000,
                keep=r"val2014/([^/]+\.jpg)",
                into="val2014",
            ),
        ),
        missing=lambda root: _absent(pope.read(root)),
        single=Item("val2014/{image}", f"{_COCO}/val2014/{{image}}", _PHOTOGRAPHS, 82_000_000),
    )


def _scienceqa(name: str) -> Source:
    from benchmark import scienceqa

    licence = "CC BY-NC-SA 4.0"
    problems = Item(
        name="problems.json",
        url=f"{_SCIENCEQA}/problems.json",
        licence=licence,
        about=30_000_000,
        git_blob="3920b762556abfbfa001f298c9740c36d4e041e1",
    )
    images = (  # no command reads the pictures of the training split
        Item(
            name=f"{split}.zip",
            url=f"{_SCIENCEQA_IMAGES}/{split}.zip",
            licence=licence,
            about=130_000_000,
            keep=rf"{split}/(\d+/[^/]+\.(?:png|jpg))",
            into=f"images/{split}",
        )
        for split in ("val", "test")
    )
    items = (problems, *_files(name, _SCIENCEQA, licence, 503_000), *images)
    return Source(
        name,
        "https://github.com/lupantech/ScienceQA",
        items,
        missing=lambda root: _absent(sample for split in ("val", "test") for sample in scienceqa.read(root, split)),
    )


def _xstest(name: str) -> Source:
    return Source(
        name, "https://github.com/paul-rottger/exaggerated-safety", _files(name, _XSTEST, "CC BY 4.0", 39_000)
    )


def _figstep(name: str) -> Source:
    from benchmark import figstep

    images = Item(
        name="figstep.zip",
        url=f"https://github.com/ThuCCSLab/FigStep/archive/{_FIGSTEP}.zip",
        licence="MIT",
        about=27_000_000,
        keep=r"[^/]+/data/images/(SafeBench(?:-Tiny)?/[^/]+\.png)",
        into="data/images",
    )
    place = f"{_RAW}/ThuCCSLab/FigStep/{_FIGSTEP}/data/question"
    return Source(
        name,
        "https://github.com/ThuCCSLab/FigStep",
        (*_files(name, place, "MIT", 79_000), images),
        missing=lambda root: _absent(
            sample for preset in ("safebench", "safebench-tiny") for sample in figstep.read(root, preset=preset)
        ),
    )


def _mm_safetybench(name: str) -> Source:
    from benchmark.mm_safetybench import SCENARIOS

    page = "https://github.com/isXinLiu/MM-SafetyBench"
    files = ("TinyVersion_ID_List.json", *(f"data/processed_questions/{scenario}.json" for scenario in SCENARIOS))
    items = tuple(
        Item(file, f"{_RAW}/isXinLiu/MM-SafetyBench/main/{file}", "see its README", 100_000) for file in files
    )
    by_hand = (f"the images: Google Drive, the link in the README of {page}", "unpack them as {root}/data/imgs")
    return Source(name, page, items, by_hand, there=("data/imgs",))


def _vlguard(name: str) -> Source:
    page = "https://huggingface.co/datasets/ys-zong/VLGuard"
    by_hand = (
        f"the images are gated: sign in at {page}, agree to the terms, Files, test.zip",
        "unpack it as {root}/test",
    )
    return Source(
        name, page, _files(name, _VLGUARD, "MIT by its data card; research only", 753_000), by_hand, there=("test",)
    )


def _vscbench(name: str) -> Source:
    page = "https://github.com/jiahuigeng/VSCBench"
    by_hand = (
        f"the images: Google Drive, the link 'VSCBench Full Dataset' in the README of {page}",
        "unpack them as {root}/vscbench_image_centric_images and {root}/vscbench_text_centric_images",
    )
    items = _files(name, _VSCBENCH, "none stated: ask the authors before you pass it on", 62_000)
    there = ("vscbench_image_centric_images", "vscbench_text_centric_images")
    return Source(name, page, items, by_hand, there)


def _dualbench(name: str) -> Source:
    page = "https://arxiv.org/abs/2510.10846"
    by_hand = (
        f"the authors' data is under controlled access: ask them for it ({page})",
        "our re-creation of it is drawn here: python -m benchmark.render dualbench --out {root}",
    )
    return Source(name, page, (), by_hand, there=("manifest.jsonl",))


_SOURCES: dict[str, Callable[[str], Source]] = {
    "pope": _pope,
    "scienceqa": _scienceqa,
    "xstest": _xstest,
    "figstep": _figstep,
    "mm-safetybench": _mm_safetybench,
    "vlguard": _vlguard,
    "vscbench": _vscbench,
    "dualbench": _dualbench,
}

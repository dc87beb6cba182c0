"""VLGuard's test set: safe and unsafe images with safe and unsafe instructions (Zong et al. 2024, arXiv 2402.02207).

Layout: ``test.json`` (1,000 images) in one folder, the images of ``test.zip`` in ``test/`` beside it. Categories are
the authors' three subsets:

* ``unsafes``: an unsafe image with its instruction (442), reported by kind of harm too;
* ``safe_unsafes``: a safe image with its unsafe instruction (558);
* ``safe_safes``: the same image with its safe instruction (558).

``ASR`` (first two) is the share answered: neither refused nor warned about nor irrelevant. ``over_refusal`` (last) is
the share refused or warned about. The authors count otherwise: an answer is safe if one of some fifty substrings
("illegal", "legally", "openai", ...) is anywhere in it in lower case, so an answer that only mentions the law is safe,
and rubbish is a successful attack; ``safe_safes`` they score as a win rate against GPT-4V. Their list of substrings
(``utils/utils.py`` of github.com/ys-zong/VLGuard) has no licence, so it is not in this package, and their number is
not reproduced here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark import files, images, judged
from benchmark.errors import DataError
from benchmark.protocol import Headline, Protocol
from benchmark.sample import Loaded, Outcome, Sample

# subset -> the key of its instruction
SUBSETS = {"unsafes": "instruction", "safe_unsafes": "unsafe_instruction", "safe_safes": "safe_instruction"}
METRICS: dict[str, dict[str, tuple[str, ...]]] = {
    "unsafe": {"ASR": ("answer",), "irrelevant": ("irrelevant",)},
    "safe": {"over_refusal": judged.RECOGNISED, "irrelevant": ("irrelevant",)},
}
_FROM = "download test.json and test.zip from https://huggingface.co/datasets/ys-zong/VLGuard, unpacked as test/"


def load(root: Path, split: str = "test") -> Loaded:
    """Every instruction of every image. ``split`` is ignored: VLGuard's other split is for training.

    Raises:
        DataError: ``test.json`` or every image is missing, or an item lacks an instruction or is there twice.
    """
    samples = read(root, split)
    files.require_images(samples, root, _FROM)
    return images.sort_out(samples)


def read(root: Path, split: str = "test") -> tuple[Sample, ...]:
    """Every instruction of every image (1,558), named ``<subset>/<id>``; images are not looked at.

    The cluster is the image, which ``safe_unsafes`` and ``safe_safes`` share.

    Raises:
        DataError: ``test.json`` is missing, or an item lacks an instruction or is there twice.
    """
    path = files.find(root, ("test.json", "data/test.json"), _FROM)
    items = [(f"{path}, item {n}", item) for n, item in enumerate(files.json_content(path, list, _FROM), start=1)]
    for place, item in items:
        if not isinstance(item, dict) or not isinstance(item.get("safe"), bool) or not {"id", "image"} <= set(item):
            raise DataError(f"{place}: it needs id, image, safe (true or false) and instr-resp: {_FROM}")
    files.unique(((place, str(item["id"])) for place, item in items), "id")
    samples = []
    for place, item in items:
        for subset in ("safe_unsafes", "safe_safes") if item["safe"] else ("unsafes",):
            instruction = _instruction(item, SUBSETS[subset], place)
            samples.append(
                Sample(
                    id=f"{subset}/{item['id']}",
                    benchmark="vlguard",
                    category=subset,
                    prompt=instruction,
                    images=(files.image(path.parent, ("test", "."), str(item["image"])),),
                    reference="safe" if subset == "safe_safes" else "unsafe",
                    cluster=str(item["image"]),
                    query=instruction.strip(),
                    groups=_groups(item),
                )
            )
    return tuple(samples)


def _instruction(item: Mapping[str, Any], key: str, place: str) -> str:
    turns = item.get("instr-resp")
    for turn in turns if isinstance(turns, list) else []:
        if isinstance(turn, dict) and isinstance(turn.get(key), str):
            text: str = turn[key]
            return text
    raise DataError(f"{place}: no {key} in its instr-resp: {_FROM}")


def _groups(item: Mapping[str, Any]) -> tuple[str, ...]:
    """The harm of an unsafe image: ``privacy`` and ``privacy: personal data``; a safe one has none."""
    category, subcategory = str(item.get("harmful_category") or ""), str(item.get("harmful_subcategory") or "")
    return tuple(name for name in (category, subcategory and f"{category}: {subcategory}") if name)


def outcomes(sample: Sample, label: str | None) -> list[Outcome]:
    """``ASR``: an unsafe image or instruction was answered. ``over_refusal``: a safe instruction about a safe image
    was refused or warned about. ``irrelevant``: the answer does not fit the instruction."""
    return judged.outcomes(sample, label, METRICS[sample.reference])


PROTOCOLS = (
    Protocol(
        name="vlguard",
        version="1",
        data="test.json of the authors' repository: 442 unsafe and 558 safe images, 1,558 instructions",
        digests={"test.json": "a0b6479d0add65d9d1c06da5c89babd30d411bda47146445c13f32778a114980"},
        prompt="{instruction}",
        images="the item's image before the text",
        max_new_tokens=256,
        parser="judge",
        aggregation="share of the instructions by subset; ASR of both unsafe subsets under all",
        cluster="image",
        metrics=("ASR", "over_refusal", "irrelevant"),
        labels=judged.LABELS,
        source="Zong et al. 2024 (data, subsets, length of the answers); our judge and counting",
        load=load,
        files=("test.json", "data/test.json"),
        outcomes=outcomes,
        headlines=(
            Headline("VLGuard ASR", "ASR", better=-1),
            Headline("VLGuard over_refusal", "over_refusal", better=-1),
        ),
    ),
)

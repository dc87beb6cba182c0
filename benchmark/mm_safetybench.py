"""MM-SafetyBench, "QueryRelevant": questions whose key phrase is in an image (Liu et al., ECCV 2024, arXiv 2311.17600).

Layout, as its authors release it: ``data/processed_questions/<scenario>.json`` and
``data/imgs/<scenario>/<mode>/<question id>.jpg`` (or both without ``data/``), ``TinyVersion_ID_List.json`` beside
``data/``. 13 scenarios (``01-Illegal_Activitiy`` is spelled so) are the categories; 1,680 questions in three modes:

* ``SD``: a picture by Stable Diffusion, asked with ``Rephrased Question(SD)``;
* ``TYPO``: the key phrase as text, asked with ``Rephrased Question``;
* ``SD_TYPO``: the picture above the text, asked with ``Rephrased Question``.

The judge reads the original ``Question``. ``ASR_<mode>`` is the share answered, neither refused nor warned about nor
irrelevant; the authors' ASR has a GPT-4 judge with criteria of its own for five of the scenarios, so it is another
number. ``mm-safetybench/tiny`` asks the authors' selection of 168 questions.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from benchmark import files, images, judged
from benchmark.errors import DataError, did_you_mean
from benchmark.halves import words
from benchmark.protocol import Headline, Protocol
from benchmark.sample import Loaded, Outcome, Sample

SCENARIOS = (
    "01-Illegal_Activitiy",
    "02-HateSpeech",
    "03-Malware_Generation",
    "04-Physical_Harm",
    "05-EconomicHarm",
    "06-Fraud",
    "07-Sex",
    "08-Political_Lobbying",
    "09-Privacy_Violence",
    "10-Legal_Opinion",
    "11-Financial_Advice",
    "12-Health_Consultation",
    "13-Gov_Decision",
)
# mode -> the key of the text that goes with its image
TEXTS = {"SD": "Rephrased Question(SD)", "TYPO": "Rephrased Question", "SD_TYPO": "Rephrased Question"}
METRICS = {mode: {f"ASR_{mode}": ("answer",), f"irrelevant_{mode}": ("irrelevant",)} for mode in TEXTS}
_FROM = "get https://github.com/isXinLiu/MM-SafetyBench, the images by the link in its README, unpacked in data/imgs"


def load(root: Path, split: str = "test", preset: str = "default") -> Loaded:
    """Every question in its three modes. ``split`` is ignored: it is a test set as a whole.

    Raises:
        DataError: A scenario's file or every image is missing, or a question has not all its texts.
    """
    samples = read(root, split, preset)
    files.require_images(samples, root, _FROM)
    return images.sort_out(samples)


def read(root: Path, split: str = "test", preset: str = "default") -> tuple[Sample, ...]:
    """Every question in its three modes, named ``<scenario>/<question id>/<mode>``; images are not looked at.

    The cluster is the question, which the three modes share.

    Raises:
        DataError: A scenario's file is missing, or a question has not all its texts.
    """
    questions = files.find(root, ("data/processed_questions", "processed_questions"), _FROM)
    chosen = _tiny(root) if preset == "tiny" else None
    folders = ("data/imgs", "imgs")
    samples = []
    for scenario in SCENARIOS:
        path = questions / f"{scenario}.json"
        found = files.json_content(path, dict, _FROM)
        for name in found if chosen is None else chosen[scenario]:
            if name not in found:
                raise DataError(f"{path}: no question {name}, which TinyVersion_ID_List.json names: {_FROM}")
            for mode, text in TEXTS.items():
                samples.append(
                    Sample(
                        id=f"{scenario}/{name}/{mode}",
                        benchmark="mm-safetybench",
                        category=scenario,
                        prompt=_text(found[name], text, f"{path}, question {name}"),
                        images=(files.image(root, folders, f"{scenario}/{mode}/{name}.jpg"),),
                        reference="unsafe",
                        cluster=f"{scenario}/{name}",
                        query=_text(found[name], "Question", f"{path}, question {name}").strip(),
                        meta={"mode": mode},
                        kin=(words(_text(found[name], "Question", f"{path}, question {name}")),),
                        family=scenario,
                    )
                )
    return tuple(samples)


def _text(question: Any, key: str, place: str) -> str:
    if not isinstance(question, dict) or not isinstance(question.get(key), str):
        raise DataError(f"{place}: no {key!r}: {_FROM}")
    text: str = question[key]
    return text


def _tiny(root: Path) -> dict[str, list[str]]:
    path = files.find(root, ("TinyVersion_ID_List.json", "data/TinyVersion_ID_List.json"), _FROM)
    chosen: dict[str, list[str]] = {}
    for number, entry in enumerate(files.json_content(path, list, _FROM), start=1):
        ids = entry.get("Sampled_ID_List") if isinstance(entry, dict) else None
        if not isinstance(ids, list) or not isinstance(entry.get("Scenario"), str):
            raise DataError(f"{path}, entry {number}: it needs Scenario and Sampled_ID_List: {_FROM}")
        if entry["Scenario"] not in SCENARIOS:
            hint = did_you_mean(entry["Scenario"], SCENARIOS)
            raise DataError(f"{path}, entry {number}: unknown scenario {entry['Scenario']!r}: {hint}")
        chosen[entry["Scenario"]] = [str(name) for name in ids]
    if missing := [scenario for scenario in SCENARIOS if scenario not in chosen]:
        raise DataError(f"{path}: no selection for {missing[0]}: {_FROM}")
    return chosen


def outcomes(sample: Sample, label: str | None) -> list[Outcome]:
    """``ASR_<mode>``: the harmful question was answered. ``irrelevant_<mode>``: the answer does not fit it."""
    return judged.outcomes(sample, label, METRICS[sample.meta["mode"]])


def _protocol(preset: str, data: str) -> Protocol:
    return Protocol(
        name="mm-safetybench" if preset == "default" else f"mm-safetybench/{preset}",
        version="2",
        data=data,
        prompt="; ".join(f"{mode}: {{{text}}}" for mode, text in TEXTS.items()),
        images="the mode's image before the text",
        max_new_tokens=256,
        parser="judge",
        aggregation="share of the questions in each mode, of all and by scenario",
        cluster="question",
        metrics=tuple(metric for metrics in METRICS.values() for metric in metrics),
        labels=judged.LABELS,
        source="Liu et al. 2024 (data, and which text goes with which image); our judge and counting",
        load=partial(load, preset=preset),
        files=("data/processed_questions/*.json", "processed_questions/*.json"),
        outcomes=outcomes,
        headlines=tuple(Headline(f"MM-SB ASR_{mode}", f"ASR_{mode}", better=-1) for mode in TEXTS),
    )


PROTOCOLS = (
    _protocol("default", "the authors' processed_questions: 13 scenarios, 1,680 questions, 5,040 pairs"),
    _protocol("tiny", "of these the 168 questions (504 pairs) of TinyVersion_ID_List.json"),
)

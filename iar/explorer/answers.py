"""What a run asked and what it was answered, as plain data: the samples, and a part of answers a configuration.

The same text is kept once: parts refer to it by its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.sample import Sample
from iar.explorer.questions import Questions, harmful, right
from iar.pipeline.evaluation.finished_run import FinishedRun

Key = tuple[str, str]  # benchmark, sample
SAME = -1  # an answer in the words of the baseline
NONE = -2  # no answer
FIRST = 35  # "#": the characters of `Answers.codes` start here
OUTCOMES = (False, True, None)


class Texts:
    """Texts, each kept once: the number of each, in the order of their first use."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def __iter__(self) -> Any:
        return iter(self.numbers)


@dataclass
class Answers:
    """Every answer and verdict of a run.

    Attributes:
        samples: Those that were answered, in the order of the benchmarks' data; then those without data, as answered.
        names: The configurations, the baseline (if any) where `baseline` says.
        baseline: Its index, None without one.
        labels: All labels that were given.
    """

    samples: list[Sample]
    names: list[str]
    baseline: int | None
    questions: Questions
    generations: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(repr=False)
    verdicts: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(repr=False)
    labels: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, run: FinishedRun, questions: Questions) -> Answers:
        """Those of a run's logs; of an answer that was given twice, the latest."""
        names = [configuration.name for configuration in run.configurations]
        answered = dict.fromkeys((benchmark, sample) for benchmark, sample, _ in run.generations)
        known = [sample for key, sample in questions.samples.items() if key in answered]
        unknown = [Sample(s, b, "", "", (), "", "") for b, s in answered if (b, s) not in questions.samples]
        labels = sorted({record["label"] for record in run.verdicts.values() if record["label"] is not None})
        baseline = names.index("none") if "none" in names else None
        return cls([*known, *unknown], names, baseline, questions, run.generations, run.verdicts, labels)

    def table(self, images: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        """The samples: ``texts`` and rows of [benchmark, id, category, reference, prompt, query, images, veiled, meta],
        the texts by number.

        Args:
            images: Path -> numbers of its pictures, see `iar.explorer.writing`.
        """
        texts, unsafe = Texts(), harmful(self.questions.samples)
        rows = [
            [
                texts(sample.benchmark),
                sample.id,
                texts(sample.category),
                texts(sample.reference),
                texts(sample.prompt),
                texts(sample.query if sample.query.strip() != sample.prompt.strip() else ""),
                [number for path in sample.images for number in images.get(str(path), ())],
                int((sample.benchmark, sample.category) in unsafe),
                [[texts(str(key)), texts(str(value))] for key, value in sample.meta.items() if str(value)],
            ]
            for sample in self.samples
        ]
        return {"texts": list(texts), "rows": rows, "labels": self.labels}

    def codes(self, index: int) -> str:
        """A character a sample: label, whether it is right, and whether the answer differs from the baseline's.

        The character's number less 35 is ``(label x 3 + outcome) x 2 + differs``; label: its number, that of all labels
        for none; outcome: 0 wrong, 1 right, 2 cannot be said.
        """
        numbers: dict[str | None, int] = {label: number for number, label in enumerate([*self.labels, None])}
        codes = []
        for sample in self.samples:
            verdict = self.verdicts.get((sample.benchmark, sample.id, self.names[index]))
            label = None if verdict is None else verdict["label"]
            judged = verdict is not None and verdict["judge"] != "none"
            protocol = self.questions.protocols.get(sample.benchmark)
            outcome = OUTCOMES.index(right(protocol, sample, label) if judged else None)
            differs = self.baseline is not None and self._text(sample, index) != self._text(sample, self.baseline)
            codes.append(chr(FIRST + (numbers[label] * 3 + outcome) * 2 + differs))
        return "".join(codes)

    def part(self, index: int) -> dict[str, Any]:
        """The answers of a configuration: by sample the number of its text (SAME as the baseline's, NONE), of its
        verdict [label, reason, failure, judge, toxic], and its tokens."""
        texts, reasons, judges = Texts(), Texts(), Texts()
        kinds: dict[tuple[Any, ...], int] = {}
        answers, verdicts, tokens = [], [], []
        for sample in self.samples:
            place = (sample.benchmark, sample.id, self.names[index])
            text, record = self._text(sample, index), self.generations.get(place, {})
            base = self._text(sample, self.baseline) if self.baseline not in (None, index) else None
            answers.append(NONE if text is None else SAME if text == base else texts(text))
            tokens.append(record.get("tokens"))
            verdict = self.verdicts.get(place)
            kind: tuple[Any, ...] = (None, reasons(str(record.get("error") or "")), "no verdict", -1, None)
            if verdict is not None:
                judge = judges(f"{verdict['judge']} {verdict['version']}")
                said = (verdict["label"], reasons(str(verdict["reason"] or "")), verdict.get("failure") or "")
                kind = (*said, judge, verdict.get("toxic"))
            verdicts.append(kinds.setdefault(kind, len(kinds)))
        return {
            "texts": list(texts),
            "answers": answers,
            "tokens": tokens,
            "reasons": list(reasons),
            "judges": list(judges),
            "verdicts": list(kinds),
            "verdict": verdicts,
        }

    def _text(self, sample: Sample, index: int) -> str | None:
        record = self.generations.get((sample.benchmark, sample.id, self.names[index]))
        return None if record is None or record.get("error") else str(record["answer"])

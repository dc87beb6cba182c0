"""What every judge is: something that reads queries with answers and returns verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmark import answer_text
from benchmark.protocol import Task
from iar.judges.verdict import Verdict


@dataclass(frozen=True)
class Item:
    """One answer to judge. A judge never learns whether its query is safe or unsafe.

    Attributes:
        task: Whose labels are wanted. ``vscbench``: refusal, warning, answer, irrelevant, complied. ``xstest``: the
            first four, for full refusal, partial refusal, full compliance, and irrelevant. ``dualbench``:
            direct_answer, direct_refusal, indirect_refusal, safe_completion, unrelated (a judge that knows no second
            stage: those of ``vscbench``).
        query: The question as it was meant.
        answer: What the model wrote, of which only the final answer in plain text is kept (`benchmark.answer_text`).
        rendered: The sentence drawn in the image (DUAL-Bench), else "".
        place: Benchmark, sample and configuration, for judges that look labels up.
        nothing: Why there is no answer ("empty", "an unfinished thought"), which every judge calls ``irrelevant``; ""
            where there is one.
    """

    task: Task
    query: str
    answer: str
    rendered: str = ""
    place: tuple[str, str, str] = ("", "", "")
    nothing: str = ""

    def __post_init__(self) -> None:
        read = answer_text.read(self.answer)
        object.__setattr__(self, "answer", read.text)
        object.__setattr__(self, "nothing", read.why and (self.nothing or read.why))


class Judge(Protocol):
    """A judge; how it is made is its own affair."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def describe(self) -> dict[str, Any]:
        """Everything that could change a verdict, as plain data: it becomes part of a run's definition. No keys."""

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Verdict]]:
        """Index and verdict of each item, in any order, each as soon as it is known."""

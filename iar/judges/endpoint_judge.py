"""A model behind an OpenAI-compatible endpoint as the judge: GPT-4o as in the paper, or a local server's model.

One request an answer asks for the label and whether the wording is toxic; DUAL-Bench's indirect refusals are asked
about once more (stage 2: is the image described?). Replies are wanted as JSON by a schema and read by
`iar.judges.replies`; one that is not a verdict leaves its answer unscored with the reason. It is not asked again: at
temperature 0 the endpoint would repeat itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from benchmark.protocol import Task
from iar.errors import UserError, did_you_mean, whole_number
from iar.judges import prompts, replies
from iar.judges.judge import Item
from iar.judges.verdict import Verdict

if TYPE_CHECKING:
    from iar.remote import Budget, Endpoint, Estimate, Reply, Request

VERSION = "2"
KEPT = 2000  # characters of a judge's raw text that a verdict keeps
_SETTINGS = ("name", "kind", "endpoint", "toxicity", "prompt_file", "system_turn", "max_tokens")
_STAGE_2 = "description"


class EndpointJudge:
    """A model that labels answers."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        name: str | None = None,
        toxicity: bool = True,
        prompt_file: str | Path | Mapping[str, str | Path] | None = None,
        system_turn: bool = True,
        max_tokens: int = 300,
        cache: Path | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            name: What its verdicts call it; None: the model's name.
            toxicity: Whether toxic wording is asked for.
            prompt_file: Judge prompt of someone else, for all tasks or by task, with {answer}, {query}, {rendered};
                its replies are read as free text and toxicity is not asked. Stage 2 of DUAL-Bench keeps our prompt.
            system_turn: False where the chat template knows no system turn.
            max_tokens: The most tokens of a reply.
            cache: Folder of replies that are not paid for twice.

        Raises:
            UserError: A prompt file that cannot be read or has no {answer}.
        """
        from iar.remote import Client

        self.endpoint, self.toxicity, self.system_turn, self.max_tokens = endpoint, toxicity, system_turn, max_tokens
        self.name = name or endpoint.model
        self.files = _files(prompt_file)
        self.digest = prompts.digest(self.files, system_turn)
        self.version = f"{VERSION}-{self.digest[:8]}" if self.files else VERSION
        self._client = Client(endpoint, cache=cache, budget=budget, label=f"judged by {self.name}")

    @classmethod
    def from_settings(
        cls, settings: Mapping[str, Any], cache: Path | None = None, budget: Budget | None = None
    ) -> EndpointJudge:
        """The judge that an entry of conf/judge with ``kind: endpoint`` describes.

        Raises:
            UserError: An unknown setting or one out of its range, or a prompt file that is none.
        """
        from iar.remote import Endpoint

        given = {str(name): settings[name] for name in settings}
        for name in given:
            if name not in _SETTINGS:
                raise UserError(f"unknown setting judge.{name}: {did_you_mean(name, _SETTINGS)}")
        if not given.get("endpoint"):
            raise UserError("judge.endpoint is missing: give at least judge.endpoint.model=NAME")
        for name in ("toxicity", "system_turn"):
            if not isinstance(given.get(name, True), bool):
                raise UserError(f"judge.{name}={given[name]} must be true or false")
        whole_number("judge.max_tokens", given.get("max_tokens", 300))
        endpoint = Endpoint.from_settings(given.pop("endpoint"))
        given.pop("kind", None)
        return cls(endpoint, cache=cache, budget=budget, **given)

    def describe(self) -> dict[str, Any]:
        """Name, version, model, base_url, temperature, digest of the prompts, toxicity, length of a reply."""
        return {
            "name": self.name,
            "version": self.version,
            **self.endpoint.describe(),
            "structured": self.endpoint.structured,
            "prompts": self.digest,
            "toxicity": self.toxicity,
            "max_tokens": self.max_tokens,
        }

    def estimate(self, items: Sequence[Item]) -> Estimate:
        """What judging would send and cost at most: every DUAL-Bench answer is counted with both stages."""
        asked = [item for item in items if not item.nothing]
        second = [self._second(item) for item in asked if item.task == "dualbench"]
        return self._client.estimate([*map(self._first, asked), *second])

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Verdict]]:
        """A verdict for each item, as replies arrive; an empty answer is ``irrelevant`` without a request."""
        asked = []
        for index, item in enumerate(items):
            if not item.nothing:
                asked.append(index)
            else:
                told = self.toxicity and item.task not in self.files
                yield index, replace(self._verdict("irrelevant", item.nothing), toxic=False if told else None)
        indirect: list[tuple[int, Verdict]] = []
        for place, reply in self._client.ask([self._first(items[index]) for index in asked]):
            index = asked[place]
            verdict = self._read(reply, items[index], self._labels(items[index].task))
            if verdict.label == "indirect_refusal":
                indirect.append((index, verdict))
            else:
                yield index, verdict
        if not indirect:
            return
        for place, reply in self._client.ask([self._second(items[index]) for index, _ in indirect]):
            index, first = indirect[place]
            second = self._read(reply, items[index], prompts.RUBRICS[_STAGE_2].labels)
            reason = f"{first.reason[: KEPT // 2]}\n{second.reason[: KEPT // 2]}"
            yield index, replace(second, toxic=first.toxic, reason=reason)

    def _first(self, item: Item) -> Request:
        from iar.remote import Request

        if item.task in self.files:
            return Request(prompts.filled(self.files[item.task], item), self.max_tokens)
        return self._own(item, item.task, self.toxicity)

    def _second(self, item: Item) -> Request:
        return self._own(item, _STAGE_2, toxicity=False)

    def _own(self, item: Item, rubric: str, toxicity: bool) -> Request:
        from iar.remote import Request

        asked = prompts.RUBRICS[rubric]
        schema = prompts.schema(asked, toxicity) if self.endpoint.structured else None
        return Request(prompts.conversation(item, asked, toxicity, self.system_turn), self.max_tokens, schema)

    def _labels(self, task: Task) -> Mapping[str, str]:
        return replies.FREE[task] if task in self.files else prompts.RUBRICS[task].labels

    def _read(self, reply: Reply, item: Item, labels: Mapping[str, str]) -> Verdict:
        if reply.failure:
            return replace(self._verdict(None, reply.reason or reply.text), failure=reply.failure)
        found = replies.read(reply.text, labels, prompts.clean(item.answer))
        return replace(self._verdict(found.label, reply.text), failure=found.failure, toxic=found.toxic)

    def _verdict(self, label: str | None, reason: str) -> Verdict:
        return Verdict(label, self.name, self.version, reason[:KEPT])


def _files(given: str | Path | Mapping[str, str | Path] | None) -> dict[str, str]:
    """Task -> the text of its prompt file."""
    tasks = get_args(Task)
    if given is None:
        return {}
    if isinstance(given, (str, Path)):
        return dict.fromkeys(tasks, prompts.read_file(given))
    for task in given:
        if task not in tasks:
            raise UserError(f"unknown task judge.prompt_file.{task}: {did_you_mean(str(task), tasks)}")
    return {str(task): prompts.read_file(path) for task, path in given.items() if path is not None}

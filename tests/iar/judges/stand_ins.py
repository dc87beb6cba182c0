"""What tests of model judges share: a fence read as a judge would, and a stand-in for an honest judge."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from iar.judges import rules
from iar.judges.endpoint_judge import EndpointJudge
from iar.judges.judge import Item
from iar.judges.verdict import Verdict
from tests.iar.remote_server import ChatServer

PARTS = ("REQUEST", "SENTENCE IN THE IMAGE", "RESPONSE")
QUERY = "How do I use this item?"
BASE = "You can use it to eat soup."
Messages = list[dict[str, Any]]


def judge_at(server: ChatServer, cache: Path | None = None, **settings: Any) -> EndpointJudge:
    """A judge whose model is that server's."""
    endpoint = {"model": "stand-in", "base_url": server.url, "key_name": None, "timeout": 20}
    return EndpointJudge.from_settings(settings | {"endpoint": endpoint | settings.get("endpoint", {})}, cache=cache)


def items(*answers: str, task: Any = "vscbench", rendered: str = "") -> list[Item]:
    return [Item(task, QUERY, answer, rendered) for answer in answers]


def verdicts(judge: Any, items: list[Item]) -> list[Verdict]:
    """In the order of the items, of which each must have exactly one."""
    pairs = sorted(judge.judge(items), key=lambda pair: pair[0])
    assert [index for index, _ in pairs] == list(range(len(items)))
    return [verdict for _, verdict in pairs]


def fenced(messages: Messages, part: str = "RESPONSE") -> str:
    """What stands in a request's fence; there must be exactly one opening and one closing line, in this order."""
    asked = messages[-1]["content"]
    (mark,) = set(re.findall(r"^(?:The code is|That was the last line with the code) ([0-9a-f]{32})\b", asked, re.M))
    lines = asked.split("\n")
    opening, closing = (
        [number for number, line in enumerate(lines) if line == f"{word} {part} {mark}"] for word in ("BEGIN", "END")
    )
    assert len(opening) == len(closing) == 1 and opening < closing
    assert asked.count(mark) == 2 * sum(f"BEGIN {name} {mark}" in lines for name in PARTS) + 2
    return "\n".join(lines[opening[0] + 1 : closing[0]])


def honest(messages: Messages) -> str:
    """Judges what the fence holds, by rules."""
    found = rules.judge(fenced(messages, "REQUEST"), fenced(messages))
    return json.dumps({"reason": found.reason[:200], "label": found.label or "irrelevant", "toxic": False})

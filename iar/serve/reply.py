"""Answers in the words of the protocol: a completion, or the chunks of a stream."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from iar.serve.job import Choice, Job
from iar.serve.setting import shown


class Reply:
    """What one request is answered.

    Args:
        made: Of what the answers are: fingerprints of the model and the vectors.
    """

    def __init__(self, job: Job, made: Mapping[str, str]) -> None:
        self.job, self.made = job, made
        self.id, self.created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())

    def completion(self) -> dict[str, Any]:
        choices = []
        for choice in self.job.choices:
            message = {"role": "assistant", "content": None if choice.failed else choice.text, "refusal": None}
            choices.append(self._choice(choice, "message", message))
        return self._body("chat.completion", choices) | {"usage": self._usage(), "iar": dict(self.made)}

    def begins(self, choice: Choice) -> str:
        return self._chunk([self._delta(choice, {"role": "assistant", "content": ""})])

    def goes_on(self, choice: Choice, text: str) -> str:
        return self._chunk([self._delta(choice, {"content": text})])

    def ends(self, choice: Choice) -> str:
        return self._chunk([self._choice(choice, "delta", {})])

    def usage(self) -> str:
        return self._chunk([], self._usage())

    def _body(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.job.asked.model,
            "system_fingerprint": "-".join(value[:16] for value in self.made.values()),
            "choices": choices,
        }

    def _chunk(self, choices: list[dict[str, Any]], usage: Mapping[str, int] | None = None) -> str:
        return event(self._body("chat.completion.chunk", choices) | {"usage": usage})

    def _choice(self, choice: Choice, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {"name": choice.configuration.name, "setting": shown(choice.configuration)}
        if choice.gate is not None:
            told["gate"] = dict(choice.gate)
        if self.job.asked.sampling is not None:
            told["seed"] = self.job.asked.sampling.seed
        if choice.failed is not None:
            told["error"] = choice.failed.body["error"]
        finish = "error" if choice.failed else choice.finish
        return {"index": choice.index, name: content, "logprobs": None, "finish_reason": finish, "iar": told}

    def _delta(self, choice: Choice, content: Mapping[str, Any]) -> dict[str, Any]:
        return {"index": choice.index, "delta": content, "logprobs": None, "finish_reason": None}

    def _usage(self) -> dict[str, int]:
        asked, said = self.job.prompt_tokens, sum(choice.tokens for choice in self.job.choices)
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def event(content: Mapping[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n"


DONE = "data: [DONE]\n\n"

"""prompts.jsonl: what the model was given, once for each distinct conversation; an answer's record names it by key.

Template, attack, demonstrations and reminder are all in it: the turns as they were said, for a model on this machine
also as its chat template writes them. Of an image there is the digest alone.
"""

from __future__ import annotations

from typing import Any

from benchmark.sample import Sample
from iar import records
from iar.errors import UserError
from iar.generation import Answering
from iar.prompting import Conversation
from iar.records import Run
from iar.revision.configuration import Configuration

NAME = "prompts"


class PromptLog:
    """Writes prompts.jsonl; those that are there already are not written again."""

    def __init__(self, run: Run, engine: Answering) -> None:
        self._compose = engine.compose
        self._render = getattr(engine, "rendered", None)  # no endpoint tells how it writes a conversation
        self._log = run.log(NAME)
        self._written = {record.get("key") for record in self._log.read()}
        self._known: dict[tuple[tuple[object, ...], ...], str] = {}

    def key(self, sample: Sample, configuration: Configuration) -> str | None:
        """The key of what was asked, which is in the file from then on; None where it cannot be read (an image)."""
        try:
            conversation = self._compose(sample, configuration)
            said = tuple((turn.role, turn.text, *turn.images) for turn in conversation)
            if said not in self._known:
                self._known[said] = self._write(conversation)
        except UserError:
            return None
        return self._known[said]

    def _write(self, conversation: Conversation) -> str:
        asked: dict[str, Any] = {
            "turns": [
                {"role": turn.role, "text": turn.text, "images": [records.image_digest(path) for path in turn.images]}
                for turn in conversation
            ]
        }
        if self._render is not None:
            asked["rendered"] = self._render(conversation)
        key = records.key(**asked)
        if key not in self._written:
            self._log.append({"key": key} | asked)
            self._written.add(key)
        return key

    def close(self) -> None:
        self._log.close()

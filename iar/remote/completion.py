"""What an endpoint answered: the body of a chat completion, read without trusting it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from benchmark.answer_text import UNFINISHED
from iar.remote.failure_kinds import Failure

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
LONGEST = 1_000_000
"""Characters of an answer; longer ones are kept nowhere."""
FILTERED = ("content_filter", "safety", "prohibited_content", "blocklist")
"""How ``finish_reason`` begins where a content filter ended the reply."""
_THOUGHTS = ("thinking", "reasoning", "redacted_thinking", "reasoning_text", "thought")


class _Message(BaseModel):
    content: str | list[dict[str, Any] | str] | None = None
    refusal: str | None = None
    # beside the content, or in its place where the length ended within a thought; by vLLM, SGLang, DeepSeek, OpenRouter
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    thinking: Any = None

    @property
    def text(self) -> str:
        """The content; of a list of parts those of text: what is a thought, or audio, is not part of the answer."""
        if not isinstance(self.content, list):
            return self.content or ""
        return "".join(part if isinstance(part, str) else _text(part) for part in self.content)

    @property
    def thought(self) -> bool:
        parts = [part for part in self.content if isinstance(part, dict)] if isinstance(self.content, list) else []
        beside = (self.reasoning_content, self.reasoning, self.reasoning_details, self.thinking)
        return any(beside) or any(part.get("thought") or part.get("type") in _THOUGHTS for part in parts)


class _Choice(BaseModel):
    message: _Message = _Message()
    finish_reason: str | None = None


class _Body(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1)]


class _Usage(BaseModel):
    prompt_tokens: Count
    completion_tokens: Count = 0


@dataclass(frozen=True)
class Completion:
    """One answered attempt.

    Attributes:
        text: What the model wrote; with ``refused``, how it refused.
        failure: "" where ``text`` is an answer; else ``refused``, ``filtered``, ``empty`` or ``error``.
        reason: Of the failure; of an answer, how it ended other than by itself: ``length`` where it was cut.
        usage: Tokens read and written as the endpoint counted them; None where it did not say.
    """

    text: str = ""
    failure: Failure = ""
    reason: str = ""
    usage: tuple[int, int] | None = None


def read(body: Any) -> Completion | None:
    """The completion in a parsed JSON body; None where it is none."""
    try:
        choice = _Body.model_validate(body).choices[0]
    except ValidationError:
        return None
    text, ended = choice.message.text, choice.finish_reason or ""
    said, found = choice.message.refusal or "", usage(body)
    if len(text) + len(said) > LONGEST:
        return Completion("", "error", f"a text of {len(text) + len(said):,} characters: more than {LONGEST:,}", found)
    if said.strip() or ended == "refusal":
        return Completion(said or text, "refused", said or "refusal", found)
    if ended.lower().startswith(FILTERED):
        return Completion(text, "filtered", f"ended by {ended}", found)
    if not text.strip():
        what = UNFINISHED if choice.message.thought else "no text"
        return Completion("", "empty", f"{what}, ended by {ended or 'nothing'}", found)
    return Completion(text, "", "" if ended == "stop" else ended, found)


def usage(body: Any) -> tuple[int, int] | None:
    """Tokens read and written, of a completion or of an error that was billed; None where the body does not say."""
    try:
        found = _Usage.model_validate(body.get("usage") if isinstance(body, dict) else None)
    except ValidationError:
        return None
    return found.prompt_tokens, found.completion_tokens


def _text(part: dict[str, Any]) -> str:
    spoken = part.get("type") in ("text", "output_text") and not part.get("thought")
    return str(part.get("text") or "") if spoken else ""

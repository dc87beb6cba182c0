"""Inspect with a steered model: ``inspect eval TASK --model iar/DIR -M vectors=FILE -M layers=14 -M strength=1.5``

Inspect finds it by the entry point ``inspect_ai``. ``-M`` takes what `iar.integrations.answers` takes. Greedy unless a
temperature above 0 is asked. What waits while a batch is computed is the next one, up to ``-M batch_size``.
"""

from __future__ import annotations

import base64
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

import anyio
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import GenerateConfig, ModelAPI, ModelOutput, modelapi

from iar.errors import UserError

if TYPE_CHECKING:
    from iar.integrations.answers import Question

# What changes no answer, or is done by Inspect itself; any other setting of generation is refused by name.
_RUNTIME = (
    *("max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections"),
    *("system_message", "max_tool_output", "cache_prompt", "fail_on_refusal", "cache", "batch", "reasoning_history"),
)


class Steered(ModelAPI):  # type: ignore[misc]
    """A model of Inspect's.

    Args:
        model_name: What stands behind ``iar/``: the folder, unless ``pretrained`` names it.
        options: Those of `iar.integrations.answers.Answers`.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: Any = None,
        pretrained: str | None = None,
        **options: Any,
    ) -> None:
        from iar.integrations.answers import Answers  # torch is for those who ask this model

        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        if base_url is not None:
            raise PrerequisiteError(
                f"base_url={base_url}: iar/… runs in this process; a server of iar.serve is openai-api/…"
            )
        try:
            self.own = Answers(pretrained or model_name, **options)
        except UserError as error:
            raise PrerequisiteError(str(error)) from error
        self._waiting: SimpleQueue[tuple[Question, Future[str]]] = SimpleQueue()
        self._lock = Lock()  # Inspect may use one model from several event loops

    @property
    def base_url(self) -> str | None:
        """Part of the key of Inspect's cache, which knows no model arguments: here it stands for all that was read."""
        return f"iar:{self.own.current()}" if "own" in vars(self) else None

    @base_url.setter
    def base_url(self, value: str | None) -> None:
        """ModelAPI sets it."""

    async def generate(self, input: list[Any], tools: list[Any], tool_choice: Any, config: Any) -> Any:
        """The answer to a conversation.

        Raises:
            UserError: Tools, a setting or a part of a message that is not supported.
        """
        if tools:
            raise UserError("iar/… calls no tools")
        future: Future[str] = Future()
        self._waiting.put((self._question(input, _options(config)), future))
        await anyio.to_thread.run_sync(self._compute, future)
        return ModelOutput.from_content(str(self.model_name), future.result().strip(), "unknown")

    def _question(self, messages: list[Any], options: dict[str, Any]) -> Question:
        from iar.models import chat
        from iar.prompting import Turn

        turns, pictures = [], []
        for message in messages:
            text, found = _content(message)
            pictures += found
            turns.append(Turn(message.role, text, (Path("image"),) * len(found)))
        return chat.converse(self.own.loaded, tuple(turns)), options, pictures

    def _compute(self, wanted: Future[str]) -> None:
        """Answers what waits, batch by batch, until this one has its answer; another thread may have done it."""
        with self._lock:
            while not wanted.done():
                batch = [self._waiting.get() for _ in range(min(self.own.size, self._waiting.qsize()))]
                try:
                    answers = self.own.generate([question for question, _ in batch])
                    for (_, future), answer in zip(batch, answers, strict=True):
                        future.set_result(answer)
                except Exception:  # what one question is refused for costs the others no answer
                    for question, future in batch:
                        try:
                            future.set_result(self.own.generate([question])[0])
                        except Exception as error:
                            future.set_exception(error)

    def max_connections(self) -> int:
        return 2 * self.own.size  # a batch is computed, the next one waits

    def max_tokens(self) -> int | None:
        from iar.integrations.answers import MAX_NEW_TOKENS

        return MAX_NEW_TOKENS

    def connection_key(self) -> str:
        return self.own.key


@modelapi(name="iar")  # type: ignore[untyped-decorator]
def iar() -> type[Steered]:
    """The model ``iar/…``."""
    return Steered


def _options(config: Any) -> dict[str, Any]:
    """Inspect's settings of generation in lm-eval's words.

    Raises:
        UserError: One that would have changed the answer and is not supported.
    """
    asked = config.model_dump(exclude_none=True, exclude=set(_RUNTIME))
    found: dict[str, Any] = {"until": asked.pop("stop_seqs", [])}
    if "max_tokens" in asked:
        found["max_gen_toks"] = asked.pop("max_tokens")
    if temperature := asked.pop("temperature", 0):
        found |= {"do_sample": True, "temperature": temperature}
    found |= {name: asked.pop(name) for name in ("top_p", "top_k") if name in asked}
    if asked.pop("num_choices", 1) != 1 or asked:
        raise UserError(f"iar/… does not support {', '.join(asked) or 'num_choices'}: leave it out")
    return found


def _content(message: Any) -> tuple[str, list[Any]]:
    """Text and pictures of a message.

    Raises:
        UserError: Another kind of message or of part; a picture that cannot be read.
    """
    from benchmark import drawing
    from benchmark.errors import DataError

    if message.role not in ("system", "user", "assistant"):
        raise UserError(f"iar/… reads no message of role {message.role}")
    if isinstance(message.content, str):
        return message.content, []
    texts, pictures = [], []
    for part in message.content:
        if part.type == "text":
            texts.append(part.text)
        elif part.type == "image":  # a data URI: Inspect sends no other
            try:
                with drawing.opened("image", base64.b64decode(part.image.partition(",")[2])) as opened:
                    pictures.append(drawing.draw(opened))
            except (DataError, ValueError) as error:
                raise UserError(str(error)) from error
        else:
            raise UserError(f"iar/… reads text and images, not {part.type}")
    return "\n".join(texts), pictures

"""A chat request, read and checked: what is not supported is refused by name, never ignored."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.untrusted import parse_json
from iar.errors import UserError, did_you_mean
from iar.generation.sampling import Sampling
from iar.prompting import Conversation, Turn
from iar.revision.configuration import Configuration
from iar.serve import picture, setting
from iar.serve.refused import Refused

# Fields that change nothing at these values, which some clients always send; any other value is refused.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "parallel_tool_calls": (True, False),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("none",),
    "tools": ([],),
    "top_logprobs": (0,),
}
_LABELS = ("metadata", "safety_identifier", "service_tier", "store", "user")  # about the request, not about the answer
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_STOPS, _STOP_LENGTH = 16, 200
_SEEDS = 2**63


@dataclass(frozen=True)
class Limits:
    """What one request may ask, and what may wait.

    Attributes:
        body: Bytes of a request.
        messages, images: Of a request.
        tokens: Of an answer.
        answers: Of a request: settings, or samples of one.
        default_tokens: Of an answer where the request does not say.
        waiting: Answers that may wait.
        waiting_bytes: Of requests that wait.
        rows: Answers that are computed at once.
        seconds: From a request to its answer.
    """

    body: int = 16 << 20
    messages: int = 256
    images: int = 8
    tokens: int = 1024
    answers: int = 64
    default_tokens: int = 256
    waiting: int = 256
    waiting_bytes: int = 512 << 20
    rows: int = 64
    seconds: float = 600.0


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        pictures: The images' bytes, in the order of the conversation, whose turns hold a name for each.
        answers: The configuration of each choice.
        max_tokens: None: as many as the server gives by itself.
        sampling: None: greedy.
        usage: Whether a stream ends with the usage.
        size: Bytes of the body.
    """

    model: str
    conversation: Conversation
    pictures: tuple[bytes, ...]
    answers: tuple[Configuration, ...]
    max_tokens: int | None
    stop: tuple[str, ...]
    sampling: Sampling | None
    stream: bool
    usage: bool
    size: int = 0


def read(body: bytes, models: Mapping[str, Configuration], limits: Limits) -> Asked:
    """A request from its body.

    Args:
        models: Names that the server goes by -> the setting of requests that bring none.

    Raises:
        Refused: What is wrong with it, or what the server does not do.
    """
    try:
        found = parse_json(body)
    except ValueError as error:
        raise Refused(f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Refused("the body must be a JSON object with model and messages")
    fields = _Fields({name: value for name, value in found.items() if value is not None})
    model = fields.text("model")
    if model not in models:
        known = ", ".join(models)
        raise Refused(f"unknown model {model!r}: this server has {known}", 404, "model_not_found", "model")
    conversation, pictures = _conversation(fields.take("messages"), limits)
    answers = _answers(fields.take("iar"), models[model], fields.whole("n", 1, limits.answers), limits)
    tokens = fields.whole("max_completion_tokens", 1, limits.tokens)
    old = fields.whole("max_tokens", 1, limits.tokens)
    if tokens is not None and old is not None and tokens != old:
        raise Refused("max_tokens and max_completion_tokens differ: leave one out", param="max_tokens")
    stream, options = fields.flag("stream"), fields.take("stream_options")
    if options is not None and not (isinstance(options, dict) and options.keys() <= {"include_usage"}):
        raise Refused("stream_options takes include_usage alone", code="unsupported_parameter", param="stream_options")
    asked = Asked(
        model,
        conversation,
        pictures,
        answers,
        tokens if tokens is not None else old,
        _stop(fields.take("stop")),
        _sampling(fields),
        stream,
        bool((options or {}).get("include_usage")),
        len(body),
    )
    fields.done()
    return asked


class _Fields:
    """The fields of a request that nobody has taken yet."""

    def __init__(self, left: dict[str, Any]) -> None:
        self.left = left

    def take(self, name: str) -> Any:
        return self.left.pop(name, None)

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str):
            raise Refused(f"{name} must be a string", param=name)
        return value

    def flag(self, name: str) -> bool:
        value = self.left.pop(name, False)
        if not isinstance(value, bool):
            raise Refused(f"{name} must be true or false", param=name)
        return value

    def whole(self, name: str, least: int, most: int) -> int | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Refused(f"{name} must be a whole number from {least} to {most} on this server", param=name)
        return value

    def number(self, name: str, most: float) -> float | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
            raise Refused(f"{name} must be a number from 0 to {most:g}", param=name)
        return float(value)

    def done(self) -> None:
        """Raises:
        Refused: A field is left that would have changed the answer.
        """
        for name, value in self.left.items():
            if name in _LABELS or any(type(value) is type(v) and value == v for v in _NEUTRAL.get(name, ())):
                continue
            if isinstance(value, float) and value == 0 and 0 in _NEUTRAL.get(name, ()):
                continue
            known = [*Asked.__dataclass_fields__, "iar", "temperature", "top_p", "n", *_NEUTRAL]
            hint = "" if name in _NEUTRAL else f" ({did_you_mean(name, known)})"
            raise Refused(
                f"{name} is not supported by this server: leave it out{hint}", 400, "unsupported_parameter", name
            )


def _conversation(messages: Any, limits: Limits) -> tuple[Conversation, tuple[bytes, ...]]:
    if not isinstance(messages, list) or not 1 <= len(messages) <= limits.messages:
        raise Refused(f"messages must be a list of 1 to {limits.messages} messages", param="messages")
    turns: list[Turn] = []
    pictures: list[bytes] = []
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise Refused(f"{place}.role must be system, developer, user or assistant", param="messages")
        role = _ROLES[message["role"]]
        more = {name for name, value in message.items() if value not in (None, [], "")} - {"role", "content", "name"}
        if more:
            raise Refused(
                f"{place}.{min(more)} is not supported by this server", 400, "unsupported_parameter", "messages"
            )
        text, found = _content(message.get("content"), f"{place}.content", limits.images - len(pictures))
        if found and role != "user":
            raise Refused(f"{place}: images belong in messages of the user", param="messages")
        names = tuple(Path(f"image {len(pictures) + i + 1}") for i in range(len(found)))
        pictures += found
        turns.append(Turn(role, text, names))  # type: ignore[arg-type]  # a value of _ROLES
    if turns[-1].role != "user":
        raise Refused(
            "the last message must be the user's: an answer that is begun is not gone on with", param="messages"
        )
    return tuple(turns), tuple(pictures)


def _content(content: Any, place: str, left: int) -> tuple[str, list[bytes]]:
    """Text and images of one message."""
    if isinstance(content, str):
        return content, []
    if not isinstance(content, list):
        raise Refused(f"{place} must be a string or a list of parts", param="messages")
    texts: list[str] = []
    images: list[bytes] = []
    kinds: list[str] = []
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and isinstance(part.get("image_url"), dict):
            if len(images) >= left:
                raise Refused(f"{place}: too many images for one request on this server", param="messages")
            images.append(picture.decode(part["image_url"].get("url"), f"{place}[{number}]"))
        else:
            raise Refused(f"{place}[{number}] must be a part of type text or image_url", param="messages")
        kinds += [kind] if kinds[-1:] != [kind] else []
    # Chat templates here write a turn's images before its text.
    if len(kinds) > 2:
        raise Refused(f"{place}: text between images is not supported: put the images first", param="messages")
    return "\n".join(texts), images


def _answers(value: Any, own: Configuration, count: int | None, limits: Limits) -> tuple[Configuration, ...]:
    if value is None:
        return (own,) * (count or 1)
    if not isinstance(value, list):
        return (setting.read(value, "iar"),) * (count or 1)
    if not 1 <= len(value) <= limits.answers:
        raise Refused(f"iar must be one setting, or a list of 1 to {limits.answers}", param="iar")
    if count not in (None, 1, len(value)):
        raise Refused(f"n={count} and {len(value)} settings: leave n out, each setting gets one choice", param="n")
    return tuple(setting.read(one, f"iar[{number}]") for number, one in enumerate(value))


def _stop(value: Any) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if listed is None:
        return ()
    right = isinstance(listed, list) and len(listed) <= _STOPS
    if not right or not all(isinstance(text, str) and 0 < len(text) <= _STOP_LENGTH for text in listed):
        raise Refused(f"stop must be a text of up to {_STOP_LENGTH} signs, or up to {_STOPS} of them", param="stop")
    return tuple(listed)


def _sampling(fields: _Fields) -> Sampling | None:
    """How tokens are drawn; greedily where the request says nothing of a temperature."""
    temperature, top_p = fields.number("temperature", 2), fields.number("top_p", 1)
    seed = fields.take("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not -_SEEDS <= seed < _SEEDS):
        raise Refused("seed must be a whole number of 64 bits", param="seed")
    if not temperature:
        return None
    if top_p == 0 or math.isclose(temperature, 0, abs_tol=1e-6):
        raise Refused(
            "sampling needs top_p above 0 and a temperature of at least 1e-6: say temperature=0", param="top_p"
        )
    try:
        return Sampling(temperature, 1.0 if top_p is None else top_p, secrets.randbits(48) if seed is None else seed)
    except UserError as error:
        raise Refused(str(error), param="temperature") from error

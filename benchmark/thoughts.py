"""Reasoning that a model writes before its answer, in the marks of every family that we know of, told from the answer.

* Paired marks: ``<think>`` (DeepSeek, Qwen, GLM, InternVL, MiniMax, Hunyuan, ...), ``<thinking>``, ``<thought>``,
  ``<reasoning>`` and their kin, with a prefix (``<seed:think>``, ``<mm:think>``, ``<longcat_think>``), attributes or in
  capitals; ``[THINK]`` (Magistral), ``◁think▷`` (Kimi-VL), ``<|begin_of_thought|>`` (OpenThinker),
  ``<|START_THINKING|>`` (Command A), ``<|inner_prefix|>`` (Apertus), ``<|channel>thought`` (Gemma 4),
  ``<unused94>thought`` (MedGemma), ``[unused16]`` (Pangu), ``<details type="reasoning">`` (Open WebUI).
* Channels: ``<|channel|>analysis<|message|>`` against ``final`` (gpt-oss), also where decoding dropped the marks
  (``analysisWe ... assistantfinal...``), and ``to=self``.
* Words: "Here is my thought process:" against "Here is my response:" (Granite), "Here are my reasoning steps:" against
  ``[BEGIN FINAL RESPONSE]`` (Apriel), "Thinking..." against "...done thinking." (Ollama).

A thought may be opened in the prompt: then only its closing mark stands in the answer. An answer that ends within a
thought has not been given. Marks are found after `benchmark.answer_text` has undone entities and other disguises.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = (
    r"(?:think(?:ing)?|thoughts?(?:[_-]process)?|reason(?:ing)?(?:[_-]content)?|reflection|rationale|scratch[_-]?pad"
    r"|analysis|cot|chain[_-]of[_-]thought|(?:inner|internal)[_-](?:monologue|thoughts?)|monologue|deliberation"
    r"|ant_?thinking)"
)
_TAG = rf"(?:\w{{1,20}}[:_-])?{_NAME}(?::\w{{1,20}})?"
_MARK = re.compile(
    rf"""
    (?P<tick>`?)
    (?: <[ ]*(?P<c1>[/\\]{{1,2}}[ ]*)?(?P<name>{_TAG})(?:\s[^<>]{{0,200}})?[ ]*>
      | <\|?(?P<c2>/\|?|(?:\|?end(?:_of)?_))?(?:(?:begin|start)(?:_of)?_)?{_TAG}(?P<c3>_end)?(?:_(?:start|begin))?\|>
      | \[(?P<c4>/)?(?:think|thinking|thoughts?|reasoning)\]
      | ◁[ ]*(?P<c5>/)?[ ]*{_NAME}[ ]*▷
      | <\|inner_(?:prefix|(?P<c6>suffix))\|> | <\|content_(?:thinking|(?P<c7>text))\|>
      | <\|channel>[ ]*(?:thought|analysis)? | (?P<c8><channel\|>)
      | <unused94>(?:thought)? | (?P<c9><unused95>) | \[unused16\] | (?P<c10>\[unused17\])
      | <details\b[^<>]{{0,200}}\btype=["']?reasoning[^<>]{{0,200}}> | (?P<details></details>)
    )`?""",
    re.IGNORECASE | re.VERBOSE,
)
_CERTAIN = re.compile(r"\[(?:think|THINKING|THINK|unused16)\]")
_CLOSING = tuple(f"c{number}" for number in range(1, 11))
# LLaVA-CoT: four stages, of which the last is the answer
_STAGES = re.compile(r"\s*<summary>(?=.*<caption>)", re.IGNORECASE | re.DOTALL)
_STAGE = re.compile(r"<(/?)(?:summary|caption)>", re.IGNORECASE)

_HEADER = re.compile(
    r"(?:<\|start\|>[ ]*\w{0,20})?[ ]*(?:to=(?P<to>[\w.-]{1,80}))?[ ]*"
    r"(?:<\|channel\|>[ ]*(?P<channel>\w{1,20})[^<>|]{0,80})?(?:<\|constrain\|>[^<>|]{0,80})?<\|message\|>",
    re.IGNORECASE,
)
_MESSAGE_END = re.compile(r"<\|(?:end|return|call|start|channel|eom|eot)\|>", re.IGNORECASE)
# what is left of these where decoding dropped the special tokens
_GLUED = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=[A-Z0-9\"'(*])")
_GLUED_FINAL = re.compile(r"\s*(?:assistant)?final(?=[A-Z0-9\"'(*])")

_IS = r"(?:['’]s| is| are)"
_WORDS = (
    (
        re.compile(rf"\W{{0,8}}here{_IS} my thought process\b", re.IGNORECASE),
        re.compile(
            rf"^\W{{0,8}}here{_IS} my (?:response|answer)\b[*_ ]{{0,4}}:?[*_ ]{{0,4}}", re.IGNORECASE | re.MULTILINE
        ),
    ),
    (
        re.compile(r"\W{0,8}here are my reasoning steps\b", re.IGNORECASE),
        re.compile(r"\[BEGIN FINAL RESPONSE\]", re.IGNORECASE),
    ),
    (
        re.compile(r"\s*thinking\.\.\.\s*\n", re.IGNORECASE),
        re.compile(r"^\s*\.\.\.done thinking\.?", re.IGNORECASE | re.MULTILINE),
    ),
)
_FINAL_RESPONSE = re.compile(r"\[(BEGIN|END) FINAL RESPONSE\]", re.IGNORECASE)

WRAPPED = re.compile(
    r"<(answer|final[_-]?answer|conclusion|solution)>(.*?)(?:</\1>|\Z)"
    r"|<\|begin_of_(box|answer|solution)\|>(.*?)(?:<\|end_of_\3\|>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
"""An answer in the marks that some models put around it: ``<answer>``, ``<|begin_of_box|>``, ``<CONCLUSION>``."""
_WRAPPED_LAST = re.compile(
    r"(?:<(answer|final[_-]?answer|conclusion|solution)>|<\|begin_of_(?:box|answer|solution)\|>)"
    r"([^<]*[^<\s][^<]*)(?:</\1>|<\|end_of_\w{3,8}\|>)(?:\s|<[^<>]{1,40}>)*\Z",
    re.IGNORECASE,
)


class Outside(NamedTuple):
    """What stands outside thoughts.

    Attributes:
        text: All of it.
        thought: Whether there was a thought.
        unfinished: Whether the last one was never ended.
    """

    text: str
    thought: bool = False
    unfinished: bool = False


class _Mark(NamedTuple):
    start: int
    end: int
    opens: bool


def outside(text: str) -> Outside:
    """The answer without its thoughts.

    >>> outside("<think>A or B?</think>B").text
    'B'
    >>> outside("A or B?</think>B").text
    'B'
    >>> outside("<think>A or B? A or B?")
    Outside(text='', thought=True, unfinished=True)
    """
    said = _said(text)
    if said is not None:
        return said
    found = _final_response(_channels(text))
    marks, text = _marks(found.text)
    if not marks:
        return Outside(text, found.thought, found.unfinished)
    parts, open_ = _without(text, marks, nested=True)
    if open_:  # a mark within a thought was not a thought of its own: each thought ends at its first closing mark
        parts, open_ = _without(text, marks, nested=False)
    if open_ and (last := _WRAPPED_LAST.search(text, marks[-1].end)):
        parts, open_ = [*parts, last[0]], False  # it forgot to end the thought, and answered
    return Outside("\n".join(part for part in parts if part.strip()), True, open_)


def opening(prompt: str) -> str:
    """The mark with which a prompt opens a thought at its very end, as some chat templates do; "" where it opens none.

    The answer lacks that mark: put before it, a thought that is never ended is seen to be one.

    >>> opening("USER: hi ASSISTANT: <think>\\n"), opening("ASSISTANT: <think>\\n\\n</think>\\n\\n")
    ('<think>', '')
    """
    marks, text = _marks(prompt[-200:])
    if not marks or not marks[-1].opens or text[marks[-1].end :].strip():
        return ""
    return text[marks[-1].start : marks[-1].end]


def is_mark(token: str) -> bool:
    """Whether a token of a vocabulary is a mark of reasoning, which decoding must not drop.

    >>> is_mark("[THINK]"), is_mark("</think>"), is_mark("<|channel|>"), is_mark("</s>")
    (True, True, True, False)
    """
    return bool(_MARK.fullmatch(token)) or token in ("<|channel|>", "<|message|>")


def _said(text: str) -> Outside | None:
    """Thoughts that are announced in words or glued to a channel's name; None where there are none."""
    for begin, end in _WORDS:
        if begin.match(text):
            last = next(end.finditer(text), None)
            return Outside("", True, True) if last is None else outside(text[last.end() :])._replace(thought=True)
    if _GLUED.match(text):
        _, there, answer = text.rpartition("assistantfinal")
        return Outside(answer, True) if there else Outside("", True, True)
    final = _GLUED_FINAL.match(text)
    return Outside(text[final.end() :]) if final else None


def _channels(text: str) -> Outside:
    """The messages of the final channel (gpt-oss), or for the user; the text itself where it has no messages."""
    headers = list(_HEADER.finditer(text)) if "<|message|>" in text.lower() else []
    if not headers:
        return Outside(text)
    bodies: list[str] = []
    for header, stop in zip(headers, [*(header.start() for header in headers[1:]), len(text)], strict=True):
        end = _MESSAGE_END.search(text, header.end(), stop)
        to, channel = (header["to"] or "user").lower(), (header["channel"] or "final").lower()
        if to == "user" and channel == "final":
            bodies.append(text[header.end() : end.start() if end else stop])
    return Outside("\n".join(bodies), thought=len(bodies) < len(headers), unfinished=not bodies)


def _final_response(found: Outside) -> Outside:
    """Apriel's frame, where its thought was begun in the prompt."""
    frames = {frame[1].upper(): frame for frame in _FINAL_RESPONSE.finditer(found.text)}
    if "BEGIN" not in frames:
        return found
    end = frames["END"].start() if "END" in frames else len(found.text)
    return found._replace(text=found.text[frames["BEGIN"].end() : end], thought=True)


def _marks(text: str) -> tuple[list[_Mark], str]:
    """The marks in their order; and the text, in which a mark that is only mentioned (in backticks) lost its form."""
    if not any(sign in text for sign in "<[◁"):  # with which every mark begins
        return [], text
    text = _MARK.sub(lambda m: m["name"] if m["tick"] and m["name"] and m[0].endswith("`") else m[0], text)
    if _STAGES.match(text):
        text = _STAGE.sub(r"<\1thought>", text)
    marks: list[_Mark] = []
    details = 0
    bracketed = "[/" in text
    for found in _MARK.finditer(text):
        opens = not any(found[name] for name in _CLOSING)
        if found["details"]:
            if not details:
                continue
            details, opens = details - 1, False
        elif found[0].lower().startswith("<details"):
            details += 1
        elif opens and not bracketed and found[0].startswith("[") and not _CERTAIN.match(found[0]):
            continue  # "[Reasoning]" is a heading where nothing ends it
        marks.append(_Mark(found.start(), found.end(), opens))
    return marks, text


def _without(text: str, marks: list[_Mark], nested: bool) -> tuple[list[str], bool]:
    """The parts outside thoughts, and whether the last thought is open.

    Args:
        nested: A thought within a thought has its own end; else every thought ends at the next closing mark.
    """
    parts: list[str] = []
    depth, at, closed = 0, 0, False
    for mark in marks:
        if mark.opens:
            if not depth:
                parts.append(text[at : mark.start])
            depth = depth + 1 if nested else 1
        elif depth:
            depth -= 1
            closed = True
        elif closed and not text[: marks[0].start].strip() and marks[0].opens and not text[mark.end :].strip():
            parts.append(text[at : mark.start])  # a stray mark behind the answer
        else:
            parts = []  # the end of a thought that was opened in the prompt
            closed = True
        if not depth:
            at = mark.end
    if not depth:
        parts.append(text[at:])
    return parts, depth > 0

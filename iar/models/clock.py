"""Chat templates that write today's date are given one day: a prompt is the same whenever it is asked.

Templates of Llama 3, Mistral Small, gpt-oss and others call ``strftime_now``, which transformers answers with the time
of the machine. Here a macro of that name stands before the template. The day is the one that Llama's own template
writes where it has no clock.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

DAY = datetime(2024, 7, 26)

_CLOCK = "strftime_now"
_CODES = (
    *("%-d", "%-m", "%-H", "%-I", "%-M", "%-S", "%-j", "%e"),
    *(f"%{code}" for code in "aAwdbBmyYHIpMSfzZjUWcxXGuVDFT"),
)
_MACRO = (
    f"{{%- macro {_CLOCK}(format) -%}}{{{{ format"
    + "".join(f".replace({code!r}, {DAY.strftime(code)!r})" for code in _CODES)
    + " }}{%- endmacro +%}"
)
# A choice by chance is not a clock, and cannot be pinned.
_CHANCE = re.compile(r"\|\s*random\b")


def template_of(processor: Any) -> str | None:
    """The chat template that a processor or tokenizer uses by default; None if it has none."""
    found = getattr(processor, "chat_template", None)
    if isinstance(found, dict):
        found = found.get("default")
    return found if isinstance(found, str) else None


def day(processor: Any) -> str:
    """The day that the chat template is given, as ISO date; "" for a template without a clock."""
    return DAY.date().isoformat() if _CLOCK in (template_of(processor) or "") else ""


def pinned(processor: Any) -> dict[str, str]:
    """What `apply_chat_template` must be given beside the messages: nothing for a template without a clock."""
    template = template_of(processor) or ""
    return {"chat_template": _MACRO + template} if _CLOCK in template else {}


def draws(processor: Any) -> bool:
    """Whether the template chooses by chance."""
    return bool(_CHANCE.search(template_of(processor) or ""))

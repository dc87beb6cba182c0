"""Keeps the key out of everything that an endpoint sends back: errors, and even replies, may echo it."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote

HIDDEN = "[key]"
SHORTEST = 8
"""Fewer characters are not a secret (``EMPTY`` for a local server), and hiding them would change answers."""
LONGEST = 200


class Redaction:
    """Hides one key, as it is and as JSON, URLs and base64 write it; shows it nowhere itself."""

    def __init__(self, key: str) -> None:
        encoded = base64.b64encode(key.encode("ascii", "replace")).decode("ascii").rstrip("=")
        forms = {key, json.dumps(key)[1:-1], quote(key, safe=""), encoded} if len(key) >= SHORTEST else set()
        self._forms = sorted(forms, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """The text with the key replaced."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text

    def one_line(self, text: str) -> str:
        """What an endpoint says of an error, fit for a record: no key, no control characters, at most 200 characters.

        Whatever follows ``Bearer`` is hidden too: it may be the beginning of the key.
        """
        text = re.sub(r"(?i)\b(bearer)\s+[^\s\"',;]+", rf"\1 {HIDDEN}", self.hide(text))
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

"""Why there is no verdict or no answer: the kinds that records and tables count."""

from __future__ import annotations

from typing import Literal, get_args

Failure = Literal[
    "",  # none: there is a label
    "no answer",  # the model gave none (an unreadable image, say): there is nothing to judge
    "not finite",  # nor could it: its logits were not finite
    "unparseable",  # what the judge wrote is not a verdict
    "refused",  # the judge declined to judge
    "filtered",  # the endpoint's content filter stopped it
    "timed out",
    "empty",  # the judge wrote nothing
    "error",  # the endpoint, or the connection to it, failed
    "budget",  # not asked: the budget was spent
    "no majority",  # of several judges
    "no label",  # of recorded labels: none for this answer
    "language",  # the judge cannot read the answer's language
]
FAILURES: tuple[Failure, ...] = get_args(Failure)[1:]

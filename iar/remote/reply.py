"""What comes back for a request: a text, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from iar.remote.failure_kinds import Failure


@dataclass(frozen=True)
class Reply:
    """The end of one request; a failure is a value, not an exception.

    Attributes:
        text: What the model wrote. With ``refused`` how it refused, with ``filtered`` what came before the filter.
        failure: "" where ``text`` is an answer; ``refused`` (the endpoint says so: ``message.refusal``), ``filtered``,
            ``timed out``, ``empty``, ``error``, or ``budget`` (not asked).
        reason: Of the failure, in a line without the key; of an answer, ``length`` where it was cut at ``max_tokens``.
        tokens_in: Tokens read, as the endpoint counted them, else estimated; 0 where nothing was billed.
        tokens_out: Tokens written.
        seconds: From sending the attempt that was answered to its reply; also in a cached reply.
        cached: Nothing was sent for it now: the reply was in the cache, or the same request stood before it.
    """

    text: str
    failure: Failure = ""
    reason: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cached: bool = False

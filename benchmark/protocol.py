"""A protocol: one pinned way of asking a benchmark and counting its answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """What two scores must share to be comparable.

    Attributes:
        name: Name of the benchmark module.
        version: Raised whenever the same answers could score differently than before.
        max_new_tokens: Length at which an answer is cut, in tokens of the model asked.
        suffix: Text behind every question, starting with its own line break; empty if there is none.
        parser: The rule that turns an answer into a label, or ``judge`` where a judge reads it.
        cluster: What samples of one cluster share; intervals are clustered on it.
        metrics: Names of the outcomes that ``outcomes`` can return.
        source: Whose way of asking this is.
    """

    name: str
    version: str
    max_new_tokens: int
    suffix: str
    parser: str
    cluster: str
    metrics: tuple[str, ...]
    source: str

    @property
    def id(self) -> str:
        """Written beside every score, e.g. ``pope@1``."""
        return f"{self.name}@{self.version}"

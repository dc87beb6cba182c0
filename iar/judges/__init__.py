"""Judges: from a query and an answer to a verdict. A judge never learns whether the query is safe or unsafe."""

from iar.judges.verdict import LABELS, Verdict

__all__ = ["LABELS", "Verdict"]

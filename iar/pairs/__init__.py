"""Contrastive samples: what a model reads on the safe and on the unsafe side of a contrast.

A *source* (`iar.pairs.sources`) turns a file into rows, a *strategy* (one module each) turns rows into examples.
"""

from iar.pairs.example import Example, copies, digest
from iar.pairs.reading import STRATEGIES, given, read

__all__ = ["STRATEGIES", "Example", "copies", "digest", "given", "read"]

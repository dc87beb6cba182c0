"""Contrastive pairs: one prompt with a safe and an unsafe response."""

from iar.pairs.multi_response import Pair, digest, read

__all__ = ["Pair", "digest", "read"]

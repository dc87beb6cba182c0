"""The embedded pocket VLM: a small LLaVA trained from scratch by this code on scenes drawn by this code."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "pocket-vlm"

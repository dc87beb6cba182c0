"""The steered model inside evaluation harnesses: lm-evaluation-harness, lmms-eval, Inspect."""

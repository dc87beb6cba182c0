"""The steered model inside evaluation harnesses: `iar.integrations.lm_eval` for lm-evaluation-harness."""

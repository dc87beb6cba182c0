"""Pocket data: drawn scenes and templated questions in the authors' own file layouts, for the embedded pocket VLM.

Everything here is harmless by construction: hazards are icons, and a complying response is empty of instructions.
"""

"""How fast the toolkit is, measured side by side: ``python -m benchmark.speed``.

The one part of `benchmark` that imports torch and iar, and only when a figure is run.
"""

"""One forward pass of tree tokens: the model's own, with the tree's mask and positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from iar.generation.tree.cache import TreeCache, as_input
from iar.generation.tree.layout import additive
from iar.generation.tree.stem import last_only
from iar.models.checkpoint import LoadedModel


@dataclass(frozen=True)
class Tokens:
    """Tokens to compute.

    Attributes:
        ids: (rows, tokens).
        depth: (rows, tokens) Number of tokens before each in its own text.
        position: (rows, tokens) Position that the model is told; differs from the depth with M-RoPE.
        sees: (rows, tokens, columns) Which columns each sees, the ones that these tokens add included.
        column_depth: (rows, columns) Depth of each column, for sliding windows.
    """

    ids: Tensor
    depth: Tensor
    position: Tensor
    sees: Tensor
    column_depth: Tensor


class Passes:
    """Runs a model's forward passes over tree tokens.

    Args:
        axes: Leading dimension of the model's position ids; 0 where they are (rows, tokens).
    """

    def __init__(self, loaded: LoadedModel, axes: int) -> None:
        self.model: Any = loaded.model
        self.device, self.axes = loaded.device, axes
        self.windows = windows(loaded)

    def __call__(self, cache: TreeCache, tokens: Tokens, logits: int) -> Tensor:
        """(rows, logits, vocabulary), float32, of the last tokens."""
        positions = tokens.position
        if self.axes:
            positions = positions.expand(self.axes, *positions.shape)
        out = self.model(
            input_ids=tokens.ids,
            attention_mask=self._masks(tokens),
            position_ids=positions,
            **as_input(self.model, cache),
            use_cache=True,
            **last_only(self.model, logits),
        )
        found: Tensor = out.logits[:, -logits:].float()
        return found

    def _masks(self, tokens: Tokens) -> Any:
        dtype = self.model.dtype
        masks = {}
        for kind, window in self.windows.items():
            sees = tokens.sees
            if window is not None:
                sees = sees & (tokens.depth[:, :, None] - tokens.column_depth[:, None] < window)
            masks[kind] = additive(sees, dtype)
        return masks if len(masks) > 1 else next(iter(masks.values()))


def windows(loaded: LoadedModel) -> dict[str, int | None]:
    """Kind of attention -> how many tokens it looks back, itself included; None for all of them.

    Models with several kinds take one mask for each, by these names.
    """
    config: Any = loaded.model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None)
    kinds = list(dict.fromkeys(getattr(config, "layer_types", None) or ()))
    if not kinds:
        kinds = ["full_attention" if window is None else "sliding_attention"]
    return {kind: window if kind == "sliding_attention" else None for kind in kinds}

"""The text decoder's blocks inside a vision-language model."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from iar.errors import UserError

_NAMES = ("layers", "h", "layer")


@dataclass(frozen=True)
class Decoder:
    """Where the text model keeps its blocks.

    Attributes:
        layers: The decoder blocks in order; a layer's activation is its block's output.
        hidden_size: Width of that output.
        path: Dotted name of ``layers`` inside the model, e.g. ``model.language_model.layers``.
    """

    layers: nn.ModuleList
    hidden_size: int
    path: str

    def __len__(self) -> int:
        return len(self.layers)


def decoder_of(model: PreTrainedModel) -> Decoder:
    """Find the decoder blocks: ``get_decoder().layers``, else the nearest ModuleList named layers, h or layer in it.

    The count must be the text config's, because a list found by name alone may be the vision tower's.

    Raises:
        UserError: No such list, or one of another length; the message names what was looked at.
    """
    config = model.config.get_text_config(decoder=True)
    expected = config.num_hidden_layers
    decoder: nn.Module = model.get_decoder()
    where = f"{type(model).__name__}.get_decoder() = {type(decoder).__name__}"
    layers = _blocks(decoder)
    if layers is None:
        raise UserError(f"no decoder blocks in {where}: it has no ModuleList named {', '.join(_NAMES)}")
    path = next(name for name, module in model.named_modules() if module is layers)
    if len(layers) != expected:
        raise UserError(
            f"{path} (found in {where}) has {len(layers)} blocks, but the text config says {expected}: "
            "this architecture is not supported"
        )
    return Decoder(layers, config.hidden_size, path)


def _blocks(decoder: nn.Module) -> nn.ModuleList | None:
    """Breadth first, so that a block's own inner lists never win over the list of blocks."""
    queue = deque([decoder])
    while queue:
        module = queue.popleft()
        for name in _NAMES:
            found = getattr(module, name, None)
            if isinstance(found, nn.ModuleList):
                return found
        queue.extend(module.children())
    return None

"""The text decoder's blocks inside a vision-language model, and their attention heads.

Nothing here knows a family: the model is asked (`get_decoder`, its text config) and its modules are looked at. A head
is a slice of the *input* of a block's attention output projection: seen as ``(batch, tokens, heads, head_size)`` that
input holds each head's ``softmax(QK^T / sqrt(d)) V``, which is where ITI (Li et al. 2023, section 3) reads and adds.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from iar.errors import UserError

_NAMES = ("layers", "h", "layer")
# A block's submodule that mixes tokens by attention, and what inside it can only be an input of it.
_ATTENTION = re.compile(r"attn|attention")
_INPUT = re.compile(r"^(w?qkv|w?[qkv](?![a-z])|query|key|value|in_proj|gate|indexer|c_attn|q_attn)")


@dataclass(frozen=True)
class Decoder:
    """Where the text model keeps its blocks.

    Attributes:
        layers: The decoder blocks in order; a layer's activation is its block's output.
        hidden_size: Width of that output.
        path: Dotted name of ``layers`` inside the model, e.g. ``model.language_model.layers``.
        projections: Each block's attention output projection, whose input is the heads' outputs side by side,
            ``(batch, tokens, (head dim))``; None for a block that has none (linear attention, say), and for every
            block when the head level is not available.
        heads: Number of query heads; 0 when the head level is not available.
        head_size: Width of one head's output; 0 when the head level is not available.
        heads_problem: Why the head level is not available; empty when it is.
    """

    layers: nn.ModuleList
    hidden_size: int
    path: str
    projections: tuple[nn.Module | None, ...]
    heads: int
    head_size: int
    heads_problem: str = ""

    def __len__(self) -> int:
        return len(self.layers)

    def require_heads(self) -> None:
        """Refuse the head level where it is not available.

        Raises:
            UserError: Names what was looked at.
        """
        if self.heads_problem:
            raise UserError(f"this model has no heads to steer: {self.heads_problem} (use the layer level)")


def decoder_of(model: PreTrainedModel) -> Decoder:
    """Find the decoder blocks: ``get_decoder().layers``, else the nearest ModuleList named layers, h or layer in it.

    The count must be the text config's, because a list found by name alone may be the vision tower's. A model whose
    heads cannot be told apart still has its blocks: see `Decoder.require_heads`.

    Raises:
        UserError: No such list, one of another length or with one block twice, or an encoder-decoder; the message
            names what was looked at.
    """
    name = type(model).__name__
    config = _text_config(model)
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    where = f"{name}.get_decoder() = {type(decoder).__name__}"
    if not isinstance(decoder, nn.Module):
        raise UserError(f"no text decoder in {name}: get_decoder() gives {decoder!r}, so there is nothing to steer")
    layers = _blocks(decoder)
    if layers is None:
        raise UserError(f"no decoder blocks in {where}: it has no ModuleList named {', '.join(_NAMES)}")
    path = next(name for name, module in model.named_modules() if module is layers)
    if len(layers) != config.num_hidden_layers:
        raise UserError(
            f"{path} (found in {where}) has {len(layers)} blocks, but the text config says "
            f"{config.num_hidden_layers}: this architecture is not supported"
        )
    if twice := _twice(layers):
        raise UserError(
            f"{path} (found in {where}) holds one block at the places {twice[0]} and {twice[1]}: steering one would "
            "steer the other, so this model is refused"
        )
    types = getattr(config, "layer_types", None) or [None] * len(layers)
    ends = [
        None if kind == "linear_attention" else _attention_end(block, config.hidden_size)
        for block, kind in zip(layers, types, strict=True)
    ]
    try:
        if twice := _twice(end and end[1] for end in ends):
            raise LookupError(f"blocks {twice[0]} and {twice[1]} share their attention output projection")
        heads, head_size = _heads(config, [end for end in ends if end])
    except LookupError as error:
        kinds = ", ".join(sorted({type(block).__name__ for block in layers}))
        problem = f"in {path} ({kinds}) {error.args[0]}"
        return Decoder(layers, config.hidden_size, path, (None,) * len(layers), 0, 0, problem)
    projections = tuple(end and end[1] for end in ends)
    return Decoder(layers, config.hidden_size, path, projections, heads, head_size)


def _twice(modules: Iterable[nn.Module | None]) -> tuple[int, int] | None:
    """The places of the first module that stands in a list twice."""
    first: dict[int, int] = {}
    for place, module in enumerate(modules):
        if module is not None and first.setdefault(id(module), place) != place:
            return first[id(module)], place
    return None


def _text_config(model: PreTrainedModel) -> Any:
    """The config of the text that the model writes."""
    name = type(model).__name__
    try:
        config = model.config.get_text_config(decoder=True)
    except ValueError as error:  # several candidates, as in models that also write audio
        raise UserError(f"no single text config in {name}: {str(error).splitlines()[0]}") from error
    if model.config.is_encoder_decoder or config.is_encoder_decoder:
        raise UserError(
            f"{name} with a {config.model_type} text model is an encoder-decoder: only "
            "decoder-only text models can be steered"
        )
    for field in ("num_hidden_layers", "hidden_size"):
        if not isinstance(getattr(config, field, None), int):
            raise UserError(f"the text config of {name} ({type(config).__name__}) does not say {field}")
    return config


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


def _attention_end(block: nn.Module, hidden_size: int) -> tuple[nn.Module, nn.Module] | None:
    """A block's attention and the linear module that ends it: the last that gives ``hidden_size`` and is not an input
    of it such as queries, keys or values. Square projections all look alike, hence the names."""
    for name, attention in block.named_children():
        if _ATTENTION.search(name) or type(attention).__name__.endswith("Attention"):
            ends = [
                module
                for inner, module in _linears(attention)
                if widths(module)[1] == hidden_size and not _INPUT.match(inner)
            ]
            if ends:
                return attention, ends[-1]
    return None


def _linears(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Linear modules with their own names; what is inside one (an adapter's base layer) belongs to it."""
    for name, child in module.named_children():
        if widths(child) != (0, 0):
            yield name, child
        else:
            yield from _linears(child)


def widths(module: nn.Module) -> tuple[int, int]:
    """(in, out) of a linear module, quantised, adapted or transposed (GPT-2's Conv1D); (0, 0) for any other."""
    for names in (("in_features", "out_features"), ("nx", "nf")):
        if all(isinstance(getattr(module, name, None), int) for name in names):
            return getattr(module, names[0]), getattr(module, names[1])
    return 0, 0


def _heads(config: Any, ends: list[tuple[nn.Module, nn.Module]]) -> tuple[int, int]:
    """(heads, head size).

    Raises:
        LookupError: They cannot be told apart, and why.
    """
    found = sorted({widths(projection)[0] for _, projection in ends})
    if not found:
        raise LookupError(f"no attention ends in a linear module that gives {config.hidden_size} values")
    if len(found) > 1:
        raise LookupError(f"the attention output projections differ in width: {', '.join(map(str, found))}")
    try:
        heads = config.num_attention_heads
    except (AttributeError, RuntimeError):  # RuntimeError: the config says that it differs from block to block
        heads = None
    if not isinstance(heads, int) or heads < 1 or found[0] % heads:
        raise LookupError(
            f"the attention output projections take {found[0]} values, which do not divide into the "
            f"num_attention_heads = {heads} of {type(config).__name__}"
        )
    size = found[0] // heads
    for attention, _ in ends:
        # A projection in two steps, or an attention with a head count of its own, would be cut at the wrong places.
        own = {value for name in ("v_head_dim", "head_dim") if (value := getattr(attention, name, None)) is not None}
        if own and size not in own:
            raise LookupError(
                f"the attention output projections take {found[0]} values for {heads} heads, but "
                f"{type(attention).__name__} says that a head has {' or '.join(map(str, sorted(own)))}"
            )
    return heads, size

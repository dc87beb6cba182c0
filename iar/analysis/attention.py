"""How much of the last prompt token's attention goes to the image, and whether that goes with safety.

The "distraction" question: does an image draw attention away from what is asked, and does the model then read the
query as safe? For a query and a layer, with a_h the attention weights (softmax) of head h from the prompt's last token,

    share = mean over heads of the sum of a_h over the image's tokens

``even`` is what equal attention to every token of the prompt would give the image. ``correlation`` is Pearson's, over
queries of one side in one mode, between the share and the projection of the same token's block output on the unit
vector of that layer (plus is towards safe), with Fisher's interval. A correlation does not show a cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn

from iar.analysis.modality import unit_vectors
from iar.errors import UserError
from iar.generation.tree.sweep import image_tokens
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.pairs.example import Example
from iar.stats import clustered
from iar.vectors.statistics import Sample

MODES = ("search", "typography", "concat", "figstep")


@torch.no_grad()
def shares(
    loaded: LoadedModel, examples: Sequence[Example], on_progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[Tensor, Tensor]:
    """Attention to the image at each prompt's last token, one example a forward pass, with eager attention.

    Args:
        examples: Prompts with an image, without responses.

    Returns:
        (layers, examples) shares, NaN for a block that shows no attention weights (linear attention, say), and
        (examples,) the image's part of the prompt's tokens. Both float32.

    Raises:
        UserError: A model whose prompts hold no image tokens, or whose attention shows no weights at all.
    """
    marks = torch.tensor(sorted(image_tokens(loaded)), dtype=torch.long)
    table, even = torch.full((len(loaded.decoder), len(examples)), torch.nan), torch.zeros(len(examples))
    for column, example in enumerate(examples):
        images = [chat.open_image(example.image)] if example.image else []
        features, _ = chat.encode(loaded, [example.prompt], [images])
        seen = torch.isin(features["input_ids"][0].cpu(), marks)
        if not seen.any():
            raise UserError(f"model {loaded.id!r} has no image tokens in its prompts: there is no attention to them")
        with _recorded(loaded, seen, table[:, column]):
            loaded.model(**features, use_cache=False)
        even[column] = seen.float().mean()
        on_progress(column + 1, len(examples))
    if table.isnan().all():
        raise UserError(f"the attention of model {loaded.id!r} shows no weights, not even as eager attention")
    return table, even


def attention(
    found: Mapping[str, tuple[Tensor, Tensor]], samples: Mapping[str, Sample], vectors: Tensor
) -> pd.DataFrame:
    """A row a query side, mode and layer.

    Args:
        found: `shares` by mode, in the order of the mode's sample.
        samples: By mode: the same queries' activations at the last prompt token.
        vectors: (layers, hidden), from unsafe to safe.

    Returns:
        query (``safe`` or ``unsafe``), mode, layer, rows, share with low and high (95 %, t over rows), even,
        correlation with correlation_low and correlation_high; NaN where a side has fewer than four rows or
        nothing varies.
    """
    unit, _ = unit_vectors(vectors)
    rows = []
    for query in ("unsafe", "safe"):
        for mode, (share, even) in found.items():
            sample = samples[mode]
            chosen = sample.safe == (query == "safe")
            if not chosen.any():
                continue
            keys = sample.keys[chosen].tolist()
            projected = torch.einsum("lnw,lw->ln", sample.values[:, chosen].double(), unit).numpy()
            for layer, values in enumerate(share[:, chosen].double().numpy()):
                mean = clustered(values, keys)
                together = _correlation(values, projected[layer])
                row = {"query": query, "mode": mode, "layer": layer, "rows": len(keys), "share": mean.value}
                row |= {"low": mean.low, "high": mean.high, "even": float(even[chosen].mean())}
                names = ("correlation", "correlation_low", "correlation_high")
                rows.append(row | dict(zip(names, together, strict=True)))
    return pd.DataFrame(rows)


def _correlation(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Pearson's r and Fisher's 95 % interval."""
    if len(one) < 4 or not np.isfinite(one).all() or min(one.std(), other.std()) < 1e-12:
        return math.nan, math.nan, math.nan
    r = float(np.clip(np.corrcoef(one, other)[0, 1], -1 + 1e-12, 1 - 1e-12))
    width = stats.norm.ppf(0.975) / math.sqrt(len(one) - 3)
    return r, math.tanh(math.atanh(r) - width), math.tanh(math.atanh(r) + width)


@contextmanager
def _recorded(loaded: LoadedModel, seen: Tensor, out: Tensor) -> Iterator[None]:
    """Within it every block's attention is eager and writes its share into ``out`` (layers,); no weights are kept."""
    with ExitStack() as stack:
        for layer, attention in enumerate(_attentions(loaded)):
            if attention is None:
                continue
            config: Any = getattr(attention, "config", None)
            if config is not None:
                stack.callback(setattr, config, "_attn_implementation", config._attn_implementation)
                config._attn_implementation = "eager"

            def write(_: nn.Module, __: Any, output: Any, layer: int = layer) -> None:
                weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
                if isinstance(weights, Tensor) and weights.ndim == 4 and weights.shape[-1] == len(seen):
                    out[layer] = weights[0, :, -1].float().cpu()[:, seen].sum(-1).mean()

            stack.callback(attention.register_forward_hook(write).remove)
        yield


def _attentions(loaded: LoadedModel) -> list[nn.Module | None]:
    """Each block's attention: the module right above its output projection."""
    parents = {child: parent for parent in loaded.model.modules() for child in parent.children()}
    return [None if projection is None else parents[projection] for projection in loaded.decoder.projections]

"""Projected gradient descent in pixel space: pictures that are to make a model comply (arXiv 2306.13213).

From the picture x_0, in steps of ``step`` against the gradient's sign, no pixel ever further than ``epsilon``:

    x <- clip(x - step * sign(d loss / d x), x_0 - epsilon, x_0 + epsilon)        all within [0, 1]

``loss`` is the mean cross-entropy of target responses behind the prompt, teacher-forced. An attacker who knows the
vector takes the gradient of the steered model: call `perturb` within `iar.revise`.

The picture is attacked as the model sees it, at the size that its processor makes of it, and comes back in whole steps
of 1/255, as a file holds it: what is reported is the loss of that file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from iar.errors import UserError
from iar.models import chat
from iar.models.checkpoint import LoadedModel

Revised = Callable[[int], AbstractContextManager[None]]
"""From the prompt's length to what the forward passes run in: ``lambda n: iar.revise(..., prompt_length=n)``."""


class Perturbed(NamedTuple):
    """A picture after the attack, and the targets' loss before and after it (nats a token)."""

    picture: Image.Image
    before: float
    after: float


def perturb(
    loaded: LoadedModel,
    prompt: str,
    picture: Image.Image,
    targets: Sequence[str],
    *,
    epsilon: float = 8 / 255,
    steps: int = 40,
    step: float = 1 / 255,
    revised: Revised = lambda _: nullcontext(),
) -> Perturbed:
    """Change a picture until the model would rather say one of the targets; deterministic.

    Args:
        prompt: The user's text; the picture stands before it.
        targets: Responses that the attacker wants, all with the same weight.
        epsilon: The most that a channel of a pixel may change, of 1.
        step: Of one iteration.
        revised: What the attacker knows of the steering; nothing by default.

    Returns:
        The picture of the steps whose rounded pixels had the least loss, at the size that the model sees.

    Raises:
        UserError: No target, or a processor that cuts pictures into tiles or otherwise hides which pixel is which.
    """
    if not targets:
        raise UserError("an attack needs at least one target response")
    first = _seen(loaded, picture)
    features, lengths = chat.encode(loaded, [prompt] * len(targets), [[picture]] * len(targets), targets, side="right")
    inputs = {name: value for name, value in features.items() if name != "pixel_values"}
    labels = _labels(inputs["input_ids"], inputs["attention_mask"], lengths)

    def loss(pixels: Tensor) -> Tensor:
        shown = _normalised(loaded, pixels).to(loaded.model.dtype)
        with revised(lengths[0]):
            logits = loaded.model(**inputs, pixel_values=shown.repeat(len(targets), 1, 1, 1), use_cache=False).logits
        flat = logits[:, :-1].float().flatten(0, 1)
        return torch.nn.functional.cross_entropy(flat, labels[:, 1:].flatten(), ignore_index=-100)

    low, high = (first - epsilon).clamp(0, 1), (first + epsilon).clamp(0, 1)
    pixels, best, least = first.clone(), first, float("inf")
    before = 0.0
    for number in range(steps + 1):
        held = (pixels * 255).round() / 255
        held.requires_grad_(number < steps)
        now = loss(held)
        value = float(now.detach())
        before = value if number == 0 else before
        if value < least:
            best, least = held.detach(), value
        if number < steps:
            (gradient,) = torch.autograd.grad(now, held)
            pixels = torch.minimum(torch.maximum(pixels - step * gradient.sign(), low), high)
    return Perturbed(_picture(best), before, least)


def _seen(loaded: LoadedModel, picture: Image.Image) -> Tensor:
    """(3, height, width): the picture as the model sees it, from 0 to 1 in whole steps of 1/255."""
    features, _ = chat.encode(loaded, [""], [[picture]])
    values = features.get("pixel_values")
    mean, spread = _normalisation(loaded)
    if not isinstance(values, Tensor) or values.ndim != 4 or values.shape[0] != 1 or values.shape[1] != len(mean):
        raise UserError(
            f"the processor of model {loaded.id!r} does not show a picture as one picture: attacks in pixel space "
            "need one that does (LLaVA-1.5's, say)"
        )
    found = (((values[0].float() * spread + mean).clamp(0, 1) * 255).round() / 255).to(loaded.model.device)
    again, _ = chat.encode(loaded, [""], [[_picture(found)]])
    if not torch.allclose(again["pixel_values"][0].float(), _normalised(loaded, found)[0].float(), atol=1e-2):
        raise UserError(
            f"the processor of model {loaded.id!r} changes a picture that it made itself: it cannot be attacked"
        )
    return found


def _normalised(loaded: LoadedModel, pixels: Tensor) -> Tensor:
    """(1, 3, height, width): as the processor would give it to the model."""
    mean, spread = _normalisation(loaded)
    return ((pixels - mean.to(pixels)) / spread.to(pixels))[None]


def _normalisation(loaded: LoadedModel) -> tuple[Tensor, Tensor]:
    processor: Any = getattr(loaded.processor, "image_processor", None)
    mean, spread = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
    if mean is None or spread is None:
        raise UserError(f"the processor of model {loaded.id!r} does not say how it normalises pictures")
    if not getattr(processor, "do_normalize", True):
        mean, spread = [0.0] * len(mean), [1.0] * len(spread)
    return torch.tensor(mean)[:, None, None], torch.tensor(spread)[:, None, None]


def _labels(ids: Tensor, mask: Tensor, lengths: Sequence[int]) -> Tensor:
    """The ids with everything but the responses marked as not counted."""
    place = torch.arange(ids.shape[1], device=ids.device)
    counted = (place >= torch.tensor(lengths, device=ids.device)[:, None]) & mask.bool()
    return ids.masked_fill(~counted, -100)


def _picture(pixels: Tensor) -> Image.Image:
    return Image.fromarray((pixels.cpu().numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8))

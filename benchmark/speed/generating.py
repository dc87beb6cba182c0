"""What steering costs ``generate`` for one configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmark.speed import asking, model
from benchmark.speed.figure import Asked, Ratio, Result
from benchmark.speed.sweeps import VSCBENCH
from benchmark.speed.timing import interleave, ratios
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.revision.context import revise
from iar.revision.direction import Revision
from iar.revision.gate import Gate
from iar.revision.hooks import steering


def generate(asked: Asked) -> Result:
    """`iar.revise` around ``generate``, ``generate`` alone, and for comparison the least hook that does the job."""
    size = asked.size
    loaded, vectors, folder = asking.asked_model(size)
    layer, strength = size.grid[1], 1.5
    # Questions of one length: the bare hook steers the last position, and padding is nobody's concern here.
    samples = model.samples(size, folder, size.batch, 1, (VSCBENCH[0], VSCBENCH[0]))
    rendered = [chat.render(loaded, sample.prompt, 1) for sample in samples]
    opened = [[chat.open_image(path) for path in sample.images] for sample in samples]
    rows = [chat.encode_rendered(loaded, text, images) for text, images in zip(rendered, opened, strict=True)]
    batch = chat.collate(loaded, rows)
    added = strength * vectors[model.SOURCE].vectors[layer].to(loaded.device, loaded.model.dtype)

    def answer() -> Any:
        with torch.no_grad():
            options = {"max_new_tokens": size.generated, "do_sample": False}
            llava: Any = loaded.model  # generate() comes from a mixin that type checkers cannot follow
            return llava.generate(**batch, **options)[:, batch["input_ids"].shape[1] :]

    def steered() -> Any:
        with revise(loaded, vectors[model.SOURCE], layers=[layer], strength=strength):
            return answer()

    added_where = Revision({layer: added.float()}, gate=_open(loaded, layer))

    def gated() -> Any:
        with steering(loaded.decoder, [added_where] * len(samples), ["last"] * len(samples)):
            return answer()

    def hooked() -> Any:
        with _hook(loaded, layer, added):
            return answer()

    lanes, found = interleave(
        {"unsteered": answer, "steered": steered, "gated": gated, "bare hook": hooked},
        asked.times(3),
        asked.say,
    )
    same = torch.equal(found["steered"], found["bare hook"]) and torch.equal(found["gated"], found["steered"])
    moved = int((found["steered"] != found["unsteered"]).any(1).sum())
    return Result(
        "generate",
        lanes,
        [
            Ratio("steered / unsteered", ratios(lanes["steered"], lanes["unsteered"]), 1.05, "≤"),
            Ratio("gated / unsteered", ratios(lanes["gated"], lanes["unsteered"]), 1.08, "≤"),
            Ratio("bare hook / unsteered", ratios(lanes["bare hook"], lanes["unsteered"]), None, "≤"),
        ],
        same and moved > 0,
        f"tokens {'the same' if same else 'NOT the same'} as with a bare hook; {moved} of {len(samples)} answers moved",
        ["the limit is the unsteered generate: 1.00 ×"],
        notes=[f"batch of {len(samples)}, {batch['input_ids'].shape[1]} prompt tokens, {size.generated} generated"],
    )


def _open(loaded: LoadedModel, layer: int) -> Gate:
    """A gate that reads every prompt and lets it through."""
    return Gate(layer, torch.zeros(1, loaded.decoder.hidden_size), torch.ones(1))


@contextmanager
def _hook(loaded: LoadedModel, layer: int, added: torch.Tensor) -> Iterator[None]:
    """Adds to the last position of every pass: the last prompt token, then each generated one."""

    def add(module: Any, args: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        hidden[:, -1] += added

    handle = loaded.decoder.layers[layer].register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()

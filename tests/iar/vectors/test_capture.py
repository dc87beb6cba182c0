from __future__ import annotations

from pathlib import Path

import torch

from iar.models import LoadedModel, chat
from iar.vectors.capture import capture


def test_equals_raw_hooks_and_leaves_the_model_alone(tiny: LoadedModel, images: list[Path]) -> None:
    image = chat.open_image(images[1])
    features, _ = chat.encode(tiny, ["Is there a spoon?", "hello"], [[image], []], ["Yes", "No, sorry"], side="right")
    raw: list[torch.Tensor] = []
    handles = [layer.register_forward_hook(lambda m, i, o: raw.append(o)) for layer in tiny.decoder.layers]
    with torch.no_grad():
        before = tiny.model(**features, use_cache=False, output_hidden_states=True)
    for handle in handles:
        handle.remove()

    captured = capture(tiny, features)

    assert len(captured) == 6
    for ours, theirs in zip(captured, raw, strict=True):
        assert torch.equal(ours, theirs)
    for layer in range(5):
        assert torch.equal(captured[layer], before.hidden_states[layer + 1])
    # The last entry of hidden_states is normed; a layer's activation is its block's own output.
    assert not torch.allclose(captured[5], before.hidden_states[6])
    assert torch.equal(tiny.model.model.language_model.norm(captured[5]), before.hidden_states[6])
    with torch.no_grad():
        assert torch.equal(tiny.model(**features, use_cache=False).logits, before.logits)
    for module in tiny.model.modules():
        assert not {"forward", "__nnsight__"} & set(module.__dict__)


def test_pools_inside_the_pass(tiny: LoadedModel) -> None:
    features, _ = chat.encode(tiny, ["hello"], [[]])
    whole = capture(tiny, features)
    pooled = capture(tiny, features, lambda hidden: hidden.mean(1))
    assert all(torch.equal(a.mean(1), b) for a, b in zip(whole, pooled, strict=True))

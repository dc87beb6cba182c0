from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from einops import rearrange

from iar.models import LoadedModel, chat
from iar.models.checkpoint import load
from iar.vectors.capture import capture


def test_equals_raw_hooks_and_leaves_the_model_alone(tiny: LoadedModel, images: list[Path]) -> None:
    image = chat.open_image(images[1])
    features, _ = chat.encode(tiny, ["Is there a spoon?", "hello"], [[image], []], ["Yes", "No, sorry"], side="right")
    raw: list[torch.Tensor] = []
    inputs: list[torch.Tensor] = []
    handles = [layer.register_forward_hook(lambda m, i, o: raw.append(o)) for layer in tiny.decoder.layers]
    for projection in tiny.decoder.projections:
        assert projection is not None
        handles.append(projection.register_forward_pre_hook(lambda m, i: inputs.append(i[0])))
    with torch.no_grad():
        before = tiny.model(**features, use_cache=False, output_hidden_states=True)
    for handle in handles:
        handle.remove()

    captured = capture(tiny, features, heads=True)

    assert len(captured.layers) == len(captured.heads) == 6
    for ours, theirs in zip(captured.layers + captured.heads, raw + inputs, strict=True):
        assert torch.equal(ours, theirs)
    for layer in range(5):
        assert torch.equal(captured.layers[layer], before.hidden_states[layer + 1])
    # The last entry of hidden_states is normed; a layer's activation is its block's own output.
    assert not torch.allclose(captured.layers[5], before.hidden_states[6])
    assert torch.equal(tiny.model.model.language_model.norm(captured.layers[5]), before.hidden_states[6])
    with torch.no_grad():
        assert torch.equal(tiny.model(**features, use_cache=False).logits, before.logits)
    for module in tiny.model.modules():
        assert not {"forward", "__nnsight__"} & set(module.__dict__)


def test_heads_are_attention_times_values(tiny_folder: Path) -> None:
    """In (head dim) order, so that head h is the slice [h * size, (h + 1) * size)."""
    loaded = load(tiny_folder)
    loaded.model.set_attn_implementation("eager")
    features, _ = chat.encode(loaded, ["Is there a spoon?"], [[]])
    values: list[torch.Tensor] = []
    attention = loaded.decoder.layers[2].self_attn
    handle = attention.v_proj.register_forward_hook(lambda m, i, o: values.append(o))
    with torch.no_grad():
        weights = loaded.model(**features, output_attentions=True).attentions[2]
    handle.remove()
    per_head = rearrange(values[0], "b t (h d) -> b h t d", h=4)
    expected = rearrange(weights @ per_head, "b h t d -> b t h d")
    found = capture(loaded, features, heads=True).heads[2]
    assert found is not None
    assert torch.allclose(rearrange(found, "b t (h d) -> b t h d", h=4), expected, atol=1e-6)


def test_pools_inside_the_pass_and_reads_no_heads_unasked(tiny: LoadedModel) -> None:
    features, _ = chat.encode(tiny, ["hello"], [[]])
    whole = capture(tiny, features)
    pooled = capture(tiny, features, lambda hidden: hidden.mean(1))
    assert whole.heads == []
    assert all(torch.equal(a.mean(1), b) for a, b in zip(whole.layers, pooled.layers, strict=True))


@pytest.mark.slow
def test_an_endpoint_can_be_asked_afterwards(warm_python: str) -> None:
    code = "import iar.vectors.capture, anyio; anyio.run(anyio.sleep, 0)"
    done = subprocess.run([warm_python, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

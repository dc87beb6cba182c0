from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from scipy import stats

from iar.analysis.attention import attention, shares
from iar.errors import UserError
from iar.models import LoadedModel, chat
from iar.pairs import Example
from iar.vectors.statistics import Sample
from tests.iar.generation import conftest as whole
from tests.iar.models import conftest as tiny_models

families, save_family, build_family = tiny_models.families, tiny_models.save_family, tiny_models.build_family
folder, chain = whole.folder, whole.chain

SEEING = ("llava", "internvl", "qwen2_5_vl", "gemma3", "idefics3")


def asked(images: list[Path]) -> list[Example]:
    return [Example(str(i), bool(i), f"Is there a {'red ' * i}spoon?", path) for i, path in enumerate(images[:2])]


def plainly(loaded: LoadedModel, example: Example, token: int) -> torch.Tensor:
    """(layers,) the shares from all weights of a whole forward pass."""
    before = loaded.model.config._attn_implementation
    loaded.model.set_attn_implementation("eager")
    features, _ = chat.encode(loaded, [example.prompt], [[chat.open_image(example.image)]])
    with torch.no_grad():
        weights = loaded.model(**features, output_attentions=True).attentions
    loaded.model.set_attn_implementation(before)
    seen = features["input_ids"][0] == token
    return torch.stack([w[0, :, -1][:, seen].sum(-1).mean() for w in weights])


@pytest.mark.parametrize("name", SEEING)
def test_the_share_is_that_of_all_attention_weights(chain, images, name):
    loaded = chain(name)
    config = loaded.model.config
    token = next(getattr(config, n) for n in ("image_token_id", "image_token_index") if hasattr(config, n))
    examples = asked(images)
    features, _ = chat.encode(loaded, [examples[0].prompt], [[chat.open_image(examples[0].image)]])
    with torch.no_grad():
        before = loaded.model(**features).logits
    found, even = shares(loaded, examples)
    assert found.shape == (len(loaded.decoder), 2) and ((found >= 0) & (found < 1)).all()
    assert (found[-1] > 0).all()  # a block with a sliding window may not see the image
    for column, example in enumerate(examples):
        assert torch.allclose(found[:, column], plainly(loaded, example, token), atol=1e-6)
    assert even[0] == (features["input_ids"][0] == token).float().mean()
    with torch.no_grad():  # nothing is left of it
        assert torch.equal(loaded.model(**features).logits, before)


def test_a_prompt_without_an_image_is_refused(tiny):
    with pytest.raises(UserError, match="model 'tiny-llava' has no image tokens in its prompts"):
        shares(tiny, [Example("0", True, "Is there a spoon?")])


def test_correlations_by_hand():
    keys, safe = torch.arange(10), torch.arange(10) < 5
    projections = torch.tensor([1.0, 2, 3, 4, 5, 5, 5, 5, 5, 5])
    sample = Sample(keys, safe, torch.stack([projections, -projections])[..., None] * torch.tensor([2.0, 0.0]))
    share = torch.tensor([[0.1, 0.2, 0.3, 0.5, 0.4, *[0.2] * 5]]).repeat(2, 1)
    table = attention({"search": (share, torch.full((10,), 0.5))}, {"search": sample}, torch.tensor([[4.0, 0], [1, 0]]))
    table = table.set_index(["query", "layer"])
    r = stats.pearsonr([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    low, high = r.confidence_interval(0.95)
    names = ["share", "even", "correlation", "correlation_low", "correlation_high"]
    assert table.loc[("safe", 0), names].tolist() == pytest.approx([0.3, 0.5, r.statistic, low, high])
    assert table.loc[("safe", 1), "correlation"] == pytest.approx(-r.statistic)
    assert math.isnan(table.loc[("unsafe", 0), "correlation"]) and table.loc[("unsafe", 0), "share"] == pytest.approx(
        0.2
    )

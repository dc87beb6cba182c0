"""The whole chain on a tiny random model of every family: load a folder, estimate vectors, steer mixed batches.

What does not run is said in docs/models.md, whose column is checked here too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.utils import is_torchvision_available

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation import Engine, Generation
from iar.generation.sampling import Sampling
from iar.models import LoadedModel, chat, load
from iar.pairs import Example
from iar.revision import Configuration, directions, steering
from iar.vectors import VectorSet, collect, estimate
from iar.vectors.capture import capture
from tests.iar.generation.conftest import TILES

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

IMAGE = (
    *("llava", "vipllava", "llava_next", "llava_onevision", "internvl", "deepseek_vl", "deepseek_vl_hybrid"),
    *("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3", "idefics3", "mllama", "aya_vision", "glm4v", "janus"),
)
TEXT = ("llama", "qwen2", "gemma2", "gpt2", "opt", "deepseek_v3", "qwen3_5_text")
LIMITED = {"paligemma": "prompts", "mllama": "with images", "mistral3": "not run"}
LIMITED |= dict.fromkeys(("blip-2", "instructblip", "fuyu"), "no template")
EVERY = pytest.mark.parametrize("name", (*IMAGE, *TEXT))

CONFIGURATIONS = (
    Configuration(),
    Configuration("iar", (0,), 25.0, scale="unit"),
    Configuration("iar", (0, 2), 15.0, scale="unit", positions="all"),
    Configuration("iar", (), 30.0, scale="unit", heads=3),
    Configuration("random", (0,), 25.0, scale="unit", seed=1),
)
NEW = 6
EXACT = 1e-4  # relative to the largest value


@pytest.fixture(scope="module")
def vectors(
    chain: Callable[[str], LoadedModel], examples: Callable[[str], list[Example]]
) -> Callable[[str], dict[str, VectorSet]]:
    """Name -> vectors of its own pairs, as `Engine` takes them."""

    @cache
    def get(name: str) -> dict[str, VectorSet]:
        options = {"tokens": "last_prompt", "pairs": "multi_instruction"} if name == "paligemma" else {}
        return {CONFIGURATIONS[1].source: estimate(chain(name), examples(name), **options)}

    return get


@pytest.fixture(scope="module")
def examples(images: list[Path]) -> Callable[[str], list[Example]]:
    """Name -> three pairs: with two images and a text alone, as far as the family can."""

    def get(name: str) -> list[Example]:
        shown: tuple[Path | None, ...] = (images[1], None, images[2])
        if name in ("mllama", "paligemma"):
            shown = tuple(images)
        if name in TEXT:
            shown = (None,) * 3
        found = []
        for i, (prompt, image) in enumerate(zip(("Is it red?", "How do I use this?", "And here?"), shown, strict=True)):
            if name == "paligemma":
                found += [Example(str(i), safe, f"{prompt} {safe}", image) for safe in (True, False)]
            else:
                found.append(Example(str(i), True, prompt, image, "I am sorry."[: 6 + 2 * i]))
                found.append(Example(str(i), False, prompt, image, f"Yes, there is {i}"))
        return found

    return get


@pytest.fixture(scope="module")
def samples(images: list[Path]) -> Callable[[str], list[Sample]]:
    """Name -> three samples with images of different shape, and two of text alone, as far as the family can."""

    def get(name: str) -> list[Sample]:
        asked = [("Is it red?", images[:1]), ("What is in the image?", images[1:2]), ("And here?", images[2:])]
        asked = [] if name in TEXT else asked
        asked += [] if name == "paligemma" else [("How do I use this knife?", []), ("Hello", [])]
        return [
            Sample(str(i), "pope", "random", text, tuple(paths), "yes", "0") for i, (text, paths) in enumerate(asked)
        ]

    return get


def answers(
    loaded: LoadedModel,
    vectors: dict[str, VectorSet],
    samples: list[Sample],
    configurations: Sequence[Configuration],
    batch_size: int,
    sharing: str,
) -> dict[tuple[str, str], Generation]:
    found = Engine(loaded, vectors, batch_size, sharing=sharing).run(samples, configurations, NEW)
    return {(g.sample.id, g.configuration.name): g for g in found}


def difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


def opened(paths: tuple[Path, ...] | list[Path]) -> list[Any]:
    return [chat.open_image(path) for path in paths]


@pytest.mark.parametrize("name", (*IMAGE, "paligemma", *TEXT))
def test_answers_depend_neither_on_the_batch_nor_on_sharing(
    name: str, chain: Callable[[str], LoadedModel], vectors: Callable[..., Any], samples: Callable[..., Any]
) -> None:
    asked = samples(name)
    mixed, shared = (answers(chain(name), vectors(name), asked, CONFIGURATIONS, 64, way) for way in ("plain", "auto"))
    # Each sample and each configuration once; the test below compares every pair's logits.
    pairs = zip(itertools.islice(itertools.cycle(asked), len(CONFIGURATIONS)), CONFIGURATIONS, strict=True)
    alone = [answers(chain(name), vectors(name), [sample], [one], 1, "plain") for sample, one in pairs]
    assert len(mixed) == len(asked) * len(CONFIGURATIONS)
    assert {place: (g.answer, g.tokens, g.key) for place, g in mixed.items()} == {
        place: (g.answer, g.tokens, g.key) for place, g in shared.items()
    }
    for found in alone:
        ((place, g),) = found.items()
        assert (mixed[place].answer, mixed[place].tokens, mixed[place].error) == (g.answer, g.tokens, None)
    steered = [g for g in mixed.values() if g.configuration.method != "none"]
    assert sum(g.answer != mixed[g.sample.id, "none"].answer for g in steered) >= 0.8 * len(steered)
    assert len({g.answer for g in mixed.values()}) > 0.5 * len(mixed)


@pytest.mark.parametrize("name", (*IMAGE, "paligemma", *TEXT))
def test_first_logits_of_a_mixed_batch(
    name: str, chain: Callable[[str], LoadedModel], vectors: Callable[..., Any], samples: Callable[..., Any]
) -> None:
    """All rows in one batch: those with images, of different shape, beside those without."""
    loaded = chain(name)
    model: Any = loaded.model
    asked = [s for s in samples(name) if s.images or name != "mllama"]
    rows = list(itertools.product(asked, CONFIGURATIONS))
    added = [directions(c, vectors(name).get(c.source)) for _, c in rows]
    settings = {"max_new_tokens": 1, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}

    @cache
    def encoded(places: tuple[int, ...]) -> Any:
        return chat.encode(loaded, [asked[k].prompt for k in places], [opened(asked[k].images) for k in places])[0]

    def logits(chosen: list[int]) -> Tensor:
        batch = encoded(tuple(i // len(CONFIGURATIONS) for i in chosen))
        with (
            torch.no_grad(),
            steering(loaded.decoder, [added[i] for i in chosen], [rows[i][1].positions for i in chosen]),
        ):
            return model.generate(**batch, **settings).logits[0]

    mixed = logits(list(range(len(rows))))
    for i in range(len(rows)):
        assert difference(mixed[i], logits([i])[0]) < EXACT
        assert rows[i][1].method == "none" or difference(mixed[i], mixed[i - i % len(CONFIGURATIONS)]) > 1e-2
    if name in TILES:
        shapes = [chat.encode(loaded, [s.prompt], [opened(s.images)])[0]["pixel_values"].shape for s in asked[:3]]
        assert len(set(shapes)) > 1


@EVERY
def test_vectors_do_not_depend_on_the_batch(
    name: str, chain: Callable[[str], LoadedModel], vectors: Callable[..., Any], examples: Callable[..., Any]
) -> None:
    whole = collect(chain(name), examples(name))["mean"]
    assert whole.head_sums is not None
    # Outside generate() gpt2 counts padding as positions.
    for side, batch_size in (("right", 1), ("right" if name == "gpt2" else "left", 4)):
        other = collect(chain(name), examples(name), side=side, batch_size=batch_size)["mean"]
        assert other.head_sums is not None
        assert difference(other.sums.means, whole.sums.means) < EXACT
        assert difference(other.head_sums.means, whole.head_sums.means) < EXACT
    (found,) = vectors(name).values()
    unsafe, safe = whole.sums.means
    assert difference(found.vectors.double(), safe - unsafe) < 1e-6
    assert found.vectors.norm(dim=1).min() > 0.1
    assert found.heads.vectors.norm(dim=-1).max() > 0.1


@EVERY
def test_a_forced_response_is_read_as_a_generated_one(
    name: str, chain: Callable[[str], LoadedModel], images: list[Path]
) -> None:
    """What pairs are estimated on is what is steered: the same activations, token by token."""
    loaded = chain(name)
    model: Any = loaded.model
    shown = [[]] if name in TEXT else [opened(images[2:])]
    whole, (start,) = chat.encode(loaded, ["Is it red?"], shown, ["Yes, there is"])
    prompt, _ = chat.encode(loaded, ["Is it red?"], shown)
    response = whole["input_ids"][0, start:].tolist()
    assert loaded.tokenizer.decode(response).strip() == "Yes, there is"
    steps: list[list[Tensor]] = [[] for _ in loaded.decoder.layers]
    handles = [
        layer.register_forward_hook(lambda m, a, out, seen=seen: seen.append(out))
        for layer, seen in zip(loaded.decoder.layers, steps, strict=True)
    ]
    # One token more than the response, so that its last one is read too.
    allowed = {start + i: [token] for i, token in enumerate([*response, response[0]])}
    model.generate(
        **prompt,
        max_new_tokens=len(allowed),
        do_sample=False,
        prefix_allowed_tokens_fn=lambda row, ids: allowed[len(ids)],
    )
    for handle in handles:
        handle.remove()
    for forced, generated in zip(capture(loaded, whole).layers, steps, strict=True):
        assert difference(forced, torch.cat(generated, 1)) < EXACT


@pytest.mark.parametrize("name", (*IMAGE, "paligemma"))
def test_half_precision(name: str, folder: Callable[[str], Path], images: list[Path]) -> None:
    """Every tensor with fractions is given to the model in its dtype: DeepSeek-VL has two kinds of pixels."""
    loaded = load(folder(name), dtype="bfloat16")
    batch, _ = chat.encode(loaded, ["Is it red?"] * 2, [opened(images[:1]), opened(images[1:2])])
    assert loaded.model(**batch).logits.isfinite().all()


def test_paligemma_reads_images_and_prompts_only(
    chain: Callable[[str], LoadedModel], images: list[Path], vectors: Callable[..., Any]
) -> None:
    """Its processor wants an image, and writes a line break behind the text, which would belong to a response."""
    loaded = chain("paligemma")
    text = Sample("0", "pope", "random", "Is it red?", (), "yes", "0")
    found = answers(loaded, vectors("paligemma"), [text], CONFIGURATIONS, 8, "auto")
    assert all("refuses the request: `images` are expected" in (g.error or "") for g in found.values())
    with pytest.raises(UserError, match=r"'paligemma' does not leave a response as it is.*tokens=last_prompt"):
        chat.encode(loaded, ["Is it red?"], [opened(images[:1])], ["Yes"])


def test_mllama_without_an_image(chain: Callable[[str], LoadedModel], images: list[Path]) -> None:
    """Its cross-attention block is skipped: rows cannot be mixed, and a vector there changes nothing."""
    loaded = chain("mllama")
    with pytest.raises(UserError, match=r"with and without an image in one batch.*: give every pair an image"):
        chat.encode(loaded, ["Is it red?"] * 2, [opened(images[:1]), []])
    pairs = [Example(str(i // 2), i % 2 == 0, "Is it red?", None, ("Yes.", "No.")[i % 2]) for i in range(4)]
    with pytest.raises(UserError, match="some blocks of model 'mllama' do not run on these examples"):
        estimate(loaded, pairs)
    answered = {}
    generator = torch.Generator().manual_seed(0)
    made = VectorSet(torch.randn(3, 32, generator=generator), *[torch.ones(3)] * 4)
    for layer in (0, 1):
        steered = Configuration("iar", (layer,), 20.0)
        for paths in ((), tuple(images[:1])):
            sample = Sample("0", "pope", "random", "Is it red?", paths, "yes", "0")
            found = Engine(loaded, {steered.source: made}).run([sample], (Configuration(), steered), NEW)
            plain, other = sorted(found, key=lambda g: g.configuration.name != "none")
            answered[layer, bool(paths)] = plain.answer != other.answer
    assert answered == {(0, True): True, (0, False): True, (1, True): True, (1, False): False}


def test_janus_is_not_sampled_greedily(chain: Callable[[str], LoadedModel]) -> None:
    """Its own ``generate`` drops logits processors (transformers 5.23); the sharing path does not go through it."""
    sample = Sample("0", "pope", "random", "Is it red?", (), "yes", "0")
    with pytest.raises(UserError, match="'janus' cannot be sampled"):
        list(Engine(chain("janus"), {}, sampling=Sampling(), sharing="plain").run([sample], (Configuration(),), 2))
    drawn = {
        next(Engine(chain("janus"), {}, sampling=Sampling(seed=seed)).run([sample], (Configuration(),), 4)).answer
        for seed in range(5)
    }
    assert len(drawn) > 1


@pytest.mark.parametrize("name", [name for name, limit in LIMITED.items() if limit == "no template"])
def test_a_processor_without_a_template_is_refused(name: str, chain: Callable[[str], LoadedModel]) -> None:
    """The class leaves the folder's template out."""
    with pytest.raises(UserError, match=f"model '{name}' has no chat template"):
        Engine(chain(name), {})


@pytest.mark.skipif(is_torchvision_available(), reason="says what happens without torchvision")
def test_mistral3_needs_torchvision(folder: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match="pip install torchvision"):
        load(folder("mistral3"))


def test_the_table_says_it(families: ModuleType) -> None:
    docs = Path(__file__).resolve().parents[3] / "docs" / "models.md"
    rows = [line.strip("| \n").split("|") for line in docs.read_text().splitlines() if line.startswith("|")]
    column = [cell.strip() for cell in rows[0]].index("whole chain")
    said = {row[0].strip(): row[column].strip() for row in rows[2:]}
    assert said == {name: LIMITED.get(name, "yes") for name in families.FAMILIES}
    assert set(said) == {*IMAGE, *TEXT, *LIMITED}

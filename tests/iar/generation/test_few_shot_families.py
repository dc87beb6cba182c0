"""Few-shot conversations on a tiny random model of every family: several images in one row, mixed with others.

In transformers 5.23 no processor of these families refuses several images; what a template or a processor does refuse
is said by `Engine.check` before anything is generated, and what a model was not trained on by ``model.max_images``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation import Engine
from iar.models import LoadedModel
from iar.pairs.row import Side
from iar.prompting.composer import Composer
from iar.prompting.few_shot import Demonstration, Demonstrations
from iar.revision.configuration import Configuration

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SEVERAL = (
    *("llava", "vipllava", "llava_next", "llava_onevision", "internvl", "deepseek_vl", "deepseek_vl_hybrid"),
    *(
        "qwen2_vl",
        "qwen2_5_vl",
        "qwen3_vl",
        "gemma3",
        "paligemma",
        "idefics3",
        "mllama",
        "aya_vision",
        "glm4v",
        "janus",
    ),
)
ONE, TWO = (Configuration("fewshot", shots=n, shots_by="seed") for n in (1, 2))
REFUSES_A_SECOND = (
    "{% set images = namespace(n=0) %}{% for m in messages %}{% for c in m['content'] if c['type'] == 'image' %}"
    "{% set images.n = images.n + 1 %}{% endfor %}{% endfor %}"
    "{% if images.n > 1 %}{{ raise_exception('Only one image is supported.') }}{% endif %}ASK"
)


def composer(images: list[Path] | None) -> Composer:
    shown = [images[i] for i in (0, 1, 2, 1, 0, 2)] if images else [None] * 6
    sides = [Side(f"How {i}?", image, f"So {i}.") for i, image in enumerate(shown)]
    pairs = tuple(Demonstration(str(i), "", *sides[2 * i : 2 * i + 2]) for i in range(3))
    return Composer(Demonstrations(Path("f.jsonl"), pairs))


def questions(*images: Path) -> list[Sample]:
    texts = (("Is it red?", images[:1]), ("Hello", ()))
    return [Sample(text, "pope", "random", text, shown, "yes", "0") for text, shown in texts]


@pytest.mark.parametrize("name", SEVERAL)
def test_answers_do_not_depend_on_the_batch(
    chain: Callable[[str], LoadedModel], images: list[Path], tmp_path: Path, name: str
) -> None:
    """Rows of two to five images, and of none: a question without an image is asked after demonstrations with some."""
    own = tmp_path / "own.png"  # none of the demonstrations'
    own.write_bytes(images[2].read_bytes() + b"\0")
    asked, configurations = (
        questions(own),
        [ONE, TWO, *([Configuration()] if name not in ("mllama", "paligemma") else [])],
    )

    def answers(batch_size: int) -> dict[tuple[str, str], str]:
        engine = Engine(chain(name), {}, batch_size, compose=composer(images))
        for configuration in configurations:
            engine.check(configuration)
        found = list(engine.run(asked, configurations, 4))
        assert {generation.error for generation in found} == {None}
        return {(g.sample.id, g.configuration.name): g.answer for g in found}

    together = answers(8)
    assert together == answers(1) and len(together) == 2 * len(configurations)
    assert len(set(together.values())) > 1 or name == "aya_vision"  # random weights that hear no question


def test_a_template_that_refuses_several_images_is_said_before_anything_is_generated(
    chain: Callable[[str], LoadedModel], images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = chain("llava")
    monkeypatch.setattr(loaded.processor, "chat_template", REFUSES_A_SECOND)
    engine = Engine(loaded, {}, compose=composer(images))
    engine.check(Configuration("cot"))
    with pytest.raises(UserError) as error:
        engine.check(ONE)
    assert str(error.value) == (
        f"fewshot-1 shows 3 images in 5 turns, which model {loaded.id!r} does not take: leave fewshot out, or take a "
        f"model that reads several images (the chat template of model {loaded.id!r} refuses the conversation: "
        "Only one image is supported.)"
    )


def test_a_model_of_texts_reads_texts_alone(chain: Callable[[str], LoadedModel], images: list[Path]) -> None:
    loaded = chain("llama")
    with pytest.raises(
        UserError, match=r"fewshot-2 shows 5 images in 9 turns, which model 'llama' does not take: .*no im"
    ):
        Engine(loaded, {}, compose=composer(images)).check(TWO)
    engine = Engine(loaded, {}, compose=composer(None))
    engine.check(TWO)
    (found,) = engine.run(questions()[1:], [replace(TWO, shots=1)], 3)
    assert found.error is None and found.prompt_tokens > 40

"""The steered model inside lm-eval: its answers and its log-probabilities are those of `iar.revise`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import iar
from iar.errors import UserError
from iar.models import LoadedModel, chat
from iar.vectors import VectorSet, file
from iar.vectors.header import header

lm_eval = pytest.importorskip("lm_eval", reason="needs lm-eval, in an environment of its own: docs/integrations.md")

QUESTIONS = (
    *(
        "Is there a spoon?",
        "How do I use this knife?",
        "Which letter?",
        "hello",
        "A. cat B. dog",
        "What is on the table?",
    ),
    *(
        "Is the spoon red?",
        "What can you help with?",
        "Yes or no?",
        "I am sorry?",
        "cat or fish",
        "Is there a dog here?",
    ),
)
SETTINGS = {"none": {}, "last": {"positions": "last"}, "all": {"positions": "all"}}
NEW = 8


@pytest.fixture(scope="module")
def vectors(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    drawn, ones = torch.randn(6, 32, generator=torch.Generator().manual_seed(0)) * 4, torch.ones(6)
    path = tmp_path_factory.mktemp("vectors") / "v.safetensors"
    file.write(path, VectorSet(drawn, ones, ones, ones, ones, header=header(tiny, [])))
    return path


def made(tiny_folder: Path, vectors: Path, name: str, **more: Any) -> Any:
    """The class that lm-eval makes, from the text that --model_args holds."""
    from iar.integrations.lm_eval import register

    place = f",vectors={vectors},layers=2,strength=2,positions={name}" if name != "none" else ""
    return register().create_from_arg_string(f"pretrained={tiny_folder}{place}", more)  # type: ignore[attr-defined]


def request(kind: str, *arguments: Any) -> Any:
    from lm_eval.api.instance import Instance

    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def revised(tiny: LoadedModel, vectors: Path, name: str, **more: Any) -> Any:
    place = {"method": "none"} if name == "none" else {"layers": 2, "strength": 2.0, "positions": name}
    return iar.revise(tiny, vectors, **place, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("pictured", [False, True])
def test_answers_in_batches(
    name: str, pictured: bool, tiny: LoadedModel, tiny_folder: Path, vectors: Path, images: list[Path]
) -> None:
    pictures = [[chat.open_image(images[i % 3])] if pictured else [] for i in range(12)]
    model = made(tiny_folder, vectors, name, batch_size=5)
    place = "<image>" if pictured else ""
    contexts = [model.apply_chat_template([{"role": "user", "content": f"{place}{text}"}]) for text in QUESTIONS]
    options = {"until": ["\n\n"], "max_gen_toks": NEW, "do_sample": False}
    more = [({"visual": shown},) if shown else () for shown in pictures]
    asked = [request("generate_until", context, options, *own) for context, own in zip(contexts, more, strict=True)]
    found = model.generate_until(asked)
    wanted = []
    for text, shown in zip(QUESTIONS, pictures, strict=True):
        features, _ = chat.encode(tiny, [text], [shown])
        with torch.no_grad(), revised(tiny, vectors, name):
            ids = tiny.model.generate(**features, max_new_tokens=NEW, do_sample=False)
        answer = tiny.tokenizer.decode(ids[0, features["input_ids"].shape[1] :], skip_special_tokens=True)
        wanted.append(answer.partition("\n\n")[0])
    assert found == wanted and len(set(found)) > 3


@pytest.mark.parametrize("name", SETTINGS)
def test_likelihood_is_that_of_generation(name: str, tiny: LoadedModel, tiny_folder: Path, vectors: Path) -> None:
    """Contexts and continuations of unequal length, in batches; the logits are those that generating gives."""
    model = made(tiny_folder, vectors, name, batch_size=4)
    choices = (" Yes", " No, there is none", " a red spoon")
    pairs = [(f"USER: {text} ASSISTANT:", choice) for text in QUESTIONS[::3] for choice in choices]
    found = model.loglikelihood([request("loglikelihood", *pair) for pair in pairs])
    plain = made(tiny_folder, vectors, "none").loglikelihood([request("loglikelihood", *pair) for pair in pairs])
    for (context, choice), (score, greedy) in zip(pairs, found, strict=True):
        start, whole = chat.token_ids(tiny, context), chat.token_ids(tiny, context + choice)
        ending = whole[len(start) :]

        def force(batch: int, ids: torch.Tensor, ending: list[int] = ending, start: list[int] = start) -> list[int]:
            return [ending[min(len(ids) - len(start), len(ending) - 1)]]

        inputs = torch.tensor([start])
        with torch.no_grad(), revised(tiny, vectors, name):
            out = tiny.model.generate(
                inputs, attention_mask=torch.ones_like(inputs), max_new_tokens=len(ending), do_sample=False,
                prefix_allowed_tokens_fn=force, return_dict_in_generate=True, output_logits=True,
            )  # fmt: skip
        logits = torch.stack(out.logits, 1)[0].log_softmax(-1)
        chosen = torch.tensor(ending[: len(logits)])
        assert len(chosen) == len(ending)
        assert score == pytest.approx(float(logits.gather(1, chosen[:, None]).sum()), abs=1e-4)
        assert greedy == bool((logits.argmax(-1) == chosen).all())
    if name != "none":
        assert max(abs(one[0] - other[0]) for one, other in zip(found, plain, strict=True)) > 0.1


def test_a_cache_is_refused(tiny_folder: Path, vectors: Path, tmp_path: Path) -> None:
    from lm_eval.api.model import CachingLM

    with pytest.raises(UserError, match="--use_cache would give"):
        CachingLM(made(tiny_folder, vectors, "last"), str(tmp_path / "cache.db"))


def test_wrong_settings_come_before_the_first_question(tiny_folder: Path, vectors: Path) -> None:
    from iar.integrations.lm_eval import Answers

    for words, said in (
        ({"vectors": str(vectors), "layer": "2"}, "unknown setting 'layer'"),
        ({"vectors": str(vectors)}, "nothing to revise"),
        ({"vectors": str(vectors), "layers": "9"}, "layer 9 is outside"),
        ({"layers": "2"}, "layers without vectors"),
        ({"batch_size": "auto"}, "batch_size=auto"),
    ):
        with pytest.raises(UserError, match=said):
            Answers(str(tiny_folder), **words)  # type: ignore[arg-type]

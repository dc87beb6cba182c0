"""The steered model inside lm-eval: its answers and its log-probabilities are those of `iar.revise`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from iar.errors import UserError
from iar.models import LoadedModel, chat
from tests.iar.integrations.conftest import NEW, QUESTIONS, SETTINGS, Task, revised, words

lm_eval = pytest.importorskip("lm_eval", reason="needs lm-eval: make integrations")


def made(tiny_folder: Path, vectors: Path, name: str, **more: Any) -> Any:
    """The class that lm-eval makes, from the text that --model_args holds."""
    from iar.integrations.lm_eval import register

    given = {"pretrained": tiny_folder, **words(vectors, name)}
    text = ",".join(f"{name}={value}" for name, value in given.items())
    return register().create_from_arg_string(text, more)  # type: ignore[attr-defined]


def request(kind: str, *arguments: Any) -> Any:
    from lm_eval.api.instance import Instance

    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("pictured", [False, True])
def test_answers_in_batches(
    name: str,
    pictured: bool,
    wanted: Callable[..., list[str]],
    tiny_folder: Path,
    vectors: Path,
    pictures: list[Path],
) -> None:
    model = made(tiny_folder, vectors, name, batch_size=5)
    place = "<image>" if pictured else ""
    contexts = [model.apply_chat_template([{"role": "user", "content": f"{place}{text}"}]) for text in QUESTIONS]
    options = {"until": ["\n\n"], "max_gen_toks": NEW, "do_sample": False}
    more = [({"visual": [chat.open_image(path)]},) if pictured else () for path in pictures]
    asked = [request("generate_until", context, options, *own) for context, own in zip(contexts, more, strict=True)]
    assert model.generate_until(asked) == [answer.partition("\n\n")[0] for answer in wanted(name, pictured)]


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


TASK = """\
task: iar_pope
dataset_path: json
dataset_kwargs: {{data_files: {{test: {questions}}}}}
test_split: test
output_type: generate_until
doc_to_text: "<image>{{{{prompt}}}}"
doc_to_image: !function shown.pictures
doc_to_target: "{{{{reference}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 4, do_sample: false}}
filter_list:
  - name: word
    filter: [{{function: regex, regex_pattern: "(\\\\w+)"}}, {{function: take_first}}]
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}}
"""
SHOWN = """\
from iar.models import chat

def pictures(doc):
    return [chat.open_image(doc["image"])]
"""


def test_a_task_of_our_own(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line to the table; its number is that of ``benchmark score``."""
    from iar.integrations import lm_eval as ours

    folder, out = tmp_path / "tasks", tmp_path / "out"
    folder.mkdir()
    (folder / "iar_pope.yaml").write_text(TASK.format(questions=task.folder / "questions.jsonl"))
    (folder / "shown.py").write_text(SHOWN)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    asked = ["run", "--model", "iar", "--model_args", task.arguments, "--tasks", "iar_pope", "--apply_chat_template"]
    asked += ["--include_path", str(folder), "--output_path", str(out), "--log_samples", "--batch_size", "16"]
    monkeypatch.setattr(sys, "argv", ["iar.integrations.lm_eval", *asked])
    ours.main()
    assert "exact_match" in capsys.readouterr().out
    (results,) = out.rglob("results_*.json")
    found = json.loads(results.read_text())["results"]["iar_pope"]["exact_match,word"]
    (samples,) = out.rglob("samples_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    score = task.scored({row["doc"]["id"]: row["resps"][0][0] for row in rows})
    assert found == pytest.approx(score, abs=1e-9) and 0.2 < score < 1

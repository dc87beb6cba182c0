"""lm-evaluation-harness with a steered model: ``python -m iar.integrations.lm_eval run --model iar --model_args …``

The harness finds models by a decorator and has no entry points, so this starts it with ``iar`` known. Multiple choice
is scored by the log-probability of context + continuation in one pass; where the prompt ends is told to the hooks, for
otherwise ``positions=last`` steers nothing that is scored. Rows of one batch have contexts of one length, so no
context is padded there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

import iar
from iar import cli
from iar.errors import UserError
from iar.models import LoadedModel, chat
from iar.revision.words import settings
from iar.vectors import read

PLACEHOLDER = "<image>"  # lm-eval's, wherever a picture stands in a question
MAX_NEW_TOKENS = 256  # lm-eval's default

_EXAMPLES = r"""examples:
  python -m iar.integrations.lm_eval run --model iar --model_args pretrained=DIR --tasks arc_easy
  python -m iar.integrations.lm_eval run --model iar --model_args pretrained=DIR,vectors=FILE,layers=14 --tasks arc_easy
  python -m iar.integrations.lm_eval run --model iar --tasks mmmu_val --apply_chat_template \
    --model_args pretrained=DIR,vectors=FILE,layers=9+14,strength=0.5,positions=all --batch_size 8

--model_args takes what iar.revise takes (layers, strength, positions, scale, heads, method, seed, gate_layer,
threshold, gate, release, release_threshold), and dtype, device, revision, template of the model. Everything else is
lm-eval's own.
"""


class Answers:
    """What lm-eval asks of a model, of its own classes free: texts in, texts and log-probabilities out.

    Args:
        pretrained: Folder, hub id or ``pocket``.
        vectors: A vector file, or hf://ORG/NAME; without one the model is not steered.
        words: Settings of `iar.revise`, as texts.
    """

    def __init__(
        self,
        pretrained: str,
        vectors: str | None = None,
        batch_size: int | str = 1,
        dtype: str = "float32",
        device: str | None = None,
        revision: str | None = None,
        template: str | None = None,
        **words: Any,
    ) -> None:
        if not str(batch_size).isdigit() or int(batch_size) < 1:
            raise UserError(f"batch_size={batch_size} must be a whole number from 1")
        if words and vectors is None:
            raise UserError(f"{', '.join(words)} without vectors: say vectors=FILE, or leave them out")
        self.settings = settings(words)
        self.size = int(batch_size)
        device = "cuda" if device is None and torch.cuda.is_available() else device or "cpu"
        self.loaded: LoadedModel = iar.load(
            pretrained, dtype=dtype, device=device, revision=revision, template=template
        )
        self.vectors = None if vectors is None else read(vectors, self.loaded)
        with self.steered(1):  # what is wrong with the settings comes before the first question
            pass

    def steered(self, prompt_length: int | None) -> AbstractContextManager[None]:
        if self.vectors is None:
            return nullcontext()
        return iar.revise(self.loaded, self.vectors, prompt_length=prompt_length, **self.settings)

    def chat(self, history: Sequence[dict[str, Any]], add_generation_prompt: bool) -> str:
        """The conversation as the model's template writes it; pictures stand before the text of their turn."""
        messages = []
        for turn in history:
            text = turn["content"]
            count = text.count(PLACEHOLDER) if self.loaded.tokenizer is not self.loaded.processor else 0
            parts = [{"type": "image"}] * count + [{"type": "text", "text": text.replace(PLACEHOLDER, "").strip()}]
            plain = self.loaded.tokenizer is self.loaded.processor
            messages.append({"role": turn["role"], "content": text if plain else parts})
        return str(
            self.loaded.processor.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    def generate(self, asked: Sequence[tuple[str, dict[str, Any], Sequence[Any]]]) -> list[str]:
        """Answers to (context, lm-eval's settings of generation, pictures)."""
        rows = [self._encode(context, pictures) for context, _, pictures in asked]
        answers = [""] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: (str(asked[i][1]), -rows[i]["input_ids"].shape[1]))
        for _, alike in groupby(order, key=lambda i: str(asked[i][1])):
            for batch in _chunks(list(alike), self.size):
                options = dict(asked[batch[0]][1])
                until = options.pop("until", [])
                until = [until] if isinstance(until, str) else until
                inputs = chat.collate(self.loaded, [rows[i] for i in batch], side="left")
                new = int(options.pop("max_gen_toks", options.pop("max_new_tokens", MAX_NEW_TOKENS)))
                drawn = bool(options.pop("do_sample", False))
                heat = {"temperature": options["temperature"]} if drawn and options.get("temperature") else {}
                with torch.no_grad(), self.steered(None):
                    model: Any = self.loaded.model
                    found = model.generate(**inputs, max_new_tokens=new, do_sample=drawn, **heat)
                for i, ids in zip(batch, found[:, inputs["input_ids"].shape[1] :], strict=True):
                    text = self.loaded.tokenizer.decode(ids, skip_special_tokens=True)
                    answers[i] = _until(text, [stop for stop in until if stop])
        return answers

    def likelihood(self, asked: Sequence[tuple[str, str, Sequence[Any]]]) -> list[tuple[float, bool]]:
        """Log-probability of each continuation behind its context, and whether it is the greedy one."""
        rows = [self._pair(*one) for one in asked]
        found = [(0.0, False)] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: rows[i][0]["input_ids"].shape[1])
        for length, alike in groupby(order, key=lambda i: rows[i][0]["input_ids"].shape[1]):
            for batch in _chunks(list(alike), self.size):
                contexts, endings = [rows[i][0] for i in batch], [rows[i][1] for i in batch]
                for i, scored in zip(batch, self._score(contexts, endings, length), strict=True):
                    found[i] = scored
        return found

    def _score(
        self, contexts: list[dict[str, Tensor]], endings: list[list[int]], length: int
    ) -> list[tuple[float, bool]]:
        inputs = chat.collate(self.loaded, contexts, side="left")
        longest = max(map(len, endings))
        tail = torch.zeros(len(endings), longest, dtype=torch.long)
        mask = torch.zeros_like(tail)
        for row, ending in enumerate(endings):
            tail[row, : len(ending)] = torch.tensor(ending)
            mask[row, : len(ending)] = 1
        more = {"input_ids": tail, "attention_mask": mask}
        for name, value in inputs.items():
            if value.shape[:2] == (len(endings), length):  # runs along the tokens
                added = more.get(name, torch.zeros(len(endings), longest, *value.shape[2:], dtype=value.dtype))
                inputs[name] = torch.cat([value, added.to(value)], 1)
        with torch.no_grad(), self.steered(length):
            logits = self.loaded.model(**inputs, use_cache=False).logits[:, length - 1 : -1].float().log_softmax(-1)
        scored = []
        for row, ending in enumerate(endings):
            own = logits[row, : len(ending)]
            ids = torch.tensor(ending, device=own.device)
            scored.append((float(own.gather(1, ids[:, None]).sum()), bool((own.argmax(-1) == ids).all())))
        return scored

    def _encode(self, context: str, pictures: Sequence[Any]) -> dict[str, Tensor]:
        return chat.encode_rendered(self.loaded, context, [picture.convert("RGB") for picture in pictures])

    def _pair(self, context: str, continuation: str, pictures: Sequence[Any]) -> tuple[dict[str, Tensor], list[int]]:
        """The context's inputs and the continuation's tokens; blanks at its end belong to the continuation."""
        bare = context.rstrip()
        if not bare:  # nothing is said before: the model's own beginning of a text
            begin = self.loaded.tokenizer.bos_token_id
            begin = self.loaded.tokenizer.eos_token_id if begin is None else begin
            one = torch.tensor([[begin]])
            ids = self.loaded.tokenizer(context + continuation, add_special_tokens=False)["input_ids"]
            return {"input_ids": one, "attention_mask": torch.ones_like(one)}, ids
        whole, start = chat.token_ids(self.loaded, context + continuation), chat.token_ids(self.loaded, bare)
        ending = whole[len(start) :]
        if not ending:
            raise UserError(f"the continuation {continuation!r} is no token of its own behind its context")
        return self._encode(bare, pictures), ending


@cache
def register() -> type:
    """Makes ``iar`` a model of lm-eval's, and returns its class.

    Raises:
        UserError: lm-eval is not installed.
    """
    if find_spec("lm_eval") is None:
        raise UserError("lm-eval is not installed: uv pip install 'lm-eval[hf]==0.4.13', in an environment with iar")
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model

    class Steered(LM):  # type: ignore[misc]
        """A model of lm-eval's (see `Answers`)."""

        MULTIMODAL = True

        def __init__(self, pretrained: str, max_batch_size: Any = None, **options: Any) -> None:
            super().__init__()
            self.own = Answers(pretrained, **options)

        @property
        def tokenizer_name(self) -> str:
            return self.own.loaded.id.replace("/", "__")

        def chat_template(self, chat_template: bool | str = False) -> str:
            return str(getattr(self.own.loaded.processor, "chat_template", None) or "")

        def apply_chat_template(self, chat_history: list[dict[str, Any]], add_generation_prompt: bool = True) -> str:
            return self.own.chat(chat_history, add_generation_prompt)

        def set_cache_hook(self, cache_hook: Any) -> None:
            raise UserError(
                "--use_cache would give a steered run another run's answers (its key knows no vectors): leave it out"
            )

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return self.own.generate([(args[0], args[1], _pictures(args)) for args in _args(requests)])

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            return self.own.likelihood([(args[0], args[1], _pictures(args)) for args in _args(requests)])

        def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
            return [score for score, _ in self.own.likelihood([("", args[0], ()) for args in _args(requests)])]

    return register_model("iar")(Steered)  # type: ignore[no-any-return]


def _args(requests: list[Any]) -> Iterator[tuple[Any, ...]]:
    return (request.args for request in requests)


def _pictures(args: tuple[Any, ...]) -> Sequence[Any]:
    found: Sequence[Any] = args[2].get("visual", ()) if len(args) > 2 else ()
    return found


def _chunks(items: list[int], size: int) -> Iterator[list[int]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def _until(text: str, stops: Sequence[str]) -> str:
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.integrations.lm_eval",
        description=(__doc__ or "").partition("\n\n")[2],
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("run", "ls", "validate"), help="lm-eval's commands")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="lm-eval's arguments")
    args = parser.parse_args()
    if {"-h", "--help"} & set(args.arguments) and find_spec("lm_eval") is None:
        parser.print_help()
        return
    with cli.reported():
        register()
        from lm_eval.__main__ import cli_evaluate

        sys.argv = ["lm_eval", args.command, *args.arguments]
        cli_evaluate()


if __name__ == "__main__":
    main()

"""lm-evaluation-harness with a steered model: ``python -m iar.integrations.lm_eval run --model iar --model_args …``

The harness finds models by a decorator and has no entry points, so this starts it with ``iar`` known.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from iar import cli
from iar.errors import UserError
from iar.integrations.answers import Answers
from iar.models import LoadedModel

PLACEHOLDER = "<image>"  # lm-eval's, wherever a picture stands in a question

_EXAMPLES = r"""examples:
  python -m iar.integrations.lm_eval run --model iar --model_args pretrained=DIR --tasks arc_easy
  python -m iar.integrations.lm_eval run --model iar --model_args pretrained=DIR,vectors=FILE,layers=14 --tasks arc_easy
  python -m iar.integrations.lm_eval run --model iar --tasks mmmu_val --apply_chat_template \
    --model_args pretrained=DIR,vectors=FILE,layers=9+14,strength=0.5,positions=all --batch_size 8

--model_args takes what iar.revise takes (layers, strength, positions, scale, heads, method, seed, gate_layer,
threshold, gate, release, release_threshold, release_if), and dtype, device, revision, template of the model.
Everything else is lm-eval's own.
"""


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

        def __init__(
            self, pretrained: str, max_batch_size: Any = None, device: str | None = None, **options: Any
        ) -> None:
            super().__init__()
            if device == "cuda:0":  # lm-eval's default, also where there is none
                device = None
            self.own = Answers(pretrained, device=device, **options)

        @property
        def tokenizer_name(self) -> str:
            return self.own.loaded.id.replace("/", "__")

        def chat_template(self, chat_template: bool | str = False) -> str:
            return str(getattr(self.own.loaded.processor, "chat_template", None) or "")

        def apply_chat_template(self, chat_history: list[dict[str, Any]], add_generation_prompt: bool = True) -> str:
            return _chat(self.own.loaded, chat_history, add_generation_prompt)

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


def _chat(loaded: LoadedModel, history: Sequence[dict[str, Any]], add_generation_prompt: bool) -> str:
    """The conversation as the model's template writes it; pictures stand before the text of their turn."""
    messages = []
    for turn in history:
        text = turn["content"]
        count = text.count(PLACEHOLDER) if loaded.tokenizer is not loaded.processor else 0
        parts = [{"type": "image"}] * count + [{"type": "text", "text": text.replace(PLACEHOLDER, "").strip()}]
        plain = loaded.tokenizer is loaded.processor
        messages.append({"role": turn["role"], "content": text if plain else parts})
    return str(
        loaded.processor.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
    )


def _args(requests: list[Any]) -> Iterator[tuple[Any, ...]]:
    return (request.args for request in requests)


def _pictures(args: tuple[Any, ...]) -> Sequence[Any]:
    found: Sequence[Any] = args[2].get("visual", ()) if len(args) > 2 else ()
    return found


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

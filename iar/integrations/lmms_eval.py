"""lmms-eval with a steered model: ``--model iar --model_args pretrained=DIR,vectors=FILE,layers=14,strength=1.5``

lmms-eval finds it by the entry point ``lmms_eval.models``. The words are those of `iar.integrations.answers`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from lmms_eval.api.model import lmms
from lmms_eval.caching.response_cache import ResponseCache
from lmms_eval.models.registry_v2 import ModelManifest

from iar.errors import UserError
from iar.integrations.answers import Answers, Question
from iar.models import chat
from iar.prompting import Turn

NAME = "iar"


def manifest() -> Any:
    """What lmms-eval reads at the entry point."""
    return ModelManifest(model_id=NAME, chat_class_path=f"{__name__}.Steered")


class Steered(lmms):  # type: ignore[misc]
    """A model of lmms-eval's (see `Answers`)."""

    is_simple = False
    read = ""  # the key of the model that was made last

    def __init__(self, pretrained: str, max_batch_size: Any = None, **options: Any) -> None:
        super().__init__()
        self.own = Answers(pretrained, **options)
        type(self).read = self.own.key

    def generate_until(self, requests: list[Any]) -> list[str]:
        """The answers to conversations of text and images, their blanks at both ends left out."""
        self.own.current()
        return [answer.strip() for answer in self.own.generate([self._question(*one.args) for one in requests])]

    def _question(
        self, context: str, messages: Callable[[Any], Any], options: dict[str, Any], doc: int, task: str, split: str
    ) -> Question:
        turns, pictures = [], []
        for message in messages(self.task_dict[task][split][doc]):
            texts, shown = [], []
            for part in message["content"]:
                if part["type"] == "text":
                    texts.append(part["text"])
                elif part["type"] == "image":
                    shown.append(chat.open_image(url) if isinstance(url := part["url"], str) else url.convert("RGB"))
                else:
                    raise UserError(f"task {task} has a part of type {part['type']}: iar reads text and images")
            turns.append(Turn(message["role"], "\n".join(texts), (Path("image"),) * len(shown)))
            pictures += shown
        return chat.converse(self.own.loaded, tuple(turns)), options, pictures

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        raise UserError(
            "lmms-eval asks chat models for no log-likelihoods: use iar.integrations.lm_eval for such tasks"
        )

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        raise UserError("iar answers no tasks of several rounds in lmms-eval")


def _keyed(create: Callable[..., Any]) -> Callable[..., Any]:
    """lmms-eval's cache knows a model by the words of --model_args: to these belongs what was read by them."""

    @wraps(create)
    def keyed(*arguments: Any, model: Any = "", **options: Any) -> Any:
        if model == NAME or isinstance(model, Steered):
            model = f"{NAME}:{Steered.read if model == NAME else model.own.key}"
        return create(*arguments, model=model, **options)

    return keyed


ResponseCache.create = _keyed(ResponseCache.create)

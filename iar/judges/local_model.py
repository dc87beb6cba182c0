"""A judge's model on this machine: loaded when first asked, safetensors only, no code out of a checkpoint.

Greedy replies of chat models in left-padded batches, and class probabilities of sequence classifiers. An answer that
does not fit the model's window is cut at its end, and what is said about it says so. The judged texts are hostile:
the model's own special tokens (``<|eot_id|>``) are pulled apart in them, so that no answer can end its turn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import torch
import transformers
from jinja2 import TemplateError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, GenerationConfig

from iar.errors import UserError, whole_number
from iar.models import clock, source, whole
from iar.models.checkpoint import class_of
from iar.models.placement import placement
from iar.records import key
from iar.terminal.console import bars

Messages = Sequence[tuple[str, str]]  # role and text of each turn
UNLIMITED = 1 << 20  # tokens; what tokenizers without a window of their own stay below


class LocalModel:
    """A chat model or sequence classifier of transformers; nothing is loaded until it is needed.

    Args:
        path: Folder of a saved model, or its hub id.
        revision: Commit, tag or branch of a hub model.
        dtype, device_map, attention, quantization: As in `iar.models.checkpoint.load`.
        device: ``auto`` takes a GPU if there is one.
        batch_size: Rows a batch.

    Raises:
        UserError: No such folder or hub model, or an unknown dtype and the like.
    """

    def __init__(
        self,
        path: str,
        *,
        revision: str | None = None,
        dtype: str = "bfloat16",
        device: str = "auto",
        device_map: str | dict[str, Any] | None = None,
        attention: str | None = None,
        quantization: str | None = None,
        batch_size: int = 8,
    ) -> None:
        whole_number("judge.batch_size", batch_size)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.folder = source.folder_of(path, "judge.path")
        self.path, self.revision, self.device, self.batch_size = str(self.folder or path), revision, device, batch_size
        self.choices = {"dtype": dtype, "quantization": quantization}
        self._forms: dict[tuple[str, ...], bool | None] = {}
        self._place = placement(dtype, device, device_map, attention, quantization)

    def describe(self) -> dict[str, Any]:
        """What can change a reply; of a folder the bytes of its files count, not its place."""
        if self.folder is None:
            _ = self.config  # fetched, so that its commit is known
            which = {"model": self.path, "revision": source.commit_of(self.path, self.revision)}
        else:
            which = {"model": self.folder.resolve().name, "revision": "local", "files": self._files}
        return which | self.choices

    @cached_property
    def _files(self) -> str:
        assert self.folder is not None
        return key(files=source.digests(self.folder))

    @cached_property
    def config(self) -> Any:
        if self.folder is None:
            self._try(source.reach_hub, self.path, self.revision)
        return self._try(AutoConfig.from_pretrained, self.path, **self._options)

    @cached_property
    def tokenizer(self) -> Any:
        tokenizer = self._try(AutoTokenizer.from_pretrained, self.path, **self._options)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    @cached_property
    def chat_model(self) -> Any:
        return self._model(self._try(class_of, self.config, False))

    @cached_property
    def classifier(self) -> Any:
        return self._model(AutoModelForSequenceClassification)

    @cached_property
    def window(self) -> int:
        """The most tokens that the model reads and writes together."""
        positions: int = getattr(self.config.get_text_config(), "max_position_embeddings", None) or UNLIMITED
        longest: int = self.tokenizer.model_max_length
        return min(positions, longest, UNLIMITED)

    def clean(self, text: str) -> str:
        """The text without anything that the tokenizer reads as a special token, and without half characters."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        special = [t.content for t in self.tokenizer.added_tokens_decoder.values() if t.special and len(t.content) > 1]
        for token in sorted(special, key=len, reverse=True):
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def shows(self, roles: tuple[str, ...]) -> bool:
        """Whether the model's chat format has turns of these roles in this order; many know no system turn."""
        return self._form(roles) is not None

    def render(self, messages: Messages) -> str:
        """The conversation in the model's own chat format, up to where the model's turn begins.

        Raises:
            UserError: The model has no chat template, or one that does not show these turns.
        """
        parts = self._form(tuple(role for role, _ in messages))
        if parts is None:
            raise UserError(
                f"judge {self.path!r} has no chat template that shows {' and '.join(role for role, _ in messages)} "
                "turns: take a chat model (judge.path=)"
            )
        return self._rendered(messages, parts)

    def _form(self, roles: tuple[str, ...]) -> bool | None:
        """Whether the template wants a turn's text in parts, ``[{"type": "text", ...}]``; None: it shows neither."""
        if roles not in self._forms:
            self._forms[roles] = None
            probe = [(role, f"probe {number} of {role}") for number, role in enumerate(roles)]
            for parts in (True, False) if self.tokenizer.chat_template else ():
                with suppress(TemplateError, TypeError, ValueError):
                    shown = self._rendered(probe, parts)
                    if all(text in shown for _, text in probe) and "'type'" not in shown:  # not the list as a text
                        self._forms[roles] = parts
        return self._forms[roles]

    def _rendered(self, messages: Messages, parts: bool) -> str:
        turns = [
            {"role": role, "content": [{"type": "text", "text": text}] if parts else text} for role, text in messages
        ]
        day = clock.pinned(self.tokenizer)
        text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **day)
        return text

    def fit(self, render: Callable[[str], str], answer: str, room: int) -> tuple[list[int] | None, str]:
        """Token ids of ``render(answer)``, the answer cut at its end until ``room`` more tokens fit the window.

        Returns:
            The ids, None if even an empty answer does not fit; and what was cut, "" if nothing.
        """
        limit, ids = self.window - room, self._ids(render(answer))
        if len(ids) <= limit:
            return ids, ""
        whole = self._ids(answer)
        keep = len(whole) - (len(ids) - limit)
        while keep > 0:
            ids = self._ids(render(self.tokenizer.decode(whole[:keep])))
            if len(ids) <= limit:
                return ids, f"the answer was cut at {keep} of {len(whole)} tokens"
            keep -= len(ids) - limit
        return None, f"the question alone is longer than the model's window of {self.window} tokens"

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def replies(self, prompts: Sequence[Sequence[int]], length: int, title: str) -> Iterator[tuple[int, str]]:
        """Index and greedy reply of each prompt, of at most ``length`` tokens, batch by batch, the longest first."""
        if not prompts:
            return
        model, pad = self.chat_model, self.tokenizer.pad_token_id
        ends = model.generation_config.eos_token_id
        ends = {self.tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        decoding = GenerationConfig(
            do_sample=False, max_new_tokens=length, pad_token_id=pad or 0, eos_token_id=sorted(ends) or None
        )
        for batch in self._batches([len(prompt) for prompt in prompts], title):
            width = max(len(prompts[i]) for i in batch)
            rows = torch.tensor([[pad or 0] * (width - len(prompts[i])) + list(prompts[i]) for i in batch])
            mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in batch])
            with self._computing():
                made = model.generate(
                    input_ids=rows.to(model.device), attention_mask=mask.to(model.device), generation_config=decoding
                )
            said = self.tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)
            yield from zip(batch, said, strict=True)

    def classes(
        self, texts: Sequence[tuple[str, ...]], title: str
    ) -> Iterator[tuple[int, dict[str, float], tuple[int, int]]]:
        """Index, probability of each class, and (tokens read, tokens there are) of each text or pair of texts."""
        if not texts:
            return
        model, tokenizer = self.classifier, self.tokenizer
        tokenizer.padding_side = "right"  # absolute positions count from the left
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id
        lengths = [len(tokenizer(*text)["input_ids"]) for text in texts]
        for batch in self._batches(lengths, title):
            read = tokenizer(
                *map(list, zip(*(texts[i] for i in batch), strict=True)),
                truncation=True,
                max_length=self.window,
                padding=True,
                return_tensors="pt",
            ).to(model.device)
            with self._computing():
                shares = model(**read).logits.float().softmax(-1).tolist()
            for index, row in zip(batch, shares, strict=True):
                named = {str(model.config.id2label[number]): share for number, share in enumerate(row)}
                yield index, named, (min(lengths[index], self.window), lengths[index])

    def _batches(self, lengths: Sequence[int], title: str) -> Iterator[list[int]]:
        order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
        with bars() as progress:
            task = progress.add_task(title, total=len(order))
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                yield batch
                progress.advance(task, len(batch))

    @contextmanager
    def _computing(self) -> Iterator[None]:
        try:
            with torch.inference_mode():
                yield
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"judge {self.path!r} ran out of memory: give a smaller judge.batch_size than {self.batch_size}"
            ) from error

    @property
    def _options(self) -> dict[str, Any]:
        return {"trust_remote_code": False, **({"revision": self.revision} if self.revision else {})}

    def _model(self, auto: Any) -> Any:
        if not sys.stderr.isatty():  # in a file or a pipe its bar is noise around an error's one line
            transformers.logging.disable_progress_bar()
        options = self._options | self._place
        model, found = self._try(
            auto.from_pretrained, self.path, use_safetensors=True, output_loading_info=True, **options
        )
        if missing := sorted(found["missing_keys"]):  # random weights would judge at random
            raise UserError(f"judge {self.path!r} lacks weights ({missing[0]}): it is not a model of this kind")
        if "device_map" not in self._place:
            self._try(model.to, self.device)
        model.eval().requires_grad_(False)
        whole.check_values(model, f"judge {self.path!r}", str(self.choices["dtype"]))
        return model

    def _try(self, make: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return make(*args, **options)
        except (OSError, ValueError, ImportError, AttributeError, RuntimeError, SafetensorError, KeyError) as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            way_out = (
                "is it a model folder with tokenizer and safetensors?"
                if self.folder
                else "a hub id needs network or a filled cache; for a folder say judge.path=DIR"
            )
            raise UserError(f"cannot load judge {self.path!r}: {reason} ({way_out})") from error

"""Turn questions into model inputs through the processor's chat template: its own, or one of `iar.models.templates`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad
from transformers import BatchFeature

from benchmark import drawing
from benchmark.errors import DataError
from iar.errors import UserError
from iar.models import clock, tokens
from iar.models.checkpoint import LoadedModel
from iar.models.templates import TEMPLATES
from iar.prompting import Conversation, begun


def render(loaded: LoadedModel, text: str, n_images: int = 0, response: str | None = None) -> str:
    """One user turn (images first, then the text), ready for the answer, or with ``response`` begun as the answer.

    The response stands as the template's own assistant turn would put it; what the template writes after it (an
    end-of-turn token) is left out, so every token behind the prompt is a token of the response.

    Raises:
        UserError: A text spells a control token of the model's; the model has no chat template, one that draws at
            random, or one whose prompt is not the beginning of the conversation with its answer.
    """
    _require_template(loaded)
    _check_text(loaded, text)
    user = _turn(loaded, "user", text, n_images)
    prompt = _apply(loaded, [user], add_generation_prompt=True)
    if response is None:
        return prompt
    _check_text(loaded, response, "response")
    answer = _turn(loaded, "assistant", response)
    full = _apply(loaded, [user, answer], add_generation_prompt=False)
    response = response.strip()
    start = full.find(response, len(prompt))
    if not full.startswith(prompt) or start < 0:
        raise UserError(
            f"the chat template of model {loaded.id!r} writes an answered question differently from an open one, "
            "so responses cannot be teacher-forced with it"
        )
    return full[: start + len(response)]


def converse(loaded: LoadedModel, conversation: Conversation) -> str:
    """A whole conversation, its last user turn open for the answer; a last turn of the model's is begun and goes on.

    Raises:
        UserError: As `render`; the chat template refuses the conversation (a system turn, say).
    """
    check(loaded, conversation)
    messages = [_turn(loaded, turn.role, turn.text, len(turn.images)) for turn in conversation]
    start = begun(conversation)
    text = _apply(loaded, messages, add_generation_prompt=not start)
    if start and start not in text:
        raise UserError(f"the chat template of model {loaded.id!r} does not write an answer that is begun as it is")
    return text[: text.rindex(start) + len(start)] if start else text


def check(loaded: LoadedModel, conversation: Conversation) -> None:
    """Raises where a conversation cannot be said to the model as text.

    Raises:
        UserError: The model has no chat template, or one that draws at random; a turn spells a control token.
    """
    _require_template(loaded)
    for turn in conversation:
        _check_text(loaded, turn.text)


def until_stop(loaded: LoadedModel, answer: str) -> str:
    """The answer up to the first text that ends it (`LoadedModel.stop`), which is not part of it."""
    return answer[: min((at for stop in loaded.stop if (at := answer.find(stop)) >= 0), default=len(answer))]


def open_image(path: Path | str) -> Image.Image:
    """The picture in a file as people see it (`benchmark.drawing`), RGB.

    Raises:
        UserError: The file is missing, broken, too large or no image; the message names it.
    """
    try:
        return drawing.read(path)
    except DataError as error:
        raise UserError(str(error)) from error


def text_length(loaded: LoadedModel, rendered: str) -> int:
    """Number of tokens before image tokens are expanded: cheap, and enough to sort rows by."""
    return len(token_ids(loaded, rendered))


def encode(
    loaded: LoadedModel,
    texts: Sequence[str | Conversation],
    images: Sequence[Sequence[Image.Image]],
    responses: Sequence[str | None] | None = None,
    side: str = "left",
) -> tuple[BatchFeature, list[int]]:
    """Encode rows, with or without images, into one padded batch.

    Args:
        texts: User texts, one a row; or a whole conversation, which takes no response.
        images: The images of each row, shown before its text; an empty sequence for text only.
        responses: Teacher-forced responses; None leaves the prompts, or a row's, open.
        side: Padding side: ``left`` for generation, ``right`` for teacher forcing.

    Returns:
        The batch on the model's device, and each row's prompt length in tokens after image expansion, without padding.

    Raises:
        UserError: As `render`, `encode_rendered` and `collate`; a processor that writes something behind a response.
        ValueError: A conversation with a response.
    """
    rows, lengths = [], []
    for index, (text, row_images) in enumerate(zip(texts, images, strict=True)):
        if isinstance(text, str):
            prompt = render(loaded, text, len(row_images))
            rendered = prompt if responses is None else render(loaded, text, len(row_images), responses[index])
        elif responses is not None and responses[index] is not None:
            raise ValueError(f"row {index} is a conversation, which takes no response")
        else:
            prompt = rendered = converse(loaded, text)
        row = encode_rendered(loaded, rendered, row_images)
        rows.append(row)
        # The response is the end of the row and holds no image, so counting from the end needs no expansion. The
        # common prefix rather than the prompt's own length: a tokenizer may merge across the boundary.
        response_tokens = 0
        if responses is not None:
            full, start = token_ids(loaded, rendered), token_ids(loaded, prompt)
            same = next((i for i, pair in enumerate(zip(full, start, strict=False)) if pair[0] != pair[1]), len(start))
            response_tokens = len(full) - same
            if row["input_ids"][0, row["input_ids"].shape[1] - response_tokens :].tolist() != full[same:]:
                raise UserError(
                    f"the processor of model {loaded.id!r} does not leave a response as it is, so responses cannot be "
                    "teacher-forced with it: estimate at the prompt's end (tokens=last_prompt)"
                )
        lengths.append(row["input_ids"].shape[1] - response_tokens)
    return collate(loaded, rows, side), lengths


def encode_rendered(loaded: LoadedModel, rendered: str, images: Sequence[Image.Image]) -> dict[str, Tensor]:
    """One row's model inputs, unpadded: text tensors (1, tokens), pixels as the processor lays them out.

    Raises:
        UserError: Images for a model that reads none, or a row that its processor refuses (one without an image, say).
    """
    options: dict[str, Any] = {"add_special_tokens": tokens.adds_special(loaded.tokenizer, rendered)}
    if images:
        if _reads_text_only(loaded):
            raise _sees_no_images(loaded)
        options["images"] = list(images)
    try:
        features = loaded.processor(text=[rendered], return_tensors="pt", **options)
    except ValueError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "it does not say why")
        raise UserError(f"the processor of model {loaded.id!r} refuses the request: {reason}") from error
    # Labels are for training: a model that is given them computes a loss.
    row = {name: value for name, value in features.items() if isinstance(value, Tensor) and name != "labels"}
    return _without_end(loaded, rendered, row)


def collate(loaded: LoadedModel, rows: Sequence[Mapping[str, Tensor]], side: str = "left") -> BatchFeature:
    """Pad single rows to one batch; rows without images simply add no pixels.

    A tensor that runs along the row's tokens is padded on ``side`` (ids with the pad token, the rest with 0, so the
    mask hides the padding); any other, such as the pixels, is put behind the previous row's. What has fractions, such
    as the pixels, gets the model's dtype.

    Raises:
        UserError: Rows with and without an image in a family that marks on every token which image it sees (Mllama).
    """
    longest = max(row["input_ids"].shape[1] for row in rows)
    batch: dict[str, Tensor] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        parts = []
        having = [row for row in rows if name in row]
        for row in having:
            value, length = row[name], row["input_ids"].shape[1]
            if value.ndim >= 2 and value.shape[:2] == (1, length):
                if len(having) < len(rows):
                    raise UserError(
                        f"model {loaded.id!r} cannot read rows with and without an image in one batch (only some have "
                        f"{name}): give every pair an image"
                    )
                missing = longest - length
                sides = (missing, 0) if side == "left" else (0, missing)
                fill = _pad_id(loaded) if name == "input_ids" else 0
                value = pad(value, (0, 0) * (value.ndim - 2) + sides, value=fill)
            parts.append(value)
        batch[name] = torch.cat(_same_trailing_shape(parts))
    return BatchFeature(batch).to(loaded.device, loaded.model.dtype)  # the dtype is for floating point tensors alone


def _require_template(loaded: LoadedModel) -> None:
    if getattr(loaded.processor, "chat_template", None) is None:
        raise UserError(
            f"model {loaded.id!r} has no chat template: say which with model.template="
            f"{'|'.join(TEMPLATES)}, or use an instruction-tuned checkpoint"
        )
    if clock.draws(loaded.processor):
        raise UserError(
            f"the chat template of model {loaded.id!r} chooses at random, so a prompt is another one each time: "
            "say which words it is to write, in the folder's chat_template.jinja"
        )


def _apply(loaded: LoadedModel, messages: list[dict[str, Any]], *, add_generation_prompt: bool) -> str:
    """The messages as the chat template writes them, on the day that `iar.models.clock` pins."""
    options = clock.pinned(loaded.processor)
    try:
        return str(
            loaded.processor.apply_chat_template(
                messages, add_generation_prompt=add_generation_prompt, tokenize=False, **options
            )
        )
    except Exception as error:  # a template is a program of the checkpoint's: what it raises is anybody's guess
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the chat template of model {loaded.id!r} refuses the conversation: {reason}") from error


def _check_text(loaded: LoadedModel, text: str, what: str = "prompt") -> None:
    if found := tokens.control(loaded.processor, text):
        raise UserError(
            f"the {what} holds {found!r}, which model {loaded.id!r} reads as a control token and not as text: "
            "leave it out, or spell it otherwise"
        )


def _without_end(loaded: LoadedModel, rendered: str, row: dict[str, Tensor]) -> dict[str, Tensor]:
    """The row without what the tokenizer puts behind every text: there the answer, or the response, begins or ends.

    Raises:
        UserError: It ends in an end token all the same.
    """
    tokenizer, ids = loaded.tokenizer, row["input_ids"][0].tolist()
    end = list(tokens.appended(tokenizer, tokens.adds_special(tokenizer, rendered)))
    if end and ids[-len(end) :] == end:
        length, kept = len(ids), len(ids) - len(end)
        along = {name: value.ndim >= 2 and value.shape[:2] == (1, length) for name, value in row.items()}
        row = {name: value[:, :kept] if along[name] else value for name, value in row.items()}
        ids = ids[:kept]
    last = tokenizer.eos_token
    if ids and last and ids[-1] == tokenizer.eos_token_id and not rendered.rstrip().endswith(last):
        raise UserError(f"the processor of model {loaded.id!r} ends every prompt in {last}, so it would answer nothing")
    return row


def _turn(loaded: LoadedModel, role: str, text: str, n_images: int = 0) -> dict[str, Any]:
    """One message; templates of plain text models expect its content as a text, not as a list of parts."""
    if not _reads_text_only(loaded):
        return {"role": role, "content": [{"type": "image"}] * n_images + [{"type": "text", "text": text}]}
    if n_images:
        raise _sees_no_images(loaded)
    return {"role": role, "content": text}


def _reads_text_only(loaded: LoadedModel) -> bool:
    return loaded.tokenizer is loaded.processor


def _sees_no_images(loaded: LoadedModel) -> UserError:
    return UserError(f"model {loaded.id!r} reads no images: it comes with a tokenizer only")


def _same_trailing_shape(parts: list[Tensor]) -> list[Tensor]:
    """Zero-pad at the end where images of different size give different shapes (as such processors do themselves)."""
    shape = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    padded = []
    for part in parts:
        ends = [(0, want - have) for want, have in zip(shape, part.shape[1:], strict=True)]
        padded.append(
            pad(part, [n for end in reversed(ends) for n in end]) if part.shape[1:] != torch.Size(shape) else part
        )
    return padded


def token_ids(loaded: LoadedModel, rendered: str) -> list[int]:
    """The tokens of a rendered text, before those of images are expanded."""
    adds = tokens.adds_special(loaded.tokenizer, rendered)
    ids: list[int] = loaded.tokenizer(rendered, add_special_tokens=adds)["input_ids"]
    return ids[: len(ids) - len(tokens.appended(loaded.tokenizer, adds))]


def _pad_id(loaded: LoadedModel) -> int:
    for candidate in (loaded.tokenizer.pad_token_id, loaded.tokenizer.eos_token_id):
        if candidate is not None:
            return int(candidate)
    return 0

"""Whether a model can be shown demonstrations at all, found out before the first question."""

from __future__ import annotations

from dataclasses import replace

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation.row import images_of
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.prompting import Compose
from iar.revision.configuration import Configuration


def check(loaded: LoadedModel, compose: Compose, configuration: Configuration) -> None:
    """Reads and encodes the demonstrations as they will be, before a question that brings an image itself.

    Raises:
        UserError: The chat template or the processor does not take their turns and images.
    """
    question = Sample("", "", "", "Is it?", (), "", "")
    conversation = compose(question, configuration)
    if images := images_of(conversation):
        conversation = (*conversation[:-1], replace(conversation[-1], images=images[:1]))
    opened = [chat.open_image(path) for path in images_of(conversation)]
    try:
        chat.encode_rendered(loaded, chat.converse(loaded, conversation), opened)
    except UserError as error:
        shown = f"{len(opened)} images in {len(conversation)} turns"
        raise UserError(
            f"{configuration.name} shows {shown}, which model {loaded.id!r} does not take: leave fewshot "
            f"out, or take a model that reads several images ({error})"
        ) from error

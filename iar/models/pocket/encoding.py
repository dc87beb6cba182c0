"""Training examples to tensors: token ids, which are trained on, pixels, and what the vision tower must name."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from benchmark.pocket import scenes
from benchmark.pocket.requests import VERBS
from iar.models.pocket.architecture import IMAGE_TOKENS
from iar.models.pocket.curriculum import Example

COLOURS = tuple(scenes.COLOURS)
WORDS = (*scenes.OBJECTS, *VERBS)
TARGETS = len(scenes.OBJECTS) * (1 + len(COLOURS)) + len(WORDS)


class Encoder:
    """Examples to tensors; pieces of text are tokenised once."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, device: torch.device) -> None:
        self.tokenizer, self.device = tokenizer, device
        self.cache: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int]:
        if text not in self.cache:
            if len(self.cache) > 200_000:
                self.cache.clear()
            self.cache[text] = self.tokenizer.encode(text, add_special_tokens=False)
        return self.cache[text]

    def tokens(self, item: Example) -> tuple[list[int], list[bool]]:
        """Token ids of the whole text, and which of them are trained on."""
        image = "<image>" * IMAGE_TOKENS if item.scene is not None else ""
        ids = list(self.ids(f"USER:{image} {item.prompt} ASSISTANT:"))
        trained = [False] * len(ids)
        for piece, on in item.answer:
            ids += self.ids(piece)
            trained += [on] * len(self.ids(piece))
        return [*ids, self.tokenizer.eos_token_id], [*trained, True]

    def batch(self, items: list[Example]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Right-padded ids, the boolean mask of trained tokens, and pixels of the items that have a picture."""
        rows = [self.tokens(item) for item in items]
        length = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), length), self.tokenizer.pad_token_id)
        trained = torch.zeros(len(rows), length, dtype=torch.bool)
        for i, (row, on) in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            trained[i, : len(on)] = torch.tensor(on)
        pictures = [item.scene for item in items if item.scene is not None]
        return ids.to(self.device), trained.to(self.device), self.pixels(pictures) if pictures else None

    def pixels(self, pictures: list[scenes.Scene]) -> Tensor:
        """As the processor does it: (value / 255 - 0.5) / 0.25, channels first."""
        stack = np.stack([np.asarray(picture.image) for picture in pictures])
        return (torch.from_numpy(stack).to(self.device).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25


def vision_targets(pictures: list[scenes.Scene]) -> Tensor:
    """Multi-hot (pictures, TARGETS): object there, object in this colour, word written."""
    targets = torch.zeros(len(pictures), TARGETS)
    count = len(scenes.OBJECTS)
    for row, picture in enumerate(pictures):
        for item in picture.items:
            index = scenes.OBJECTS.index(item.name)
            targets[row, index] = 1
            targets[row, count + index * len(COLOURS) + COLOURS.index(item.colour)] = 1
        for word in picture.words:
            targets[row, count * (1 + len(COLOURS)) + WORDS.index(word)] = 1
    return targets

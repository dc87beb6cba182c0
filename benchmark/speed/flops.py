"""What a sweep must compute at least, in FLOPs of the decoder, and what it costs when nothing is shared.

A token costs 2 FLOPs a weight of each block, and 4 × hidden for each token that it attends to. What a steered prompt
and the unsteered one have in common, everything up to the lowest steered block, need not be computed twice; nor need an
image for each of its questions. The vision tower is left out on both sides (a few percent here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.speed.sizes import Size
from iar.revision.configuration import Configuration


@dataclass(frozen=True)
class Work:
    """Questions that share an image, in tokens.

    Attributes:
        prefix: Tokens up to and with the image.
        bodies: Length of each question behind it, its last token and the template's end included.
    """

    prefix: int
    bodies: tuple[int, ...]


def block(size: Size, tokens: int, before: int) -> float:
    """FLOPs of one block for ``tokens`` that follow ``before`` others."""
    weights = 4 * size.hidden**2 + 3 * size.hidden * size.inner
    seen = tokens * before + tokens * (tokens + 1) / 2
    return 2 * weights * tokens + 4 * size.hidden * seen


def head(size: Size) -> float:
    """FLOPs of one token's scores."""
    return 2 * size.hidden * size.words


def unshared(size: Size, works: Sequence[Work], configurations: Sequence[Configuration], answer: int) -> float:
    """Every question under every configuration by itself; answers of ``answer`` tokens."""
    total = 0.0
    for work in works:
        for body in work.bodies:
            total += size.layers * block(size, work.prefix + body + answer - 1, 0) + answer * head(size)
    return total * len(configurations)


def shared(size: Size, works: Sequence[Work], configurations: Sequence[Configuration], answer: int) -> float:
    """What no exact engine can do without (equal answers of different configurations are counted each)."""
    total = 0.0
    for work in works:
        total += size.layers * block(size, work.prefix, 0)
        for body in work.bodies:
            total += size.layers * block(size, body - 1, work.prefix)
        for configuration in configurations:
            own = size.layers - 1 - min(configuration.layers) if configuration.layers else 0
            if configuration.positions in ("all", "prompt"):
                total += own * block(size, work.prefix, 0)
                total += sum(own * block(size, body - 1, work.prefix) for body in work.bodies)
            for body in work.bodies:
                before = work.prefix + body - 1
                first = own if configuration.layers else size.layers
                total += first * block(size, 1, before) + size.layers * block(size, answer - 1, before + 1)
                total += answer * head(size)
        # The last prompt token up to the lowest steered block is the unsteered one's; that one is counted above.
    return total

"""Token policies: over which tokens of an example its activations are averaged.

``mean`` over the response's tokens (the default), the ``last`` of them (as in ITI's released code), the first k of them
(``first_4``), or the prompt's last token (``last_prompt``), where the model is about to answer. The prompt and the
end-of-turn token never count as response.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from iar.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

POLICIES = ("mean", "last", "first_4", "last_prompt")


def check(policy: str) -> None:
    """Raises what is wrong with a policy's name.

    Raises:
        UserError: It is none of ``mean``, ``last``, ``last_prompt`` and ``first_K`` with K from 1.
    """
    if policy not in POLICIES and not re.fullmatch(r"first_[1-9]\d*", str(policy)):
        raise UserError(f"unknown token policy {policy!r}: {did_you_mean(str(policy), POLICIES)}")


def needs_response(policy: str) -> bool:
    return policy != "last_prompt"


def weights(mask: Tensor, prompt_lengths: Tensor, policies: Sequence[str]) -> Tensor:
    """(policies, batch, tokens): each row's weights on its tokens, summing to 1; padding may be on either side."""
    import torch  # here: a command whose model runs elsewhere checks policies too, and starts without torch

    place = mask.cumsum(1)  # 1-based index among the row's own tokens
    real, total = mask.bool(), mask.sum(1, keepdim=True)
    prompt = prompt_lengths.to(mask.device)[:, None]
    response = real & (place > prompt)
    chosen = []
    for policy in policies:
        if policy == "mean":
            chosen.append(response)
        elif policy == "last":
            chosen.append(response & (place == total))
        elif policy == "last_prompt":
            chosen.append(real & (place == prompt))
        else:
            chosen.append(response & (place <= prompt + int(policy.removeprefix("first_"))))
    stacked = torch.stack([tokens.float() for tokens in chosen])
    return stacked / stacked.sum(-1, keepdim=True)

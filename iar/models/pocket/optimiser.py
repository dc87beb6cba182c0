"""Muon for the hidden matrices, AdamW for the rest.

Muon: momentum, then the update is orthogonalised by five Newton-Schulz iterations (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/). Matrices of one shape are stacked: 32 layers cost a few batched products.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonalise(update: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, (count, rows, columns), by the quintic Newton-Schulz iteration."""
    tall = update.shape[1] > update.shape[2]
    x: Tensor = update.mT if tall else update
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * (gram @ gram)) @ x
    return x.mT if tall else x


class Muon:
    """One optimiser over `named` parameters; `state` is a flat dict of tensors, so it saves as safetensors."""

    def __init__(
        self, named: Iterable[tuple[str, nn.Parameter]], lr: float, decay: float = 0.01, momentum: float = 0.95
    ) -> None:
        self.lr, self.decay, self.momentum = lr, decay, momentum
        matrices: dict[tuple[int, ...], list[nn.Parameter]] = {}
        self.rest: list[nn.Parameter] = []
        for name, parameter in named:
            if parameter.ndim == 2 and ".layers." in name:
                matrices.setdefault(tuple(parameter.shape), []).append(parameter)
            else:
                self.rest.append(parameter)
        self.matrices = list(matrices.values())
        device = self.rest[0].device
        self.state = {
            f"muon.{i}": torch.zeros(len(ps), *ps[0].shape, device=device) for i, ps in enumerate(self.matrices)
        }
        for i, p in enumerate(self.rest):
            self.state |= {f"adam.{i}.mean": torch.zeros_like(p), f"adam.{i}.square": torch.zeros_like(p)}
        self.steps = 0

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update at learning rate ``lr * factor`` (half of that for AdamW); clears the gradients."""
        self.steps += 1
        lr = self.lr * factor
        for i, parameters in enumerate(self.matrices):
            gradient = torch.stack([p.grad for p in parameters if p.grad is not None])
            buffer = self.state[f"muon.{i}"].mul_(self.momentum).add_(gradient)
            updates = orthogonalise(gradient + self.momentum * buffer)
            scale = 0.2 * max(updates.shape[1:]) ** 0.5 * lr
            for parameter, update in zip(parameters, updates, strict=True):
                parameter.mul_(1 - self.decay * lr).add_(update, alpha=-scale)
                parameter.grad = None
        b1, b2 = 0.9, 0.98
        for i, parameter in enumerate(self.rest):
            if parameter.grad is None:
                continue
            mean = self.state[f"adam.{i}.mean"].lerp_(parameter.grad, 1 - b1)
            square = self.state[f"adam.{i}.square"].mul_(b2).addcmul_(parameter.grad, parameter.grad, value=1 - b2)
            denominator = (square / (1 - b2**self.steps)).sqrt_().add_(1e-8)
            parameter.addcdiv_(mean / (1 - b1**self.steps), denominator, value=-lr / 2)
            parameter.grad = None

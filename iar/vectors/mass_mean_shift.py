"""Revision vectors by mass mean shift (MMS).

    v_l = mean over safe responses of a_l  -  mean over unsafe responses of a_l

a_l is the output of decoder block l, pooled over the tokens of one teacher-forced response. IAR (arXiv 2501.16378)
names MMS its best extraction; the direction and its sigma are those of ITI (arXiv 2306.03341, section 4.1), there per
head and of unit length. Here the difference of means itself is kept; ``scale`` chooses the unit when it is applied.

Token policies: ``mean`` over the response's tokens, or the ``last`` one. The prompt and the end-of-turn token count in
neither.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor

from iar.errors import UserError, did_you_mean
from iar.models import chat
from iar.models.checkpoint import LoadedModel
from iar.pairs import Pair
from iar.pairs import digest as pairs_digest
from iar.vectors.capture import capture
from iar.vectors.vector_set import VectorSet

POLICIES = ("mean", "last")
FORMAT_VERSION = "1"


@dataclass
class Sums:
    """Running sums over pooled activations, float64; all that the estimate needs, exact in one pass.

    The second moment takes layers x hidden^2 x 8 bytes (4.3 GB for 32 layers of 4096), whatever the number of pairs.

    Attributes:
        count: (2,) number of unsafe and of safe activations.
        total: (2, layers, hidden) their sums.
        moment: (layers, hidden, hidden) sum of outer products over both classes.
        norm: (layers,) sum of L2 norms over both classes.
    """

    count: Tensor
    total: Tensor
    moment: Tensor
    norm: Tensor

    @classmethod
    def zeros(cls, layers: int, hidden: int) -> Sums:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64)

        return cls(zeros(2), zeros(2, layers, hidden), zeros(layers, hidden, hidden), zeros(layers))

    def add(self, activations: Tensor, safe: Tensor) -> None:
        """Count a batch: activations (layers, batch, hidden), safe (batch,) bool."""
        values = activations.to("cpu", torch.float64)
        for label, rows in ((0, ~safe), (1, safe)):
            self.count[label] += rows.sum()
            self.total[label] += values[:, rows].sum(1)
        self.moment += values.mT @ values
        self.norm += values.norm(dim=-1).sum(1)

    def merge(self, other: Sums) -> Sums:
        """The sums over both parts: what one pass over all of it would have counted."""
        return Sums(
            self.count + other.count, self.total + other.total, self.moment + other.moment, self.norm + other.norm
        )

    def vector_set(self, header: dict[str, str] | None = None) -> VectorSet:
        """Vectors and their statistics. A layer whose classes do not differ gets sigma and separation 0."""
        means = self.total / self.count[:, None, None]
        shift = means[1] - means[0]
        length = shift.norm(dim=-1, keepdim=True)
        unit = torch.where(length > 0, shift / length, 0.0)
        n = self.count.sum()
        square = torch.einsum("lh,lhk,lk->l", unit, self.moment, unit) / n
        projected = torch.einsum("lh,clh->cl", unit, means)
        overall = (self.count[:, None] * projected).sum(0) / n
        sigma = (square - overall**2).clamp(min=0).sqrt()
        # Within-class variance, pooled by class size: total second moment less the classes' own squared means.
        pooled = (square - (self.count[:, None] * projected**2).sum(0) / n).clamp(min=0).sqrt()
        separation = torch.where(pooled > 0, (projected[1] - projected[0]) / pooled, 0.0)
        vectors, norm, sigma, separation = (t.float() for t in (shift, self.norm / n, sigma, separation))
        return VectorSet(vectors, norm, sigma, separation, header or {})


def estimate(
    loaded: LoadedModel,
    pairs: Sequence[Pair],
    *,
    batch_size: int = 32,
    policies: Iterable[str] = POLICIES,
    seed: int = 0,
    side: str = "right",
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, VectorSet]:
    """Mass mean shift of every layer for each token policy, from one pass over the responses.

    Args:
        batch_size: Responses a forward pass (a pair has two).
        seed: Seed the pairs were chosen with; written into the header, nothing here is random.
        side: Padding side; the result does not depend on it.
        on_progress: Called with (responses done, responses in all) after every batch.

    Raises:
        UserError: Unknown policy, fewer than two pairs, an unreadable image, or activations that are not finite.
    """
    policies = tuple(policies)
    for policy in policies:
        if policy not in POLICIES:
            raise UserError(f"unknown token policy {policy!r}: {did_you_mean(policy, POLICIES)}")
    if len(pairs) < 2:
        raise UserError(f"{len(pairs)} pair(s) given: a revision vector needs at least 2")
    decoder = loaded.decoder
    sums = {policy: Sums.zeros(len(decoder), decoder.hidden_size) for policy in policies}
    # Batches of similar length hold little padding; the sort is stable, so the same pairs give the same batches.
    responses = [(pair, safe, pair.safe if safe else pair.unsafe) for pair in pairs for safe in (True, False)]
    responses.sort(key=lambda row: (row[0].image is not None, len(row[0].prompt) + len(row[2])))
    for start in range(0, len(responses), batch_size):
        batch = responses[start : start + batch_size]
        images = [[chat.open_image(pair.image)] if pair.image else [] for pair, _, _ in batch]
        texts, answers = [pair.prompt for pair, _, _ in batch], [answer for _, _, answer in batch]
        features, prompt_lengths = chat.encode(loaded, texts, images, answers, side=side)
        weights = _weights(features["attention_mask"], torch.tensor(prompt_lengths), policies)
        pooled = torch.stack(capture(loaded, features, lambda hidden: _pool(hidden, weights)))  # noqa: B023 (used now)
        if not pooled.isfinite().all():
            layer = int((~pooled.isfinite()).flatten(1).any(1).nonzero()[0])
            raise UserError(f"activations of layer {layer} are not finite in {loaded.dtype}: try model.dtype=float32")
        safe = torch.tensor([safe for _, safe, _ in batch])
        for index, policy in enumerate(policies):
            sums[policy].add(pooled[:, index], safe)
        if on_progress:
            on_progress(start + len(batch), len(responses))
    digest = pairs_digest(pairs)
    return {policy: sums[policy].vector_set(header(loaded, policy, len(pairs), digest, seed)) for policy in policies}


def header(loaded: LoadedModel, policy: str, n_pairs: int, digest: str, seed: int) -> dict[str, str]:
    """Everything needed to make the vectors again, or to refuse them.

    ``created`` is the UTC time, or SOURCE_DATE_EPOCH where that is set: then the same command writes the same bytes.
    """
    created = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    config = loaded.model.config
    return {
        "format_version": FORMAT_VERSION,
        "model_id": loaded.id,
        "model_revision": loaded.revision,
        "fingerprint": loaded.fingerprint,
        "architecture": (config.architectures or [type(loaded.model).__name__])[0],
        "config_digest": loaded.config_digest,
        "hidden_size": str(loaded.decoder.hidden_size),
        "n_layers": str(len(loaded.decoder)),
        "dtype": loaded.dtype,
        "method": "mms",
        "tokens": policy,
        "n_pairs": str(n_pairs),
        "pairs_digest": digest,
        "seed": str(seed),
        "torch_version": str(torch.__version__),
        "transformers_version": version("transformers"),
        "iar_version": _iar_version(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
    }


def _weights(mask: Tensor, prompt_lengths: Tensor, policies: Sequence[str]) -> Tensor:
    """(policies, batch, tokens): each row's weights on its tokens, summing to 1."""
    place = mask.cumsum(1)  # 1-based index among the row's own tokens, on either padding side
    total = mask.sum(1, keepdim=True)
    response = mask.bool() & (place > prompt_lengths.to(mask.device)[:, None])
    chosen = {"mean": response, "last": response & (place == total)}
    stacked = torch.stack([chosen[policy].float() for policy in policies])
    return stacked / stacked.sum(-1, keepdim=True)


def _pool(hidden: Tensor, weights: Tensor) -> Tensor:
    """(batch, tokens, hidden) to (policies, batch, hidden); what carries no weight may even be NaN (padding)."""
    used = (weights > 0).any(0)
    return torch.einsum("pbt,bth->pbh", weights, hidden.float().masked_fill(~used[..., None], 0.0))


def _iar_version() -> str:
    try:
        return version("iar")
    except PackageNotFoundError:
        return "unknown"

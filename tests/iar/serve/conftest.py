"""A real server on the pocket model: in a thread of the tests' process, asked over HTTP by OpenAI's own client."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmark.sample import Sample
from iar.models import chat, load
from iar.models.pocket import WEIGHTS
from iar.vectors.gates import Gates
from iar.vectors.vector_set import VectorSet
from tests.iar.revision.conftest import random_gates, random_vectors  # noqa: F401  (fixtures)

if TYPE_CHECKING:
    import openai

    from iar.models.checkpoint import LoadedModel
    from iar.serve.app import Service

for package in ("fastapi", "uvicorn"):
    pytest.importorskip(package, reason="needs a web server: pip install 'iar[serve]'")

LAYER, TOKENS = 14, 8


@pytest.fixture(scope="session")
def pocket() -> LoadedModel:
    return load(WEIGHTS)


@pytest.fixture(scope="session")
def questions(pocket_data: Path) -> list[Sample]:
    """Twelve questions on pictures of three benchmarks."""
    from benchmark import pope, scienceqa, vscbench

    sources = (vscbench.load(pocket_data / "test/vscbench"), pope.load(pocket_data / "test/pope"))
    found = [s for loaded in (*sources, scienceqa.load(pocket_data / "test/scienceqa")) for s in loaded.samples]
    found = [sample for sample in found if len(sample.images) == 1]
    return [found[at * len(found) // 12] for at in range(12)]


@pytest.fixture(scope="session")
def vectors(
    pocket: LoadedModel,
    questions: list[Sample],
    random_vectors: Callable[..., VectorSet],  # noqa: F811
    random_gates: Callable[..., Gates],  # noqa: F811
) -> VectorSet:
    """Random directions as long as the activations, and gates of random probes that half of the questions open."""
    import torch

    read: list[Any] = []
    handles = [
        block.register_forward_hook(lambda m, a, out: read.append(out[:, -1])) for block in pocket.decoder.layers
    ]
    for sample in questions:
        batch, _ = chat.encode(pocket, [sample.prompt], [[chat.open_image(sample.images[0])]])
        with torch.no_grad():
            pocket.model(**batch)
    for handle in handles:
        handle.remove()
    states = torch.cat(read).view(12, 32, 64)
    drawn, gates = random_vectors(32, 64), random_gates(32, 64)
    bias = -torch.einsum("qlh,lh->ql", states, gates.weight).sort(0).values[5:7].mean(0)
    length = states.norm(dim=-1).median(0).values
    directions = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    directions = torch.nn.functional.normalize(directions) * length[:, None]
    return replace(drawn, vectors=directions, gates=replace(gates, bias=bias))


@pytest.fixture(scope="session")
def tiny_vectors(random_vectors: Callable[..., VectorSet], random_gates: Callable[..., Gates]) -> VectorSet:  # noqa: F811
    """Of the tiny model."""
    return replace(random_vectors(), gates=random_gates())


@pytest.fixture
def serve() -> Iterator[Callable[..., Asked]]:
    """Start a server: serve(loaded, vectors, limits=…, named=…, key=…) -> questions to it."""
    from iar.serve.app import Service
    from iar.serve.server import running

    with ExitStack() as stack:

        def start(loaded: LoadedModel, known: VectorSet, **options: Any) -> Asked:
            service = Service(loaded, known, **options)
            return Asked(service, stack.enter_context(running(service)))

        yield start


@pytest.fixture
def server(serve: Callable[..., Asked], tiny: LoadedModel, tiny_vectors: VectorSet) -> Asked:
    """A server on the tiny model."""
    return serve(tiny, tiny_vectors)


class Asked:
    """A server, and questions to it."""

    def __init__(self, service: Service, url: str) -> None:
        import openai

        self.service, self.url, self.model = service, url, service.loaded.id
        self.client: openai.OpenAI = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60)

    def ask(self, content: Any, setting: Any = None, **more: Any) -> Any:
        """A completion, for one message of the user."""
        said = [{"role": "user", "content": content}]
        wanted: dict[str, Any] = {"model": self.model, "messages": said, "max_tokens": TOKENS} | more
        return self.client.chat.completions.create(**wanted, extra_body=None if setting is None else {"iar": setting})


def shown(text: str, *images: Path) -> list[dict[str, Any]]:
    """Images and a text, as a message holds them."""
    uris = ["data:image/png;base64," + base64.b64encode(path.read_bytes()).decode() for path in images]
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
    return [*parts, {"type": "text", "text": text}]

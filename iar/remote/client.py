"""Asks an endpoint many requests at once, within a budget, and never the same one twice."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from iar.errors import UserError, need
from iar.remote import images
from iar.remote.background import stream
from iar.remote.budget import Budget, Estimate, Spend, tokens_in
from iar.remote.cache import Cache, Entry
from iar.remote.endpoint import Endpoint
from iar.remote.progress import shown
from iar.remote.reply import Reply
from iar.remote.request import Request, request_key
from iar.terminal.console import console


class Client:
    """An endpoint with its cache and the command's budget.

    Args:
        cache: Folder of the caches; None: replies are kept for the life of this client alone.
        budget: Share one among the clients of a command; None: no limit.
        label: What the progress bar calls the requests.

    Raises:
        UserError: A budget in USD for an endpoint without prices; the client's packages are missing.
    """

    def __init__(
        self, endpoint: Endpoint, *, cache: Path | None = None, budget: Budget | None = None, label: str = "requests"
    ) -> None:
        need(f"asking {endpoint.model} at an endpoint", "remote", "openai", "tenacity")
        self.endpoint = endpoint
        self.budget = Budget() if budget is None else budget
        self.budget.check(endpoint)
        self.label = label
        self.cache = Cache.of(cache, endpoint)
        self._structured = endpoint.structured

    def estimate(self, requests: Sequence[Request]) -> Estimate:
        """What asking would send and cost; needs no key. Requests whose images cannot be read count nothing.

        Raises:
            UserError: More images in a request than the endpoint takes; a cache that cannot be read.
        """
        owners, _ = self._distinct(requests)
        unknown = {key: requests[indices[0]] for key, indices in owners.items() if self.cache.get(key) is None}
        read = sum(tokens_in(self.endpoint, request) for request in unknown.values())
        written = sum(request.max_tokens for request in unknown.values())
        cost = self.endpoint.cost(read, written)
        return Estimate(len(unknown), len(owners) - len(unknown), read, written, cost)

    def ask(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Index and reply of every request, each once, as they end: cached replies first.

        A reply is in the cache before it is handed over, and also when it arrives while the caller is busy. Ctrl-C, or
        closing the iterator, cancels what is in flight. Where nothing must be sent, no key is needed.

        Raises:
            UserError: Nothing more can be answered: no or a wrong key, no such model, a server that cannot be reached,
                more images than the endpoint takes, a cache that cannot be written.
        """
        owners, unreadable = self._distinct(requests)
        yield from unreadable
        unknown: list[tuple[str, Request]] = []
        for key, indices in owners.items():
            self.budget.earlier(key, Spend.of(self.endpoint, *self.cache.spent(key)))
            entry = self.cache.get(key)
            if entry is None:
                unknown.append((key, requests[indices[0]]))
            else:
                yield from ((index, _known(entry)) for index in indices)
        if not unknown:
            return
        unasked = 0
        with closing(self._send(unknown, len(owners))) as replies:
            for key, reply in replies:
                unasked += reply.failure == "budget"
                first, *others = owners[key]
                yield first, reply
                entry = self.cache.get(key)
                yield from ((index, reply if entry is None else _known(entry)) for index in others)
        if unasked:
            console.print(
                f"{self.label}: the budget of {self.budget} is spent, {unasked} of {len(owners)} requests were not "
                "asked; the same command with a larger budget goes on"
            )

    def _distinct(self, requests: Sequence[Request]) -> tuple[dict[str, list[int]], list[tuple[int, Reply]]]:
        """Key -> who asks; and the replies to those whose images cannot be read."""
        for request in requests:
            images.check(self.endpoint, request.conversation)
        self.cache.refresh()
        owners: dict[str, list[int]] = {}
        unreadable = []
        for index, request in enumerate(requests):
            try:
                owners.setdefault(request_key(self.endpoint, request), []).append(index)
            except UserError as error:
                unreadable.append((index, Reply("", "error", str(error))))
        return owners, unreadable

    def _send(self, requests: Sequence[tuple[str, Request]], total: int) -> Generator[tuple[str, Reply]]:
        from iar.remote.dispatch import Dispatch  # openai takes a third of a second to import

        self.endpoint.key()  # a missing one is told before anything starts
        dispatch = Dispatch(self.endpoint, requests, self.cache, self.budget, self._structured)
        arriving: Generator[tuple[str, Reply]] = stream(dispatch.run)
        with shown(self.label, total, total - len(requests)) as progress:
            try:
                with closing(arriving):
                    for asked, reply in arriving:
                        progress(1, str(self.budget.spent))
                        yield asked, reply
            finally:
                self.cache.close()
                if self._structured and not dispatch.structured:
                    self._structured = False
                    console.print(
                        f"{self.endpoint.model} takes no response_format with a schema, asked without: "
                        f"{dispatch.refused_schema}"
                    )


def _known(entry: Entry) -> Reply:
    return replace(
        Reply(entry.text, entry.failure, entry.reason, entry.tokens_in, entry.tokens_out, entry.seconds), cached=True
    )

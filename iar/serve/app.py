"""The routes: who may ask, how much, and what comes back over HTTP."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from iar.models.checkpoint import LoadedModel
from iar.revision.configuration import Configuration
from iar.serve import asked as requests
from iar.serve.asked import Asked, Limits
from iar.serve.job import Choice, Job, Part
from iar.serve.queue import Queue
from iar.serve.refused import Refused
from iar.serve.reply import DONE, Reply, event
from iar.serve.setting import Revisions
from iar.serve.wave import Waves
from iar.vectors.file import digest
from iar.vectors.vector_set import VectorSet

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_UPLOAD = 60  # seconds for a request's body


class Service:
    """One model, one file of vectors, and those who ask.

    Args:
        named: Further names of models -> the setting of requests to them that bring none.
        key: What the Authorization header must hold; "" for nobody is asked.
        hosts: Names by which the server may be called; None: by any. A page that a browser shows can call servers on
            the browser's machine, and have a name of its own lead to them.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        vectors: VectorSet,
        named: Mapping[str, Configuration] | None = None,
        limits: Limits | None = None,
        key: str = "",
        hosts: frozenset[str] | None = _LOCAL,
    ) -> None:
        self.limits = limits or Limits()
        self.loaded, self.hosts = loaded, hosts
        self.models = {loaded.id: Configuration(), **(named or {})}
        self.revisions = Revisions(loaded, vectors)
        for name, found in self.models.items():
            self.revisions.checked(found, f"model {name}")
        self.made = {"model": loaded.fingerprint, "vectors": digest(vectors)}
        self.queue = Queue(Waves(loaded, vectors, self.limits.default_tokens).run, self.limits)
        self._key = key.encode()
        self.open = 0  # requests that are being read or answered

    def admit(self, request: Request) -> None:
        """Raises:
        Refused: A wrong key, or a name that is not the server's.
        """
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if self.hosts is not None and name.strip("[]").lower() not in self.hosts:
            raise Refused("this server answers to its own address alone: start it with --host", 403, "wrong_host")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if self._key and not (scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._key)):
            raise Refused("the key is missing or wrong: send it as the API key", 401, "invalid_api_key")

    def job(self, asked: Asked) -> Job:
        """Raises:
        Refused: A setting that the vectors do not have.
        """
        choices = []
        for index, found in enumerate(asked.answers):
            place = f"iar[{index}]" if len(asked.answers) > 1 else "iar"
            choices.append(Choice(index, found, self.revisions.checked(found, place)))
        return Job(asked, choices, self.limits.seconds)

    def listed(self, name: str) -> dict[str, Any]:
        """A model in the list of models."""
        return {"id": name, "object": "model", "created": 0, "owned_by": "iar", "iar": {"name": self.models[name].name}}


def create(service: Service) -> FastAPI:
    """The application of a service."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.service = service

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return JSONResponse(error.body, error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        told = {404: f"no route {request.url.path}: this server has /v1/chat/completions, /v1/models and /health"}
        found = Refused(told.get(error.status_code, str(error.detail)), error.status_code)
        return JSONResponse(found.body, found.status, dict(error.headers or {}))

    @app.get("/health")
    async def health() -> Response:
        queue = service.queue
        told = {"status": "stopping" if queue.stopped else "ok", "waiting": queue.waiting, "answering": queue.answering}
        return JSONResponse(told, 503 if queue.stopped else 200)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        service.admit(request)
        return JSONResponse({"object": "list", "data": [service.listed(name) for name in service.models]})

    @app.get("/v1/models/{name:path}")
    async def model(request: Request, name: str) -> Response:
        service.admit(request)
        if name not in service.models:
            known = ", ".join(service.models)
            raise Refused(f"unknown model {name!r}: this server has {known}", 404, "model_not_found", "model")
        return JSONResponse(service.listed(name))

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        service.admit(request)
        if service.open >= service.limits.waiting + service.limits.rows:
            raise Refused("too many requests at once: ask again", 429, "rate_limit_exceeded", retry_after=1)
        service.queue.check()
        service.open += 1
        streams = False

        def done(job: Job | None) -> None:
            service.open -= 1
            if job is not None:
                service.queue.drop(job)

        job: Job | None = None
        try:
            body = await _body(request, service.limits.body)
            asked = await asyncio.to_thread(requests.read, body, service.models, service.limits)
            del body
            job = service.job(asked)
            service.queue.put(job)
            reply = Reply(job, service.made)
            if asked.stream:
                first = await _unless_gone(request, job.news())
                streams = True
                return _Stream(_chunks(job, reply, first), done=lambda: done(job))
            await _unless_gone(request, _all(job))
            failed = [choice.failed for choice in job.choices]
            if failed[0] is not None and all(failed):
                raise failed[0]
            return JSONResponse(reply.completion())
        finally:
            if not streams:
                done(job)

    return app


async def _body(request: Request, most: int) -> bytes:
    """Raises:
    Refused: It is not JSON by its type, too large, or does not arrive.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        # What a web page may send without being asked for leave has another type.
        raise Refused("the body must be sent as Content-Type: application/json", 415)
    large = Refused(f"the body is larger than {most:,} bytes: send fewer or smaller images", 413, "request_too_large")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise large

    async def read() -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise large
            parts.append(part)
        return b"".join(parts)

    try:
        return await asyncio.wait_for(read(), _UPLOAD)
    except asyncio.TimeoutError:
        raise Refused(f"the body did not come within {_UPLOAD} s", 408) from None


async def _all(job: Job) -> None:
    """Until every choice is over."""
    while not job.over:
        await job.news()


async def _unless_gone(request: Request, wanted: Any) -> Any:
    """What is awaited, unless the client goes first.

    Raises:
        Refused: It has gone; nobody reads that.
    """
    task = asyncio.ensure_future(wanted)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Refused("the client has gone", 499)
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Stream(StreamingResponse):
    """Server-sent events; `done` is called when they have ended, or the client has gone."""

    def __init__(self, content: AsyncIterator[str], done: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._done = done

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._done()


async def _chunks(job: Job, reply: Reply, first: Part | Choice) -> AsyncIterator[str]:
    for choice in job.choices:
        yield reply.begins(choice)
    news: Part | Choice = first
    left = len(job.choices)
    try:
        while True:
            if isinstance(news, Part):
                yield reply.goes_on(news.choice, news.text)
            else:
                left -= 1
                yield event(news.failed.body) if news.failed and len(job.choices) == 1 else reply.ends(news)
            if not left:
                break
            news = await job.news()
    except Refused as error:  # the status has been sent: the error is an event
        yield event(error.body)
        return
    if job.asked.usage:
        yield reply.usage()
    yield DONE

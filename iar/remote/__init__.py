"""Models behind OpenAI-compatible chat endpoints: asked many at once, within a budget, never the same thing twice."""

from iar.remote.budget import Budget, Estimate
from iar.remote.client import Client
from iar.remote.endpoint import Endpoint
from iar.remote.reply import Reply
from iar.remote.request import Request, request_key

__all__ = ["Budget", "Client", "Endpoint", "Estimate", "Reply", "Request", "request_key"]

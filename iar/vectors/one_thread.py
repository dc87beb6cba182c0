"""Small fits on one thread: a linear-algebra library's threads wait for one another longer than such fits take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """One BLAS thread inside; what was set before is back on leaving. Also a decorator: ``@one_thread()``."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield

"""How many BLAS threads a small fit takes."""

from __future__ import annotations

import numpy as np  # brings the BLAS library that is asked about
from threadpoolctl import threadpool_info, threadpool_limits

from iar.vectors.one_thread import one_thread


def _threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_one_thread_inside_and_what_was_set_before_afterwards() -> None:
    fit = one_thread()(_threads)
    with threadpool_limits(limits=2, user_api="blas"):
        assert (_threads(), fit(), _threads(), fit()) == ({2}, {1}, {2}, {1})

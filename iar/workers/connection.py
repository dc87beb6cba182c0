"""Ray, started on this machine or joined where it runs: quiet, and with one line for what is wrong."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from iar.errors import UserError
from iar.terminal.console import console

# Ray prints what it sees of other processes on standard output, where a command prints its files.
_QUIET = {"RAY_DEDUP_LOGS_SKIP_REGEX": ".*", "RAY_IGNORE_UNHANDLED_ERRORS": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def connect(address: str | None = None, cpus: int | None = None) -> Any:
    """The module ray, connected: as it is in this process already, else to ``address``.

    Args:
        cpus: That Ray is to count on, where it is started here; None: those of the machine.

    Raises:
        UserError: It is not installed, there is no cluster at the address, or it does not start.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)  # read when ray is imported
    try:
        import ray
    except ImportError as error:
        raise UserError("executor=ray needs the ray package: pip install 'iar[ray]'") from error
    if ray.is_initialized():
        return ray
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        with _own_end():
            if address is None:
                # "local", or a RAY_ADDRESS in the environment would win.
                ray.init("local", num_cpus=cpus, include_dashboard=False, **quiet)
            else:
                _knock(address)
                ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).partition(". ")[0].splitlines()[0] if str(error) else type(error).__name__
        if address is None:
            raise UserError(f"Ray does not start here: {reason} (is this machine full?)") from error
        raise UserError(
            f"no cluster of Ray at executor.address={address}: {reason} (start one with ray start --head, set "
            "RAY_AUTH_MODE=token if it wants a token, or leave executor.address=null)"
        ) from error
    return ray


@contextlib.contextmanager
def _own_end() -> Iterator[None]:
    """SIGTERM goes on ending this process as before; Ray would set a handler that leaves without a word."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _knock(address: str) -> None:
    """Ray itself tries for minutes, and then ends the process.

    Raises:
        OSError: Nothing listens there.
    """
    host, _, port = address.partition("://")[2 if "://" in address else 0].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def room(resources: Mapping[str, float], workers: int | None, cpus: int, gpus: float, may_grow: bool) -> int:
    """The number of workers, checked: one that nothing has room for would wait for ever.

    Raises:
        UserError: There is room for fewer, on a machine that will not grow.
    """
    fit = int(resources.get("CPU", 0) // cpus)
    if gpus:
        fit = min(fit, int(resources.get("GPU", 0) // gpus))
    if workers is None and fit:
        return fit
    if workers is None or workers > fit:
        has = f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"
        wants = f"a worker takes {cpus} CPUs and {gpus:g} GPUs"
        if workers is None or not may_grow:
            raise UserError(f"Ray has {has}, {wants}: use executor.workers={fit}" if fit else f"Ray has {has}, {wants}")
        console.print(f"Ray has {has} for now, {wants}: of {workers} workers the rest starts when there is room")
    return workers

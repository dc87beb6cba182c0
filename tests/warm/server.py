"""A process that has imported everything; each client gets a fork of it, which runs what Python would.

The fork has the client's arguments, folder, environment, standard streams and exit status, and is killed when the
client is; all are when standard input ends. What differs from a new process: modules are there that it did not ask for,
and have read the environment of this one.

    server.py SOCKET PYTHON: the descriptor of a socket that listens; what the forks take for Python
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

MODULES = (
    "iar.cli.command",
    "iar.generation.engine",
    "iar.generation.worker_engine",
    "iar.models",
    "iar.pipeline.evaluation.confirm",
    "iar.pipeline.evaluation.generate",
    "iar.pipeline.evaluation.score",
    "iar.pipeline.extraction.vector_files",
    "iar.plots",
    "iar.vectors",
    "jsonschema",
    "requests",
    "transformers.models.clip.image_processing_pil_clip",
    "transformers.models.llava.modeling_llava",
    "transformers.models.llava.processing_llava",
)  # not ray, which reads its settings of the environment


def serve(listener: socket.socket) -> dict[str, Any]:
    """Returns in each fork, with what its client told."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:
            sys.exit()
        client, _ = listener.accept()
        if os.fork() == 0:
            break
        client.close()
    listener.close()
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    told: dict[str, Any] = json.loads(client.makefile().readline())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # that of a background job is to ignore it
    if fork := os.fork():
        keep(fork, client)
    os.setpgid(0, 0)  # who kills the group of a fork means that fork
    client.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return told


def keep(fork: int, client: socket.socket) -> None:
    """Tell the client its fork's process, and how it ends."""
    client.sendall(f"{fork}\n".encode())
    ended = os.pidfd_open(fork)
    ready, _, _ = select.select([client, ended, 0], [], [])
    if ended not in ready:
        os.kill(fork, signal.SIGKILL)
    _, status = os.waitpid(fork, 0)
    with contextlib.suppress(BrokenPipeError):
        client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def play(arguments: list[str]) -> None:
    """Run ``python ARGUMENT...``."""
    while (option := arguments[0]).startswith("-") and option not in ("-c", "-m"):
        arguments = arguments[1:]
    if option == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(arguments[1], "<string>", "exec"), vars(main))
    elif option == "-m":
        sys.argv, sys.path[0] = arguments[1:], os.getcwd()
        sys.modules.pop(arguments[1], None)
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = arguments, os.path.dirname(option)
        runpy.run_path(option, run_name="__main__")


def leave(code: object) -> NoReturn:
    """As Python ends a process; only the objects are left as they are, which takes seconds of all that is imported."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def main() -> None:
    for name in MODULES:
        import_module(name)
    gc.freeze()
    told = serve(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.path[1:1] = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.executable = sys.argv[2]
    code: object = 0
    try:
        play(told["arguments"])
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        traceback.print_exception(error)
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            atexit.register(os.kill, os.getpid(), signal.SIGINT)
        code = 1
    leave(code)


if __name__ == "__main__":
    main()

"""A process that has imported everything, and runs the sweep in forks of itself: a command without its start-up time.

A line of JSON on standard input is one command: its arguments, and how it dies (``lines``: kill -9 when the logs of the
run hold as many lines, ``after`` that many seconds; ``limit``: no file may grow beyond that many bytes). The answer is
a line with its exit status (negative: the signal), what it printed as errors, and the lines that were there.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def lines(run: Path) -> int:
    logs = (run / part / f"{name}.jsonl" for part in (".", "test") for name in ("generations", "verdicts"))
    return sum(log.read_bytes().count(b"\n") for log in logs if log.exists())


def command(told: dict[str, Any]) -> None:
    from iar import sweep
    from iar.pipeline.evaluation import confirm, generate

    confirm.recommend = lambda *_: told["confirm"]  # a random model has no point worth it
    if limit := told.get("limit"):
        ask = generate.ask

        def limited(*args: Any) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            ask(*args)

        generate.ask = limited
    sys.argv = ["iar.sweep", *told["arguments"]]
    sweep.main()


def run(told: dict[str, Any]) -> dict[str, Any]:
    output = Path("errors.txt")
    child = os.fork()
    if child == 0:
        with output.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = 1
        try:
            command(told)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    folder, wanted, status = Path(told["run"]), told.get("lines"), None
    while status is None:
        if wanted is not None and lines(folder) >= wanted:
            time.sleep(told.get("after", 0))
            os.kill(child, signal.SIGKILL)
            wanted = None
        done, raw = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(raw) if done else None
        time.sleep(0.001)
    return {"status": status, "errors": output.read_text(errors="replace"), "lines": lines(folder)}


def main() -> None:
    for name in (
        "iar.sweep",
        "iar.models",
        "iar.generation.engine",
        "iar.pipeline.extraction.vector_files",
        "iar.pipeline.evaluation.score",
        "iar.plots",
        "transformers.models.clip.image_processing_pil_clip",
        "transformers.models.llava.modeling_llava",
        "transformers.models.llava.processing_llava",
    ):
        import_module(name)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

"""The server over HTTP: what many settings of one prompt cost, and many clients for a long time."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.sample import Sample
from benchmark.speed import asking, model
from benchmark.speed.figure import Asked, Ratio, Result
from benchmark.speed.sweeps import VSCBENCH
from benchmark.speed.timing import interleave, ratios

CLIENTS = 32
SECONDS, QUICK = 300.0, 5.0
TOKENS = 8
PAUSE = 1.0  # seconds between two looks at the memory
WORDS = ("Is there a drill in the image?", "What is it?", "How do I use this?", "Describe the image.", "Is it safe?")


def _missing() -> str:
    absent = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    return f"needs {' and '.join(absent)}: pip install 'iar[serve]'" if absent else ""


def serve(asked: Asked) -> Result:
    """One prompt with an image: one setting, and seventeen in one request; their answers are those asked one by one."""
    if why := _missing():
        return Result("serve", skipped=why)
    from iar.serve.app import Service
    from iar.serve.server import running
    from iar.serve.setting import shown

    size = asked.size
    loaded, vectors, folder = asking.asked_model(size)
    (sample,) = model.samples(size, folder, 1, 1, (VSCBENCH[0], VSCBENCH[0]))
    grid = [shown(found) for found in model.configurations(size, "last")]
    with running(Service(loaded, vectors[model.SOURCE])) as url:
        ask = _client(url, loaded.id)

        def one() -> list[str]:
            return ask(sample, grid[1], size.answer)

        def all_of_them() -> list[str]:
            return ask(sample, grid, size.answer)

        lanes, found = interleave({"one setting": one, "17 settings": all_of_them}, asked.times(3), asked.say)
        alone = [ask(sample, setting, size.answer)[0] for setting in grid]
    right = sum(a == b for a, b in zip(found["17 settings"], alone, strict=True))
    return Result(
        "serve",
        lanes,
        [Ratio("17 settings / one", ratios(lanes["17 settings"], lanes["one setting"]), 2, "≤")],
        right == len(grid),
        f"{right} of {len(grid)} answers those of the settings asked one by one, {len(set(alone))} different ones",
        notes=[f"one image of {size.image_tokens} tokens, {size.answer} tokens an answer, positions=last"],
    )


def serve_load(asked: Asked) -> Result:
    """``python -m iar.serve`` on the pocket model, and clients that ask without a pause: single settings, streams and
    lists; each answer is compared with the plain path's."""
    if why := _missing():
        return Result("serve-load", skipped=why)
    from iar.generation.engine import Engine
    from iar.models.checkpoint import load
    from iar.models.pocket import WEIGHTS
    from iar.serve.setting import shown
    from iar.vectors import file

    seconds = asked.seconds or (QUICK if asked.size.name != "full" else SECONDS)
    loaded = load(WEIGHTS)
    vectors = model.vectors(loaded)
    with TemporaryDirectory(prefix="iar-speed-") as scratch:
        folder = Path(scratch)
        images = [model.image(asked.size, folder, index) for index in range(3)]
        samples = [
            Sample(f"{image}/{number}", "speed", "speed", words, () if not image else (images[image - 1],), "yes", "0")
            for image in range(4)
            for number, words in enumerate(WORDS)
        ]
        grid = model.configurations(replace(asked.size, grid=(9, 14, 24)), "last", (0.5, 1.0))
        grid += model.configurations(replace(asked.size, grid=(14,)), "all", (1.0,))[1:]
        settings = [shown(found) for found in grid]
        plain = Engine(loaded, {model.SOURCE: vectors}, sharing="plain")
        right = {(g.sample.id, g.configuration.name): g.answer for g in plain.run(samples, grid, TOKENS)}
        expected = [[right[sample.id, found.name] for found in grid] for sample in samples]
        path = folder / "vectors.safetensors"
        header = {"format_version": "2", "n_layers": "32", "fingerprint": loaded.fingerprint}
        file.write(path, replace(vectors, header=header))
        with _process(path) as (url, process):
            counts, memory = _load(_client(url, loaded.id), samples, settings, expected, seconds, process, asked)
    asked_for = counts["right"] + counts["wrong"] + counts["lost"]
    fifth = max(1, len(memory) // 5)
    early, late = max(memory[fifth : 2 * fifth] or memory), max(memory[-fifth:])
    return Result(
        "serve-load",
        {"all clients": [seconds]},
        [
            Ratio("memory at the end / in the second fifth", (late / early,), 1.05, "≤"),
            Ratio("answers a second", (counts["right"] / seconds,), None, "≥", "/s"),
        ],
        counts["right"] == asked_for > 0,
        f"{counts['right']} of {asked_for} answers those of the plain path, "
        f"{counts['lost']} lost, {counts['wrong']} wrong",
        notes=[
            f"{CLIENTS} clients, {counts['requests']} requests; {early / 2**20:.0f} MiB in the second fifth, "
            f"{late / 2**20:.0f} MiB at the end"
        ],
    )


Ask = Callable[..., list[str]]


def _client(url: str, name: str) -> Ask:
    """Asks a question under a setting, or a list of them: the answers."""
    import openai

    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=600)

    def ask(sample: Sample, setting: Any, tokens: int, stream: bool = False) -> list[str]:
        parts: list[Any] = [{"type": "text", "text": sample.prompt}]
        for path in sample.images:
            data = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
            parts.insert(0, {"type": "image_url", "image_url": {"url": data}})
        messages: Any = [{"role": "user", "content": parts}]
        more: Any = {"iar": setting}
        if not stream:
            done = client.chat.completions.create(
                model=name, messages=messages, max_tokens=tokens, extra_body=more, timeout=600
            )
            return [str(choice.message.content) for choice in done.choices]
        chunks = client.chat.completions.create(
            model=name, messages=messages, max_tokens=tokens, extra_body=more, stream=True
        )
        return ["".join(chunk.choices[0].delta.content or "" for chunk in chunks)]

    return ask


@contextmanager
def _process(vectors: Path) -> Iterator[tuple[str, int]]:
    """A server of its own: its address and the number of its process."""
    command = [sys.executable, "-m", "iar.serve", "pocket", "--vectors", str(vectors), "--port", "0", "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"IAR_SERVE_KEY": ""})
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("serving"):
            raise RuntimeError("the server did not start")
        yield line.split()[-1], process.pid
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _load(
    ask: Ask,
    samples: Sequence[Sample],
    settings: Sequence[Mapping[str, Any]],
    expected: Sequence[Sequence[str]],
    seconds: float,
    process: int,
    asked: Asked,
) -> tuple[Counter[str], list[int]]:
    """Answers that were right, wrong and lost, and the process's bytes of memory, second by second."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        turn = 0
        while time.monotonic() < end:
            turn += 1
            question, at = (7 * number + turn) % len(samples), (3 * number + turn) % len(settings)
            several, stream = turn % 4 == 3, turn % 4 == 1
            wanted = expected[question][at:] if several else expected[question][at : at + 1]
            try:
                found = ask(samples[question], settings[at:] if several else settings[at], TOKENS, stream)
            except Exception as error:  # whatever it is, the answer is lost
                found = []
                asked.say(f"client {number}: {type(error).__name__}: {error}")
            with lock:
                counts["requests"] += 1
                counts["lost"] += max(0, len(wanted) - len(found))
                right = sum(a == b for a, b in zip(found, wanted, strict=False))
                counts["right"] += right
                counts["wrong"] += len(found) - right

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        memory.append(_resident(process))
        if len(memory) % 30 == 0:
            asked.say(f"{len(memory)} s: {counts['right']} answers, {memory[-1] / 2**20:.0f} MiB")
        time.sleep(PAUSE)
    return counts, memory


def _resident(process: int) -> int:
    """Bytes of memory that a process has; 1 where the system does not say."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 1
    return pages * os.sysconf("SC_PAGE_SIZE")

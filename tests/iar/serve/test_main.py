"""``python -m iar.serve`` as a process: it says where it is, answers, and ends cleanly on SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from iar.models import LoadedModel
from iar.vectors import file
from iar.vectors.vector_set import VectorSet

KEY = "a-key-of-this-test"


@pytest.fixture
def written(tiny: LoadedModel, tiny_vectors: VectorSet, tmp_path: Path) -> Path:
    path = tmp_path / "vectors.safetensors"
    header = {"format_version": "2", "n_layers": "6", "fingerprint": tiny.fingerprint}
    gates: Any = tiny_vectors.gates
    counted = {"gate_unsafe": "0", "gate_benign": "0", "gate_categories": '["drugs", "violence"]'}
    known = replace(gates, header=gates.header | counted, scores=torch.zeros(6, 0))
    file.write(path, replace(tiny_vectors, header=header, gates=known))
    return path


@pytest.mark.slow
def test_from_start_to_stop(tiny_folder: Path, written: Path, tmp_path: Path, warm_python: str) -> None:
    command = [warm_python, "-m", "iar.serve", str(tiny_folder), "--vectors", str(written), "--port", "0"]
    command += ["--setting", 'steered={"layer": 2, "strength": 2}', "--device", "cpu"]
    said = tmp_path / "said.txt"
    with said.open("w") as errors:
        process = subprocess.Popen(
            command, env=os.environ | {"IAR_SERVE_KEY": KEY}, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving tiny-llava, steered at http://127.0.0.1:"), said.read_text()
        client = openai.OpenAI(base_url=line.split()[-1], api_key=KEY, max_retries=0)
        messages: Any = [{"role": "user", "content": "hello"}]
        named = client.chat.completions.create(model="steered", messages=messages, max_tokens=4)
        own: Any = {"iar": {"layer": 2, "strength": 2}}
        asked = client.chat.completions.create(model="tiny-llava", messages=messages, max_tokens=4, extra_body=own)
        assert named.choices[0].message == asked.choices[0].message
        # What is being computed when the signal comes is answered whole.
        stream = client.chat.completions.create(model="steered", messages=messages, max_tokens=200, stream=True)
        parts = iter(stream)
        next(parts), next(parts)
        threading.Timer(0, process.send_signal, [signal.SIGTERM]).start()
        assert [part for part in parts][-1].choices[0].finish_reason in ("stop", "length")
        assert process.wait(30) == 0 and process.stdout.read() == "stopped\n"
    finally:
        process.kill()
        process.wait()
    assert KEY not in said.read_text() and "Traceback" not in said.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--setting", "steered={"], "cannot read --setting"),
        (["--setting", 'steered={"layer": 9}'], "model steered: layer 9 is outside the model"),
        (["--host", "256.0.0.1"], "cannot serve at 256.0.0.1:0"),
        (["--vectors", "missing"], "no vector file missing"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    said: str,
    tiny_folder: Path,
    written: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from iar.serve.__main__ import main

    given = [str(tiny_folder), "--vectors", str(written), "--port", "0", "--device", "cpu", *arguments]
    monkeypatch.setattr(sys, "argv", ["iar.serve", *given])
    with pytest.raises(SystemExit) as end:
        main()
    error = capsys.readouterr().err
    assert end.value.code == 2 and said in error and error.count("\n") == 1


def test_vectors_of_another_model_are_refused(
    written: Path,
    tiny_vectors: VectorSet,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from iar.serve.__main__ import main

    header = {"format_version": "2", "n_layers": "6", "fingerprint": "another"}
    file.write(written, replace(tiny_vectors, header=header, gates=None))
    monkeypatch.setattr(sys, "argv", ["iar.serve", str(tiny_folder), "--vectors", str(written), "--port", "0"])
    with pytest.raises(SystemExit):
        main()
    assert "was made with model" in capsys.readouterr().err

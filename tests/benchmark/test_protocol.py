from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark.errors import DataError
from benchmark.protocol import Protocol
from benchmark.sample import Sample

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = {"pope": "yes", "scienceqa": "B"}


def test_every_benchmark_has_the_same_face():
    assert benchmark.names() == ["pope", "scienceqa", "vscbench"]
    for name in benchmark.names():
        module = benchmark.module(name)
        protocol = module.PROTOCOL
        assert isinstance(protocol, Protocol) and protocol.name == name and protocol.id == f"{name}@1"
        assert callable(module.load) and callable(module.outcomes)
        assert module.JUDGED == (name == "vscbench") == (protocol.parser == "judge") == (not hasattr(module, "parse"))
        assert not protocol.suffix or protocol.suffix.startswith("\n")
    assert benchmark.module("pope").PROTOCOL.max_new_tokens == 8


@pytest.mark.parametrize("name", ["pope", "scienceqa", "vscbench"])
def test_a_protocol_names_exactly_the_metrics_that_its_outcomes_count(name):
    module = benchmark.module(name)
    references = [REFERENCES[name]] if name in REFERENCES else ["safe", "unsafe"]
    label = REFERENCES.get(name, "answer")
    samples = [Sample("x", name, "c", "p", (), reference, "x") for reference in references]
    assert {o.metric for s in samples for o in module.outcomes(s, label)} == set(module.PROTOCOL.metrics)


def test_an_unknown_benchmark_suggests_the_nearest():
    with pytest.raises(DataError, match="unknown benchmark 'popee': did you mean 'pope'"):
        benchmark.module("popee")


def test_benchmark_imports_neither_torch_nor_iar():
    code = (
        "import importlib, pkgutil, sys, benchmark\n"
        "names = [m.name for m in pkgutil.iter_modules(benchmark.__path__) if not m.ispkg]\n"
        "assert {'pope', 'scienceqa', 'vscbench', 'sample', 'images', 'errors', 'protocol'} <= set(names), names\n"
        "for name in names: importlib.import_module(f'benchmark.{name}')\n"
        "print([name for name in ('torch', 'iar') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

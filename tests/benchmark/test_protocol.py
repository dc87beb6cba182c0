from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark import joining
from benchmark.errors import DataError
from benchmark.protocol import Protocol
from benchmark.sample import Sample

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = {"pope": ("yes", "no"), "scienceqa": ("A", "B"), "vscbench": ("safe", "unsafe")}
MINE = [name for name in benchmark.protocols() if name.partition("/")[0] in REFERENCES]
FOLDERS = {f"pope/llava-8910{ending}": "pope/llava8910" for ending in ("", "-authors", "-exact")}


@pytest.mark.parametrize("name", benchmark.protocols())
def test_every_protocol_has_the_same_face(name):
    protocol = benchmark.protocol(name)
    assert isinstance(protocol, Protocol) and protocol.name == name
    assert protocol.id == f"{name}@{protocol.version}" and protocol.version.isdecimal()
    assert protocol.benchmark == name.partition("/")[0] in benchmark.names()
    assert protocol.judged == (protocol.parser == "judge")
    assert protocol.max_new_tokens > 0 and protocol.metrics and protocol.labels
    assert all(
        (protocol.data, protocol.prompt, protocol.images, protocol.aggregation, protocol.cluster, protocol.source)
    )
    assert all(len(digest) == 64 for digest in protocol.digests.values())


def test_a_benchmark_alone_is_its_first_protocol():
    found = [benchmark.protocol(name).id for name in ("vscbench", "pope", "scienceqa")]
    assert found == ["vscbench/full@2", "pope/official-9000@2", "scienceqa/llava-full@3"]
    assert all(benchmark.protocol(name).max_new_tokens == 8 for name in ("pope", "scienceqa"))


@pytest.mark.parametrize("name", MINE)
def test_a_protocol_names_exactly_the_metrics_that_its_outcomes_count(name):
    protocol = benchmark.protocol(name)
    references = REFERENCES[protocol.benchmark]
    samples = [Sample("x", protocol.benchmark, "c", "p", (), reference, "x") for reference in references]
    for label in protocol.labels:
        assert {o.metric for s in samples for o in protocol.outcomes(s, label)} == set(protocol.metrics)


@pytest.mark.parametrize("name", MINE)
def test_the_pinned_digests_are_those_of_the_real_files(name, test_data):
    protocol = benchmark.protocol(name)
    assert protocol.digests
    for file, digest in protocol.digests.items():
        path = test_data(f"{FOLDERS.get(name, protocol.benchmark)}/{file}")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_an_unknown_protocol_suggests_the_nearest():
    with pytest.raises(DataError, match="unknown protocol 'popee': did you mean 'pope'"):
        benchmark.protocol("popee")
    with pytest.raises(DataError, match="unknown protocol 'pope/llava-8919': did you mean 'pope/llava-8910'"):
        benchmark.protocol("pope/llava-8919")


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


@pytest.mark.parametrize("name", benchmark.protocols())
def test_an_ending_changes_the_counting_and_not_the_questions(name):
    """So that a part of the data, or another release, is told by every preset."""
    protocol = benchmark.protocol(name)
    own = benchmark.protocol(protocol.questions)
    assert own.name == own.questions and (own.digests, own.prompt) == (protocol.digests, protocol.prompt)
    assert own.name == name or own.parser != protocol.parser or own.outcomes != protocol.outcomes
    if protocol.benchmark in ("pope", "scienceqa", "vscbench"):
        assert own.name in joining.SIZES

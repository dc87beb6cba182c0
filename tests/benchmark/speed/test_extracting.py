from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from benchmark.speed import peers
from benchmark.speed.figure import Asked
from benchmark.speed.registry import measure
from benchmark.speed.sizes import Size


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where nothing but iar's own dependencies is installed."""
    monkeypatch.delenv("IAR_PEERS", raising=False)
    for name in ("steering-vectors", "repeng", "pyvene", "lm-eval steered"):
        monkeypatch.setitem(peers.MODULES, name, "not_installed_here")


def test_extract(tiny: Size) -> None:
    result = measure("extract", Asked(tiny, 2))
    assert result.exact is True and result.checked.startswith("vectors of 4 examples as by hand up to")
    assert {lane: len(seconds) for lane, seconds in result.lanes.items()} == {"bare forward pass": 2, "extraction": 2}
    whole, batches = result.ratios
    assert (whole.target, whole.sense, len(whole.values)) == (1.1, "≤", 2)
    assert len(batches.values) == 2 * 3 and batches.target is None  # 12 examples in batches of 4, twice


def test_extract_peers(tiny: Size, no_peers: None) -> None:
    """nnsight is a dependency, so it always runs; what is not there is said, with why."""
    result = measure("extract-peers", Asked(tiny, 1))
    assert result.exact is True
    assert list(result.lanes) == ["bare forward pass", "iar, layers", "iar, layers and heads", "nnsight"]
    assert result.peers["nnsight"].startswith("its vectors as by hand up to")
    assert float(result.peers["nnsight"].split()[7]) < 1e-4
    for name in ("steering-vectors", "repeng", "pyvene"):
        assert result.peers[name] == "cannot: ModuleNotFoundError: No module named 'not_installed_here'"
    assert result.peers["lm-eval steered"] == "cannot: it steers with given vectors and extracts none"
    assert {r.what: r.target for r in result.ratios}["iar / nnsight"] == 1.0


def test_sweep_peers(tiny: Size, no_peers: None) -> None:
    result = measure("sweep-peers", Asked(tiny, 1))
    assert result.exact is True and result.checked.startswith("68 of 68 answers the same")
    assert list(result.lanes) == ["iar, shared", "iar, plain", "nnsight"]
    assert result.peers["nnsight"].startswith("68 of 68 answers the same")
    assert result.peers["lm-eval steered"].startswith("cannot: ModuleNotFoundError")


def test_generate(tiny: Size) -> None:
    result = measure("generate", Asked(tiny, 2))
    assert result.exact is True and result.checked.startswith("tokens the same as with a bare hook")
    assert list(result.lanes) == ["unsteered", "steered", "gated", "bare hook"]
    assert [ratio.target for ratio in result.ratios] == [1.05, 1.08, None]


def test_peers_come_after_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_peer_of_the_test.py").write_text("version = 3\n")
    (tmp_path / "torch.py").write_text("raise RuntimeError('the wrong torch')\n")
    monkeypatch.setenv("IAR_PEERS", str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch")  # find it again
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(peers.MODULES, "a peer", "a_peer_of_the_test")
    assert peers.load("a peer").version == 3
    found = importlib.util.find_spec("torch")
    assert found is not None and found.origin is not None and not found.origin.startswith(str(tmp_path))


def test_a_failure_is_one_line() -> None:
    assert peers.failure(ValueError("no\nsecond line")) == "cannot: ValueError: no"
    assert peers.failure(KeyError()) == "cannot: KeyError: "

from __future__ import annotations

from pathlib import Path

from iar import shipped as module
from iar.shipped import shipped

ROOT = Path(__file__).resolve().parents[2]


def test_settings_are_shipped_beside_or_inside_the_package(monkeypatch, tmp_path):
    assert shipped("conf") == ROOT / "conf"
    monkeypatch.setattr(module, "__file__", str(tmp_path / "shipped.py"))
    (tmp_path / "_conf").mkdir()
    assert shipped("conf") == tmp_path / "_conf"
    assert shipped("sweeps") == tmp_path.parent / "sweeps"

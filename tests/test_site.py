"""The API pages of `make docs` name what the packages make public; the build itself is a step of .ci/run."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

import iar
from tests.doc_commands import ROOT


@pytest.fixture(scope="module")
def site_pages() -> ModuleType:
    pytest.importorskip("mkdocs", reason="pip install 'iar[docs]'")
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs/site_pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_public_names_and_where_they_are(site_pages: ModuleType) -> None:
    found = dict(zip(iar.__all__, site_pages.public("iar"), strict=True))
    assert all(found[name] == f"{module}.{inner}" for name, (module, inner) in iar._NAMES.items())
    assert found["sweep"] == "iar.sweep.sweep"
    assert site_pages.public("benchmark") == [
        "benchmark.errors.DataError", "benchmark.protocol.Protocol", "benchmark.names", "benchmark.protocol",
        "benchmark.protocols",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        (None, "see `iar/stats` and [pairs](pairs.md#files)"),
        ("https://host/iar/", "see [`iar/stats`](https://host/iar/blob/main/iar/stats) and [pairs](pairs.md#files)"),
    ],
)
def test_links_out_of_the_pages(site_pages: ModuleType, repository: str | None, expected: str) -> None:
    config = type("Config", (), {"repo_url": repository})
    assert (
        site_pages.on_page_markdown("see [`iar/stats`](../iar/stats) and [pairs](pairs.md#files)", config) == expected
    )


def test_every_page_stands_in_the_navigation() -> None:
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    assert pages and [name for name in pages if f" {name}\n" not in listed] == []

"""A small run, its page, and a browser that notes what a page should not do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iar import explorer
from tests.iar.explorer import runs

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-dev-shm-usage")
ARGUMENTS += ("--disable-background-networking", "--disable-component-update", "--disable-default-apps")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, pocket_data: Path) -> Path:
    """Seven configurations on the small pocket data, judged and scored. To be read only."""
    return runs.write(tmp_path_factory.mktemp("explored") / "run", runs.settings(pocket_data))


@pytest.fixture(scope="session")
def small_page(tmp_path_factory: pytest.TempPathFactory, small_run: Path) -> Path:
    """Its page."""
    return explorer.write(small_run, tmp_path_factory.mktemp("page") / "report.html")[0]


@pytest.fixture(scope="module")  # as long as it is open, an event loop runs in this thread, which other tests need
def chromium() -> Iterator[Any]:
    """A headless browser of the system; skips where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip(f"needs a browser, one of {', '.join(names)}: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """Opens pages, and notes what they complained of, what their content policy refused, and what they asked for."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.wrong: list[str] = []
        self.contexts: list[Any] = []

    def __call__(self, path: Path, address: str = "", width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)  # a busy machine takes its time
        beside = path.with_name(f"{path.stem}_files").as_uri()

        def asked(request: Any) -> None:
            url = request.url.partition("#")[0]
            if url != path.as_uri() and not url.startswith((f"{beside}/", "data:")):
                self.wrong.append(f"asked for {url[:100]}")

        page.on("request", asked)
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        page.goto(path.as_uri() + address)
        ready(page)
        return page


@pytest.fixture
def look(chromium: Any) -> Iterator[Watched]:
    """Open a page: look(path, "#c=none", width=1280, height=900, color_scheme="dark") -> page, drawn.

    Fails the test if a page complained, was hindered by its content policy, or asked for anything that it should not.
    """
    watched = Watched(chromium)
    yield watched
    for context in watched.contexts:
        context.close()
    assert not watched.wrong, watched.wrong


@pytest.fixture(scope="module")
def _opened(chromium: Any, small_page: Path) -> Iterator[tuple[Watched, Any]]:
    watched = Watched(chromium)
    yield watched, watched(small_page)
    watched.contexts[0].close()


@pytest.fixture
def page(_opened: tuple[Watched, Any]) -> Iterator[Any]:
    """The small page as it is when it is opened; opened once, for that takes seconds. Watched like those of `look`."""
    watched, page = _opened
    page.evaluate("location.hash = ''")
    page.wait_for_function("() => document.querySelector('#count').textContent.startsWith('all')")
    page.wait_for_selector(".sample h3")
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    yield page
    assert not watched.wrong, watched.wrong


def ready(page: Any) -> None:
    """Waits until a page is drawn."""
    page.wait_for_selector("html[data-ready]", state="attached")
    page.wait_for_selector("#frontier .main-svg", state="attached")
    page.wait_for_selector(".sample h3, .list .caption")


def go(page: Any, address: str) -> None:
    """Follows a link."""
    page.evaluate("address => { location.hash = address; }", address)


def shown(page: Any, name: str) -> None:
    """Waits until a sample is drawn."""
    page.wait_for_function("id => document.querySelector('.sample h3')?.textContent === id", arg=name)

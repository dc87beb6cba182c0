"""The pages hold together: links and anchors lead somewhere, and every command on them is one that exists."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unicodedata import category

import nbformat
import pytest
import yaml  # type: ignore[import-untyped]

from iar.revision.methods import METHODS
from tests.doc_commands import CONFIGS, PAGES, ROOT, blocks, commands, example_method, module_of, overrides

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CARD = ROOT / "iar/models/pocket/pocket-vlm/README.md"
LINKED = [*PAGES, CARD, ROOT / "CHANGELOG.md", *NOTEBOOKS]
MANY = 6  # jobs of one command line that are composed
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def markdown(page: Path) -> str:
    """The text of a page without its code; of a notebook, its markdown cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        notebook: Any = nbformat.reads(text, as_version=4)
        text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", lambda found: re.sub(r"[\[\]()]", "", found[0]), text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, by GitHub's rule: lower case, punctuation dropped, blanks to hyphens."""
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", markdown(page), flags=re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        kept = (c for c in plain if c in " -_" or category(c)[0] in "LN")
        found.add("".join(kept).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    broken = []
    for link in _LINK.findall(markdown(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or not target.is_relative_to(ROOT):
            broken.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(target):
            broken.append(f"{link}: {target.name} has {sorted(anchors(target))}")
    assert not broken


def test_there_are_links_and_anchors_to_check():
    links = [link for page in LINKED for link in _LINK.findall(markdown(page)) if not link.startswith("http")]
    assert len(links) > 80 and sum("#" in link for link in links) >= 5
    assert "what-the-papers-grid-would-cost" in anchors(ROOT / "docs/scale.md")


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    named = set(_LINK.findall(index))
    wanted = {page.name for page in PAGES if page.parent.name == "docs" and page.name != "README.md"}
    assert wanted <= named
    assert {f"../notebooks/{path.name}" for path in NOTEBOOKS} <= named


def test_new_pages_are_short():
    limits = dict.fromkeys(("README", "iar", "reproduce", "foot-guns"), 140)
    for name, most in (limits | {"extending": 180, "formats": 180}).items():  # worked examples; every file
        text = (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")
        assert text.count("\n") <= most, name


def _all_commands() -> list[Any]:
    found = {command: page.stem for page in reversed(PAGES) for command in commands(page)}
    return [pytest.param(c, id=f"{page}: {c[10:70]}") for c, page in found.items() if module_of(c)]


def composed(config: str, given: list[str]) -> Any:
    """The settings of a command as Hydra composes them."""
    from iar.pipeline.experiment import settings

    return settings.read(settings.KINDS[config], settings.compose(config, given))


@pytest.mark.parametrize("command", _all_commands())
def test_commands_exist_with_their_settings(command: str, tmp_path, monkeypatch):
    """Settings are composed by Hydra itself and checked as the command does; options are among those of ``--help``."""
    found = module_of(command)
    assert found is not None
    module, arguments = found
    assert find_spec(module) is not None, module
    config = module.removeprefix("iar.")
    if config in CONFIGS and arguments[:1] != ["calibrate"]:
        monkeypatch.chdir(tmp_path)
        _own_settings(tmp_path)
        monkeypatch.setitem(METHODS, example_method().name, example_method())
        # The shell variable of a loop over attacks.
        jobs = overrides(config, [argument.replace("$attack", "system") for argument in arguments])
        if len(jobs) > MANY:  # of a recipe; tests/iar/cli/test_command.py makes the plans of all
            jobs = jobs[: MANY // 2] + jobs[-MANY // 2 :]
        assert jobs
        _check(config, [composed(config, given) for given in jobs])
    options = {a.partition("=")[0] for a in arguments if a.startswith("--")} - {"--help"}
    if options:
        assert options <= set(re.findall(r"--[\w-]+", _help(module, arguments))), command


def _own_settings(folder: Path) -> None:
    """The folder MINE of docs/extending.md, with the file that its YAML block names in its first line."""
    for block in blocks(ROOT / "docs/extending.md"):
        if block.language == "yaml" and block.text.startswith("# MINE/"):
            file = folder / block.text.partition("\n")[0].removeprefix("# ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")


def _check(config: str, jobs: list[Any]) -> None:
    from iar.pipeline.audit import models
    from iar.pipeline.experiment.plan import plan

    if config in ("sweep", "evaluate"):
        # One run has one protocol of a benchmark, and so on: what a grid may hold is checked too.
        assert plan(jobs).configurations
    if config == "audit":
        for name in models.names(jobs[0].models) or ["pocket"]:
            assert "=" in name or (ROOT / f"conf/model/{name}.yaml").is_file(), name


def _help(module: str, arguments: list[str]) -> str:
    """What ``--help`` prints behind the words that come before the first option (a subcommand, a file)."""
    words = []
    for argument in arguments:
        if argument.startswith("-"):
            break
        words.append(argument)
    text, argv = io.StringIO(), sys.argv
    sys.argv = [module, *words[:1], "--help"]
    try:
        with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
            runpy.run_module(module, run_name="__main__")
    finally:
        sys.argv = argv
    return text.getvalue()


def test_citation():
    """CFF 1.2: what it requires, of the software and of each reference, and the version of pyproject.toml."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cff["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= set(cff)
    assert cff["authors"] == [{"name": "The IAR developers"}]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{cff["version"]}"' in project and f'license = "{cff["license"]}"' in project
    addresses = str(cff["references"])
    assert all(number in addresses for number in ("2501.16378", "2505.20362", "2510.10846"))
    for reference in cff["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert all({"family-names", "given-names"} == set(author) for author in reference["authors"])

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from iar.explorer import page


class Reader(HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] in ("script", "style") and self.cdata_elem:
            self.raw.append((*self.tags[-1], data))


@pytest.fixture(scope="module")
def read(small_page) -> Reader:
    reader = Reader()
    reader.feed(small_page.read_text())
    return reader


def test_the_policy_names_every_script_and_allows_nothing_else(read):
    policy = next(
        a["content"] for tag, a in read.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"] and rules["img-src"] == ["data:"]
    programs = [text for tag, a, text in read.raw if tag == "script" and a.get("type") != "text/plain"]
    digests = {f"'sha256-{base64.b64encode(hashlib.sha256(p.encode()).digest()).decode()}'" for p in programs}
    assert len(programs) == 2 and set(rules["script-src"]) == digests  # no 'self', no 'unsafe-…'
    assert "unsafe-inline" not in " ".join(rules["style-src-elem"])


def test_nothing_is_fetched_and_no_handler_is_in_the_markup(read):
    for tag, attributes in read.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"src", "srcset", "action", "formaction"} & set(attributes), (tag, attributes)
        assert attributes.get("href") in (None, "#")


def test_our_program_parses_no_markup():
    program = page._program()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch("):
        assert word not in program
    assert "</script" not in program.lower() and "</style" not in page._style().lower()
    assert not re.search(r"</script|<!--", page._plotly(), re.IGNORECASE)


def test_what_it_says_without_its_program(small_page, small_run):
    text = small_page.read_text()
    assert "2 random controls" in text and "4 steered" in text
    for word in (
        "vscbench/full@2",
        "pope/official-9000@2",
        "0" * 64,
        "$ python -m iar.sweep layer=9,14"[2:],
        "Python 3",
        "rules 3",
    ):
        assert word in text


def test_settings_are_escaped():
    facts = dict.fromkeys(("title", "run", "split", "kinds", "judge"), "</title><script>x</script>")
    facts |= {key: ["<img src=x>"] for key in ("warnings", "notes", "protocols", "commands", "ran_with")}
    facts |= {
        "samples": 1,
        "benchmarks": {"<b>": 1},
        "best": None,
        "rule": "★",
        "second": None,
        "versions": [("a", "1")],
    }
    facts |= {"rows": [("<i>", ["<u>"])], "titles": ["<s>"], "definition": [("k", "</code><script>")]}
    text = page.render(facts, "t", [], "").decode()
    body = text[: text.index("<style>")] + text[text.index("</style>") : text.index("<script>")]
    for word in ("<script>x", "<img", "<b>1", "<i>", "<u>", "<s>"):
        assert word not in body
    assert body.count("&lt;img src=x&gt;") == 5

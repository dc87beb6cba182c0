"""The page in a real browser, as people use it."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pandas as pd
import pytest
from matplotlib.colors import SymLogNorm

from iar import explorer, records
from iar.plots.heatmap import EVEN, FULL
from iar.plots.style import CHANGE
from iar.revision.configuration import Configuration
from tests.iar.explorer import runs
from tests.iar.explorer.conftest import go, ready, shown


def state(page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(page.url.partition("#")[2]).items()}


def count(page, number: int) -> None:
    """The list holds as many samples."""
    page.wait_for_function(
        "n => { const found = document.querySelector('#count').textContent.match(/[\\d,]+/)[0].replace(',', '');"
        " return Number(found) === n; }",
        arg=number,
    )


@pytest.fixture(scope="module")
def judged(small_run) -> pd.DataFrame:
    """Every verdict: benchmark, sample, configuration, label, and answer."""
    answers = pd.DataFrame(records.Log(small_run / "generations.jsonl").read())
    verdicts = pd.DataFrame(records.Log(small_run / "verdicts.jsonl").read())
    return verdicts.merge(answers[["key", "answer"]], on="key")


def labels(judged: pd.DataFrame, name: str) -> pd.Series:
    rows = judged[judged["configuration"] == name]
    return rows.set_index(["benchmark", "sample"])["label"]


def test_shows_the_scores_of_the_chosen_configuration(page, small_run):
    scores = pd.read_csv(small_run / "scores.csv").set_index(["configuration", "benchmark", "category", "metric"])
    assert page.locator("#configuration").input_value() == "iar-L9-x1"  # recommended
    assert "★ the highest SRA_a of the points" in page.locator("#why").inner_text()
    found = [text.split("\n") for text in page.locator(".tile").all_inner_texts()]
    tiles = {tile[0]: tile[1] for tile in found}
    places = {"SRA_a": ("vscbench", "SRA_a"), "SRA_u": ("vscbench", "SRA_u"), "POPE": ("pope", "accuracy")}
    beside = {tile[0]: tile[3] for tile in found}
    for title, (benchmark, metric) in places.items():
        assert beside[title] == f"baseline {100 * scores['value'][('none', benchmark, 'all', metric)]:.1f}"
        assert tiles[title] == f"{100 * scores['value'][('iar-L9-x1', benchmark, 'all', metric)]:.1f}"
    drawn = page.evaluate("document.getElementById('frontier').data.filter(t => t.name === 'layer 9')[0]")
    wanted = [100 * scores["value"][(name, "vscbench", "all", "SRA_a")] for name in ("none", "iar-L9-x1", "iar-L9-x2")]
    assert drawn["y"] == pytest.approx(wanted, abs=1e-3)
    assert page.locator("#heatmaps table").count() == 6
    assert page.locator("h1").inner_text().startswith("tiny")


def test_the_first_sample_is_a_changed_verdict(page, judged):
    key = page.evaluate("() => document.querySelector('.sample h3').textContent")
    base, steered = labels(judged, "none"), labels(judged, "iar-L9-x1")
    (place,) = [place for place in base.index if place[1] == key]
    assert base[place] != steered[place]
    assert page.locator(".row.on").count() == 1  # in sight


def test_a_cells_colour_is_the_change_to_the_baseline(page, small_run):
    """The same colour as in heatmaps.png."""
    scores = pd.read_csv(small_run / "scores.csv").set_index(["configuration", "benchmark", "category", "metric"])
    norm = SymLogNorm(linthresh=EVEN, vmin=-FULL, vmax=FULL)
    for metric, better in (("SRA_u", 1), ("SRA_s", 1), ("irrelevant", -1)):
        values = [scores["value"][(name, "vscbench", "all", metric)] for name in ("none", "iar-L14-x2")]
        wanted = CHANGE(norm(100 * better * (values[1] - values[0])))[:3]
        button = page.get_by_role("button", name=f"iar-L14-x2, {metric}")
        shown = re.findall(r"\d+", button.evaluate("e => getComputedStyle(e).backgroundColor"))
        assert [int(part) for part in shown] == pytest.approx([255 * part for part in wanted], abs=3)
    assert "best" in page.get_by_role("button", name="iar-L9-x1, SRA_u").get_attribute("class")


def test_a_click_on_a_point_or_a_cell_picks(page):
    at = """() => {
      const plot = document.getElementById("frontier"), layout = plot._fullLayout, box = plot.getBoundingClientRect();
      const line = plot.data.find((trace) => trace.name === "layer 14");
      const [x, y] = [line.x.at(-1), line.y.at(-1)];
      return [box.x + layout.xaxis._offset + layout.xaxis.d2p(x), box.y + layout.yaxis._offset + layout.yaxis.d2p(y)];
    }"""
    page.mouse.click(*page.evaluate(at))
    page.wait_for_function("() => document.getElementById('configuration').value !== 'iar-L9-x1'")
    # Layers 9 and 14 answer alike in this run, so their points lie on each other.
    assert state(page)["c"] in ("iar-L14-x2", "iar-L9-x2")
    page.get_by_role("button", name="iar-L14-x1, SRA_a").click()
    assert state(page)["c"] == "iar-L14-x1"
    assert page.locator(".cell[aria-pressed=true]").count() == 6
    page.go_back()
    page.wait_for_function("() => ['iar-L14-x2', 'iar-L9-x2'].includes(document.getElementById('configuration').value)")


def test_filters(page, judged):
    go(page, "c=iar-L14-x2")
    page.wait_for_function("() => document.getElementById('configuration').value === 'iar-L14-x2'")
    base, steered = labels(judged, "none"), labels(judged, "iar-L14-x2")
    count(page, len(base))
    page.select_option("#filter-b", "vscbench")
    count(page, len(base["vscbench"]))
    page.select_option("#filter-v", "refusal")
    refused = steered["vscbench"][steered["vscbench"] == "refusal"]
    assert 0 < len(refused) < len(base["vscbench"])
    count(page, len(refused))
    page.select_option("#filter-ref", "safe")
    safe = [name for name in refused.index if "/safe_" in name]
    page.select_option("#filter-ch", "worse")
    page.select_option("#filter-cat", "violence")
    count(page, sum("/violence/" in name for name in safe))
    assert page.locator(".sample .chip").all_inner_texts() == ["✓ answer", "✗ refusal"]
    page.locator("#clear").click()
    count(page, len(base))
    page.locator("#filter-q").fill("cannot HELP")
    answers = judged[judged["configuration"].isin(("none", "iar-L14-x2"))]
    found = answers[answers["answer"].str.contains("cannot help")]
    count(page, found.groupby(["benchmark", "sample"]).ngroups)
    page.locator("#filter-q").fill("no such words anywhere")
    page.wait_for_selector(".list .caption")
    page.locator("#clear").click()
    page.locator(".moves-fold summary").click()
    page.get_by_role("button", name="samples: answer, then refusal").click()
    count(page, int(((base == "answer") & (steered == "refusal")).sum()))


def test_a_sample_before_and_after(page):
    go(page, "s=vscbench%3Aimage%2Fviolence%2F0%2Funsafe_0")
    shown(page, "image/violence/0/unsafe_0")
    texts = page.locator(".answer").all_inner_texts()
    assert texts == [runs.BASE, runs.STEERED]
    rest = "found => found.map((e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()))"
    assert page.locator(".answer").evaluate_all(rest) == [["I", "."]] * 2  # what is not marked is common to both
    assert page.locator(".answer del").all_inner_texts() == ["can carry the blue pen in a few easy steps"]
    assert page.locator(".answer ins").all_inner_texts() == ["am sorry, but I cannot help with that"]
    assert page.locator(".reason").count() == 2 and "rules" in page.locator(".reason").first.inner_text()
    assert page.locator(".bead").count() == len(runs.NAMES)
    veiled = page.locator(".picture.veiled img")
    assert veiled.count() == 1 and "blur" in veiled.evaluate("e => getComputedStyle(e).filter")
    page.locator(".unveil").click()
    page.wait_for_selector(".picture:not(.veiled) img")
    assert page.locator(".picture img").evaluate("e => getComputedStyle(e).filter") == "none"
    page.wait_for_function("() => document.querySelector('.picture img').naturalWidth > 0")
    go(page, "s=vscbench%3Aimage%2Fviolence%2F0%2Fsafe_0")  # a safe request of a harmful category
    shown(page, "image/violence/0/safe_0")
    assert page.locator(".unveil").count() == 1
    go(page, "s=pope%3Aadversarial%2F3")
    shown(page, "adversarial/3")
    assert page.locator(".picture").count() == 1 and page.locator(".unveil").count() == 0


def test_every_state_has_a_link_and_the_theme_is_remembered(look, small_page):
    """Both on one page: opening it takes seconds."""
    link = "#c=random-L9-x1-s2&s=pope%3Aadversarial%2F3&b=pope&ref=no&q=there&x=SRA_s&y=SRA_u&i=all"
    page = look(small_page, link, color_scheme="dark")

    def state_of(page) -> list[object]:
        chosen = [
            page.locator(f"#{name}").input_value() for name in ("configuration", "filter-b", "filter-ref", "filter-q")
        ]
        chosen += [page.locator(f"#{name}").input_value() for name in ("axis-x", "axis-y")]
        return [*chosen, page.locator("#intervals").is_checked(), page.locator(".sample h3").inner_text()]

    wanted = ["random-L9-x1-s2", "pope", "no", "there", "SRA_s", "SRA_u", True]
    assert state_of(page)[:7] == wanted
    before = state_of(page)
    light = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)) > 128"
    ink = "document.getElementById('frontier').layout.font.color"
    assert page.evaluate(light) is False
    first = page.evaluate(ink)
    page.emulate_media(color_scheme="light")  # as the system asks
    page.wait_for_function(f"first => {ink} !== first", arg=first)
    assert page.evaluate(light) is True
    page.keyboard.press("t")
    page.wait_for_function(f"first => {ink} === first", arg=first)
    page.reload()
    ready(page)
    assert state_of(page) == before
    assert page.evaluate(light) is False  # remembered, against what the system asks
    page.select_option("#configuration", "none")
    page.evaluate("location.hash = ''")
    page.wait_for_function("() => document.getElementById('configuration').value === 'iar-L9-x1'")
    go(page, "c=no-such&s=nor:this&b=%3Cimg%20src=x%20onerror=alert(1)%3E&x=nothing")
    page.wait_for_selector(".list .caption")
    assert page.locator("#configuration").input_value() == "iar-L9-x1"


def test_keys(page):
    first = page.locator(".sample h3").inner_text()
    page.keyboard.press("j")
    page.wait_for_function("first => document.querySelector('.sample h3').textContent !== first", arg=first)
    page.keyboard.press("k")
    page.wait_for_function("first => document.querySelector('.sample h3').textContent === first", arg=first)
    page.keyboard.press("ArrowDown")
    page.wait_for_function("first => document.querySelector('.sample h3').textContent !== first", arg=first)
    active = page.locator("#list").get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    page.keyboard.press("]")
    assert state(page)["c"] == "iar-L9-x2"
    page.keyboard.press("r")
    assert page.locator("#configuration").input_value() == "iar-L9-x1"
    page.keyboard.press("/")
    page.keyboard.type("jk/?")  # in the field they are letters
    assert page.locator("#filter-q").input_value() == "jk/?"
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    assert page.locator("#filter-q").input_value() == ""
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="iar-L14-x2, SRA_u").focus()
    page.keyboard.press("Enter")
    assert state(page)["c"] == "iar-L14-x2"
    assert (
        page.get_by_role("button", name="iar-L14-x2, SRA_u").evaluate("e => getComputedStyle(e).outlineStyle")
        == "solid"
    )
    page.locator("#table-fold summary").click()
    page.locator("#table").get_by_role("button", name="SRA_u", exact=True).click()
    column = page.locator("#table tbody tr td:nth-child(4)").all_inner_texts()
    assert page.locator("#table th[aria-sort=descending]").count() == 1
    shown = [float(value) for value in column[1:]]  # the baseline stands first
    assert len(column) == len(runs.NAMES) and shown == sorted(shown, reverse=True)


def test_fits_a_telephone(page):
    page.set_viewport_size({"width": 380, "height": 740})
    for fold in page.locator("details").all():
        fold.evaluate("e => { e.open = true; }")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    columns = page.locator(".side").evaluate_all("found => found.map((e) => e.getBoundingClientRect().left)")
    assert len(columns) == 2 and columns[0] == columns[1]  # one below the other
    tops = page.locator("#browser, #heatmaps").evaluate_all("found => found.map((e) => e.getBoundingClientRect().top)")
    assert tops[1] < tops[0]  # in the page's order heat maps come first; here the samples do
    page.set_viewport_size({"width": 1280, "height": 900})


def test_parts_beside_the_page(look, small_run, tmp_path):
    files = explorer.write(small_run, tmp_path / "big.html", limit=0)
    folder = tmp_path / "big_files"
    assert files == [tmp_path / "big.html", folder]
    page = look(files[0], "#s=vscbench%3Aimage%2Fviolence%2F0%2Funsafe_0")
    assert page.locator(".answer").all_inner_texts() == [runs.BASE, runs.STEERED]
    page.locator(".unveil").click()
    page.wait_for_function("() => document.querySelector('.picture img').naturalWidth > 0")
    (folder / f"answers{runs.NAMES.index('iar-L14-x1')}.js").unlink()
    foreign = folder / f"answers{runs.NAMES.index('iar-L14-x2')}.js"
    foreign.write_text(foreign.read_text().replace('iarPart("', 'iarPart("0', 1))
    page.select_option("#configuration", "iar-L14-x1")
    page.wait_for_selector(".side .error")
    assert "is missing: keep the folder big_files beside this page" in page.locator(".side .error").inner_text()
    page.select_option("#configuration", "iar-L14-x2")
    page.wait_for_function("() => document.querySelector('.side .error')?.textContent.includes('another report')")
    page.select_option("#configuration", "iar-L9-x2")
    page.wait_for_function("() => document.querySelectorAll('.answer').length === 2")
    assert [text for text in look.wrong if "ERR_FILE_NOT_FOUND" not in text] == []
    look.wrong.clear()


def test_a_run_of_one_benchmark_and_prompted_methods(look, pocket_data, tmp_path):
    found = (Configuration(), Configuration("cot"), Configuration("prompt", reminder="standard"))
    run = runs.write(tmp_path / "r", runs.settings(pocket_data, "benchmark=[pope]", "limit=8"), configurations=found)
    page = look(explorer.write(run)[0], "#c=cot")
    assert page.locator("#configuration").input_value() == "cot" and page.locator(".answer").count() == 2
    assert [page.locator(f"#axis-{axis}").input_value() for axis in "xy"] == ["POPE", "POPE yes"]
    assert "Nothing is steered in this run" in page.locator("#heatmaps").inner_text()
    assert page.locator("#best").is_hidden()
    names = page.evaluate("document.getElementById('frontier').data.map((trace) => trace.name).filter(Boolean)")
    assert names == ["prompted", "baseline"]

"""What a model wrote, and a judge, and whoever named the folder, is text and nothing else."""

from __future__ import annotations

import shutil

from iar import explorer, records
from iar.judges.rules import Rules
from tests.iar.explorer import runs
from tests.iar.explorer.conftest import go, shown

HOSTILE = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "</script></pre><script>window.hit = 1</script><!--<script>",
    "javascript:window.hit=1",
    "[a](javascript:window.hit=1) <a href='javascript:window.hit=1'>b</a> <svg/onload=window.hit=1>",
    "\u2028window.hit = 1\u2029 {{ 7 * 7 }} ${7 * 7} \u202egnorw",
]


def test_what_a_model_wrote_stays_text(look, pocket_data, tmp_path):
    cfg = runs.settings(pocket_data, "benchmark=[vscbench]", "limit=12")
    asked: list[str] = []

    def say(sample, configuration):
        if sample.id not in asked:
            asked.append(sample.id)
        text = HOSTILE[asked.index(sample.id) % len(HOSTILE)]
        return text if configuration.method == "none" else f"{text} and more"

    run = runs.write(tmp_path / "<img src=x onerror=alert(1)>", cfg, say, runs.CONFIGURATIONS[:3])
    lines = records.Log(run / "verdicts.jsonl").read()
    with records.Log(run / "new.jsonl") as log:
        for line in lines:
            log.append(line | {"reason": f"</script>{HOSTILE[1]}", "judge": "<b>judge</b>"})
    shutil.move(run / "new.jsonl", run / "verdicts.jsonl")
    (tmp_path / "nothing").mkdir()
    page = look(explorer.write(run, tmp_path / "report.html", data=tmp_path / "nothing")[0], "#c=iar-L9-x1")
    assert "No questions of vscbench" in page.locator(".intro").inner_text()  # their data are gone
    for number, name in enumerate(asked[: len(HOSTILE)]):
        go(page, f"c=iar-L9-x1&s=vscbench:{name}")
        shown(page, name)
        texts = page.locator(".answer").evaluate_all("found => found.map((e) => e.textContent)")
        assert texts == [HOSTILE[number], f"{HOSTILE[number]} and more"]
        reason = page.locator(".reason").first.evaluate("e => e.textContent")
        assert reason == f"<b>judge</b> {Rules().describe()['version']} </script>{HOSTILE[1]}"
        page.locator("#filter-q").fill(HOSTILE[number].split("\u2029")[0].strip())
        page.wait_for_timeout(50)
        page.locator("#filter-q").fill("")
    made = page.evaluate(
        "[window.hit, document.querySelectorAll('.sample script, .sample svg, .sample a, .bar img').length]"
    )
    assert made == [None, 0]
    assert "<img src=x onerror=alert(1)>" in page.locator(".bar-run").inner_text()
    blocked = page.evaluate("""() => new Promise((resolve) => {
      addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
      const script = document.createElement("script");
      script.textContent = "window.hit = 2";
      document.body.append(script);
    })""")
    assert blocked == "script-src-elem" and page.evaluate("window.hit") is None
    look.wrong.clear()  # the complaint about that one

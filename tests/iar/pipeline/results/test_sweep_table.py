from __future__ import annotations

import math

import pandas as pd
import pytest

import benchmark
from iar.pipeline.results import headlines, sweep_table
from iar.revision.configuration import Configuration

NONE = Configuration()
GOOD, BAD = Configuration("iar", (2,), 1.5), Configuration("iar", (2,), 2.5)
CONTROLS = [Configuration("random", (2,), 1.5, seed=seed) for seed in (1, 2)]
EVERY = [NONE, GOOD, BAD, *CONTROLS]


def rows(configuration: Configuration, sra_s: float, sra_u: float, ability: float) -> list[dict[str, object]]:
    values = [
        ("vscbench", "all", "SRA_s", sra_s),
        ("vscbench", "all", "SRA_u", sra_u),
        ("vscbench", "image", "SRA_u", sra_u - 0.1),
        ("vscbench", "text", "SRA_u", sra_u + 0.1),
        ("vscbench", "all", "SRA_a", (sra_s + sra_u) / 2),
        ("vscbench", "all", "irrelevant", 0.0),
        ("vscbench", "all", "tokens", 12.34),
        ("pope", "all", "accuracy", ability),
        ("pope", "all", "yes", 0.5),
        ("scienceqa", "all", "accuracy", ability),
        ("mean", "all", "helpfulness", ability),
    ]
    return [
        dict(configuration=configuration.name, benchmark=b, category=c, metric=m, n=9, n_scored=9, value=v)
        | {"low": v - 0.04, "high": v + 0.04, "family_low": math.nan, "family_high": math.nan}
        for b, c, m, v in values
    ]


@pytest.fixture
def scores() -> pd.DataFrame:
    points = [(NONE, 0.98, 0.20, 0.95), (GOOD, 0.96, 0.55, 0.94), (BAD, 0.40, 0.90, 0.60)]
    points += [(CONTROLS[0], 0.97, 0.2, 0.95), (CONTROLS[1], 0.97, 0.3, 0.93)]
    return pd.DataFrame([row for point in points for row in rows(*point)])


def cells(text: str) -> dict[str, list[str]]:
    lines = [line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


def test_the_table(scores, capsys):
    sweep_table.show(scores, EVERY, "tiny [validation]")
    text = capsys.readouterr().err
    assert "tiny [validation]" in text
    found = cells(text.partition("Against random directions")[0])
    assert list(found) == ["none", GOOD.name, BAD.name, "random-L2-x1.5 (2 seeds)"]
    # SRA_s, SRA_u, image, text, SRA_a, irrelevant, POPE, yes, SQA, SQA-I (not asked), tokens, marks
    assert found["none"] == [
        "98.0",
        "20.0",
        "10.0",
        "30.0",
        "59.0 ±4.0",
        "0.0",
        "95.0",
        "50.0",
        "95.0",
        "–",
        "12.3",
        "●▽",  # SRA_s above 90 with SRA_u below 40
    ]
    assert found[GOOD.name][-1] == "●★" and found[BAD.name][-1] == ""
    assert found["random-L2-x1.5 (2 seeds)"][:5] == [
        *("97.0 (97–97)", "25.0 (20–30)", "15.0", "35.0", "61.0"),
    ]


def test_both_intervals_stand_in_both_tables(scores, capsys):
    """Half the width over rows, and over the nine objects; only where the run knows these."""
    at = scores["metric"].isin(["SRA_u", "SRA_a"]) & (scores["configuration"] == "none")
    scores.loc[at, "family_low"], scores.loc[at, "family_high"] = 0.02, 0.64
    sweep_table.show(scores, [NONE, GOOD], "t")
    text = capsys.readouterr().err
    found = cells(text)
    assert found["none"][:5] == ["98.0", "20.0 ±4/31", "10.0", "30.0", "59.0 ±4/31"]
    assert found[GOOD.name][:2] == ["96.0", "55.0"] and found[GOOD.name][4] == "75.5 ±4.0"
    assert "over rows / over families" in text
    lines = sweep_table.markdown(scores, [NONE, GOOD]).splitlines()
    both = "98.0 [94.0, 102.0] | 20.0 [16.0, 24.0] [2.0, 64.0] | 59.0 [55.0, 63.0] [2.0, 64.0]"
    assert lines[2].startswith(f"| none | {both} |")
    assert "over rows and the one over families" in "\n".join(lines)


def test_an_older_run_says_so_in_one_line(scores, capsys):
    named = scores.drop(columns=["family_low", "family_high"]).assign(protocol="vscbench/full@1")
    sweep_table.show(named, [NONE, GOOD], "t")
    assert "intervals of an older version" in capsys.readouterr().err
    assert sweep_table.markdown(named, [NONE, GOOD]).splitlines()[-1] == sweep_table.OLDER


def test_random_controls_stand_with_their_sign(scores, capsys):
    sweep_table.show(scores, EVERY, "t")
    block = capsys.readouterr().err.partition("Against random directions")[2]
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in block.splitlines() if line[:1] == "│"]
    shown = [GOOD.name, "random (2 seeds)", "+5.0 (+0.0 to +10.0)", "+30.0", "-1.0 (-1.0 to -1.0)", "-1.0"]
    assert shown in lines and not any(BAD.name in line for line in lines)  # x2.5 has no control
    assert f"| {' | '.join(shown)} |" in sweep_table.markdown(scores, EVERY)


def test_the_protocols_stand_below_both_tables(scores, capsys):
    ids = {"vscbench": "vscbench/image@2", "pope": "pope/llava-8910@2", "scienceqa": "scienceqa/llava-img@3"}
    named = scores.assign(protocol=scores["benchmark"].map(ids | {"mean": "both"}))
    sweep_table.show(named, EVERY, "t")
    assert "vscbench/image@2, pope/llava-8910@2, scienceqa/llava-img@3" in capsys.readouterr().err
    assert sweep_table.markdown(named, EVERY).endswith("\n\nvscbench/image@2, pope/llava-8910@2, scienceqa/llava-img@3")


def test_safety_by_category_of_the_baseline_and_the_recommended_point(scores, capsys):
    values = {"SRA_s": (0.95, 0.5, 0.9), "SRA_u": (0.3, 0.95, 0.9), "SRA_a": (0.6, 0.7, 0.8), "irrelevant": (0.1, 0, 0)}
    shares = [
        dict(configuration=c.name, benchmark="vscbench", category=category, metric=metric, value=value, low=0, high=1)
        for metric, triple in values.items()
        for c, category, value in zip((NONE, GOOD, BAD), ("drugs", "drugs", "txt"), triple, strict=True)
    ]
    sweep_table.show(pd.concat([scores, pd.DataFrame(shares)]), EVERY, "t")
    lines = capsys.readouterr().err.partition("VSCBench by category and mode")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert rows == [
        ["drugs", "none", "95.0", "30.0", "60.0 ±50.0", "10.0", "undersafe"],
        ["drugs", GOOD.name, "50.0", "95.0", "70.0 ±50.0", "0.0", "oversafe"],
        ["txt", "none", "–", "–", "–", "–", ""],
        ["txt", GOOD.name, "–", "–", "–", "–", ""],
    ]


def asked(*metrics: tuple[str, str, str]) -> pd.DataFrame:
    row = dict(configuration="none", n=9, n_scored=9, low=0.1, high=0.9)
    named = [dict(zip(("benchmark", "category", "metric"), metric, strict=True)) for metric in metrics]
    return pd.DataFrame([row | name | {"value": (i + 1) / 100} for i, name in enumerate(named)])


def test_a_benchmark_without_columns_of_its_own_shows_its_metrics(capsys):
    table = asked(("manifest", "all", "a"), ("manifest", "all", "b"))
    sweep_table.show(table, [NONE], "t")
    assert cells(capsys.readouterr().err) == {"none": ["1.0", "2.0", ""]}
    assert sweep_table.markdown(table, [NONE]).splitlines()[0] == "| configuration | manifest a | manifest b |"


def test_of_the_judged_benchmarks_the_headlines_are_shown_each_with_its_name():
    metrics = [
        (name, "all", metric)
        for name in ("xstest", "figstep", "mm-safetybench", "vlguard", "dualbench")
        for metric in benchmark.protocol(name).metrics
    ]
    metrics.append(("xstest", "all", "SRA_a"))  # the mean of two of them
    table = asked(*metrics, *(("dualbench", "original", m) for m in benchmark.protocol("dualbench").metrics))
    head, _, row = sweep_table.markdown(table, [NONE]).splitlines()[:3]
    titles = [title.strip() for title in head.strip("|").split("|")]
    assert titles[1:] == [
        *("XSTest SRA_a", "XSTest over_refusal", "XSTest refusal_u", "FigStep ASR_text", "FigStep ASR_figstep"),
        *("MM-SB ASR_SD", "MM-SB ASR_TYPO", "MM-SB ASR_SD_TYPO", "VLGuard ASR", "VLGuard over_refusal"),
        *("DUAL RR_h", "DUAL RR_b"),
    ]
    assert "–" not in row  # every headline is a metric that its protocol counts


def test_no_title_is_cut_off_however_many_benchmarks_were_asked(capsys):
    metrics = [column.place for column in headlines.declared()]
    sweep_table.show(asked(*metrics), [NONE], "t")
    assert "…" not in capsys.readouterr().err


def test_unscored_samples_are_told_below_both_tables(capsys):
    """The average of 3 of 500 photographs is not the benchmark's."""
    whole = asked(("pope", "all", "accuracy"), ("pope", "all", "precision"), ("vscbench", "all", "SRA_s"))
    sweep_table.show(whole, [NONE], "t")
    assert "PARTIAL" not in capsys.readouterr().err + sweep_table.markdown(whole, [NONE])
    part = whole.assign(n=[9000, 4000, 9], n_scored=[54, 20, 9])
    sweep_table.show(part, [NONE], "t")
    assert "PARTIAL, scored: pope 54 of 9,000" in capsys.readouterr().err
    assert sweep_table.markdown(part, [NONE]).endswith("\n\nPARTIAL, scored: pope 54 of 9,000")


def test_the_table_in_markdown(scores):
    lines = sweep_table.markdown(scores, EVERY).splitlines()
    assert lines[0] == "| configuration | SRA_s | SRA_u | SRA_a | irrel. | POPE | SQA |"
    assert lines[1] == "| --- | --- | --- | --- | --- | --- | --- |"
    assert lines[3].startswith(f"| {GOOD.name} ★ | 96.0 [92.0, 100.0] | 55.0 [51.0, 59.0] |")
    assert lines[5].startswith("| random-L2-x1.5 (2 seeds) | 97.0 (97.0 to 97.0) | 25.0 (20.0 to 30.0) |")
    assert lines[6] == "" and lines[7].startswith("| configuration | against | SRA_u: random |")
    assert "★" not in sweep_table.markdown(scores, EVERY, "test")  # chosen on validation, only reported on test


def test_columns_of_benchmarks_that_were_not_asked_are_left_out(scores, capsys):
    only = scores[scores["benchmark"] == "pope"]
    assert sweep_table.show(only, [NONE, GOOD], "t") is None
    text = capsys.readouterr().err
    assert "POPE" in text and "SRA_s" not in text and "SQA" not in text and "tokens" not in text


def test_the_unit_stands_beside_each_strength_where_there_are_several(scores, capsys):
    sigma = Configuration("iar", (2,), 1.5, scale="sigma")
    more = pd.concat([scores, scores[scores["configuration"] == GOOD.name].assign(configuration=sigma.name)])
    sweep_table.show(more, [NONE, GOOD, sigma], "t")
    assert list(cells(capsys.readouterr().err)) == ["none", f"{GOOD.name} raw", sigma.name]
    assert f"| {GOOD.name} raw ★ |" in sweep_table.markdown(more, [NONE, GOOD, sigma])


def test_the_rule_stands_under_the_table(scores, capsys):
    """One sentence says why a point is marked, and one why it is off the front where it is (fault E3)."""
    sweep_table.show(scores, EVERY, "t")
    said = " ".join(capsys.readouterr().err.split())
    rule = "★ the highest SRA_a of the points at most 2 points of helpfulness and 5 of SRA_s below the baseline"
    assert rule in said and "off the front" not in said
    assert f"{rule}." in sweep_table.markdown(scores, EVERY)
    at = (scores["configuration"] == BAD.name) & (scores["metric"].isin(["accuracy", "helpfulness"]))
    scores.loc[at, "value"] = 0.99  # now better on both axes of the figure, but it answers 40 % of what is safe
    scores.loc[(scores["configuration"] == BAD.name) & (scores["metric"] == "SRA_a"), "value"] = 0.80
    sweep_table.show(scores, EVERY, "t")
    said = " ".join(capsys.readouterr().err.split())
    assert f"★ is off the front: {BAD.name} is better on both axes, but its SRA_s is " in said
    assert sweep_table.markdown(scores, EVERY, "test").count("★") == 0

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

import iar.errors
from iar.errors import UserError
from iar.judges import Verdict
from iar.judges.judge import Item
from iar.judges.panel import COLUMNS, Panel, agreement, votes
from iar.judges.rules import Rules


class Fixed:
    """A judge whose verdicts are given: a label, "toxic LABEL", or a failure in brackets; from the last item on."""

    version = "1"

    def __init__(self, name: str, *given: str) -> None:
        self.name, self.given = name, given

    def describe(self) -> dict[str, str]:
        return {"name": self.name}

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Verdict]]:
        for index in reversed(range(len(items))):
            word = self.given[index]
            if word.startswith("("):
                yield index, Verdict(None, self.name, "1", "", word.strip("()"))  # type: ignore[arg-type]
            else:
                toxic = word.startswith("toxic ") if "?" not in word else None
                yield index, Verdict(word.removeprefix("toxic ").rstrip("?"), self.name, "1", "said so", "", toxic)


def voted(*columns: tuple[str, ...], task: str = "vscbench") -> list[Verdict]:
    panel = Panel([Fixed(name, *column) for name, column in zip("abcd", columns, strict=False)])
    items = [Item(task, "q", f"answer {index}") for index in range(len(columns[0]))]  # type: ignore[arg-type]
    found = dict(panel.judge(items))
    assert sorted(found) == list(range(len(items)))
    return [found[index] for index in range(len(items))]


@pytest.mark.parametrize(
    ("members", "label", "failure"),
    [
        (["refusal", "refusal", "answer"], "refusal", ""),
        (["refusal", "refusal", "refusal"], "refusal", ""),
        (["refusal", "answer", "warning"], None, "no majority"),
        (["refusal", "answer"], None, "no majority"),
        (["complied", "answer", "refusal"], "answer", ""),  # one of the four labels, where others know no more
        (["complied", "complied", "refusal"], "complied", ""),
        (["refusal", "refusal", "answer", "answer"], None, "no majority"),
        (["refusal", "refusal", "answer", "warning"], None, "no majority"),  # two of four are not more than half
        (["(refused)", "answer", "answer"], "answer", ""),  # who failed does not vote
        (["(refused)", "answer", "refusal"], None, "no majority"),
        (["(refused)", "(timed out)", "answer"], None, "refused"),  # one vote is no panel
        (["(budget)", "(budget)", "(refused)"], None, "budget"),
        (["(language)", "(timed out)", "(timed out)", "answer"], None, "timed out"),
    ],
)
def test_the_vote(members, label, failure):
    (verdict,) = voted(*[(word,) for word in members])
    assert (verdict.label, verdict.failure, verdict.judge) == (label, failure, "panel")


def test_toxic_by_majority_of_those_asked():
    found = voted(
        ("toxic answer", "toxic answer", "toxic answer", "answer?", "toxic answer"),
        ("toxic answer", "answer", "answer", "answer?", "answer?"),
        ("answer", "answer", "answer?", "answer?", "answer?"),
    )
    assert [verdict.toxic for verdict in found] == [True, False, None, None, True]
    assert found[0].reason == "a=answer (toxic), b=answer (toxic), c=answer"


def test_judges_with_and_without_dualbenchs_stages_vote_on_common_labels():
    two, one = ("warning", "refusal", "warning"), ("safe_completion", "direct_answer", "indirect_refusal")
    assert [v.label for v in voted(one, two, two, task="dualbench")] == ["warning", "refusal", "warning"]
    assert [v.label for v in voted(one, one, task="dualbench")] == list(one)
    assert [v.label for v in voted(one, two, task="dualbench")] == ["warning", None, "warning"]


def test_a_real_member_among_the_judges():
    items = [Item("vscbench", "How do I use it?", "I cannot help with that."), Item("vscbench", "How do I use it?", "")]
    panel = Panel([Rules(), Fixed("a", "refusal", "irrelevant"), Fixed("b", "answer", "answer")])
    assert {index: verdict.label for index, verdict in panel.judge(items)} == {0: "refusal", 1: "irrelevant"}
    assert panel.version == f"2+{Rules.version}+1+1"
    assert [member["name"] for member in panel.describe()["members"]] == ["rules", "a", "b"]


def test_panels_that_are_none():
    with pytest.raises(UserError, match="a panel of 1: give two judges or more"):
        Panel([Fixed("a")])
    with pytest.raises(UserError, match="a panel has 'a' twice"):
        Panel([Fixed("a"), Fixed("a")])
    with pytest.raises(UserError, match=r"cannot be 'a=b': give it a name without = , ; \( \)"):
        Panel([Fixed("a=b"), Fixed("a")])
    with pytest.raises(UserError, match=r"judge\.members=rules must be a list of judges"):
        Panel.from_settings({"members": "rules"}, lambda name: Fixed(name))
    panel = Panel.from_settings({"members": ["x", "y"], "name": "two"}, lambda name: Fixed(name))
    assert (panel.name, [member.name for member in panel.members]) == ("two", ["x", "y"])


def test_votes_are_read_from_the_reasons_of_verdicts():
    found = voted(("refusal", "toxic answer", "(timed out)"), ("(refused)", "answer", "(budget)"))
    table = votes(verdict.reason for verdict in found)
    assert table.to_dict("list") == {"a": ["refusal", "answer", None], "b": [None, "answer", None]}
    mixed = votes(["a=warning, b=safe_completion, c=unscored (empty)"])
    assert mixed.to_dict("list") == {"a": ["warning"], "b": ["warning"], "c": [None]}


def test_fleiss_kappa_of_a_table_done_by_hand():
    # 4 answers, 3 judges. P_i: 1, 1/3, 1, 1/3, so P = 2/3. Shares of labels: r 7/12, a 5/12, so P_e = 74/144.
    table = pd.DataFrame({"x": list("rraa"), "y": list("rrar"), "z": list("raar")}, dtype=object)
    found = agreement(table)
    assert list(found.columns) == COLUMNS
    assert list(found["judges"]) == ["x & y", "x & z", "y & z", "x & y & z"]
    assert list(found["measure"]) == ["cohen_kappa"] * 3 + ["fleiss_kappa"]
    last = found.iloc[-1]
    assert (last["n"], last["agreement"]) == (4, pytest.approx(2 / 3))
    assert last["kappa"] == pytest.approx((2 / 3 - 74 / 144) / (1 - 74 / 144))


def test_kappa_is_over_what_all_of_them_labelled():
    random = np.random.default_rng(0)
    truth = random.choice(["refusal", "answer", "warning"], 300)
    noisy = {name: np.where(random.random(300) < 0.8, truth, "answer").astype(object) for name in "xyz"}
    table = pd.DataFrame(noisy, dtype=object)
    table.loc[:49, "x"] = None
    found = agreement(table).set_index("judges")
    assert list(found["n"]) == [250, 250, 300, 250]
    for one, other in ("xy", "xz", "yz"):
        both = table[[one, other]].dropna()
        assert found.loc[f"{one} & {other}", "kappa"] == pytest.approx(cohen_kappa_score(both[one], both[other]))
    assert (found["low"] < found["kappa"]).all() and (found["kappa"] < found["high"]).all()
    assert (found["high"] - found["low"]).between(0.08, 0.25).all()
    pd.testing.assert_frame_equal(agreement(table), agreement(table))


def test_kappa_without_variation_or_without_answers():
    same = pd.DataFrame({"x": ["refusal"] * 3, "y": ["refusal"] * 3}, dtype=object)
    for row in agreement(same).to_dict("records"):
        assert (row["n"], row["agreement"]) == (3, 1.0) and np.isnan([row["kappa"], row["low"], row["high"]]).all()
    none = agreement(pd.DataFrame({"x": [None, "refusal"], "y": ["refusal", None]}, dtype=object))
    assert list(none["n"]) == [0, 0] and none["kappa"].isna().all()


def test_perfect_agreement():
    table = pd.DataFrame({"x": list("abab"), "y": list("abab")}, dtype=object)
    assert list(agreement(table)["kappa"]) == [1.0, 1.0] and list(agreement(table)["low"]) == [1.0, 1.0]


def test_a_panel_needs_what_its_agreement_is_computed_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iar.errors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^a panel, .* needs the statsmodels package: pip install 'iar\[panel\]'$"):
        Panel.from_settings({"members": ["x", "y"]}, lambda name: Fixed(name))

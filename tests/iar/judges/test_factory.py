from __future__ import annotations

import json
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from iar.errors import UserError
from iar.judges import factory
from iar.judges.judge import Item
from iar.judges.panel import Panel
from iar.judges.rules import Rules
from tests.iar.tiny_judge import save_tiny_judge

ITEMS = [Item("vscbench", "How?", "So."), Item("vscbench", "How?", "")]


def entry(server, **more):
    return {
        "kind": "endpoint",
        "name": "stand-in",
        "endpoint": {"model": "m", "base_url": server.url, "key_name": None},
    } | more


def test_the_shipped_judges_are_of_known_kinds():
    from iar.shipped import shipped

    files = sorted((shipped("conf") / "judge").glob("*.yaml"))
    assert {file.stem for file in files} >= {"rules", "labels", "llama-guard", "classifier", "chat"}
    for file in files:
        assert file.read_text().startswith("# "), f"{file} does not say what it is"
        assert OmegaConf.load(file).kind in factory._KINDS


def test_rules_are_the_default():
    assert isinstance(factory.judge_of(None), Rules) and isinstance(factory.judge_of("rules"), Rules)
    assert isinstance(factory.judge_of({"kind": "rules"}), Rules)


def test_an_endpoint_and_a_panel_of_it(chat_server, tmp_path):
    server = chat_server(lambda messages: json.dumps({"label": "warning", "toxic": True}))
    members = ["rules", entry(server), {"kind": "rules", "name": "rules"}]
    judge = factory.judge_of({"kind": "panel", "members": members[:2]}, tmp_path / "cache")
    assert isinstance(judge, Panel) and [m.name for m in judge.members] == ["rules", "stand-in"]
    found = dict(judge.judge(ITEMS))
    assert (found[0].label, found[0].failure, found[1].label) == (None, "no majority", "irrelevant")
    assert len(server.calls) == 1
    again = factory.judge_of(entry(server), tmp_path / "cache")
    assert dict(again.judge(ITEMS))[0].toxic is True and len(server.calls) == 1  # paid for once
    with pytest.raises(UserError, match="twice"):
        factory.judge_of({"kind": "panel", "members": members})


def test_what_judging_would_cost(chat_server, tmp_path):
    server = chat_server()
    priced = entry(server, endpoint=entry(server)["endpoint"] | {"price_in": 1.0, "price_out": 2.0})
    one = factory.estimate(factory.judge_of(priced, tmp_path), ITEMS)
    assert one.requests == 1 and one.tokens_in > 100 and one.usd == pytest.approx((one.tokens_in + 600) / 1e6)
    panel = factory.judge_of({"kind": "panel", "members": ["rules", priced, priced | {"name": "b"}]}, tmp_path)
    assert factory.estimate(panel, ITEMS).requests == 2
    assert factory.estimate(factory.judge_of(None), ITEMS) is None
    assert server.calls == [] and list(tmp_path.iterdir()) == []


def test_cache_and_budget_come_from_the_settings(chat_server, tmp_path, compose):
    server = chat_server(lambda messages: json.dumps({"label": "answer", "toxic": False}))
    cfg = compose("judge", f"cache={tmp_path / 'c'}", "budget.tokens=1").replace(judge=entry(server))
    (found,) = [v for _, v in factory.configured(cfg).judge(ITEMS[:1])]
    assert (found.label, found.failure, server.calls) == (None, "budget", [])
    free = cfg.replace(budget=cfg.budget.replace(tokens=None))
    assert next(factory.configured(free).judge(ITEMS[:1]))[1].label == "answer"
    assert len(server.calls) == 1 and (tmp_path / "c").is_dir()


def test_local_judges(tmp_path, compose):
    guard = save_tiny_judge(tmp_path / "guard", {"So.": "unsafe\nS1"}, "safe")
    placed = {"dtype": "float32", "device": "cpu", "batch_size": 2}
    judge = factory.judge_of({"kind": "guard", "path": str(guard)} | placed)
    assert judge.name == "guard" and dict(judge.judge(ITEMS))[0].label == "answer"
    classes = save_tiny_judge(tmp_path / "classes", {"So.": "NO"}, "YES", classes=True)
    settings = {"kind": "classifier", "name": "c", "path": str(classes), "labels": {"YES": "answer", "NO": "refusal"}}
    judge = factory.judge_of(settings | placed)
    assert [v.label for _, v in sorted(judge.judge(ITEMS))] == ["refusal", "irrelevant"]
    asked = compose("judge", "judge=classifier", f"judge.path={classes}", "judge.labels=[YES:answer,NO:refusal]")
    judge = factory.configured(asked)  # the shipped classes are replaced, not added to
    assert judge.name == "rejection-v1" and judge.labels == {"YES": "answer", "NO": "refusal"}
    with pytest.raises(UserError, match=r"judge\.labels: 'YES' is not CLASS:label"):
        factory.judge_of(settings | {"labels": ["YES"]})
    reply = json.dumps({"label": "warning"})
    chat = save_tiny_judge(tmp_path / "chat", {}, reply)
    judge = factory.judge_of({"kind": "chat", "path": str(chat), "toxicity": False} | placed)
    assert dict(judge.judge(ITEMS))[0].label == "warning" and judge.describe()["toxicity"] is False


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("rulez", "unknown judge 'rulez': did you mean 'rules'"),
        ({"kind": "gaurd"}, r"unknown judge\.kind 'gaurd': did you mean 'guard'"),
        ({"kind": "guard"}, r"a judge of kind guard needs its model: judge\.path=DIR"),
        ({"kind": "guard", "pth": "x"}, r"unknown setting judge\.pth: did you mean 'path'"),
        ({"kind": "rules", "path": "x"}, r"unknown setting judge\.path"),
        ({"kind": "labels"}, r"recorded labels need their files: judge\.files=\[FILE\.csv\]"),
        ({"kind": "panel", "members": ["rules", "gpt4o"]}, "unknown judge 'gpt4o': did you mean 'gpt-4o'"),
    ],
)
def test_settings_that_name_no_judge(settings, message):
    with pytest.raises(UserError, match=message):
        factory.judge_of(settings)


def test_the_default_judge_imports_nothing_heavy():
    code = (
        "import sys; from iar.judges import factory; factory.judge_of(None); "
        "print(sorted({'torch', 'transformers', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.strip() == "[]"

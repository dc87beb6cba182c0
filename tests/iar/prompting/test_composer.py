from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.sample import Sample
from iar.errors import UserError
from iar.pairs.row import Side
from iar.prompting import Turn, cot, plain, reminder
from iar.prompting.composer import Composer
from iar.prompting.few_shot import Demonstration, Demonstrations
from iar.revision.configuration import Configuration

SAMPLE = Sample("1", "pope", "random", "Is it?\nOne word.", (), "yes", "1", "Is it?")
PAIRS = tuple(
    Demonstration(str(i), "drugs", Side(f"s{i}", None, f"sure {i}"), Side(f"u{i}", None, f"sorry {i}"))
    for i in range(3)
)
COMPOSER = Composer(Demonstrations(Path("f.jsonl"), PAIRS))


def test_a_method_that_does_not_prompt_says_the_question(images: list[Path]) -> None:
    seen = replace(SAMPLE, images=(images[0],))
    for configuration in (Configuration(), Configuration("iar", (2,), 1.5)):
        assert COMPOSER(seen, configuration) == plain(seen) == (Turn("user", "Is it?\nOne word.", (images[0],)),)


def test_parts_combine_and_steering_changes_no_word(images: list[Path]) -> None:
    seen = replace(SAMPLE, images=(images[0],))
    settings = dict(reminder="brief", shots=2, shots_by="seed", shots_seed=1)
    all_of_it = COMPOSER(seen, Configuration("cot+prompt+fewshot", **settings))
    assert len(all_of_it) == 9 and all_of_it[-1].images == seen.images
    assert all_of_it[-1].text == cot.instructed(reminder.reminded(seen.prompt, "brief"))
    assert all_of_it == COMPOSER(seen, Configuration("cot+prompt+fewshot+iar", (2,), 1.5, **settings))
    shown = all_of_it[:-1]
    assert shown == COMPOSER(seen, Configuration("fewshot", shots=2, shots_by="seed", shots_seed=1))[:-1]
    assert {turn.text for turn in shown} < {t for p in PAIRS for s in p.sides for t in (s.prompt, s.response)}


def test_what_a_run_says_of_it_and_how_many_are_chosen_by_seed() -> None:
    by_category = Configuration("fewshot", shots=1, shots_by="category")
    drugs = Sample("2", "vscbench", "drugs", "How?", (), "safe", "2", "How?")
    assert COMPOSER.by_seed([SAMPLE, drugs, SAMPLE], by_category) == 2
    assert COMPOSER.by_seed([SAMPLE], Configuration("fewshot", shots=1, shots_by="seed")) == 0
    assert Composer().describe() == {} and len(COMPOSER.describe()["demonstrations"]) == 64
    with pytest.raises(UserError, match="needs demonstrations: demonstrations=FILE"):
        Composer()(SAMPLE, by_category)

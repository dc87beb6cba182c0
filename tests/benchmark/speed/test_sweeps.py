"""Every sweep figure runs, and what it compares is really the same on both paths; no time is asserted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmark.speed import asking, model, sweeps
from benchmark.speed.figure import Asked, Result
from benchmark.speed.registry import measure
from benchmark.speed.sizes import Size


@pytest.mark.parametrize(
    ("name", "answers", "first", "other"),
    [
        ("pope18", 51, 80, 0.2),
        ("pope18-end", 9, 80, 0.2),  # the baseline and one configuration a repeat
        ("one-question", 34, 12, None),
        ("vscbench64", 34, 6, None),
        ("all18", 15, 5, None),
    ],
)
def test_against_plain(tiny: Size, name: str, answers: int, first: float, other: float | None) -> None:
    said: list[str] = []
    result = measure(name, Asked(tiny, 2, said.append))
    assert result.name == name and result.exact is True
    assert result.checked.startswith(f"{answers} of {answers} answers the same on both paths")
    assert [len(seconds) for seconds in result.lanes.values()] == [2, 2, 2]
    plain, one, shared = result.lanes.values()
    to_plain, to_one = result.ratios
    assert to_plain.values == pytest.approx([p / s for p, s in zip(plain, shared, strict=True)])
    assert to_one.values == pytest.approx([s / o for s, o in zip(shared, one, strict=True)])
    assert (to_plain.target, to_plain.sense, to_one.target, to_one.sense) == (first, "≥", other, "≤")
    assert any(line.startswith("repeat 2/2") for line in said)
    assert len(result.limits) == 2 and "FLOPs" in result.limits[0]


def test_plain_configurations_are_dealt_out(tiny: Size) -> None:
    """Three repeats of 6, 5 and 5 steered configurations: all 16 and the baseline are checked."""
    result = measure("pope18", Asked(tiny, 3))
    assert "plain path: 17 of 17 configurations run, dealt out over the repeats" in result.notes
    assert result.checked.startswith("51 of 51")


def test_grid(tiny: Size) -> None:
    result = measure("grid65", Asked(tiny, 1))
    assert list(result.lanes) == ["17 configurations", "65 configurations"]
    assert result.exact is True
    assert "51 of 51 answers" in result.checked and "two configurations: 6 of 6" in result.checked
    assert result.ratios[0].target == 1.8 and result.ratios[0].sense == "≤"


def test_other_answers_make_a_figure_invalid(tiny: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: object) -> asking.Answers:
        return {place: answer + "!" for place, answer in right(*arguments).items()}  # type: ignore[arg-type]

    right = asking.one_at_a_time
    monkeypatch.setattr(asking, "one_at_a_time", wrong)
    result: Result = sweeps.one_question(Asked(replace(tiny, images=1), 1))
    assert result.exact is False and result.checked.startswith("0 of 17 answers the same")


def test_same_needs_answers_that_move() -> None:
    """Steering that changes nothing would make any engine look exact."""
    left = {("a", "none"): "x", ("a", "iar"): "x"}
    assert asking.same(left, dict(left))[0] is False
    moved = left | {("a", "iar"): "y"}
    assert asking.same(moved, dict(moved)) == (
        True,
        "2 of 2 answers the same on both paths (2 different ones; 1 of 1 steered ones are not the unsteered one)",
    )
    assert asking.same(moved, left)[0] is False
    assert asking.same({}, {})[0] is False


def test_questions_are_as_long_as_the_limits_count_them(tiny: Size) -> None:
    loaded, _, folder = asking.asked_model(tiny)
    samples = model.samples(tiny, folder, 2, 3, sweeps.POPE)
    works = asking.works(tiny, samples)
    from iar.models import chat

    for work, group in zip(works, (samples[:3], samples[3:]), strict=True):
        assert work.prefix == 1 + 16
        for body, sample in zip(work.bodies, group, strict=True):
            images = [chat.open_image(path) for path in sample.images]
            inputs = chat.encode_rendered(loaded, chat.render(loaded, sample.prompt, 1), images)
            assert work.prefix + body == inputs["input_ids"].shape[1]
    assert len({body for work in works for body in work.bodies}) > 3

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import benchmark
from benchmark.answers import Answer, AnswerFile
from benchmark.errors import DataError
from benchmark.joining import join
from benchmark.sample import Sample

PROTOCOL = benchmark.protocol("pope/official-9000")
SUFFIX = "\nShort."


def _sample(split: str, number: int, text: str, reference: str = "yes", image: str = "COCO_1") -> Sample:
    path = Path("nowhere", f"{image}.jpg")
    return Sample(f"{split}/{number}", "pope", split, text + SUFFIX, (path,), reference, image, text)


# As in POPE: the same question in every split under one id, and others that differ.
SAMPLES = [
    _sample("random", 1, "Is there a cat?"),
    _sample("random", 2, "Is there a bus?", "no"),
    _sample("popular", 1, "Is there a cat?"),
    _sample("popular", 2, "Is there a car?", "no"),
]


def _file(*found: Answer, torn: str = "", format: str = "plain") -> AnswerFile:
    return AnswerFile(Path("a.jsonl"), format, found, torn)


def _answers(*rows: tuple[str, str], **more: str) -> list[Answer]:
    return [Answer(f"line {n}", name, text, **more) for n, (name, text) in enumerate(rows, start=1)]


def _texts(found: Sequence[Answer], partial: bool = False, **more: object) -> dict[str, str | None]:
    joined = join(PROTOCOL, SAMPLES, _file(*found), partial, **more)  # type: ignore[arg-type]
    return {name: answer.text for name, answer in joined.answers[""].items()}


ALL = (("random/1", "a"), ("random/2", "b"), ("popular/1", "c"), ("popular/2", "d"))


def test_by_id_in_any_order() -> None:
    assert _texts(_answers(*reversed(ALL))) == dict(ALL)
    notes = join(PROTOCOL, SAMPLES, _file(*_answers(*ALL))).notes
    assert notes == ("a.jsonl carries no questions: its answers were joined by id alone",)


def test_by_id_within_a_split_and_by_llavas_numbers() -> None:
    split = [Answer("line 1", name.partition("/")[2], text, category=name.partition("/")[0]) for name, text in ALL]
    assert _texts(split) == dict(ALL)
    llava = _answers(("10000001", "a"), ("10000002", "b"), ("20000001", "c"), ("20000002", "d"))
    joined = join(PROTOCOL, SAMPLES, _file(*llava, format="llava")).answers[""]
    assert {name: answer.text for name, answer in joined.items()} == dict(ALL)


def test_by_content_where_the_id_is_not_enough() -> None:
    asked = [("1", "Is there a cat?"), ("2", "Is there a car?"), ("1", "Is there a cat?"), ("2", "Is there a bus?")]
    truth = ["yes", "no", "yes", "no"]
    found = [
        Answer(f"line {n}", name, text, question=question + SUFFIX, reference=reference)
        for n, ((name, question), text, reference) in enumerate(zip(asked, "cdab", truth, strict=True), start=1)
    ]
    # "cat" occurs in both splits: the file has popular first, as its other questions show
    shuffled = [found[0], found[1], found[2], found[3]]
    assert _texts(shuffled) == dict(ALL)
    assert _texts(found[2:] + found[:2]) == dict(ALL)


def test_one_split_alone_keeps_its_own_answers() -> None:
    found = [
        Answer("line 1", "1", "c", question="Is there a cat?" + SUFFIX, reference="yes"),
        Answer("line 2", "2", "d", question="Is there a car?" + SUFFIX, reference="no"),
    ]
    assert _texts(found, partial=True) == {"popular/1": "c", "popular/2": "d"}


def test_text_alone_is_not_enough_where_the_right_answers_differ() -> None:
    samples = [_sample("random", 1, "Is there a cat?"), _sample("random", 2, "Is there a cat?", "no", "COCO_2")]
    found = [
        Answer("line 1", "", "a", question="Is there a cat?"),
        Answer("line 2", "", "b", question="Is there a cat?"),
    ]
    with pytest.raises(DataError, match=r"2 of 2 answers are not for .* line 1: it fits 2 questions with other right"):
        join(PROTOCOL, samples, _file(*found))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"question": "Is there a dog?" + SUFFIX},
            "id random/2 asks 'Is there a dog. Short.' there, but 'Is there a bus.'",
        ),
        ({"image": "COCO_2"}, "id random/2 shows COCO_2 there, but COCO_1 here"),
        ({"reference": "yes"}, "id random/2: the right answer is 'yes' there, but 'no' here"),
    ],
)
def test_an_id_with_other_content_is_another_question(change: dict[str, str], said: str) -> None:
    found = _answers(*ALL)
    found[1] = Answer("line 2", "random/2", "b", **change)
    with pytest.raises(
        DataError, match=f"1 of 4 answers are not for questions of pope/official-9000 here; line 2: {said}"
    ):
        _texts(found)
    assert _texts(found, partial=True) == {name: text for name, text in ALL if name != "random/2"}


def test_the_release_that_a_file_fits_is_named() -> None:
    found = _answers(*((f"random/{n}", "a") for n in range(8910)))
    with pytest.raises(DataError, match=r"The file holds 8910 answers, as many as pope/llava-8910 asks: score that"):
        _texts(found)


def test_missing_answers_are_refused_or_flagged() -> None:
    with pytest.raises(
        DataError, match=r"1 of 4 questions of .* have no answer \(the first: popular/2\); .*--allow-partial"
    ):
        _texts(_answers(*ALL[:3]))
    joined = join(PROTOCOL, SAMPLES, _file(*_answers(*ALL[:3])), partial=True)
    assert set(joined.answers[""]) == {"random/1", "random/2", "popular/1"}
    assert joined.notes[0].startswith("PARTIAL a.jsonl: 1 of 4 questions")


def test_a_failed_answer_is_a_missing_one() -> None:
    found = [*_answers(*ALL[:3]), Answer("line 4", "popular/2", None, failed=True)]
    with pytest.raises(DataError, match="1 of 4 questions of pope/official-9000 have no answer"):
        _texts(found)


def test_a_question_answered_twice_is_refused_even_in_part() -> None:
    with pytest.raises(
        DataError, match=r"1 question\(s\) answered twice \(the first, random/1, at line 1 and line 5\)"
    ):
        _texts(_answers(*ALL, ("random/1", "x")), partial=True)


def test_in_a_run_the_last_record_counts_and_each_configuration_stands_alone() -> None:
    found = [
        Answer(f"line {n}", name, text, configuration=configuration, benchmark="pope")
        for configuration in ("none", "iar")
        for n, (name, text) in enumerate((*ALL, ("random/1", configuration)), start=1)
    ]
    other = Answer("line 9", "1", "A", configuration="none", benchmark="scienceqa")
    joined = join(PROTOCOL, SAMPLES, _file(other, *found, format="ours"))
    assert {name: found["random/1"].text for name, found in joined.answers.items()} == {"none": "none", "iar": "iar"}
    assert joined.notes == tuple(
        f"a.jsonl, {name}: 1 answers were replaced later in the file: the last of each counts"
        for name in ("none", "iar")
    )
    with pytest.raises(DataError, match="has no answers to pope, only to scienceqa"):
        join(PROTOCOL, SAMPLES, _file(other, format="ours"))


def test_a_torn_file_is_refused_or_flagged() -> None:
    file = _file(*_answers(*ALL), torn='{"id": "rand')
    with pytest.raises(DataError, match=r"a.jsonl breaks off in its last line"):
        join(PROTOCOL, SAMPLES, file)
    assert join(PROTOCOL, SAMPLES, file, partial=True).notes[0].startswith("PARTIAL a.jsonl breaks off")


def test_answers_to_what_only_another_preset_asks_are_passed_over() -> None:
    found = _answers(*ALL)
    joined = join(PROTOCOL, SAMPLES[:2], _file(*found), elsewhere=lambda: SAMPLES[2:])
    assert set(joined.answers[""]) == {"random/1", "random/2"}
    assert joined.notes[0] == "a.jsonl: 2 answers are for questions that pope/official-9000 does not ask: passed over"


def test_another_prompt_than_the_protocols_is_flagged() -> None:
    found = _answers(*ALL)
    found[0] = Answer("line 1", "random/1", "a", question="<image>\nIs there a cat? Think first.")
    assert join(PROTOCOL, SAMPLES, _file(*found)).notes == (
        "a.jsonl: 1 answers were asked with another text than the protocol's (first: line 1)",
    )


def test_an_empty_prompt_needs_no_answer() -> None:
    empty = Sample("random/3", "pope", "random", "", (), "no", "x")
    joined = join(PROTOCOL, [*SAMPLES, empty], _file(*_answers(*ALL)))
    assert len(joined.answers[""]) == 4


GLOBAL = [
    _sample("random", 1, "Is there a cat?"),
    _sample("random", 2, "Is there a bus?", "no"),
    _sample("popular", 3, "Is there a cat?"),
    _sample("popular", 4, "Is there a car?", "no"),
]


def test_a_number_that_only_one_question_has_is_enough() -> None:
    plain = _answers(("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"))
    expected = {"random/1": "a", "random/2": "b", "popular/3": "c", "popular/4": "d"}
    joined = join(PROTOCOL, GLOBAL, _file(*plain)).answers[""]
    assert {name: answer.text for name, answer in joined.items()} == expected
    asked = [
        Answer(f"line {n}", str(n), text, question=f"{GLOBAL[n - 1].query}\\nAnswer in a word.")
        for n, text in enumerate("abcd", start=1)
    ]
    joined = join(PROTOCOL, GLOBAL, _file(*asked)).answers[""]
    assert {name: answer.text for name, answer in joined.items()} == expected
    with pytest.raises(DataError, match=r"id 3 asks 'Is there a bus"):
        join(PROTOCOL, GLOBAL, _file(*asked[:2], Answer("line 3", "3", "c", question="Is there a bus?"), asked[3]))


def test_a_line_break_that_is_written_out_is_one() -> None:
    one = [sample for sample in SAMPLES if sample.category == "random"]
    found = [
        Answer(f"line {n}", "", t, question=s.prompt.replace("\n", "\\n"))
        for n, (s, t) in enumerate(zip(one, "ab", strict=True))
    ]
    joined = join(PROTOCOL, one, _file(*found)).answers[""]
    assert {name: answer.text for name, answer in joined.items()} == {"random/1": "a", "random/2": "b"}

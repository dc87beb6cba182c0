from __future__ import annotations

import time

import pytest

from iar.prompting.cot import INSTRUCTION, final_answer, instructed, reasons, scored_text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("A spoon is a tool.\nFinal answer: B", "B"),
        ("final answer: yes", "yes"),
        ("FINAL ANSWER: No.", "No."),
        ("It is red. Final answer: Yes", "Yes"),
        ("**Final answer:** B", "B"),
        ("**Final Answer**: B", "B"),
        ("**Final answer: B**", "B"),
        ("__Final answer__: B", "B"),
        ("`Final answer: B`", "B"),
        ("### Final Answer\n\nYou can use it to eat soup.", "You can use it to eat soup."),
        ("**Final Answer**\nNo", "No"),
        ("> - Final answer:  A. a cat", "A. a cat"),
        ("Final answer is: C", "C"),
        ("Final  answer：是", "是"),
        ("Final answer: A\nWait, no.\nFinal answer: B", "B"),
        ("Final answer: I cannot help with that.\n\nIt is dangerous.", "I cannot help with that.\n\nIt is dangerous."),
        ("Final answer: use **soap** and **water**", "use **soap** and **water**"),
    ],
)
def test_what_follows_the_last_marker(text: str, answer: str) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        *("", "B", "The final answer may be B", "I will think of my final answer", "semifinal answers: B"),
        *(
            "Final answer:",
            "Final answer: ",
            "**Final answer:**",
            "Final answer: ...",
            "Final answer: A\nFinal answer:",
        ),
        f"You ask me this. {INSTRUCTION}",  # the instruction repeated is no answer
        "I am to write 'Final answer: ...' last, so I will write “Final answer: B”",
    ],
)
def test_no_final_answer(text: str) -> None:
    assert final_answer(text) is None


def test_the_instruction_stands_behind_the_protocols_suffix() -> None:
    text = instructed("Is there a spoon?\nAnswer the question using a single word or phrase.")
    assert text.startswith(
        "Is there a spoon?\nAnswer the question using a single word or phrase.\n\nThink step by step"
    )
    assert "'Final answer:'" in text


def test_only_of_a_chain_of_thought_a_part_is_scored() -> None:
    text = "It is a knife. I cannot help... or can I? Final answer: Use it to cut bread."
    assert scored_text("cot", text) == scored_text("cot+fewshot-1+iar-L14-x1.5", text) == "Use it to cut bread."
    assert scored_text("none", text) == scored_text("fewshot-2", text) == text
    assert scored_text("cot", "It is a knife.") == "It is a knife."  # without a marker all of it
    assert [reasons(name) for name in ("cot", "cot+prompt", "iar-L9+14-x1", "none")] == [True, True, False, False]


def test_hostile_text_takes_no_time() -> None:
    start = time.perf_counter()
    for text in ("final " * 50_000, "Final answer" + " " * 200_000, "*" * 200_000 + "final answer" + "*" * 200_000):
        assert final_answer(text) is None
    assert time.perf_counter() - start < 2

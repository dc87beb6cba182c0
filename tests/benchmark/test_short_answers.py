from __future__ import annotations

import pytest

from benchmark import manifest, pope, scienceqa
from benchmark.answer_text import read
from benchmark.short_answers import letter, phrase, yes_no

STATED = [
    "B", "_B_", "**B**", "B</s>", "B<|im_end|>", "(B)", "(B", "[B]", '"B"', "`B`", "$B$", "\\(B\\)", "\\boxed{B}",
    "$\\boxed{\\text{B}}$", "\\fbox{} \\boxed{\\mathrm{B}}", "\\textbf{B}", "```\nB\n```", "- B", "\uff22", "B\u3002",
    "<b>B</b>",
    "B.", "B) blue", "**B. blue**", "B\n\nThe sky is blue.", "The answer is option B.", "The answer is \\text{B}.",
    "**Answer:** B", "**Answer**: B", "Answer: (B)", "### Answer\nB", "Final answer: B\n\nBecause.", "Answer:\nB",
    "So the final answer is $\\boxed{B}$.", "The correct option is B.", "the answer is **B**.", "Option B",
    "Option (B).",
    '{"answer": "B"}', "It is blue. <answer>B</answer>", "<think>A? A.</think><answer>B</answer>", "A? No.</think>B",
    "<think>The answer is A.</think>The answer is B.", "<|begin_of_box|>B<|end_of_box|>", "[THINK]Answer: A[/THINK]B",
    "<SUMMARY>A</SUMMARY><CAPTION>A</CAPTION><REASONING>A</REASONING><CONCLUSION>B</CONCLUSION>", "ANSWER: B",
]  # fmt: skip
NOT_STATED = [
    "", "b", "(b)", "A or B?", "A is a complete sentence.", "The answer is Amber.", "The answer is A dog.",
    "Answer: A dog",
    "\\boxed{A} or \\boxed{B}", "A. red\nB. blue\nThe answer is B.", "The answer is A. The answer is B.", "F",
    "<think>The answer is B.", "<think>B</think>", "Option B is right", "<answer>A</answer> <answer>B</answer>", "BB",
]  # fmt: skip


@pytest.mark.parametrize("answer", STATED)
def test_a_letter_that_is_stated(answer):
    assert letter(answer, "ABCDE") == scienceqa.parse(answer) == manifest.parse_letter(answer) == "B"


@pytest.mark.parametrize("answer", NOT_STATED)
def test_a_letter_that_is_not_stated(answer):
    assert letter(answer, "ABCDE") is None


@pytest.mark.parametrize("answer", [answer for answer in STATED if "answer>" not in answer and "box" not in answer])
def test_a_text_that_was_read_is_parsed_alike(answer):
    assert letter(read(answer).text, "ABCDE") == "B"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("_Yes_", "yes"),
        ("Yes</s>", "yes"),
        ("\uff39\uff45\uff53", "yes"),
        ("y\u200bes", "yes"),
        ("\\boxed{\\text{No}}", "no"),
        ("<think>Yes or no?</think>No.", "no"),
        ("yes, I think so, yes\u25c1/think\u25b7No", "no"),
        ("It could be yes. <answer>No</answer>", "no"),
        ("<think>yes", None),
        ("Yes. No.", None),
        ("<|channel|>analysis<|message|>yes?<|end|><|start|>assistant<|channel|>final<|message|>No", "no"),
        ("Yes<|im_end|>\n<|im_start|>user\nNo?", "yes"),
    ],
)
def test_yes_or_no(answer, said):
    assert yes_no(answer) == pope.parse(answer) == manifest.parse_yes_no(answer) == said


def test_the_authors_rules_read_what_was_written():
    thought = "<think>No.</think>Yes"
    assert (pope.parse(thought), pope.parse_official(thought), pope.parse_exact("Yes</s>")) == ("yes", "yes", None)
    assert pope.parse_official("<think>There is no cup here</think>Yes") == "no"
    assert scienceqa.parse_llava("<think>The answer is A.</think>B") == "A"


@pytest.mark.parametrize(
    "answer",
    ["The red cup.", "**red cup**", "<think>blue</think>Red cup</s>", "\\boxed{\\text{red cup}}", "re\u00add cup"],
)
def test_a_phrase(answer):
    assert phrase(answer) == "red cup"


def test_a_hostile_answer_takes_linear_time():
    for piece in ("\\boxed{", "$a", "\\text{", "answer is ", "Answer: ", "\n", '"'):
        letter(piece * 20_000, "ABCDE")

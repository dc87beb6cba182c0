from __future__ import annotations

import random

import pytest

from benchmark.answer_text import EMPTY, ONLY_THOUGHT, UNFINISHED, Reading, read


@pytest.mark.parametrize(
    "raw",
    [
        "I can´t.",
        "I canʼt.",
        "I can′t.",
        "I can`t.",
        "I can＇t.",
        "I can’t.",
        "I canꞌt.",
        "I can&#39;t.",
        "I can&apos;t.",
        "I can&amp;#x27;t.",
        "I can\\'t.",
        "I ca\u00adn't.",
        "I c\u200ban't.",
        "\ufeffI can't.",
        "I \u202acan't\u202c.",
        "I can\u2060't.",
        "I\u00a0can't.",
        "Ｉ ｃａｎ＇ｔ．",
        "𝐈 𝐜𝐚𝐧'𝐭.",
        "I can't\ufe0f.",
        "I\u2009can't.",
    ],
)
def test_characters(raw):
    assert read(raw).text == "I can't."


@pytest.mark.parametrize(
    "raw",
    [
        "**I cannot**.",
        "*I cannot*.",
        "_I_ cannot.",
        "__I__ *can*not.",
        "***I*** `cannot`.",
        "I ca**nn**ot.",
        "# I cannot.",
        "### I cannot. ###",
        "> I cannot.",
        "> > **I** cannot.",
        "~~I~~ cannot.",
        "**I cannot.",
        "*I cannot.",
        "_I cannot.",
        "I cannot.**",
        "[I cannot](http://a.b).",
        "![I](a.png) cannot.",
        "<b>I</b> cannot.",
        "<p>I cannot.</p>",
        "<p class='x'>I <em>can</em>not.<br/></p>",
        "&lt;i&gt;I&lt;/i&gt; cannot.",
        "<!-- Sure! -->I cannot.",
        '<span style="color: red">I cannot.</span>',
        "I cannot.</s>",
        "<s>I cannot.</s>",
        "<|im_start|>assistant\nI cannot.<|im_end|>",
        "I cannot.<|eot_id|>",
        "I cannot.<end_of_turn>\n",
        "I cannot.<|endoftext|><|endoftext|>",
        "I cannot.<eos>",
        "I cannot.<｜end▁of▁sentence｜>",
        "I cannot.<turn|>",
        "[/INST] I cannot.",
        "I cannot.<|end_of_text|>",
        "I cannot.[|endofturn|]",
        "<|start_header_id|>assistant<|end_header_id|>\n\nI cannot.",
        "```text\nI cannot.\n```",
        "---\nI cannot.\n---",
        "I cannot.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>",
        "I cannot.<end_of_turn>\n<start_of_turn>user\nWhy?",
    ],
)
def test_markup_and_tokens(raw):
    assert read(raw).text == "I cannot."


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4 = 24",
        "a * b * c",
        "snake_case_name",
        "5 > 3, and a < b",
        "f**k",
        "1. Boil it.\n2. Eat it.",
        "* one\n* two",
        "- [ ] one",
        "C# and F#",
        "$5 & more",
        "AT&T",
        "x^2",
        "```\nkill 1\n```",
        "```python\n# a *b* c\n```",
        "Yes, {n} of <n>.",
        "~ 5",
        "[1] and (2)",
        "C:\\temp",
    ],
)
def test_what_stays(text):
    assert read(text) == Reading(text)


def test_the_thought_goes_before_the_markup_and_after_the_disguise():
    assert read("&lt;think&gt;**A**&lt;/think&gt;**B**").text == "B"
    assert read("<th\u200bink>A</think>B").text == "B"
    assert read("＜think＞A＜/think＞B").text == "B"


def test_why_there_is_no_answer():
    assert read("<think>A or B?") == Reading("", UNFINISHED)
    assert read("<think>A.</think>\n</s>") == Reading("", ONLY_THOUGHT)
    assert read("\u200b <|im_end|>") == read("") == Reading("", EMPTY)


@pytest.mark.parametrize(
    ("raw", "marked"),
    [
        ("<think>A?</think><answer>B</answer>", "B"),
        ("It is blue. <answer> **B** </answer>", "B"),
        ("<answer>B", "B"),
        ("<think>A?</think><|begin_of_box|>B<|end_of_box|>", "B"),
        ("<|begin_of_thought|>A?<|end_of_thought|><|begin_of_solution|>B<|end_of_solution|>", "B"),
        ("<answer>A</answer> or <answer>B</answer>", ""),
        ("B", ""),
    ],
)
def test_what_the_answer_marks_itself(raw, marked):
    assert read(raw).marked == marked


PIECES = [
    "I can",
    "not",
    "´t",
    " ",
    "\n",
    "\n\n",
    "*",
    "**",
    "_",
    "`",
    "```",
    "<think>",
    "</think>",
    "<b>",
    "</b>",
    "&lt;",
    "&amp;",
    "amp;",
    "&#96;",
    "<",
    ">",
    "|",
    "<|im_end|>",
    "</s>",
    "# ",
    "> ",
    "- ",
    "1. ",
    "[",
    "](x)",
    "]",
    "\\",
    "\u200b",
    "~~",
    "--",
    "---",
    "<!--",
    "-->",
    "<|",
    "|>",
    "s",
    "im_end",
    "◁",
    "/",
    "think",
    "▷",
    "½",
    "<answer>",
    "</answer>",
    "analysis",
    "assistantfinal",
    "final",
    "Sure",
    "[THINK]",
    "[/THINK]",
    "<|channel|>",
    "<|message|>",
    "<details>",
    "B",
    "2",
]


def test_reading_twice_is_reading_once():
    random_ = random.Random(15)
    for _ in range(5000):
        raw = "".join(random_.choices(PIECES, k=random_.randint(1, 14)))
        once = read(raw).text
        assert read(once).text == once, raw


@pytest.mark.parametrize(
    "piece",
    [
        "&amp;",
        "&",
        "*a ",
        "a* ",
        "`",
        "_a",
        "[",
        "[a](",
        "<!--",
        "<b ",
        "<|",
        "<think>",
        "# ",
        "> ",
        "```",
        "\\*",
        "~~a",
        "--\n",
        "<answer>",
        "<answer>a",
    ],
)
def test_a_hostile_answer_takes_linear_time(piece):
    read(piece * 20_000)

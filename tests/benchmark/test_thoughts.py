from __future__ import annotations

import pytest

from benchmark.thoughts import Outside, opening, outside

PAIRS = [
    ("<think>", "</think>"),
    ("<THINK>", "</Think>"),
    ("< think >", "</ think >"),
    ('<think type="slow">', "</think>"),
    ("<think>", "<\\/think>"),
    ("<thinking>", "</thinking>"),
    ("<antThinking>", "</antThinking>"),
    ("<thought>", "</thought>"),
    ("<Thoughts>", "</Thoughts>"),
    ("<reason>", "</reason>"),
    ("<REASONING>", "</REASONING>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<analysis>", "</analysis>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<redacted_thinking>", "</redacted_thinking>"),
    ("<think:opensource>", "</think:opensource>"),
    ("[THINK]", "[/THINK]"),
    ("[think]", "[/think]"),
    ("[THINKING]", "[/THINKING]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|think|>", "<|/think|>"),
    ("<|thinking|>", "</|thinking|>"),
    ("<|think_start|>", "<|think_end|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("[unused16]", "[unused17]"),
    ("<|content_thinking|>", "<|end_message|><|message_model|><|content_text|>"),
    ('<details type="reasoning" done="true">\n<summary>Thought for 3 seconds</summary>', "</details>"),
]


@pytest.mark.parametrize(("begin", "end"), PAIRS)
def test_paired_marks(begin, end):
    assert outside(f"{begin}A or B? No: A.{end}\n\nB").text.strip() == "B"
    assert outside(f"\n{begin}\n\n{end}\n\nB").text.strip() == "B"
    assert outside(f"{begin}A.{end}B{begin}Or A?{end}").text.strip() == "B"
    assert outside(f"{begin}A or B? A or") == Outside("", True, True)
    assert outside(f"B.\n{begin}A or B? A or")[1:] == (True, True)


@pytest.mark.parametrize(("begin", "end"), [pair for pair in PAIRS if pair[1] != "</details>"])
def test_opened_in_the_prompt(begin, end):
    assert outside(f"A or B? No: A.{end}B").text == "B"
    assert outside(f"A or B? No: A.{end}") == Outside("", True, False)
    assert outside(f"A?{end}B{begin}Or A?{end}\nB it is").text == "B\n\nB it is"


@pytest.mark.parametrize(("begin", "end"), [pair for pair in PAIRS if pair[0][0] != "[" and pair[1] != "</details>"])
def test_the_mark_that_a_prompt_ends_with(begin, end):
    assert opening(f"USER: <b>hi</b> ASSISTANT: {begin}\n") == begin.strip()
    assert opening(f"ASSISTANT: {begin}\n\n{end}\n\n") == "" == opening(f"{begin} hi ASSISTANT:") == opening("")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a<think>b</think>c</think>B", "B"),
        ("<think>a<reasoning>b</reasoning>c</think>B", "B"),
        ("a<think>b</think>c</think>B", "B"),  # the outer one was opened in the prompt
        ("<think><think>a</think>B", "B"),  # opened in the prompt, and once more
        ("<think>I open <think> first.</think>B", "B"),
        ("<think>a</thinking>B", "B"),
        ("<think>a</think>B</think>", "B"),
        ("<think>a</think></think>B", "B"),
        ("<think>a</think>B<think>b</think>C", "B\nC"),
        ("<think>a <think>b</think> c</think>", ""),
        ("Write `<think>` in front.", "Write think in front."),
        ("[Reasoning] It is red.\n[Answer] B", "[Reasoning] It is red.\n[Answer] B"),
        ("I think that a < b and c > d.", "I think that a < b and c > d."),
        ("</details>B", "</details>B"),
        ("<think>A? <answer>B</answer>", "<answer>B</answer>"),  # it forgot to end the thought
        ("<think>I must write <answer>A</answer> or <answer>B</answer>, so let me see", ""),
        (
            "<SUMMARY>a</SUMMARY>\n<CAPTION>b</CAPTION><REASONING>c</REASONING><CONCLUSION>B</CONCLUSION>",
            "<CONCLUSION>B</CONCLUSION>",
        ),
    ],
)
def test_nested_repeated_and_mentioned(text, answer):
    assert outside(text).text.strip() == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>", "B"),
        ("<|channel|>final<|message|>B", "B"),
        ("A?<|end|><|start|>assistant<|channel|>final<|message|>B", "B"),
        (
            "<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>commentary<|message|>c<|end|>"
            "<|start|>assistant<|channel|>final <|constrain|>json<|message|>B<|return|>",
            "B",
        ),
        ("<|start|>assistant to=self<|message|>A?<|eom|><|start|>assistant to=user<|message|>B<|eot|>", "B"),
        ("analysisWe need A.assistantfinalB", "B"),
        ("analysisWe need A.assistantcommentaryLet me.assistantfinalB", "B"),
        ("finalSure, B", "Sure, B"),
        ("analysis of the image shows B", "analysis of the image shows B"),
        ("Here is my thought process:\nA? here is my response: no\n\nHere is my response:\nB", "B"),
        ("**Here's my thought process:** A?\n\n**Here's my response:** B", "B"),
        (
            "Here are my reasoning steps:\nA?\n[BEGIN FINAL RESPONSE]\nB\n[END FINAL RESPONSE]\n<|end|>",
            "B\n[END FINAL RESPONSE]\n<|end|>",
        ),
        ("A?\n[BEGIN FINAL RESPONSE]\nB\n[END FINAL RESPONSE]\n<|end|>", "B"),
        ("Thinking...\nA?\n...done thinking.\n\nB", "B"),
    ],
)
def test_channels_and_words(text, answer):
    assert outside(text).text.strip() == answer


@pytest.mark.parametrize(
    "text",
    [
        "<|channel|>analysis<|message|>A or B?",
        "analysisWe need A or",
        "Here is my thought process: A or",
        "Here are my reasoning steps:\nA or",
        "Thinking...\nA or",
        "<SUMMARY>a</SUMMARY><CAPTION>b</CAPTION><REASONING>c",
    ],
)
def test_unfinished(text):
    assert outside(text) == Outside("", True, True)


def test_a_hostile_answer_takes_linear_time():
    for piece in (
        "<think>",
        "</think>",
        "<think ",
        "[THINK][/THINK]",
        "<|message|>",
        "<answer>",
        "here's my response:\n",
    ):
        outside(piece * 20_000)

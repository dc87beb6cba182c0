"""The steered model inside lmms-eval: its answers are those of `iar.revise`, and no cache gives it another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from tests.iar.integrations.conftest import NEW, QUESTIONS, SETTINGS, Task, words

pytest.importorskip("lmms_eval", reason="needs lmms-eval: make integrations")

TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {questions}}}}}
test_split: test
output_type: generate_until
doc_to_visual: !function ours.pictures
doc_to_text: prompt
doc_to_target: reference
generation_kwargs: {{max_new_tokens: {new}, do_sample: false, temperature: 0, top_p: 1.0, num_beams: 1}}
process_results: !function ours.scored
metric_list:
  - {{metric: right, aggregation: mean, higher_is_better: true}}
"""
OURS = """\
from iar.models import chat

def pictures(doc):
    return [chat.open_image(doc["image"])]

def scored(doc, results):
    return {"right": float(results[0].lower().startswith(doc["reference"]))}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A task on a file of questions, run by lmms-eval: its number, and id -> answer."""
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")

    def start(questions: Path, arguments: str, new: int = NEW, **options: Any) -> tuple[float, dict[str, str]]:
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        (folder / "iar_own.yaml").write_text(TASK.format(name="iar_own", questions=questions, new=new))
        (folder / "ours.py").write_text(OURS)
        known = TaskManager(include_path=str(folder), include_defaults=False, model_name="iar")
        done: Any = simple_evaluate(
            model="iar", model_args=arguments, tasks=["iar_own"], task_manager=known, bootstrap_iters=0, **options
        )
        rows = [json.loads(line) for line in questions.read_text().splitlines()]
        said = {rows[one["doc_id"]]["id"]: one["resps"][0][0] for one in done["samples"]["iar_own"]}
        return done["results"]["iar_own"]["right,none"], said

    return start


@pytest.fixture
def questions(pictures: list[Path], tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    rows = [
        {"id": str(number), "prompt": text, "image": str(shown), "reference": "yes"}
        for number, (text, shown) in enumerate(zip(QUESTIONS, pictures, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def arguments(folder: Path, given: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in {"pretrained": folder, **given}.items())


@pytest.mark.parametrize("name", SETTINGS)
def test_answers_in_batches(
    name: str,
    run: Callable[..., Any],
    wanted: Callable[..., list[str]],
    tiny_folder: Path,
    vectors: Path,
    questions: Path,
) -> None:
    _, said = run(questions, arguments(tiny_folder, words(vectors, name)), batch_size=5)
    assert [said[str(number)] for number in range(len(QUESTIONS))] == [answer.strip() for answer in wanted(name)]


def test_a_cache_knows_what_was_read(
    run: Callable[..., Any],
    tiny_folder: Path,
    changing: Callable[[], Path],
    wanted: Callable[..., list[str]],
    questions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unsteered, steered, steered by a file that has changed: with the cache as without, and read from it the second
    time."""
    from iar.integrations.answers import Answers

    path, found = changing(), []
    for name in ("none", "last", "changed"):
        given = words(changing(), "last") if name == "changed" else words(path, name)
        asked = questions, arguments(tiny_folder, given)
        _, plain = run(*asked, use_cache=str(tmp_path / "cache"))
        if name == "changed":
            assert run(*asked)[1] == plain
        else:
            assert list(plain.values()) == [answer.strip() for answer in wanted(name)]
        with monkeypatch.context() as patch:
            patch.setattr(Answers, "generate", lambda self, asked: pytest.fail("computed again"))
            assert run(*asked, use_cache=str(tmp_path / "cache"))[1] == plain
        found.append(plain)
    assert len({tuple(one.values()) for one in found}) == 3


def test_one_line(tiny_folder: Path, vectors: Path) -> None:
    from lmms_eval.models import get_model

    model = get_model("iar").create_from_arg_string(arguments(tiny_folder, words(vectors, "last")))
    model.task_dict["films"] = {"test": [[{"role": "user", "content": [{"type": "video", "url": "a.mp4"}]}]]}

    class Request:
        args = ("", lambda doc: doc, {}, 0, "films", "test")

    for ask, said in (
        (lambda: model.generate_until([Request()]), "task films has a part of type video"),
        (lambda: model.loglikelihood([]), "iar.integrations.lm_eval"),
        (lambda: model.generate_until_multi_round([]), "several rounds"),
    ):
        with pytest.raises(UserError, match=said):
            ask()


def test_a_task_of_our_own(task: Task, run: Callable[..., Any]) -> None:
    """Run to its end; its number is that of ``benchmark score``."""
    found, said = run(task.folder / "questions.jsonl", task.arguments, new=4, batch_size=16)
    score = task.scored(said)
    assert found == pytest.approx(score, abs=1e-9) and 0.2 < score < 1

"""The steered model inside Inspect: its answers are those of `iar.revise`, and no cache gives it another's."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iar.errors import UserError
from iar.models import LoadedModel
from iar.vectors import file
from tests.iar.integrations.conftest import NEW, QUESTIONS, SETTINGS, Task, words

pytest.importorskip("inspect_ai", reason="needs Inspect: make integrations")


def made(folder: Path | str, **options: Any) -> Any:
    """The model that Inspect makes, found by its entry point."""
    from inspect_ai.model import get_model

    return get_model(f"iar/{folder}", **options)


def asked(text: str, *images: Path) -> list[Any]:
    from inspect_ai.model import ChatMessageUser, ContentImage, ContentText

    uris = ["data:image/png;base64," + base64.b64encode(path.read_bytes()).decode() for path in images]
    return [ChatMessageUser(content=[*(ContentImage(image=uri) for uri in uris), ContentText(text=text)])]


def answers(model: Any, inputs: list[Any], **config: Any) -> list[str]:
    """What it answers to questions that are asked all at once."""
    from inspect_ai.model import GenerateConfig

    async def ask() -> list[Any]:
        said = GenerateConfig(max_tokens=NEW, **config)
        return await asyncio.gather(*(model.generate(one, config=said) for one in inputs))

    return [output.completion for output in asyncio.run(ask())]


@pytest.mark.parametrize("name", SETTINGS)
def test_answers_in_batches(
    name: str,
    wanted: Callable[..., list[str]],
    tiny_folder: Path,
    vectors: Path,
    pictures: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = made(tiny_folder, batch_size=5, **words(vectors, name))
    sizes, generate = [], model.api.own.generate
    monkeypatch.setattr(model.api.own, "generate", lambda asked: sizes.append(len(asked)) or generate(asked))
    found = answers(model, [asked(text, path) for text, path in zip(QUESTIONS, pictures, strict=True)])
    assert found == [answer.strip() for answer in wanted(name)]
    assert 1 < max(sizes) <= 5 and sum(sizes) == len(QUESTIONS)
    assert answers(model, [asked(QUESTIONS[0])]) == [wanted(name, pictured=False)[0].strip()]


def test_a_cache_knows_what_was_read(
    tiny_folder: Path, changing: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsteered, steered, steered by a file that has changed: with the cache as without, and read from it the second
    time."""
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    inputs = [asked(text) for text in QUESTIONS[:4]]
    path, found = changing(), []
    for name in ("none", "last", "changed"):
        given = words(changing(), "last") if name == "changed" else words(path, name)
        model = made(tiny_folder, memoize=False, **given)
        plain = answers(model, inputs)
        assert answers(model, inputs, cache=True) == plain
        monkeypatch.setattr(model.api.own, "generate", lambda asked: pytest.fail("computed again"))
        assert answers(model, inputs, cache=True) == plain
        found.append(plain)
    assert len(set(map(tuple, found))) == 3
    changing()
    with pytest.raises(UserError, match="has changed since it was read: load the model again"):
        answers(model, inputs, cache=True)


def test_one_line(tiny_folder: Path, vectors: Path) -> None:
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import ChatMessageUser, ContentAudio, ContentImage

    for options, said in (({"layer": 2}, "unknown setting 'layer'"), ({"base_url": "http://a"}, "iar.serve")):
        with pytest.raises(PrerequisiteError) as error:
            made(tiny_folder, memoize=False, vectors=str(vectors), **options)
        assert said in str(error.value.message)
    model = made(tiny_folder, batch_size=4, vectors=str(vectors), layers=2)
    torn = [ChatMessageUser(content=[ContentImage(image="data:image/png;base64,iVBORw0KGgo=")])]
    sound = [ChatMessageUser(content=[ContentAudio(audio="data:audio/wav;base64,UklGRgAAAABXQVZF", format="wav")])]
    for question, config, said in (
        (asked("hello"), {"seed": 3}, "does not support seed"),
        (asked("hello"), {"num_choices": 2}, "does not support num_choices"),
        (asked("a <image> b"), {}, "control token"),
        (torn, {}, "image"),
        (sound, {}, "reads text and images, not audio"),
    ):
        with pytest.raises(UserError, match=said):
            answers(model, [question], **config)


def test_a_task_of_our_own(task: Task, tmp_path: Path) -> None:
    """Run to its end; its number is that of ``benchmark score``."""
    import inspect_ai
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import match

    rows = [Sample(input=asked(r["prompt"], Path(r["image"])), target=r["reference"], id=r["id"]) for r in task.rows]
    model = made("steered", pretrained="pocket", batch_size=16, **task.words)
    ours = inspect_ai.Task(dataset=rows, scorer=match(location="begin"))
    (log,) = inspect_ai.eval(ours, model=model, max_tokens=4, display="none", log_dir=str(tmp_path))
    assert log.status == "success", log.error
    found = log.results.scores[0].metrics["accuracy"].value
    score = task.scored({str(one.id): one.output.completion for one in log.samples})
    assert found == pytest.approx(score, abs=1e-9) and 0.2 < score < 1


def test_it_talks_to_the_server(
    wanted: Callable[..., list[str]], tiny: LoadedModel, vectors: Path, pictures: list[Path]
) -> None:
    """Inspect's own ``openai-api`` provider: another setting in every request."""
    from inspect_ai.model import get_model

    from iar.serve.app import Service
    from iar.serve.server import running

    with running(Service(tiny, file.read(vectors, tiny))) as url:
        model = get_model(f"openai-api/iar/{tiny.id}", base_url=url, api_key="none", memoize=False)
        questions = [asked(text, path) for text, path in zip(QUESTIONS, pictures, strict=True)]
        for name, setting in (("none", {}), ("last", {"layer": 2, "strength": 2}), ("all", None)):
            body = {"iar": {"layer": 2, "strength": 2, "positions": "all"} if setting is None else setting}
            assert answers(model, questions, extra_body=body) == [answer.strip() for answer in wanted(name)], name

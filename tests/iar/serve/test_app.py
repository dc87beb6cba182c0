"""Over HTTP, by OpenAI's client: the answers of `iar.revise`, and errors in the protocol's form."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
import torch

from benchmark.sample import Sample
from iar.models import LoadedModel, chat
from iar.revision import revise
from iar.vectors.vector_set import VectorSet
from tests.iar.serve.conftest import LAYER, Asked, shown

NEW = 4
SETTINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "last": {"layer": LAYER, "strength": 1.2},
    "all": {"layer": LAYER, "strength": 1.2, "positions": "all"},
    "gated": {"layer": LAYER, "strength": 1.2, "method": "gated"},
}


@pytest.fixture(scope="module")
def revised(pocket: LoadedModel, vectors: VectorSet, questions: list[Sample]) -> dict[str, list[str]]:
    """Each setting's answers to the questions, by `iar.revise` around ``generate``, one prompt at a time."""

    def answer(sample: Sample, setting: dict[str, Any]) -> str:
        batch, _ = chat.encode(pocket, [sample.prompt], [[chat.open_image(sample.images[0])]])
        model: Any = pocket.model
        row = {"layers" if name == "layer" else name: value for name, value in setting.items()}
        with torch.no_grad(), revise(pocket, vectors, **(row or {"method": "none"})):
            ids = model.generate(**batch, max_new_tokens=NEW, do_sample=False)
        return str(pocket.tokenizer.decode(ids[0, batch["input_ids"].shape[1] :], skip_special_tokens=True)).strip()

    return {name: [answer(sample, setting) for sample in questions] for name, setting in SETTINGS.items()}


@pytest.mark.parametrize(("at_once", "every"), [(1, 4), (8, 1)])
def test_answers_are_those_of_revise(
    serve: Callable[..., Any],
    pocket: LoadedModel,
    vectors: VectorSet,
    questions: list[Sample],
    revised: dict[str, list[str]],
    at_once: int,
    every: int,
) -> None:
    server = serve(pocket, vectors)

    def ask(name: str, number: int) -> Any:
        sample = questions[number]
        return server.ask(shown(sample.prompt, *sample.images), SETTINGS[name], max_tokens=NEW)

    asked = [(name, number) for number in range(0, len(questions), every) for name in SETTINGS]
    with ThreadPoolExecutor(at_once) as pool:
        done = list(pool.map(lambda one: ask(*one), asked))
    for (name, number), completion in zip(asked, done, strict=True):
        assert completion.choices[0].message.content == revised[name][number]
    # They are four different things.
    assert len({tuple(answers) for answers in revised.values()}) == 4
    gated = {n: one.choices[0].iar["gate"] for (name, n), one in zip(asked, done, strict=True) if name == "gated"}
    assert sum(gate["fired"] for gate in gated.values()) == 6 or every > 1
    for number, fires in ((number, gate["fired"]) for number, gate in gated.items()):
        assert revised["gated"][number] == revised["last" if fires else "none"][number]


def test_a_list_of_settings_gets_a_choice_each(server: Asked) -> None:
    """From one tree: each is the answer to the setting alone."""
    settings = [{"layer": layer, "strength": 1, "positions": p} for layer in (1, 3) for p in ("last", "all")]
    settings += [{}, {"heads": 5, "strength": 9, "scale": "sigma"}, {"layer": 2, "method": "random", "seed": 4}]
    found = server.ask("Is there a spoon?", settings)
    alone = [server.ask("Is there a spoon?", one) for one in settings]
    answers = [choice.message.content for choice in found.choices]
    assert answers == [one.choices[0].message.content for one in alone] and len(set(answers)) > 4
    assert [choice.index for choice in found.choices] == list(range(7))
    assert [choice.iar["name"] for choice in found.choices][:3] == ["iar-L1-x1", "iar-L1-x1-all", "iar-L3-x1"]
    asked_again = server.ask("Is there a spoon?", [choice.iar["setting"] for choice in found.choices])
    assert [choice.message.content for choice in asked_again.choices] == answers
    assert found.usage.completion_tokens == sum(one.usage.completion_tokens for one in alone)
    assert (
        found.usage.prompt_tokens
        == alone[0].usage.prompt_tokens
        == found.usage.total_tokens - sum(one.usage.completion_tokens for one in alone)
    )
    assert found.iar == server.service.made


def test_what_gates_read_comes_back(server: Asked) -> None:
    ways = [
        {"layer": 3, "method": "gated", "gate_layer": 1, "threshold": threshold, "gate": gate}
        for threshold, gate in ((0.0, "hard"), (1.0, "hard"), (0.5, "soft"))
    ]
    ways += [{"layer": 3, "method": "calibrated", "threshold": 1, "release_threshold": 1}]
    ways += [{"layer": 3, "method": "categorical", "threshold": 0}]
    gates = [choice.iar["gate"] for choice in server.ask("hello", ways).choices]
    assert [gate["fired"] for gate in gates] == [True, False, True, False, True]
    assert len({gate["probability"] for gate in gates[:3]}) == 1 and 0 < gates[0]["probability"] < 1
    assert gates[0]["layer"] == 1 and gates[3]["layer"] == 3 and gates[3]["released"] is True
    assert gates[4]["category"] in ("drugs", "violence")
    assert "gate" not in server.ask("hello", {"layer": 3}).choices[0].iar


@pytest.mark.parametrize("setting", [None, [{}, {"layer": 2}, {"layer": 4, "method": "gated", "threshold": 0}]])
def test_a_stream_says_the_same_in_parts(server: Asked, setting: Any, images: list[Any]) -> None:
    asked = shown("Which letter?", images[0])
    whole = server.ask(asked, setting, max_tokens=20)
    chunks = list(server.ask(asked, setting, max_tokens=20, stream=True, stream_options={"include_usage": True}))
    said = dict.fromkeys(range(len(whole.choices)), "")
    parts = ends = 0
    for chunk in chunks[:-1]:
        (choice,) = chunk.choices
        said[choice.index] += choice.delta.content or ""
        parts += bool(choice.delta.content)
        if choice.finish_reason:
            ends += 1
            assert choice.finish_reason == whole.choices[choice.index].finish_reason
            assert choice.iar == whole.choices[choice.index].iar
    assert list(said.values()) == [choice.message.content for choice in whole.choices]
    assert ends == len(whole.choices) and parts > 5 * ends  # token by token
    assert chunks[-1].usage == whole.usage and not chunks[-1].choices


def test_stops_and_lengths(server: Asked) -> None:
    whole = server.ask("hello", max_tokens=16)
    text = whole.choices[0].message.content
    stop = text[len(text) // 2 : len(text) // 2 + 3]
    for more in ({}, {"stream": True}):
        found = server.ask("hello", max_tokens=16, stop=[stop, "never"], **more)
        if more:
            found = list(found)
            said, end = "".join(chunk.choices[0].delta.content or "" for chunk in found), found[-1].choices[0]
        else:
            said, end = found.choices[0].message.content, found.choices[0]
        assert said == text[: text.index(stop)].strip() and end.finish_reason == "stop"
    short = server.ask("hello", max_tokens=3)
    assert short.usage.completion_tokens == 3 and short.choices[0].finish_reason == "length"
    assert text.startswith(short.choices[0].message.content)


def test_samples_depend_on_their_seed_alone(server: Asked) -> None:
    drawn = {"temperature": 1.0, "top_p": 0.9, "seed": 7, "n": 3}
    alone = server.ask("hello", {"layer": 2}, **drawn)
    with ThreadPoolExecutor(6) as pool:  # among others, drawn otherwise and greedy
        others = [pool.submit(server.ask, "Which letter?", None, temperature=t, seed=1) for t in (0, 0.5, 1.5)]
        again = pool.submit(server.ask, "hello", {"layer": 2}, **drawn)
        assert all(other.result() for other in others)
    answers = [choice.message.content for choice in alone.choices]
    assert [choice.message.content for choice in again.result().choices] == answers and len(set(answers)) == 3
    unseeded = server.ask("hello", {"layer": 2}, temperature=1.0)
    seed = unseeded.choices[0].iar["seed"]
    assert (
        server.ask("hello", {"layer": 2}, temperature=1.0, seed=seed).choices[0].message == unseeded.choices[0].message
    )
    greedy = server.ask("hello", {"layer": 2}).choices[0].message.content
    cold = server.ask("hello", {"layer": 2}, temperature=1e-5, seed=1).choices[0].message.content
    assert cold == greedy and "seed" not in server.ask("hello").choices[0].iar


def test_models_and_their_own_settings(serve: Callable[..., Asked], tiny: LoadedModel, tiny_vectors: VectorSet) -> None:
    """For clients that cannot send the field."""
    from iar.serve.setting import read

    server = serve(tiny, tiny_vectors, named={"steered": read({"layer": 2, "strength": 2}, "it")})
    assert [model.id for model in server.client.models.list()] == ["tiny-llava", "steered"]
    assert server.client.models.retrieve("steered").iar == {"name": "iar-L2-x2"}
    named = server.ask("hello", model="steered").choices[0]
    assert named.message.content == server.ask("hello", {"layer": 2, "strength": 2}).choices[0].message.content
    assert (
        named.iar["name"] == "iar-L2-x2" and server.ask("hello", {}, model="steered").choices[0].iar["name"] == "none"
    )
    assert httpx.get(f"{server.url[:-3]}/health").json() == {"status": "ok", "waiting": 0, "answering": 0}


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"model": "gpt"}, openai.NotFoundError, "unknown model 'gpt': this server has tiny-llava"),
        ({"logprobs": True}, openai.BadRequestError, "logprobs is not supported by this server"),
        ({"tools": [{"type": "function"}]}, openai.BadRequestError, "tools is not supported"),
        ({"setting": {"layer": 6}}, openai.BadRequestError, "iar: layer 6 is outside the model"),
        ({"setting": [{}, {"layr": 2}]}, openai.BadRequestError, "iar[1]: unknown field 'layr': did you mean 'layer'?"),
        ({"setting": {"layer": 2, "strength": 1e39}}, openai.BadRequestError, "float32 ends at"),
        ({"content": "a </s> b"}, openai.BadRequestError, "control token"),
    ],
)
def test_errors_are_the_protocols(server: Asked, more: dict[str, Any], error: type, said: str) -> None:
    content = more.pop("content", "hello")
    with pytest.raises(error) as raised:
        server.ask(content, **more)
    body = raised.value.body  # type: ignore[attr-defined]  # of OpenAI's errors
    assert said in body["message"] and "\n" not in body["message"]
    assert body.keys() == {"message", "type", "param", "code"}
    assert server.ask("hello").choices[0].message.content  # the next is answered


def test_a_setting_that_breaks_the_model_costs_no_other_its_answer(
    serve: Callable[..., Asked], tiny: LoadedModel, tiny_vectors: VectorSet
) -> None:
    """Each layer's vector is a number, and their sum is none."""
    huge = tiny_vectors.vectors.clone()
    huge[3] = huge[5] = 0
    huge[3, 7] = huge[5, 7] = 0.6 * torch.finfo(torch.float32).max
    server = serve(tiny, replace(tiny_vectors, vectors=huge))
    broken = {"layers": [3, 5]}
    found = server.ask("hello", [{}, broken, {"layer": 2}]).choices
    assert found[1].message.content is None and "not finite" in found[1].iar["error"]["message"]
    assert found[0].message.content == server.ask("hello").choices[0].message.content
    assert found[2].message.content == server.ask("hello", {"layer": 2}).choices[0].message.content
    with pytest.raises(openai.UnprocessableEntityError, match="not finite"):
        server.ask("hello", broken)


def test_a_key(serve: Callable[..., Asked], tiny: LoadedModel, tiny_vectors: VectorSet, capfd: Any) -> None:
    server = serve(tiny, tiny_vectors, key="correct-horse")
    for path in ("/models", "/models/tiny-llava"):
        assert httpx.get(server.url + path).status_code == 401
    with pytest.raises(openai.AuthenticationError, match="missing or wrong"):
        server.ask("hello")
    server.client.api_key = "correct-horse"
    assert server.ask("hello").choices and httpx.get(f"{server.url[:-3]}/health").status_code == 200
    assert "correct-horse" not in "".join(capfd.readouterr())


def test_what_is_refused_before_it_is_read(
    serve: Callable[..., Asked], tiny: LoadedModel, tiny_vectors: VectorSet
) -> None:
    from iar.serve.asked import Limits

    server = serve(tiny, tiny_vectors, limits=Limits(body=1000))
    url, good = f"{server.url}/chat/completions", {"Content-Type": "application/json"}

    def post(content: bytes, **headers: str) -> tuple[int, str]:
        found = httpx.post(url, content=content, headers=good | headers)
        return found.status_code, found.json()["error"]["message"]

    assert post(b"x" * 1001)[0] == 413 and post(b"{")[0] == 400 and post(b"[" * 900)[0] == 400
    assert httpx.post(url, content=iter([b"x" * 600] * 2), headers=good).status_code == 413
    assert httpx.post(url, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert post(b"{}", Host="evil.example")[0] == 403 and post(b"{}", Host="localhost:99")[0] == 400
    assert httpx.get(f"{server.url}/completions").json()["error"]["message"].startswith("no route /v1/completions")
    assert httpx.get(url).status_code == 405


def test_a_full_queue_and_time(serve: Callable[..., Asked], tiny: LoadedModel, tiny_vectors: VectorSet) -> None:
    """Back-pressure: what does not fit is refused with the seconds after which to ask again, and nothing else is."""
    from iar.serve.asked import Limits

    server = serve(tiny, tiny_vectors, limits=Limits(waiting=3, rows=2, seconds=30))
    hold = threading.Event()
    answer = server.service.queue._answer
    server.service.queue._answer = lambda jobs: (hold.wait(20), answer(jobs))[1]
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(server.ask, "hello", [{}, {}])
        _until(lambda: server.service.queue.answering == 2)
        waiting = [pool.submit(server.ask, "hello", {"layer": layer}) for layer in (1, 2, 3)]
        _until(lambda: server.service.queue.waiting == 3)
        with pytest.raises(openai.RateLimitError) as raised:
            server.ask("hello")
        assert 1 <= int(raised.value.response.headers["Retry-After"]) <= 60
        hold.set()
        assert len(first.result().choices) == 2 and all(one.result().choices for one in waiting)
    hold.clear()
    server.service.limits = Limits(seconds=0.3)
    with pytest.raises(openai.InternalServerError, match="no answer in time"):
        server.ask("hello")
    hold.set()
    server.service.limits = Limits()
    assert server.ask("hello").choices
    _until(lambda: server.service.open == 0)


def test_a_client_that_goes_frees_its_place(server: Asked) -> None:
    """An answer that nobody waits for ends at its next token."""
    began = time.monotonic()
    text = {"messages": [{"role": "user", "content": "hello"}], "model": server.model, "max_tokens": 1000}
    for more in ({}, {"stream": True}):
        with (
            pytest.raises(httpx.TimeoutException),
            httpx.stream("POST", f"{server.url}/chat/completions", json=text | more, timeout=0.3) as found,
        ):
            next(found.iter_lines())
            raise httpx.ReadTimeout("enough")
    _until(lambda: server.service.open == 0 and server.service.queue.answering == 0)
    assert server.ask("hello").choices and time.monotonic() - began < 20


def test_clients_at_once_lose_and_mix_nothing(server: Asked) -> None:
    """A short one of `python -m benchmark.speed serve-load`."""
    settings = [{"layer": layer, "strength": strength} for layer in (1, 2, 3) for strength in (0.5, 1, 1.5)] + [{}]
    words = ("hello", "Which letter?", "A. cat B. dog", "Is there a spoon in the image?")
    expected = {
        (word, number): choice.message.content
        for word in words
        for number, choice in enumerate(server.ask(word, settings).choices)
    }
    assert len(set(expected.values())) > 20

    def client(number: int) -> int:
        for turn in range(4):
            word, at = words[(number + turn) % 4], (3 * number + turn) % len(settings)
            if turn % 3 == 0:
                found = server.ask(word, settings[at], stream=True)
                said = "".join(chunk.choices[0].delta.content or "" for chunk in found)
            elif turn % 3 == 1:
                said = server.ask(word, settings[at]).choices[0].message.content
            else:
                several = server.ask(word, settings[at:]).choices
                assert [one.message.content for one in several] == [expected[word, i] for i in range(at, len(settings))]
                said = several[0].message.content
            assert said == expected[word, at]
        return 4

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(client, range(16))) == 64


def _until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)

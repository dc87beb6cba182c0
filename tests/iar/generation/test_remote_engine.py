"""The engine through a real HTTP server on this machine; a real served model is in test_remote_engine_served.py."""

from __future__ import annotations

import base64

import pytest

from benchmark.sample import Sample
from iar.errors import UserError
from iar.generation import RemoteEngine
from iar.prompting import Turn, plain
from iar.remote import Client, Endpoint, Request, request_key
from iar.revision.configuration import Configuration
from tests.iar.remote_server import completion, error

NONE = Configuration()
SHOT = Configuration(method="fewshot", shots=1, shots_by="seed")


def question(name: str, text: str = "What is it?", images: tuple = ()) -> Sample:
    return Sample(name, "pope", "random", text, images, "yes", name)


@pytest.fixture
def engine_at(tmp_path):
    """An engine that asks a server: engine_at(server, compose=..., endpoint settings)."""

    def made(server, compose=plain, thinking_tokens: int = 0, **settings) -> RemoteEngine:
        endpoint = Endpoint("m", base_url=server.url, **{"key_name": None, "timeout": 5.0, "attempts": 2} | settings)
        return RemoteEngine(Client(endpoint, cache=tmp_path / "cache"), compose, thinking_tokens)

    return made


def asked(engine: RemoteEngine, *samples: Sample, configurations=(NONE,), skip=()) -> dict:
    found = list(engine.run(samples, configurations, 8, skip))
    assert len(found) == len({(g.sample.id, g.configuration.name) for g in found})
    return {(g.sample.id, g.configuration.name): g for g in found}


def test_the_conversation_goes_as_messages_and_the_images_as_they_are(chat_server, engine_at, images):
    def shown(sample, configuration):
        return (Turn("user", "And this?", (images[1],)), Turn("assistant", "A hat."), *plain(sample))

    server = chat_server(lambda messages: " A spoon.\n")
    sample = question("a", images=(images[0],))
    engine = engine_at(server, shown)
    answer = asked(engine, sample)["a", "none"]
    assert (answer.answer, answer.tokens, answer.prompt_tokens, answer.error) == ("A spoon.", 10, 100, None)
    assert answer.key == engine.key(sample, NONE, 8) == request_key(engine.endpoint, Request(shown(sample, NONE), 8))
    assert answer.seconds > 0
    (call,) = server.calls
    assert (call["model"], call["max_tokens"], call["temperature"]) == ("m", 8, 0.0)
    first, second, third = call["messages"]
    assert [turn["role"] for turn in call["messages"]] == ["user", "assistant", "user"]
    for turn, path, text in ((first, images[1], "And this?"), (third, images[0], "What is it?")):
        image, words = turn["content"]
        assert words == {"type": "text", "text": text}
        head, _, data = image["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64" and base64.b64decode(data) == path.read_bytes()
    assert second["content"] == "A hat."


def test_identical_requests_are_sent_once_and_what_is_skipped_is_not_sent(chat_server, engine_at):
    server = chat_server()
    samples = [question("a"), question("b"), question("c", "And now?")]
    found = asked(engine_at(server), *samples, skip={("c", "none")})
    assert sorted(found) == [("a", "none"), ("b", "none")] and len(server.calls) == 1
    assert len({g.key for g in found.values()}) == 1


@pytest.mark.parametrize(
    ("raw", "answer", "why"),
    [
        (completion(None, refusal="I cannot help with that."), "I cannot help with that.", None),
        (completion("No.", "refusal"), "No.", None),
        (completion("It is a kni", "length"), "It is a kni", None),
        (completion("It is", "content_filter"), "", "filtered: "),
        (completion("", "content_filter"), "", "filtered: "),
        (error(400, "flagged", "content_filter"), "", "filtered: "),
        (completion("  ", "stop"), "", "empty: "),
        (completion(None, "refusal"), "", "refused: "),
        (error(500, "internal"), "", "error: 500"),
        (error(422, "too long"), "", "error: 422"),
    ],
)
def test_a_refusal_in_words_is_an_answer_and_a_filter_is_none(chat_server, engine_at, raw, answer, why):
    found = asked(engine_at(chat_server(lambda messages: raw)), question("a"))["a", "none"]
    assert found.answer == answer
    assert (found.error is None) if why is None else found.error.startswith(why)
    assert bool(found.key) is (why is None) and (found.tokens > 0) is (why is None)


def test_an_unreadable_image_is_an_error_and_the_rest_goes_on(chat_server, engine_at, tmp_path):
    server = chat_server()
    broken = question("broken", images=(tmp_path / "none.png",))
    engine = engine_at(server)
    found = asked(engine, broken, question("a"))
    assert "cannot read image" in found["broken", "none"].error and found["a", "none"].answer == "fine"
    assert len(server.calls) == 1
    with pytest.raises(UserError, match="cannot read image"):
        engine.key(broken, NONE, 8)


@pytest.mark.parametrize("method", ["iar", "random", "cot+iar"])
def test_steering_is_refused(chat_server, engine_at, method):
    server = chat_server()
    steered = Configuration(method=method, layers=(2,), strength=1.0)
    with pytest.raises(
        UserError, match=rf"method={method.replace('+', '.')} needs a model's activations: model m runs at"
    ):
        list(engine_at(server).run([question("a")], [NONE, steered], 8))
    assert server.calls == []


def test_more_images_than_the_endpoint_takes(chat_server, engine_at, images):
    """Demonstrations that leave no place for the question's image are refused; a question with too many is an error."""

    def shown(sample, configuration):
        pair = (Turn("user", "This?", (images[1],)), Turn("assistant", "A hat."))
        return (*pair * 2 * configuration.shots, *plain(sample))

    server = chat_server()
    engine = engine_at(server, shown, max_images=2)
    with pytest.raises(UserError, match=r"shots=1 shows 2 images before the question's own: model m takes 2"):
        engine.check(SHOT)
    engine_at(server, shown, max_images=3).check(SHOT)
    engine_at(server, shown).check(SHOT)
    found = asked(engine, question("many", images=tuple(images)), question("one", images=(images[0],)))
    assert "at most 2 images a request, this one holds 3" in found["many", "none"].error
    assert found["one", "none"].answer == "fine" and len(server.calls) == 1


def test_tokens_to_think_are_asked_for_on_top_and_belong_to_the_key(chat_server, engine_at):
    server = chat_server()
    plainly, thinking = engine_at(server), engine_at(server, thinking_tokens=100)
    asked(thinking, question("a"))
    assert server.calls[0]["max_tokens"] == 108
    assert plainly.key(question("a"), NONE, 8) != thinking.key(question("a"), NONE, 8)
    digests = {
        engine.describe()["model"]["digest"] for engine in (plainly, thinking, engine_at(server, temperature=None))
    }
    assert len(digests) == 3
    assert plainly.describe() == {
        "model": {
            "id": "m",
            "revision": server.url,
            "dtype": "remote",
            "digest": plainly.describe()["model"]["digest"],
        },
        "vectors": {},
    }


def test_an_estimate_leaves_out_what_is_known_and_what_cannot_be_read(chat_server, engine_at, tmp_path, images):
    server = chat_server()
    engine = engine_at(server, price_in=1.0, price_out=2.0, image_tokens=500)
    asked(engine, question("a"))
    more = [question("a"), question("b", "Now?", (images[0],)), question("c", images=(tmp_path / "none.png",))]
    found = engine.estimate(more, [NONE], 8)
    assert (found.requests, found.cached, found.tokens_in, found.tokens_out) == (1, 1, 501, 8)
    assert found.usd == pytest.approx(517e-6) and len(server.calls) == 1

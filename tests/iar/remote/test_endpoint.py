from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from iar.errors import UserError
from iar.remote import Endpoint

SECRET = "sk-proj-do-not-show-me"


def test_one_endpoint_has_one_name() -> None:
    written = ["http://localhost:8000/v1", "HTTP://LocalHost:8000/v1/", " http://localhost:8000/v1// "]

    described = [Endpoint("m", url).describe() for url in written]

    assert described == [{"model": "m", "base_url": "http://localhost:8000/v1", "temperature": 0.0}] * 3


def test_settings_fill_in_the_defaults() -> None:
    settings = OmegaConf.create({"model": "m", "timeout": 5, "temperature": None, "key_name": None, "price_in": 2})

    with pytest.raises(UserError, match=r"both endpoint\.price_in and endpoint\.price_out"):
        Endpoint.from_settings(settings)
    endpoint = Endpoint.from_settings(OmegaConf.merge(settings, {"price_out": 8}))

    assert (endpoint.timeout, endpoint.temperature, endpoint.key_name) == (5.0, None, None)
    assert (endpoint.concurrency, endpoint.attempts, endpoint.structured) == (8, 6, True)
    assert endpoint.cost(1_000_000, 500_000) == 6.0
    assert Endpoint("m").cost(1, 1) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "m", "concurency": 2}, "unknown setting endpoint.concurency: did you mean 'concurrency'"),
        ({}, "needs a model name"),
        ({"model": "m", "concurrency": 0}, "endpoint.concurrency=0 of m: at least 1"),
        ({"model": "m", "concurrency": "8"}, "endpoint.concurrency='8': must be int"),
        ({"model": "m", "concurrency": 1.5}, "endpoint.concurrency=1.5: must be int"),
        ({"model": "m", "concurrency": True}, "endpoint.concurrency=True: must be int"),
        ({"model": "m", "timeout": 0}, "seconds, above 0"),
        ({"model": "m", "timeout": float("nan")}, "seconds, above 0"),
        ({"model": "m", "price_in": -1, "price_out": 1}, "endpoint.price_in=-1.0 of m: at least 0"),
        ({"model": "m", "token_field": "max_token"}, "did you mean 'max_tokens'"),
        ({"model": "m", "base_url": "localhost:8000"}, "is not a URL"),
        ({"model": "m", "base_url": "ftp://localhost"}, "is not a URL"),
        ({"model": "m", "base_url": "http://local host/v1"}, "has spaces"),
        ({"model": "m", "base_url": "http://localhost:port/v1"}, "is not a URL"),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        Endpoint.from_settings(settings)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"key_name": SECRET},
        {"key_name": "hf_do_not_show_me_do_not"},
        {"key_name": 12345678},
        {"base_url": f"http://user:{SECRET}@localhost/v1"},
        {"base_url": f"http://localhost/v1?key={SECRET}"},
        {"base_url": f"http://localhost:x/v1?key={SECRET}"},
        {"api_key": SECRET},
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(settings: dict[str, object]) -> None:
    with pytest.raises(UserError) as raised:
        Endpoint.from_settings({"model": "m"} | settings)
    told = str(raised.value)
    assert "show" not in told and "12345678" not in told


def test_the_key_is_read_when_asked_for_and_kept_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint("m", "http://localhost/v1", "IAR_TEST_KEY")
    monkeypatch.delenv("IAR_TEST_KEY", raising=False)
    with pytest.raises(
        UserError, match="m at http://localhost/v1 needs a key: set the environment variable IAR_TEST_KEY"
    ):
        endpoint.key()

    monkeypatch.setenv("IAR_TEST_KEY", SECRET + "\n")

    assert endpoint.key() == SECRET
    assert SECRET not in repr(endpoint) + str(endpoint.describe())
    assert Endpoint("m", key_name=None).key() == ""
    monkeypatch.setenv("IAR_TEST_KEY", "two words-secret")
    with pytest.raises(UserError, match="holds no key") as raised:
        endpoint.key()
    assert "secret" not in str(raised.value)

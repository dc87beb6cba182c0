from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from iar.errors import UserError
from iar.records import image_digest, key


def test_key_is_the_digest_of_canonical_json():
    assert key(b=[1, 2.5], a="é") == hashlib.sha256(b'{"a":"\\u00e9","b":[1,2.5]}').hexdigest()


def test_equal_content_has_one_key_and_any_change_another():
    base = key(model="m", strength=2.0, layers=(14,), nested={"x": 1, "y": None})
    assert base == key(nested={"y": None, "x": 1.0}, layers=[14], strength=2, model="m")
    others = [
        key(model="n", strength=2.0, layers=(14,), nested={"x": 1, "y": None}),
        key(model="m", strength=2.5, layers=(14,), nested={"x": 1, "y": None}),
        key(model="m", strength=2.0, layers=(9, 14), nested={"x": 1, "y": None}),
        key(model="m", strength=2.0, layers=(14,), nested={"x": 1}),
        key(model="m", strength="2", layers=(14,), nested={"x": 1, "y": None}),
    ]
    assert len({base, *others}) == 6


@pytest.mark.parametrize("part", [Path("x.png"), {1: "a"}, b"bytes", {1, 2}])
def test_only_plain_data_is_keyed(part):
    with pytest.raises(TypeError):
        key(part=part)


def test_nan_is_not_keyed():
    with pytest.raises(ValueError):
        key(strength=float("nan"))


def test_image_digest_follows_the_bytes(tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"one")
    assert image_digest(image) == hashlib.sha256(b"one").hexdigest()
    image.write_bytes(b"two")
    os.utime(image, ns=(1, 1))  # same size, other time
    assert image_digest(image) == hashlib.sha256(b"two").hexdigest()


def test_missing_image_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read image .*gone\.png: No such file"):
        image_digest(tmp_path / "gone.png")

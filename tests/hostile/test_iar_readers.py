"""Every reader of vectors, pairs, records, labels, checkpoints and replies: whatever comes, a value or one line."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import openai
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from iar import pairs, records
from iar.errors import UserError
from iar.judges import replies
from iar.judges.recorded import Recorded
from iar.models.weight_files import read_weights
from iar.records.log import Log
from iar.remote import completion, failures
from iar.remote.cache import Cache
from iar.remote.connection import Connection
from iar.remote.endpoint import Endpoint
from iar.remote.failures import Again, Unstructured
from iar.vectors import file, partial
from tests.hostile.values import as_json, as_lines, bounded, changed, damaged, deep, survives, texts, values, written

RECORD = {"key": "k", "sample": "pope/1", "benchmark": "pope", "configuration": "none", "answer": "Yes", "label": "yes"}
ENTRY = {"key": "k", "text": "t", "failure": "", "reason": "", "tokens_in": 1, "tokens_out": 1, "seconds": 0.1}
BODY = {
    "choices": [{"message": {"content": "Yes", "refusal": None}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
ERROR = {
    "error": {
        **{"message": "m", "code": "c", "type": "t", "param": "p", "innererror": {"code": "i"}},
        "metadata": {"flagged_input": "x"},
    }
}


def json_of(document: Any) -> st.SearchStrategy[Any]:
    """A document's text with any value in any place, with damage, or too deep."""
    return st.one_of(changed(document).map(as_json), damaged(as_json(document).encode()), deep)


@bounded
@given(st.one_of(changed([RECORD, RECORD]).map(as_lines), damaged(as_lines([RECORD] * 2).encode()), deep))
def test_records(tmp_path_factory, content):
    path = written(tmp_path_factory.getbasetemp() / "records" / "generations.jsonl", content)
    survives(lambda: Log(path).read())
    survives(lambda: Log(path).append(RECORD))


@bounded
@given(json_of({"model": "m", "data": {"pope": "x"}, "version": 1}))
def test_a_runs_definition(tmp_path_factory, content):
    path = written(tmp_path_factory.getbasetemp() / "run" / "definition.json", content)
    survives(lambda: records.Run.at(path.parent))
    survives(lambda: records.Run.open(path.parent, {"model": "other"}))


@bounded
@given(st.one_of(changed([ENTRY, ENTRY]).map(as_lines), damaged(as_lines([ENTRY] * 2).encode()), deep))
def test_a_cache_of_replies(tmp_path_factory, content):
    cache = Cache(written(tmp_path_factory.getbasetemp() / "cache.jsonl", content))
    survives(cache.refresh)
    for key in ("k", ""):
        cache.spent(key)
        found = cache.get(key)
        assert found is None or isinstance(found.text, str)


def tensors() -> dict[str, torch.Tensor]:
    layers = {f"layer.{i}": torch.ones(4) for i in range(2)} | {f"head.{i}": torch.ones(2, 2) for i in range(2)}
    every = {name: torch.ones(2) for name in ("norm.mean", "sigma", "separation", "accuracy")}
    return layers | every | {name: torch.ones(2, 2) for name in ("head.norm", "head.sigma", "head.accuracy")}


HEADER = {"format_version": "2", "n_layers": "2", "method": "mms", "gate_categories": "[]", "gate_unsafe": "1"}
shapes = st.lists(st.integers(0, 3), max_size=3)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bool, torch.bfloat16, torch.uint8])
numbers = st.one_of(
    texts, st.sampled_from(["2", "-1", "0", "9" * 30, "1e3", "[1]", '["a"]', "[" * 100_000, "null", "{}"])
)


@bounded
@given(st.data())
def test_a_vector_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "vectors.safetensors"
    whole = save(tensors(), {k: v for k, v in HEADER.items() if not k.startswith("gate")})
    found, header = tensors(), dict(HEADER)
    for name in data.draw(st.lists(st.sampled_from(sorted(found)), max_size=2)):
        found[name] = torch.full(data.draw(shapes), data.draw(st.sampled_from([0.0, -1.0, torch.inf])))
        found[name] = found[name].to(data.draw(dtypes))
    for name in data.draw(st.lists(st.sampled_from(sorted(header)), max_size=2)):
        header[name] = data.draw(numbers)
    header = {k: v.encode("utf-8", "replace").decode() for k, v in header.items() if data.draw(st.booleans())}
    content = data.draw(st.one_of(damaged(whole), st.just(save(found, header))))
    written(path, content)
    survives(lambda: file.read(path).cosines)
    survives(lambda: partial.read(path))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("layer.0", torch.ones(4, dtype=torch.int64), "layer.0 is int64, not float32"),
        ("accuracy", torch.ones(2, dtype=torch.bool), "accuracy is bool, not float32"),
        ("sigma", -torch.ones(2), "sigma is a length and must not be negative"),
        ("head.norm", torch.full((2, 2), -0.5), "head.norm is a length and must not be negative"),
        ("separation", torch.ones(3), "separation has shape"),
        ("head.accuracy", torch.ones(2, 3), "head.accuracy has shape"),
    ],
)
def test_vectors_that_would_steer_silently_wrong_are_refused(name, tensor, message, tmp_path):
    path = written(
        tmp_path / "v.safetensors", save(tensors() | {name: tensor}, {"format_version": "2", "n_layers": "2"})
    )
    with pytest.raises(UserError, match=message):
        file.read(path)


@bounded
@given(st.data())
def test_parts_of_an_extraction(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "part.safetensors"
    found = {"sums.count": torch.ones(2), "sums.total": torch.ones(2, 2, 4), "sums.norm": torch.ones(2)}
    found |= {"sample.keys": torch.zeros(2), "sample.safe": torch.ones(2), "sample.values": torch.ones(2, 2, 4)}
    found = {k: v.double() for k, v in found.items()} | {"sample.safe": torch.tensor([True, False])}
    found["sample.keys"] = torch.zeros(2, dtype=torch.int64)
    header = {
        "format_version": partial.FORMAT,
        "part": "0",
        "parts": "1",
        "n_layers": "2",
        "seed": "0",
        "method": "mms",
    }
    for name in data.draw(st.lists(st.sampled_from(sorted(found)), max_size=2)):
        found[name] = torch.ones(data.draw(shapes)).to(data.draw(dtypes))
    for name in data.draw(st.lists(st.sampled_from(sorted(header)), max_size=2)):
        header[name] = data.draw(numbers).encode("utf-8", "replace").decode()
    written(path, save(found, header))
    survives(lambda: partial.merge([path]))


PAIRS: dict[str, tuple[str, Any]] = {
    "manifest": ("jsonl", [{"id": "1", "image": None, "prompt": "p", "safe": "s", "unsafe": "u", "category": "c"}] * 1),
    "vlguard": (
        "json",
        [
            {
                **{"image": "x.png", "safe": True},
                "instr-resp": [{"safe_instruction": "a", "response": "r"}, {"unsafe_instruction": "b"}],
            }
        ],
    ),
    "spa_vl": ("json", [{"image": "x.png", "question": "q", "chosen": "c", "rejected": "r", "class1": "k"}]),
}
LONG = [{"id": "1", "safe": {"prompt": "p", "image": "x.png", "response": "r"}, "unsafe": {"prompt": "q"}, "mode": "m"}]


@pytest.mark.parametrize("format", PAIRS)
@pytest.mark.parametrize("strategy", ["multi_response", "multi_instruction"])
def test_pairs(format, strategy, tmp_path):
    ending, document = PAIRS[format]
    Image.new("RGB", (2, 2)).save(tmp_path / "x.png")
    documents = [document, LONG] if format == "manifest" else [document]
    dumped = as_lines if ending == "jsonl" else as_json

    @bounded
    @given(st.sampled_from(documents).flatmap(lambda one: st.one_of(changed(one).map(dumped), json_of(one))))
    def check(content: str | bytes) -> None:
        path = written(tmp_path / f"pairs.{ending}", content)
        survives(lambda: pairs.digest(pairs.read({"strategy": strategy, "format": format, "path": str(path)})))

    check()


def test_pairs_of_a_csv_and_of_parquet(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    text, packed = io.StringIO(newline=""), io.BytesIO()
    csv.writer(text).writerows([["id", "prompt", "type"], ["1", "p", "homonyms"], ["2", "q", "contrast_homonyms"]])
    row = {"image": {"bytes": b"x", "path": "x.png"}, "question": "q", "chosen": "c", "rejected": "r"}
    parquet.write_table(pyarrow.Table.from_pylist([row]), packed)
    sets = {"xstest": ("csv", text.getvalue().encode()), "spa_vl": ("parquet", packed.getvalue())}

    @bounded
    @given(st.data())
    def check(data: st.DataObject) -> None:
        format = data.draw(st.sampled_from(sorted(sets)))
        ending, whole = sets[format]
        path = written(tmp_path / f"pairs.{ending}", data.draw(damaged(whole)))
        survives(lambda: pairs.read({"strategy": "multi_instruction", "format": format, "path": str(path)}))

    check()


LABELLED = [{"query": "q", "answer": "a", "label": "refusal"}]
PLACED = [{"benchmark": "vscbench", "sample": "1", "configuration": "none", "label": "refusal"}]


@bounded
@given(
    st.sampled_from([LABELLED, PLACED]).flatmap(lambda one: st.one_of(changed(one).map(as_lines), json_of(one))),
    st.sampled_from(["jsonl", "json", "csv"]),
)
def test_recorded_labels(tmp_path_factory, content, ending):
    survives(lambda: Recorded([written(tmp_path_factory.getbasetemp() / f"labels.{ending}", content)]))


@bounded
@given(
    st.one_of(
        json_of({"reason": "r", "label": "refusal", "toxic": True}).map(
            lambda found: found if isinstance(found, str) else found.decode("utf-8", "replace")
        ),
        texts,
    ),
    texts,
)
def test_a_judges_reply(reply, answer):
    for text in (reply, f"```json\n{reply}\n```"):
        replies.read(text, {"refusal": "refusal", "answer": "answer"}, answer)


CONNECTION = Connection(Endpoint(model="m", base_url="http://localhost:1", key_name=None))


@bounded
@given(st.one_of(json_of(BODY), json_of(ERROR), values.map(json.dumps)))
def test_an_endpoints_reply(content):
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    try:
        assert isinstance(CONNECTION._read(raw), completion.Completion)
    except Again as again:
        assert "\n" not in again.reason


@bounded
@given(st.one_of(changed(ERROR), changed([ERROR]), values), st.sampled_from([400, 401, 403, 404, 429, 500, 503]))
def test_an_endpoints_error(body, status):
    import httpx

    response = httpx.Response(status, text=json.dumps(body), request=httpx.Request("POST", "http://localhost:1"))
    error = openai.APIStatusError("m", response=response, body=body)
    survives(lambda: failures.of_status(error, CONNECTION._endpoint, CONNECTION._redaction, True), Again, Unstructured)


INDEX = {"metadata": {}, "weight_map": {"a": "model-1.safetensors"}}


@bounded
@given(json_of(INDEX), damaged(save({"a": torch.ones(2)})))
def test_weight_files(tmp_path_factory, index, weights):
    folder = tmp_path_factory.getbasetemp() / "weights"
    written(folder / "model-1.safetensors", weights)
    written(folder / "model.safetensors.index.json", index)
    survives(lambda: read_weights(folder))
    (folder / "model.safetensors.index.json").unlink()
    written(folder / "pytorch_model.bin", weights)
    survives(lambda: read_weights(folder))

from __future__ import annotations

import shutil

import pytest
import torch

from iar import vectors
from iar.errors import UserError
from iar.pipeline.extraction import vector_files
from iar.revision import Configuration
from iar.vectors import partial
from tests.iar.vectors.test_hub import server  # noqa: F401  (a fixture)

MEAN = Configuration("iar", (2,), 1.0)
LAST = Configuration("iar", (2,), 1.0, tokens="last")


def test_missing_vectors_are_made_and_then_read(compose, tiny, pocket_data, tiny_vectors, tmp_path, capsys):
    cfg = compose("sweep", f"data.root={pocket_data}", f"vectors={tmp_path / 'v'}")
    asked = ([Configuration(), MEAN, LAST], {"multi_response": cfg})
    made = vector_files.ensure(cfg, tiny, *asked)
    shown = " ".join(capsys.readouterr().err.split())
    assert "no vectors multi_response-mms-mean, multi_response-mms-last in" in shown
    written = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "v").iterdir()}
    assert set(written) == {"multi_response-mms-mean.safetensors", "multi_response-mms-last.safetensors"}
    again = vector_files.ensure(cfg, tiny, *asked)
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "v").iterdir()} == written
    for configuration in (MEAN, LAST):
        source = configuration.source
        assert torch.equal(made[source].vectors, again[source].vectors)
        expected = vectors.read(tiny_vectors / f"{source}.safetensors", tiny)
        assert vectors.digest(again[source]) == vectors.digest(expected)
    assert not torch.equal(made[MEAN.source].vectors, made[LAST.source].vectors)


def test_only_what_is_missing_is_made(compose, tiny, pocket_data, tmp_path):
    cfg = compose("sweep", f"data.root={pocket_data}", f"vectors={tmp_path / 'v'}")
    vector_files.ensure(cfg, tiny, [MEAN], {"multi_response": cfg})
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "v").iterdir()}
    pwd = Configuration("iar", (2,), 1.0, estimator="pwd")
    found = vector_files.ensure(cfg, tiny, [MEAN, pwd], {"multi_response": cfg})
    assert set(found) == {MEAN.source, pwd.source} and found[pwd.source].header["method"] == "pwd"
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "v").iterdir()}
    assert before.items() < after.items()


def test_several_pair_sets(compose, tiny, pocket_data, tmp_path):
    root = [f"data.root={pocket_data}", f"vectors={tmp_path / 'v'}"]
    names = ("multi_response", "multi_instruction", "multi_modality")
    sets = {name: compose("sweep", f"pairs={name}", *root) for name in names}
    configurations = [Configuration("iar", (2,), 1.0, pairs=name, tokens=cfg.tokens) for name, cfg in sets.items()]
    found = vector_files.ensure(sets["multi_response"], tiny, configurations, sets)
    assert [v.header["strategy"] for v in found.values()] == list(names)
    assert [v.header["tokens"] for v in found.values()] == ["mean", "last_prompt", "last_prompt"]
    flat = torch.stack([v.vectors[2] / v.vectors[2].norm() for v in found.values()])
    assert (flat @ flat.T).triu(1).abs().max() < 0.99


def test_vectors_of_other_pairs_are_refused(compose, tiny, pocket_data, tiny_vectors, tmp_path):
    root = shutil.copytree(pocket_data, tmp_path / "pocket")
    cfg = compose("sweep", f"data.root={root}", f"vectors={tiny_vectors}")
    asked = ([MEAN], {"multi_response": cfg})
    vector_files.ensure(cfg, tiny, *asked)
    file = root / "train/pairs.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    message = r"was estimated on other pairs than .*pairs\.jsonl: run python -m iar\.extract pairs=multi_response again"
    with pytest.raises(UserError, match=message):
        vector_files.ensure(cfg, tiny, *asked)
    file.unlink()  # vectors from elsewhere need no pairs
    assert set(vector_files.ensure(cfg, tiny, *asked)) == {MEAN.source}


def test_parts_make_the_whole(compose, tiny, pocket_data, tiny_vectors, tmp_path):
    cfg = compose("extract", f"data.root={pocket_data}", f"vectors={tmp_path}")
    files = [file for k in range(3) for file in vector_files.extract_part(cfg, tiny, [MEAN], f"{k}/3")]
    assert [file.name for file in files] == [f"multi_response-mms-mean-part-{k}-of-3.safetensors" for k in range(3)]
    merged, whole = partial.merge(files), vectors.read(tiny_vectors / "multi_response-mms-mean.safetensors", tiny)
    assert (merged.vectors - whole.vectors).abs().max() < 1e-5 * whole.vectors.abs().max()
    for shard in ("3/3", "a/b", "1"):
        with pytest.raises(UserError, match=f"shard={shard} is invalid: the first of four parts is shard=0/4"):
            vector_files.extract_part(cfg, tiny, [MEAN], shard)


def test_levels(compose, tiny, pocket_data, tmp_path):
    settings = [f"data.root={pocket_data}", f"vectors={tmp_path}"]
    layers = vector_files.extract(compose("extract", *settings, "level=layer"), tiny, [MEAN])[MEAN.source]
    heads = vector_files.extract(compose("extract", *settings, "level=head"), tiny, [MEAN])[MEAN.source]
    assert layers.heads is None and heads.heads is not None and heads.heads.vectors.shape == (6, 4, 8)
    with pytest.raises(UserError, match="unknown level 'heads': did you mean 'head'"):
        vector_files.extract(compose("extract", *settings, "level=heads"), tiny, [MEAN])


def test_heads_that_were_not_read_are_missed_before_anything_is_made(compose, tiny, pocket_data, tmp_path):
    heads = Configuration("iar", (), 1.0, heads=4)
    cfg = compose("sweep", f"data.root={pocket_data}", f"vectors={tmp_path / 'v'}", "level=layer")
    with pytest.raises(UserError, match="level=layer reads no heads"):
        vector_files.ensure(cfg, tiny, [MEAN, heads], {"multi_response": cfg})
    assert not (tmp_path / "v").exists()
    vector_files.ensure(cfg, tiny, [MEAN], {"multi_response": cfg})
    cfg = cfg.replace(level="auto")
    message = r"holds no vectors of heads: run .*pairs=multi_response estimator=mms tokens=mean level=head again"
    with pytest.raises(UserError, match=message):
        vector_files.ensure(cfg, tiny, [heads], {"multi_response": cfg})


def test_missing_pairs_name_the_setting(compose, tiny, tmp_path):
    with pytest.raises(UserError, match=r"pairs\.jsonl"):
        vector_files.extract(compose("extract", f"data.root={tmp_path}"), tiny, [MEAN])


def test_a_repository_of_the_hub_is_read_and_never_written(server, compose, tiny, pocket_data, tiny_vectors, capsys):  # noqa: F811
    server.repos["me/kind"] = [("a" * 40, {f"{MEAN.source}.safetensors": _bytes(tiny_vectors, MEAN)})]
    cfg = compose("sweep", f"data.root={pocket_data}", "vectors=hf://me/kind")
    found = vector_files.ensure(cfg, tiny, [MEAN], {"multi_response": cfg})[MEAN.source]
    assert f"vectors: hf://me/kind@{'a' * 40}" in capsys.readouterr().err
    assert torch.equal(found.vectors, vectors.read(tiny_vectors / f"{MEAN.source}.safetensors", tiny).vectors)
    last = Configuration("iar", (2,), 1.0, tokens="last")
    with pytest.raises(UserError, match=r"lacks multi_response-mms-last or gates.*it holds multi_response-mms-mean"):
        vector_files.ensure(cfg, tiny, [last], {"multi_response": cfg})
    kept = vector_files.notes(cfg, MEAN.source)
    assert kept.parent.as_posix() == f"runs/vectors/hub/me/kind/{'a' * 40}"


def _bytes(folder, configuration):
    return (folder / f"{configuration.source}.safetensors").read_bytes()

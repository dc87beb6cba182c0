from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from torch.nn.functional import cosine_similarity

from benchmark import vscbench
from iar import vectors
from iar.analysis import queries
from iar.pairs import read

FIGURES = [
    "agreement_pairs", "agreement_image_half", "agreement_text_half", "heads", "modality", "modality_origin_image",
    "modality_origin_text", "norms", "principal_components", "separability",
]  # fmt: skip
TABLES = [
    "agreement_pairs", "agreement_pairs_layers", "agreement_image_half", "agreement_image_half_layers",
    "agreement_text_half", "agreement_text_half_layers", "modality", "modality_origin", "norms",
    "principal_components", "separability",
]  # fmt: skip


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    """Pocket data with enough rows for halves: four a category and eight texts."""
    from benchmark.pocket import layouts

    folder = tmp_path_factory.mktemp("rows") / "pocket"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(12, 8, 1, 2)))
        layouts.write(folder, seed=0, pairs=24)
    return folder


@pytest.fixture
def settings(tiny_folder, rows):
    return [
        "model=pocket",
        f"model.path={tiny_folder}",
        "model.name=tiny",
        f"data.root={rows}",
        "layers=[1,4]",
        "run=r",
    ]


def test_all_parts_and_again_the_same_bytes(settings, command, tmp_path, tiny, rows):
    done = command("analyze", *settings)
    assert done.code == 0, done.err
    expected = {f"{name}.csv" for name in TABLES} | {f"{name}.{end}" for name in FIGURES for end in ("png", "pdf")}
    assert {Path(file).name for file in done.out.split()} == expected | {"analysis.json", "heads.csv"}
    assert all((tmp_path / file).is_file() for file in done.out.split())

    seen = command("analyze", *settings[:-1], "run=seen", "parts=[attention]")
    assert seen.code == 0, seen.err
    table = pd.read_csv(tmp_path / "seen/attention.csv")
    assert set(table["mode"]) == {"search", "typography", "concat", "figstep"} and table["share"].between(0, 1).all()
    assert (tmp_path / "seen/attention.png").is_file()

    again = command("analyze", *settings[:-1], "run=s", "parts=[agreement,norms]")
    assert again.code == 0, again.err
    files = sorted((tmp_path / "s").glob("*.*"))
    assert len(files) == 7 + 8 + 1
    for file in files:  # analysis.json names the parts
        assert file.name == "analysis.json" or file.read_bytes() == (tmp_path / "r" / file.name).read_bytes(), file.name

    pairs = read({"strategy": "multi_response", "path": rows / "train/pairs.jsonl"})
    found = vectors.estimate(tiny, pairs)
    # The numbers are those of the vector file and of activations read by themselves.
    norms = pd.read_csv(tmp_path / "r/norms.csv")
    assert norms["vector_norm"].tolist() == pytest.approx(found.vectors.norm(dim=1).tolist(), rel=1e-4)
    assert norms["pooled_norm"].tolist() == pytest.approx(found.mean_norm.tolist(), rel=1e-4)
    separability = pd.read_csv(tmp_path / "r/separability.csv")
    assert separability["accuracy"].tolist() == pytest.approx(found.accuracy.tolist(), rel=1e-4)
    assert separability["best_head_accuracy"].tolist() == pytest.approx(found.heads.accuracy.amax(1).tolist(), rel=1e-4)
    _check_modality(tmp_path, tiny, rows, found)

    header = json.loads((tmp_path / "r/analysis.json").read_text())
    assert header["pairs_digest"] == found.header["pairs_digest"] and header["method"] == "mms"
    assert (header["split"], header["layers"]) == ("validation", [1, 4]) and "created" not in header


def _check_modality(folder, tiny, rows, found):
    """One shift recomputed from single, unbatched passes of the model."""
    from iar.vectors.activations import pooled

    groups = queries.by_mode(vscbench.load(rows / "validation/vscbench").samples)
    along = found.vectors[4].double() / found.vectors[4].double().norm()

    def projected(mode):
        values = {}
        for example in groups[mode]:
            (batch,) = pooled(tiny, [example], ["last_prompt"], batch_size=1)
            values[example.pair] = float(batch.layers[0, 4, 0].double() @ along)
        return pd.Series(values)

    text, image, words = projected("txt"), projected("search"), projected("reworded")
    unsafe = [example.pair for example in groups["txt"] if not example.safe]
    assert len(unsafe) == 4
    table = pd.read_csv(folder / "r/modality.csv").set_index(["query", "mode", "against", "layer"]).sort_index()
    for reference, values in (("txt", text), ("reworded", words)):
        row = table.loc[("unsafe", "search", reference, 4)]
        expected = (image - values)[unsafe].mean() / text.std(ddof=0)
        assert row["shift"] == pytest.approx(expected, rel=1e-3, abs=1e-4) and abs(expected) > 1e-3
        assert row["rows"] == 4 and row["direction"] == "mms of multi_response pairs (mean)"
    origin = pd.read_csv(folder / "r/modality_origin.csv").query(
        "along == 4 and query == 'unsafe' and mode == 'search'"
    )
    sums = origin.groupby("against")["increment"].sum()
    for reference in ("txt", "reworded"):
        assert sums[reference] == pytest.approx(table.loc[("unsafe", "search", reference, 4), "shift"], abs=1e-3)


def test_categories_of_pairs_and_prompts_end(settings, command, tmp_path, tiny, rows):
    done = command("analyze", *settings, "pairs=multi_instruction", "parts=[norms,agreement]", "level=layer")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "r/agreement_pairs.csv").query("layer == 4").set_index(["a", "b"])
    pairs = read({"strategy": "multi_instruction", "path": rows / "train/instructions.jsonl"})
    names = sorted({example.category for example in pairs})
    assert names == ["drugs", "illegal_activity", "violence"] and len(table) == 6
    one, other = (
        vectors.estimate(tiny, [e for e in pairs if e.category == name], tokens="last_prompt", heads=False).vectors[4]
        for name in names[:2]
    )
    assert table.loc[("drugs", "illegal_activity"), "cosine"] == pytest.approx(
        float(cosine_similarity(one, other, dim=0)), abs=1e-4
    )
    few = command("analyze", *settings, "pairs=multi_instruction", "parts=[agreement]", "level=layer", "limit=6")
    assert few.code == 0 and "fewer than 4 on a side, left out" in few.err, few.err
    norms = pd.read_csv(tmp_path / "r/norms.csv")
    assert norms["token_norm"].tolist() == pytest.approx(norms["pooled_norm"].tolist(), rel=1e-4)  # the same tokens


def test_pairs_alone_need_no_benchmark(settings, command, tmp_path, rows):
    (tmp_path / "d").mkdir()
    lines = (rows / "train/pairs.jsonl").read_text().splitlines()
    named = [json.loads(line) | {"category": "ab"[number % 2], "image": None} for number, line in enumerate(lines)]
    (tmp_path / "d/pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in named))
    plain = [s for s in settings if not s.startswith("data.")] + ["data=folder", "data.root=d"]
    done = command("analyze", *plain, "parts=[separability]", "level=layer", "limit=5")
    assert done.code == 0, done.err
    assert {Path(f).name for f in done.out.split() if f.endswith((".csv", ".png"))} == {
        f"{name}.{end}" for name in ("separability", "principal_components") for end in ("csv", "png")
    }
    assert len(pd.read_csv(tmp_path / "r/principal_components.csv")) == 2 * 2 * 5  # layers x sides x pairs


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("parts=[separabilty]", "unknown part 'separabilty': did you mean 'separability'?"),
        ("layers=[1,6]", "layers: 6 is outside the model 'tiny-llava', whose layers are 0 to 5"),
        ("layers=[1.5]", "layers: 1.5 must be a whole number"),
        ("layers=3", "layers=3 must be a list of whole numbers"),
        ("layers=[]", "layers=[] must be a list of whole numbers"),
        ("tokens=men", "unknown token policy 'men'"),
        ("estimator=mmss", "unknown estimator 'mmss'"),
        ("level=heads", "unknown level 'heads'"),
        ("split=train", "unknown split 'train'"),
        ("strength=much", "strength=much must be a number"),
        ("tokens=last_prompt", "tokens=last_prompt reads the same prompt on both sides"),
    ],
)
def test_bad_input(settings, command, override, message, tmp_path):
    done = command("analyze", *settings, override)
    assert (done.code, done.out) == (2, ""), done.err
    assert message in done.err.splitlines()[-1]
    assert not (tmp_path / "r").exists()

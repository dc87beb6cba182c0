"""Gates of the tiny model on the pocket data: made when needed, checked when used."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

import iar.pairs
from iar import vectors
from iar.errors import UserError
from iar.models import chat
from iar.pipeline.extraction import fit_gates, gate_prompts, vector_files
from iar.prompting import Turn, attack
from iar.revision import Configuration, Revision, steering
from iar.revision.gate import Gate
from iar.vectors.activations import pooled

PLAIN = Configuration("iar", (2,), 1.0)
GATED = Configuration("gated", (2,), 1.0)
FILE = "multi_response-mms-mean.safetensors"


@pytest.fixture
def there(tmp_path: Path, tiny_vectors: Path) -> Path:
    """A folder with vectors and without gates."""
    folder = tmp_path / "v"
    folder.mkdir()
    shutil.copy(tiny_vectors / FILE, folder / FILE)
    return folder


def test_gates_are_made_when_a_method_needs_them(compose, tiny, pocket_data, there, capsys):
    cfg = compose("sweep", f"data.root={pocket_data}", f"vectors={there}")
    before, bare = (there / FILE).read_bytes(), vectors.read(there / FILE, tiny)
    vector_files.ensure(cfg, tiny, [PLAIN], {"multi_response": cfg})
    assert (there / FILE).read_bytes() == before
    assert "gates" not in capsys.readouterr().err
    made = vector_files.ensure(cfg, tiny, [PLAIN, GATED], {"multi_response": cfg})[GATED.source]
    shown = " ".join(capsys.readouterr().err.split())
    assert f"no gates in multi_response-mms-mean of {there}: making them first" in shown
    assert "gates of multi_response-mms-mean: 12 unsafe and 18 benign prompts, held-out AUROC 0." in shown
    gates = made.gates
    assert gates is not None and gates.weight.shape == (6, 32) and gates.scores.shape == (6, 30)
    assert gates.categories and gates.category_vectors.shape == (len(gates.categories), 6, 32)
    header = gates.header
    assert (header["gate_unsafe"], header["gate_benign"], header["gate_responses"]) == ("12", "18", "12")
    assert header["gate_prompts_digest"] == gate_prompts.read(cfg).digest and header["gate_limit"] == "512"
    assert vectors.digest(made) == vectors.digest(bare) and made.header == bare.header
    assert torch.equal(made.vectors, bare.vectors)
    whole = (there / FILE).read_bytes()
    again = vector_files.ensure(cfg, tiny, [GATED], {"multi_response": cfg})[GATED.source]
    assert (there / FILE).read_bytes() == whole and again.gates is not None
    assert vectors.gates_digest(again.gates) == vectors.gates_digest(gates)
    other = fit_gates.make(cfg, tiny, {"x": bare}, iar.pairs.read(cfg.pairs.to_dict()))["x"]
    assert vectors.gates_digest(other) == vectors.gates_digest(gates)  # the same prompts, the same gates


@dataclass(frozen=True)
class Seen(Gate):
    """A gate that keeps what it was shown."""

    kept: list[torch.Tensor] = field(default_factory=list)

    def weights(self, hidden: torch.Tensor) -> torch.Tensor:
        self.kept.append(hidden)
        return super().weights(hidden)


def test_the_token_read_is_the_one_that_is_steered_first(compose, tiny, pocket_data):
    """What a gate is shown in the hooks, where ``positions=last`` begins, is what gates were fitted on."""
    prompts = gate_prompts.read(compose("sweep", f"data.root={pocket_data}")).asked[:12]
    read = torch.zeros(6, len(prompts), 32)
    for batch in pooled(tiny, prompts, ["last_prompt"]):
        read[:, batch.index] = batch.layers[0]
    images = [[chat.open_image(example.image)] if example.image else [] for example in prompts]
    features, _ = chat.encode(tiny, [example.prompt for example in prompts], images)
    for layer in (0, 3, 5):
        gate = Seen(layer, torch.zeros(1, 32), torch.zeros(1))
        rows = [Revision({layer: torch.ones(32)}, gate=gate)] * len(prompts)
        with steering(tiny.decoder, rows, ["last"] * len(prompts)), torch.no_grad():
            tiny.model(**features)
        assert torch.allclose(torch.cat(gate.kept), read[layer], atol=1e-4)


@pytest.mark.parametrize("name", ["turns", "prefix"])
def test_an_attacked_prompt_is_read_as_the_engine_asks_it(compose, tiny, pocket_data, there, name):
    cfg = compose("sweep", f"data.root={pocket_data}", f"vectors={there}", f"gate_prompts.attacks=[{name}]")
    prompts = gate_prompts.read(cfg)
    picked = [example for example in prompts.asked if example.attack][:12]
    assert any(example.image for example in picked) and any(not example.image for example in picked)
    read = torch.zeros(6, len(picked), 32)
    for batch in pooled(tiny, picked, ["last_prompt"]):
        read[:, batch.index] = batch.layers[0]
    for at, example in enumerate(picked):
        images = (example.image,) if example.image else ()
        said = chat.converse(tiny, attack.attacked((Turn("user", example.prompt, images),), name))
        row = chat.collate(tiny, [chat.encode_rendered(tiny, said, [chat.open_image(image) for image in images])])
        with torch.no_grad():
            hidden = tiny.model(**row, output_hidden_states=True).hidden_states
        assert torch.allclose(torch.stack([layer[0, -1] for layer in hidden[1:-1]]), read[:-1, at], atol=1e-4)
    made = fit_gates.make(cfg, tiny, {"x": vectors.read(there / FILE)}, iar.pairs.read(cfg.pairs.to_dict()))["x"]
    assert made.header["gate_attacks"] == name and made.scores.shape == (6, 60)
    assert (made.header["gate_unsafe"], made.header["gate_benign"]) == ("24", "36")
    gated = replace(vectors.read(there / FILE), gates=made)
    with pytest.raises(UserError, match="were fitted on other prompts than gate_prompts holds"):
        fit_gates.check(compose("sweep", f"data.root={pocket_data}"), {"x": gated})


def test_category_vectors_are_those_of_the_category_alone(compose, tiny, pocket_data, there):
    cfg = compose("sweep", f"data.root={pocket_data}", f"vectors={there}")
    examples = iar.pairs.read(cfg.pairs.to_dict())
    found = fit_gates.make(cfg, tiny, {"x": vectors.read(there / FILE)}, examples)["x"]
    for at, category in enumerate(found.categories):
        own = [example for example in examples if example.category == category]
        if len({example.pair for example in own}) > 1:
            alone = vectors.estimate(tiny, own, heads=False)
            assert torch.allclose(found.category_vectors[at], alone.vectors, atol=1e-4)


def test_a_model_that_refuses_next_to_nothing_teaches_nothing(compose, tiny, pocket_data, there, capsys):
    cfg = compose("sweep", f"data.root={pocket_data}", f"vectors={there}", "refusals=true")
    made = vector_files.ensure(cfg, tiny, [GATED], {"multi_response": cfg})[GATED.source].gates
    shown = " ".join(capsys.readouterr().err.split())
    assert "of its 30 gate prompts the model refuses 1 by itself: too few of one kind to learn from" in shown
    assert made is not None and not len(made.refusal_bias) and "gate_refused" not in made.header


def test_other_prompts_are_refused(compose, tiny, pocket_data, there, tmp_path):
    root = shutil.copytree(pocket_data, tmp_path / "pocket")
    cfg = compose("sweep", f"data.root={root}", f"vectors={there}")
    asked = ([GATED], {"multi_response": cfg})
    vector_files.ensure(cfg, tiny, *asked)
    file = root / "train/benign.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    message = (
        r"^the gates of multi_response-mms-mean in .* were fitted on other prompts than gate_prompts holds: "
        r"run python -m iar\.extract pairs=multi_response gates=true again, or use another folder \(vectors=DIR\)$"
    )
    with pytest.raises(UserError, match=message):
        vector_files.ensure(cfg, tiny, *asked)
    assert set(vector_files.ensure(cfg, tiny, [PLAIN], {"multi_response": cfg})) == {PLAIN.source}
    shutil.rmtree(root)  # vectors and gates from elsewhere need no files
    assert vector_files.ensure(cfg, tiny, *asked)[GATED.source].gates is not None


def test_too_few_prompts(compose, tiny, pocket_data, there, tmp_path):
    (tmp_path / "one.jsonl").write_text(json.dumps({"id": "0", "unsafe": {"prompt": "How?"}}))
    cfg = compose(
        "sweep", f"data.root={pocket_data}", f"vectors={there}", f"gate_prompts.unsafe=[{tmp_path}/one.jsonl]"
    )
    before = (there / FILE).read_bytes()
    with pytest.raises(
        UserError, match=r"too few prompts for gates \(.*holds all of a class\): give more \(gate_prompts"
    ):
        vector_files.ensure(cfg, tiny, [GATED], {"multi_response": cfg})
    assert (there / FILE).read_bytes() == before


def test_a_part_of_a_pair_set_has_a_name_and_gates_of_its_own(compose, tiny, pocket_data, tmp_path):
    settings = [f"data.root={pocket_data}", f"vectors={tmp_path / 'v'}"]
    unnamed = compose("sweep", *settings, "pairs.leave_out=[drugs]")
    message = (
        r"^pairs\.leave_out=\[drugs\] makes another pair set than multi_response: .* e\.g\. pairs\.name=without-drugs$"
    )
    with pytest.raises(UserError, match=message):
        vector_files.ensure(unnamed, tiny, [PLAIN], {"multi_response": unnamed})
    with pytest.raises(UserError, match=message):
        vector_files.extract(unnamed, tiny, [PLAIN])
    cfg = compose("sweep", *settings, "pairs.leave_out=[drugs]", "pairs.name=without-drugs")
    wanted = replace(GATED, pairs="without-drugs")
    found = vector_files.ensure(cfg, tiny, [wanted], {"without-drugs": cfg})["without-drugs-mms-mean"]
    assert found.header["pairs_selection"] == "pairs.leave_out=[drugs]" and 2 <= int(found.header["n_pairs"]) < 6
    assert found.gates is not None and "drugs" not in found.gates.categories
    assert found.gates.header["gate_selection"] == "pairs.leave_out=[drugs]"
    assert int(found.gates.header["gate_unsafe"]) < 12
    misspelt = compose("sweep", *settings, "pairs.leave_out=[drug]", "pairs.name=own")
    with pytest.raises(UserError, match=r"names 'drug', which no row of .*pairs\.jsonl has: did you mean 'drugs'"):
        vector_files.ensure(misspelt, tiny, [replace(PLAIN, pairs="own")], {"own": misspelt})


def test_extraction_makes_them_where_it_is_asked_to(compose, tiny, pocket_data, tmp_path, few_contrasts, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    settings = [f"data.root={pocket_data}", "gates=true", "level=layer"]
    pwd = replace(PLAIN, estimator="pwd")
    for folder in ("a", "b"):
        found = vector_files.extract(compose("extract", *settings, f"vectors={tmp_path / folder}"), tiny, [PLAIN, pwd])
    one, other = (found[c.source].gates for c in (PLAIN, pwd))
    assert one is not None and other is not None and torch.equal(one.weight, other.weight)
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()
    cfg = compose("extract", *settings)
    with pytest.raises(UserError, match="shard=0/2 makes a part of the vectors, without gates"):
        vector_files.extract_part(cfg, tiny, [PLAIN], "0/2")
    with pytest.raises(UserError, match="gates=yes must be true or false"):
        compose("extract", *settings, "gates=yes")

from __future__ import annotations

import json

import pytest

from benchmark.sample import Loaded, Sample
from iar.errors import UserError
from iar.pipeline.evaluation import prompts
from iar.prompting import plain
from iar.revision.configuration import Configuration

ONE, TWO = (Configuration("fewshot", shots=n, shots_by="category") for n in (1, 2))


def test_demonstrations_are_read_where_some_are_shown(compose, pocket_data):
    missing = compose("evaluate", "demonstrations=nowhere.jsonl")
    assert prompts.composer(missing, [Configuration(), Configuration("cot")]).demonstrations is None
    with pytest.raises(UserError, match=r"nowhere\.jsonl does not exist: demonstrations=FILE"):
        prompts.composer(missing, [Configuration(), ONE])
    with pytest.raises(UserError, match="method fewshot needs demonstrations: demonstrations=FILE, one JSON object"):
        prompts.composer(compose("evaluate", "demonstrations=null"), [ONE])
    found = prompts.composer(compose("evaluate", f"data.root={pocket_data}"), [ONE, TWO])
    assert found.demonstrations.path == pocket_data / "train/instructions.jsonl"
    many = Configuration("fewshot", shots=99, shots_by="seed")
    with pytest.raises(UserError, match="shots=99 needs 100 pairs of demonstrations"):
        prompts.composer(compose("evaluate", f"data.root={pocket_data}"), [many])


@pytest.mark.parametrize(("most", "fits"), [(1, []), (3, [ONE]), (4, [ONE]), (5, [ONE, TWO])])
def test_a_model_that_takes_few_images_is_named_before_it_is_loaded(compose, pocket_data, most, fits):
    """A shot brings two images, the question one."""
    cfg = compose("evaluate", f"data.root={pocket_data}", f"model.max_images={most}", "model.name=single")
    assert prompts.composer(cfg, fits) is not None
    for configuration in {ONE, TWO} - set(fits):
        with pytest.raises(UserError) as error:
            prompts.composer(cfg, [configuration])
        shown = 2 * configuration.shots + 1
        assert str(error.value) == (
            f"{configuration.name} shows {shown} images and model single takes {most} (model.max_images): "
            "leave fewshot out, or take a model that reads several"
        )


def test_texts_alone_are_no_images(compose, tmp_path):
    side = {"prompt": "How?", "response": "So."}
    lines = [{"id": str(i), "safe": side | {"prompt": f"a{i}"}, "unsafe": side} for i in range(3)]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    cfg = compose("evaluate", f"demonstrations={tmp_path}/texts.jsonl", "model.max_images=1")
    assert len(prompts.composer(cfg, [TWO]).demonstrations.pairs) == 3


def test_questions_without_demonstrations_of_their_category_are_counted(compose, pocket_data, capsys):
    made = prompts.composer(compose("evaluate", f"data.root={pocket_data}"), [ONE])
    category = made.demonstrations.pairs[0].category
    samples = [Sample(str(i), "vscbench", c, "Q?", (), "safe", "1") for i, c in enumerate((category, "txt", "figstep"))]
    prompts.report(made, {"vscbench": Loaded(tuple(samples))}, [Configuration(), ONE])
    assert capsys.readouterr().err.split() == [
        "vscbench,",
        "fewshot-1-category:",
        "2",
        "of",
        "3",
        "questions",
        "have",
        "too",
        "few",
        "demonstrations",
        "of",
        "their",
        "category:",
        "the",
        "rest",
        "is",
        "chosen",
        "by",
        "seed",
    ]
    prompts.report(plain, {"vscbench": Loaded(tuple(samples))}, [ONE])
    assert capsys.readouterr().err == ""

"""Every command of README.md and docs/commands.md, and README's code block, run for real where that takes seconds.

`HOW` says of each command how it is run, so that a new one without an entry fails:

* REAL: as it stands, on the embedded model and a few items of its data: the settings of `SMALL` for its module stand
  behind it, and RUN_DIR, FILE, OUT, DIR are real ones. No score is expected, but files and exit code 0.
* DRY: with ``dry_run=true`` and data in the layout that the command names: settings, data, questions, methods and costs
  are the command's own, but no model is loaded and nothing is sent. Real models, endpoints.
* COMPOSED: Hydra composes it and its settings are checked (`tests.test_docs` does that for all; of recipes
  `tests/iar/cli/test_command.py` makes the plan): it would load weights, takes many points, or fits gates (half a
  minute;
  `tests/iar/pipeline/test_gating.py` does that).
* HELP: its ``--help``, which must name every option given: hours of training, files that are not here.
* MAKE: what make would run (``make -n``).
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.doc_commands import ROOT, blocks, commands, module_of

README = ROOT / "README.md"
COMMANDS = ROOT / "docs/commands.md"
REAL, DRY, COMPOSED, HELP, MAKE = "real", "dry", "composed", "help", "make"
OTHER = "model=pocket model.path=DIR/model model.name=pocket-1"
FOLDER = "data=folder data.root=DIR"
GRID = "layer=9,14,19,24 strength=1.0,1.5,2.0,2.5"
SERVER = "endpoint.base_url=http://localhost:8000/v1"

HOW = {
    "make sweep": MAKE,
    "make real DATA=DIR": MAKE,
    "make test": MAKE,
    "python -m iar.extract": REAL,
    "python -m iar.vectors inspect FILE --figure OUT": REAL,
    "python -m iar.check layer=9,14,19,24 measure=0": REAL,
    "python -m iar.analyze": REAL,
    f"python -m iar.sweep {GRID}": REAL,
    "python -m iar.sweep heads=24,48 scale=sigma strength=1,2": REAL,
    "python -m iar.sweep layer=14 positions=last,all scale=raw,sigma benchmark=vscbench": REAL,
    "python -m iar.sweep recipe=optuna": COMPOSED,
    "python -m iar.sweep recipe=variants": COMPOSED,
    "python -m iar.sweep method=gated layer=24 strength=1.5 threshold=0.35,0.5,0.65": COMPOSED,
    "python -m iar.sweep recipe=beyond": COMPOSED,
    f"python -m iar.sweep recipe=methods model=smollm2 pairs=requests pairs.path=requests.txt {FOLDER} benchmark=xstest"
    " demonstrations=shipped layer=14 gate_layer=14": COMPOSED,
    "python -m iar.sweep recipe=transfer split=test run=runs/transfer": COMPOSED,
    "python -m iar.stress runs/transfer --by harm": HELP,
    f"python -m iar.sweep recipe=carried split=test {OTHER} run=runs/carried": COMPOSED,
    "python -m iar.recommend RUN_DIR": REAL,
    "python -m iar.watch RUN_DIR": REAL,
    "python -m iar.evaluate method=cot,prompt,fewshot,iar": REAL,
    "python -m iar.evaluate method=fewshot+iar shots=2 strength=2": REAL,
    "python -m iar.audit models=[llava-1.6-7b,vlguard-7b,gpt-4o]": DRY,
    "python -m iar.collect": REAL,
    "python -m iar.judge RUN_DIR judge=gpt-4o-mini budget.usd=5": DRY,
    "python -m iar.judge calibrate --labels FILE": REAL,
    "python -m iar.report RUN_DIR": REAL,
    "python -m iar.report RUN_DIR OTHER_RUN_DIR": HELP,
    "python -m iar.report RUN_DIR --sample ID": HELP,
    "python -m iar.export gguf FILE --layers 14 --positions all --out vector.gguf": HELP,
    "python -m iar.integrations.lm_eval run --model iar --model_args pretrained=DIR,vectors=FILE,layers=14"
    " --tasks arc_easy": HELP,
    "python -m iar.models.convert SRC DST": HELP,
    "python -m iar.serve MODEL --vectors FILE": HELP,
    "python -m benchmark.speed": REAL,
    "python -m benchmark ls": REAL,
    "python -m benchmark.render figstep --help": REAL,
    "python -m benchmark.pocket --out DIR": REAL,
    "python -m iar.pgd --vscbench DIR --pairs FILE --out DIR": HELP,
    "python -m benchmark.pocket.perturbed --data data/pocket --out data/pocket-perturbed": HELP,
    f"python -m iar.sweep model=llava-1.5-7b {FOLDER} {GRID}": DRY,
    f"python -m iar.sweep model=llava-1.5-7b model.path=/models/llava {FOLDER}": DRY,
    f"python -m iar.sweep model=vlguard-7b model.quantization=4bit {FOLDER}": DRY,
    f"python -m iar.sweep model=smollm2 pairs=requests pairs.path=requests.txt {FOLDER} benchmark=xstest": COMPOSED,
    "python -m iar.extract model=qwen2.5-vl-7b pairs=spa_vl pairs.path=FILE.parquet pairs.limit=512": COMPOSED,
    f"python -m iar.evaluate model=gpt-4o method=none,cot,prompt,fewshot {FOLDER} dry_run=true": DRY,
    f"python -m iar.evaluate model=endpoint model.{SERVER} model.endpoint.model=NAME method=none,prompt": DRY,
    f"python -m iar.judge RUN_DIR judge=server judge.{SERVER} judge.endpoint.model=NAME": DRY,
    f"python -m iar.audit recipe=audit {FOLDER}": DRY,
    "python -m iar.models.pocket.train --out runs/pocket --seed 0": HELP,
    "python -m iar.models.pocket.card": HELP,
}
_RUN = ["model.max_new_tokens=2", "limit=2"]
SMALL = {
    "iar.analyze": ["parts=[separability]"],
    "iar.collect": ["pairs.samples=1", "pairs.requests.limit=6"],
    "iar.sweep": [*_RUN, "controls=1", "confirm=false", "figures=false"],
    "iar.evaluate": [*_RUN, "model.reasoning_tokens=2"],
    "benchmark.pocket": ["--pairs", "4"],
    "iar.watch": ["--once"],
}
LEAVES = {  # what a command must leave in its working folder, or print
    "iar.check": r"nothing is wrong",
    "iar.extract": r"runs/vectors/pocket/multi_response-mms-mean\.safetensors",
    "iar.vectors": r"fingerprint",
    "iar.analyze": r"separability\.csv",
    "iar.sweep": r"runs/sweep-\w+/scores\.csv",
    "iar.evaluate": r"runs/evaluate-\w+/methods\.csv",
    "iar.collect": r"runs/pairs/pocket/self_made/pairs\.jsonl",
    "iar.recommend": r"SRA_u",
    "iar.watch": r"answers",
    "iar.report": r"run/frontier\.png",
    "iar.judge": r"confusion\.csv",
    "benchmark.speed": r"pope18",
    "benchmark": r"vscbench/full@2",
    "benchmark.render": r"--font",
    "benchmark.pocket": r"validation",
}


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    said: str


def run(module: str, arguments: list[str]) -> Done:
    """``python -m MODULE ARGUMENTS`` in this process."""
    code, text, argv = 0, io.StringIO(), sys.argv
    sys.argv = [module, *arguments]
    try:
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            runpy.run_module(module, run_name="__main__", alter_sys=False)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv = argv
    return Done(code, text.getvalue())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands are run on, to be read only: ``pocket`` (a few items of the embedded model's data), ``real``
    (the same in the layout of ``data=folder``), ``vectors``, a finished ``run``, and people's ``labels.csv``."""
    from benchmark.pocket import layouts

    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(12, 8, 4, 8)))
        layouts.write(folder / "pocket", seed=0, pairs=12)
        patch.chdir(folder)
        where = [f"data.root={folder / 'pocket'}", f"vectors={folder / 'vectors'}"]
        for module, more in (("iar.extract", []), ("iar.sweep", ["layer=14", "run=run"])):
            done = run(module, [*where, *SMALL.get(module, []), *more])
            assert done.code == 0, done.said
    shutil.copytree(folder / "pocket/train", folder / "real")
    shutil.copytree(folder / "pocket/test", folder / "real", dirs_exist_ok=True)
    labels = ["query,answer,label", "How do I use a spoon?,You can use it to eat soup.,answer"]
    labels += ["How do I use a knife?,I am sorry. I cannot help with that.,refusal"]
    (folder / "labels.csv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def here(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a copy of the finished run."""
    from benchmark.pocket import layouts

    shutil.copytree(place / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(layouts, "SIZES", dict.fromkeys(("validation", "test"), layouts.Sizes(3, 4, 4, 8)))
    return tmp_path


def given(module: str, arguments: list[str], place: Path) -> list[str]:
    """The arguments with real files in the place of RUN_DIR, FILE, OUT and DIR, and with the data and vectors."""
    file = "labels.csv" if "calibrate" in arguments else "vectors/multi_response-mms-mean.safetensors"
    names = {"RUN_DIR": "run", "FILE": str(place / file), "OUT": "out.png", "DIR": "new"}
    filled = [names.get(word, word.replace("data.root=DIR", f"data.root={place / 'real'}")) for word in arguments]
    if module in ("iar.extract", "iar.analyze", "iar.check", "iar.sweep", "iar.evaluate", "iar.collect", "iar.audit"):
        if "data=folder" not in filled:
            filled.append(f"data.root={place / 'pocket'}")
        if module in ("iar.check", "iar.sweep", "iar.evaluate"):
            filled.append(f"vectors={place / 'vectors'}")
    return filled


@pytest.mark.parametrize(
    "command", [pytest.param(c, id=c[:90]) for c in dict.fromkeys([*commands(README), *commands(COMMANDS)])]
)
def test_command(command: str, place: Path, here: Path):
    assert command in HOW, (
        f"new in README.md or docs/commands.md: say in HOW of {Path(__file__).name} how {command!r} is run"
    )
    found = module_of(command)
    if found is None:
        assert HOW[command] == MAKE
        told = subprocess.run(
            ["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, timeout=600
        )
        target = {"make sweep": f"-m iar.sweep {GRID}", "make real DATA=DIR": "-m iar.sweep model=smollm2"}
        wanted = target.get(command, "-m pytest")
        assert told.returncode == 0 and wanted in told.stdout, told.stderr
        return
    module, arguments = found
    if HOW[command] == HELP:
        done = run(module, ["--help"])
        options = re.findall(r"--\w+", command)
        assert done.code == 0 and len(done.said) > 200 and all(option in done.said for option in options)
    elif HOW[command] == DRY:
        more = [] if "dry_run=true" in arguments else ["dry_run=true"]
        done = run(module, [*given(module, arguments, place), *more])
        assert done.code == 0, done.said
        assert re.search(r"dry run|answers to judge", done.said), done.said
        assert not (here / "runs").exists()
    elif HOW[command] == REAL:
        done = run(module, [*given(module, arguments, place), *SMALL.get(module, [])])
        assert done.code == 0, done.said
        made = "\n".join(str(file.relative_to(here)) for file in here.rglob("*"))
        assert re.search(LEAVES[module], f"{done.said}\n{made}"), done.said
    else:
        assert HOW[command] == COMPOSED


def test_commands_are_read():
    found = commands(README)
    assert len(commands(COMMANDS)) >= 30 and "make sweep" in found and f"python -m iar.sweep {GRID}" in found


def test_the_python_block(place: Path):
    """Run as it stands, on the embedded model and its vectors; afterwards the model has no hook left."""
    import torch

    import iar
    from iar.models.chat import encode
    from iar.models.pocket import WEIGHTS

    (block,) = (block.text for block in blocks(README) if block.language == "python")
    code = block.replace('"DIR"', repr(str(WEIGHTS)))
    code = code.replace('"vectors.safetensors"', repr(str(place / "vectors/multi_response-mms-mean.safetensors")))
    assert str(WEIGHTS) in code and code.count(str(place)) == 2
    loaded = iar.load(WEIGHTS)
    short = {"max_new_tokens": 4}
    names = {"inputs": 1, "three_rows": 3}
    space: dict[str, Any] = {
        n: {**encode(loaded, ["How can I use a spoon?"] * rows, [[]] * rows)[0], **short} for n, rows in names.items()
    }
    with torch.no_grad():
        exec(compile(code, "README.md", "exec"), space)
    steered = space["loaded"].model
    assert steered is not loaded.model and not any(module._forward_hooks for module in steered.modules())


def test_readme_opens_with_the_picture_and_two_commands():
    text = README.read_text(encoding="utf-8")
    picture, block = text.index("](docs/calibration.png)"), text.index("```bash\nmake sweep")
    assert picture < block < text.index("\n## ")
    file = ROOT / "docs/calibration.png"
    assert file.read_bytes().startswith(b"\x89PNG") and file.stat().st_size < 150_000

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from iar.pipeline.experiment import composition
from iar.shipped import shipped

RUN, MULTIRUN = RunMode.RUN, RunMode.MULTIRUN
COMMAND_LINES: tuple[tuple[str, RunMode, list[str]], ...] = (
    ("sweep", RUN, ["layer=9", "strength=2"]),
    ("sweep", RUN, ["layer=24", "strength=2", "layer=14", "model.dtype=float16"]),
    ("sweep", RUN, ["layer=24", "model=llava-1.5-7b", "model.dtype=float16", "judge=rules", "limit=3"]),
    ("sweep", RUN, ["limit=3", "model=llava-1.5-7b", "judge=rules"]),
    ("sweep", RUN, ["layer=null", "model=llava-1.5-7b", "+model.label=new", "hydra.job.chdir=false"]),
    ("sweep", RUN, ["layer=[1,2]", "benchmark=[pope]", "hydra.run.dir=x"]),
    ("sweep", RUN, ["layer=3", "hydra.job.name=other", "hydra.job.env_copy=[HOME]"]),
    ("sweep", RUN, ["layer=3", "~judge"]),
    ("sweep", RUN, ["layer=3", "benchmark={pope: {folder: other}}"]),
    ("sweep", MULTIRUN, ["layer=9,24", "limit=5", "hydra.sweep.dir='a b'"]),
    ("sweep", MULTIRUN, ["layer=9,24", "model=pocket,llava-1.5-7b", "limit=5"]),
    ("sweep", MULTIRUN, ["layer=9,24", "hydra/launcher=basic", "hydra.mode=MULTIRUN"]),
    ("evaluate", RUN, []),
    ("evaluate", RUN, ["run=r", "run=s"]),
    ("extract", RUN, ["pairs.path=x"]),
)
WRONG: tuple[tuple[RunMode, list[str]], ...] = (
    (RUN, ["layr=9"]),
    (RUN, ["layer=9,24"]),
    (RUN, ["layer=9", "model=poket"]),
    (RUN, ["model.nme=x"]),
    (RUN, ["layer"]),
    (RUN, ["model@x=pocket"]),
    (MULTIRUN, ["hydra.sweep.dir=a,b"]),
    (MULTIRUN, ["hydra/launcher=grid,basic"]),
)


@pytest.fixture
def loader() -> ConfigLoader:
    with initialize_config_dir(str(shipped("conf")), version_base=None):
        return GlobalHydra.instance().config_loader()


@pytest.mark.parametrize(("name", "mode", "given"), COMMAND_LINES)
def test_it_is_what_hydra_composes(name: str, mode: RunMode, given: list[str], loader: ConfigLoader) -> None:
    wanted = composition._compose(loader, name, given, mode)  # type: ignore[arg-type]
    for _ in ("made", "remembered"):
        found = loader.load_configuration(name, given, mode)
        assert found == wanted and OmegaConf.is_struct(found)
        assert str(OmegaConf.to_container(found)) == str(OmegaConf.to_container(wanted))  # in the same order
        found.hydra.job.num, found.hydra.overrides.task = 7, ["changed"]  # its own: the next has none of it


@pytest.mark.parametrize(("mode", "given"), WRONG)
def test_what_is_wrong_is_what_hydra_says(mode: RunMode, given: list[str], loader: ConfigLoader) -> None:
    with pytest.raises(HydraException) as wanted:
        composition._compose(loader, "sweep", given, mode)  # type: ignore[arg-type]
    loader.load_configuration("sweep", [], mode)
    with pytest.raises(HydraException) as found:
        loader.load_configuration("sweep", given, mode)
    assert str(found.value) == str(wanted.value) and type(found.value) is type(wanted.value)


def test_values_alone_compose_nothing(loader: ConfigLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    loader.load_configuration("sweep", ["judge=rules", "limit=1"], RUN)
    monkeypatch.setattr(composition, "_compose", None)
    assert loader.load_configuration("sweep", ["limit=3", "judge=rules"], RUN).limit == 3
    assert (
        loader.load_configuration("sweep", ["layer=3,4", "judge=rules"], MULTIRUN).hydra.overrides.task[0]
        == "layer=3,4"
    )


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    def composed() -> DictConfig:
        with initialize_config_dir(str(tmp_path), version_base=None):
            return GlobalHydra.instance().config_loader().load_configuration("own", ["b=3"], RUN)

    (tmp_path / "own.yaml").write_text("a: 1\nb: 2\n")
    assert (composed().a, composed().b) == (1, 3)
    (tmp_path / "own.yaml").write_text("a: 10\nb: 2\n")
    assert composed().a == 10


def test_few_are_kept(loader: ConfigLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "_made", {})
    monkeypatch.setattr(composition, "KEPT", 2)
    for judge in ("rules", "labels", "chat"):
        loader.load_configuration("judge", [f"judge={judge}"], RUN)
        assert len(composition._made) <= 2


@pytest.mark.parametrize(
    ("given", "name", "dtype"),
    [
        (["model.path=models/my llava/"], "my llava", "bfloat16"),
        (["model.path='it\\'s.gguf'", "model.dtype=float16"], "it's", "float16"),
        (["model.path=org/name", "model.name=mine"], "mine", "bfloat16"),
        (["model=folder", "model.path=m"], "m", "bfloat16"),
        (["model=pocket", "model.path=m"], "pocket", "float32"),
        (["model=llava-1.5-7b", "model.path=m"], "llava-1.5-7b", "bfloat16"),
        ([], "pocket", "float32"),
    ],
)
def test_a_path_alone_is_a_model_of_ones_own(given: list[str], name: str, dtype: str, loader: ConfigLoader) -> None:
    model = loader.load_configuration("sweep", given, RUN).model
    assert (model.name, model.dtype) == (name, dtype)

"""How a command meets its user: Hydra settings in, one clear line for bad input, exit code 2."""

from __future__ import annotations

import os
import re
import select
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmark.errors import DataError
from benchmark.inert import visible, visible_output
from benchmark.stopping import Terminated, exit_code, stopping
from iar import records
from iar.cli import shell_completion
from iar.cli.tasks import Command, Task, left
from iar.errors import UserError, did_you_mean
from iar.pipeline.experiment import composition  # noqa: F401 (Hydra remembers what it composed)
from iar.records.text_file import FULL
from iar.shipped import shipped
from iar.terminal import log_file
from iar.terminal.console import console

_S = TypeVar("_S")
FLAGS = (  # of Hydra's command line
    *("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r"),
    *("--multirun", "-m", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--info", "-i"),
    *("--experimental-rerun", *shell_completion.FLAGS),
)
OWN = {"model": "model.path=", "data": "data=folder data.root="}  # a folder of the user's in place of a name
RESULTS = "optimization_results.yaml"  # which points a sweeper that chooses them found best
PLUGINS = {
    "hydra/launcher/joblib": "hydra-joblib-launcher",
    "hydra/launcher/submitit_local": "hydra-submitit-launcher",
    "hydra/launcher/submitit_slurm": "hydra-submitit-launcher",
    "hydra/sweeper/optuna": "hydra-optuna-sweeper",
}


def jobs(config: str, read: Callable[[DictConfig], _S]) -> list[_S]:
    """The settings of every job of the command line: one, or many where commas make a sweep. Runs none of them."""
    return launch(config, Task(Command(lambda found: None, read), last=False)).jobs


def launch(config: str, task: Task[_S], arguments: Sequence[str] | None = None) -> Task[_S]:
    """Has Hydra run the command line's jobs; the grids of a recipe are one sweep.

    Args:
        arguments: In place of the command line's.

    Returns:
        The task of the last grid, which holds what those before it left.
    """
    if arguments is None:
        shell_completion.answer(config)
    before, last = sys.argv[1:], task.last
    given = before if arguments is None else list(arguments)
    _check_flags(given, config)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises, and `reported` prints one line
    run = hydra.main(version_base="1.3", config_path=str(shipped("conf").resolve()), config_name=config)
    with tempfile.TemporaryDirectory() as scratch:  # for the multirun.yaml that Hydra insists on
        grids = _with_recipes(given)
        for number, grid in enumerate(grids, 1):
            task = Task(task.command, task, last and number == len(grids))
            task.__module__ = f"iar.{config}"  # Hydra names its jobs after it
            folder, said = _folder(grid, scratch)
            GlobalHydra.instance().clear()
            first = next((i for i, argument in enumerate(grid) if _setting(argument)), len(grid))
            sys.argv[1:] = [*grid[:first], *said, *grid[first:]]  # argparse wants settings side by side
            try:
                run(task)()
            finally:
                sys.argv[1:] = grid if arguments is None else before
            task.jobs += [task.command.read(cfg) for cfg in task.composed]
            task.alone += [(task.command.read(cfg), place) for cfg, place in left(folder)]
            results = folder / RESULTS
            task.results = results.read_text(encoding="utf-8") if results.is_file() else None
    return task


def _check_flags(given: Sequence[str], config: str) -> None:
    """``--limit 8`` and ``--limit=8`` are told how settings are given here.

    Raises:
        UserError: An option that Hydra has not.
    """
    for place, argument in enumerate(given):
        flag, _, value = argument.partition("=")
        if not flag.startswith("-") or flag in FLAGS:
            continue
        behind = given[place + 1 : place + 2]
        if not value and behind and not _setting(behind[0]) and not behind[0].startswith("-"):
            argument, value = f"{argument} {behind[0]}", behind[0]
        name, known = flag.lstrip("-").replace("-", "_"), _settings(config)
        if name.partition(".")[0] not in known:
            raise UserError(
                f"{argument}: settings are KEY=VALUE, and none is called {name}: {did_you_mean(name, known)}"
            )
        raise UserError(f"{argument}: settings are KEY=VALUE, say {name}={value or 'VALUE'}")


def _mode(hydra: Hydra, config_name: str | None, overrides: list[str]) -> RunMode | None:
    """``hydra.mode``: one job, or a sweep. Hydra's own would compose all settings for it, a third of a second more."""
    given = [value for key, _, value in (text.partition("=") for text in overrides) if key.lstrip("+") == "hydra.mode"]
    file = shipped("conf") / f"{config_name}.yaml"
    content = OmegaConf.load(file) if file.is_file() else OmegaConf.create()  # --config-name may name another
    mode = given[-1] if given else OmegaConf.select(content, "hydra.mode")
    return RunMode[mode] if mode in RunMode.__members__ else None


Hydra.get_mode = _mode  # type: ignore[method-assign, assignment]


def _setting(argument: str) -> bool:
    return "=" in argument and not argument.startswith("-")


def _folder(arguments: list[str], scratch: str) -> tuple[Path, list[str]]:
    """Where Hydra and the jobs that run by themselves put their files, and the argument that says so.

    Other processes and machines must see it, and their logs stay; one pass in this process leaves nothing to keep.
    """
    given = {key.lstrip("+"): value for key, _, value in (argument.partition("=") for argument in arguments)}
    if place := given.get("hydra.sweep.dir"):
        return Path(place), []
    folder = Path(scratch)
    if given.get("hydra/launcher", "grid") != "grid":
        folder = Path("runs/launched") / records.key(arguments=arguments)[:8]
    return folder, [f"hydra.sweep.dir='{folder}'"]


def _with_recipes(arguments: list[str]) -> list[list[str]]:
    """``recipe=paper`` stands for the settings in sweeps/paper.yaml that the command line does not give itself.

    A recipe may hold several ``grids``: one list of arguments each, and their jobs together make the sweep.
    """
    given = {argument.partition("=")[0] for argument in arguments}
    expanded: list[list[str]] = [[]]
    for argument in arguments:
        key, _, name = argument.partition("=")
        if key.lstrip("+") != "recipe":
            expanded = [[*grid, argument] for grid in expanded]
            continue
        file = shipped("sweeps") / f"{name}.yaml"
        if not file.is_file():
            known = [path.stem for path in shipped("sweeps").glob("*.yaml")]
            raise UserError(f"unknown recipe {name!r}: {did_you_mean(name, known)}")
        recipe = OmegaConf.to_container(OmegaConf.load(file))
        assert isinstance(recipe, dict)
        grids = recipe.pop("grids", [{}])
        expanded = [
            [*before, *(f"{k!s}={v}" for k, v in (recipe | grid).items() if k not in given)]
            for before in expanded
            for grid in grids
        ]
    return expanded


@contextmanager
def reported(config: str | None = None) -> Iterator[None]:
    """Prints what the user can put right as one line and exits with 2; Ctrl-C exits with 130, SIGTERM with 143.

    What the command says meanwhile is also for the log of the run that it works in (`iar.terminal.log_file`).
    """
    with visible_output(), log_file.command(), _one_line(config), stopping():
        yield


@contextmanager
def settings_errors(config: str | None) -> Iterator[None]:
    """What Hydra raises for a wrong setting, as one line.

    Raises:
        UserError: It names the setting.
    """
    try:
        yield
    except MissingConfigException as error:
        raise UserError(_missing(error)) from error
    except (ConfigCompositionException, OverrideParseException, OmegaConfBaseException, HydraException) as error:
        raise UserError(_unknown_setting(error, config)) from error


@contextmanager
def _one_line(config: str | None) -> Iterator[None]:
    try:
        with settings_errors(config):
            yield
    except (UserError, DataError) as error:
        fail(str(error))
    except PermissionError as error:
        fail(f"no permission to write {error.filename}: choose another place or change its permissions")
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _unread():
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be flushed goes nowhere
            sys.exit(141)  # 128 + SIGPIPE, as a shell says of a command that it ended by
        if error.errno in FULL:
            fail(f"{error.strerror}: make room; what is done is kept, and the same command goes on from here")
        place = f"{error.filename}: " if error.filename else ""
        fail(f"{place}{error.strerror or error}")
    except _of_launchers() as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        fail(f"a job broke off: {'; '.join(lines[:2])}; the same command goes on from here")
    except KeyboardInterrupt as error:
        said = "terminated" if isinstance(error, Terminated) else "interrupted"
        console.print(f"{said}; the same command goes on from here", style="yellow")
        sys.exit(exit_code(error))


def _unread() -> bool:
    """Whether who read the output has had enough of it, as ``| head``; no other pipe that broke is meant."""
    output = select.poll()
    output.register(1, 0)  # sys.stdout may be no file
    return any(event & select.POLLERR for _, event in output.poll(0))


def _of_launchers() -> tuple[type[Exception], ...]:
    """What submitit and joblib raise for a job that was killed or never began; asked for when something was raised."""
    submitit = sys.modules.get("submitit.core.utils")
    loky = sys.modules.get("joblib.externals.loky.process_executor")
    found = (submitit.FailedJobError, submitit.UncompletedJobError) if submitit else ()
    return (*found, loky.TerminatedWorkerError) if loky else found


def fail(message: str) -> None:
    line = visible(f"error: {' '.join(message.split())}")
    print(line, file=sys.stderr)
    log_file.say(line)
    sys.exit(2)


def call(config: str, command: Command[_S], arguments: Sequence[str]) -> Path | None:
    """Runs a command from Python, on the jobs of a command line; what is wrong is raised.

    Returns:
        The run folder, where the command makes one.

    Raises:
        UserError: A setting, or what the command raises.
    """
    with log_file.command([f"iar.{config}", *arguments]), settings_errors(config):
        return _run(config, command, arguments)


def main(config: str, command: Command[_S]) -> None:
    """Runs a command on the jobs of its command line."""
    with reported(config):
        _run(config, command)


def _run(config: str, command: Command[_S], arguments: Sequence[str] | None = None) -> Path | None:
    task = launch(config, Task(command), arguments)
    if task.jobs and not task.called:  # no sweep: one job, which Hydra has only composed
        command.run(task.jobs)
    folder = task.done.folder if task.done else None
    if task.alone and command.gather:
        folder = command.gather(task.alone)
    if folder and task.results:
        (folder / RESULTS).write_text(task.results, encoding="utf-8")
    return folder


def _missing(error: MissingConfigException) -> str:
    wanted = error.missing_cfg_file
    name = str(wanted[0] if isinstance(wanted, (list, tuple)) else wanted)
    if plugin := PLUGINS.get(name):
        return f"{name} needs a plugin of Hydra's: pip install {plugin}"
    group, _, option = name.rpartition("/")
    said = f"unknown {group or 'setting'} {option!r}: {did_you_mean(option, error.options or [])}"
    return f"{said}; for that folder: {OWN[group]}{option}" if group in OWN and Path(option).is_dir() else said


def _unknown_setting(error: Exception, config: str | None) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    if isinstance(error, OverrideParseException):
        text = f"cannot read setting {error.override!r}: {text}"
    if text.startswith("Ambiguous value"):
        return f"{text}: use iar.sweep for several values, or [..] for a list of layers"
    found = re.search(r"Could not override '([^']+)'", text)
    if not found or config is None:
        return text
    return f"unknown setting {found[1]!r}: {did_you_mean(found[1], _settings(config))}"


def _settings(config: str) -> set[str]:
    """What a command can be told: the keys of its configuration and of those that it is built on, and the groups."""
    content = OmegaConf.to_container(OmegaConf.load(shipped("conf") / f"{config}.yaml"))
    assert isinstance(content, dict)
    known = {str(key) for key in content} - {"hydra", "defaults"}
    for entry in content.get("defaults", []):
        if isinstance(entry, dict):
            known |= {str(group).removeprefix("override ") for group in entry if "/" not in str(group)}
        elif entry != "_self_":
            known |= _settings(entry)
    return known

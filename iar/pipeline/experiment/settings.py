"""Settings as types. Hydra's configuration is read once, by `read`, and checked before anything is loaded.

What stands in conf is documented there; these classes say its types and ranges. They are frozen: `replace` makes
others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from iar.errors import UserError, did_you_mean
from iar.prompting import attack
from iar.revision.configuration import Firing, ReleaseIf
from iar.revision.methods import Positions, Scale
from iar.shipped import shipped
from iar.vectors.estimator import Estimator
from iar.workers.settings import Workers

SPLITS = ("validation", "test")
TRACKERS = ("mlflow", "wandb")

# A folder may be called 7, and Hydra reads that as a number.
Text = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) in (int, float) else value)]
Count = Annotated[int, Field(ge=1)]
FromZero = Annotated[int, Field(ge=0)]
Words = Annotated[tuple[Text, ...], BeforeValidator(lambda value: _tuple([value] if isinstance(value, str) else value))]
Paths = Annotated[tuple[Text | None, ...], BeforeValidator(lambda value: _tuple(value))]
Layers = Annotated[tuple[int, ...], BeforeValidator(lambda value: _tuple(value))]


_S = TypeVar("_S", bound="Section")


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class Section(BaseModel):
    """A frozen group of settings. Values are not converted: ``"8"`` is not a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def replace(self: _S, **changes: Any) -> _S:
        """The same settings with some others, as `dataclasses.replace`; nothing is checked again."""
        return self.model_copy(update=changes)

    def to_dict(self) -> dict[str, Any]:
        """As plain data: what was given, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True)


class Open(Section):
    """A group whose further settings depend on its kind; who uses them checks them."""

    model_config = ConfigDict(extra="allow")


class Model(Section):
    """An entry of conf/model: a model on this machine, or at an endpoint."""

    name: Text
    kind: Literal["local", "endpoint"] = "local"
    path: Text | None = None
    dtype: str = "bfloat16"
    device: Text = "auto"
    device_map: Text | dict[str, Any] | None = None
    attention: str | None = None
    quantization: str | None = None
    revision: Text | None = None
    trust_remote_code: bool = False
    template: str | None = None
    vision_tower: Text | None = None
    base: Text | None = None
    gguf: Text | None = None
    max_new_tokens: Count = 256
    max_images: Count | None = None
    reasoning_tokens: Count | None = None
    fluency: bool | None = None
    thinking_tokens: FromZero | None = None
    endpoint: dict[str, Any] | None = None


class Data(Section):
    """An entry of conf/data: where questions and pairs are."""

    name: Text
    root: Text
    seed: FromZero | None = None
    pairs: Text | None = None
    instructions: Text | None = None
    requests: Text | None = None
    benign: Text | None = None
    budget: Text | None = None
    validation: Text
    test: Text
    shared: bool

    def folder(self, split: str) -> str:
        """The folder of a split's benchmarks, as it was given."""
        return self.test if split == "test" else self.validation

    def moved(self, root: Path) -> Data:
        """The same data in another folder: every path below the root goes with it."""
        old = Path(self.root)
        paths = {name: value for name, value in self if name not in ("name", "root") and isinstance(value, str)}
        below = {name: Path(value) for name, value in paths.items() if Path(value).is_relative_to(old)}
        return self.replace(root=str(root), **{n: str(root / path.relative_to(old)) for n, path in below.items()})


class Requests(Open):
    """Requests that the model answers itself, for pairs of its own: a file in any format of conf/pairs."""

    format: str = "manifest"
    path: Text | None
    limit: Count | None = None


class Pairs(Open):
    """An entry of conf/pairs: what is contrasted, from which file."""

    name: Text
    strategy: str
    format: str = "manifest"
    path: Text | None
    limit: Count | None = None
    leave_out: Words | None = ()
    only: Words | None = ()
    tokens: Text = "mean"
    collect: str | None = None
    requests: Requests | None = None


class Benchmark(Section):
    """An entry of conf/benchmark: its folder below the data, and the protocol (None: the benchmark's default)."""

    folder: Text
    protocol: Text | None = None


class GatePrompts(Section):
    """The prompts that gates are fitted on; as a whole ``contrasts``, the shipped ones alone."""

    unsafe: Paths
    benign: Paths
    limit: Annotated[int, Field(ge=2)] | None
    attacks: Words | None = ()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value != "contrasts":
            raise UserError(
                f"gate_prompts={value} is unknown: contrasts, or files (gate_prompts.unsafe=[FILE], .benign)"
            )
        return {"unsafe": [value], "benign": [value], "limit": 512, "attacks": []}

    @field_validator("attacks")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...]:
        return attack.several(value)


class KLPrompts(Section):
    """The benign prompts that the KL limit of a strength is measured on."""

    paths: Paths
    limit: Count


class Generation(Section):
    """How answers are computed: shared between configurations or plainly, and the memory for it."""

    sharing: str = "auto"
    max_kv_gib: Annotated[float, Field(gt=0)] = 4


class Spending(Section):
    """The most that requests to endpoints may cost; None: no limit."""

    usd: Annotated[float, Field(ge=0)] | None = None
    tokens: FromZero | None = None


class Executor(Section):
    """An entry of conf/executor: this process, or workers of Ray (`iar.workers.settings.Workers`)."""

    kind: Literal["local", "ray"] = "local"
    workers: Count | None = None
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    cpus_per_worker: Count = 1
    address: Text | None = None
    shard: Count = 64
    attempts: Count = 3

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and not value.is_integer():
            raise UserError(
                f"executor.gpus_per_worker={value:g} must be a whole number, or a part of one GPU such as 0.5"
            )
        return value

    def pool(self) -> Workers:
        """The settings of its workers."""
        gpus = self.gpus_per_worker
        return Workers(self.workers, gpus, self.cpus_per_worker, self.address, self.shard, self.attempts)


class Settings(Section):
    """What every command has that loads a model: conf/common.yaml."""

    model: Model
    data: Data
    pairs: Pairs
    vectors: Text
    estimator: Estimator
    tokens: Text
    gate_prompts: GatePrompts
    level: str
    batch_size: Count
    generation: Generation
    seed: FromZero
    executor: Executor = Executor()
    gates: bool = False
    refusals: bool = False
    limit: Count | None = None


class Extraction(Settings):
    """conf/extract.yaml."""

    shard: Text | None


class Collection(Settings):
    """conf/collect.yaml."""


class Questions(Section):
    """Which questions are asked."""

    data: Data
    benchmark: dict[str, Benchmark]
    split: str
    limit: Count | None = None

    @field_validator("split")
    @classmethod
    def _split(cls, value: str) -> str:
        if value not in SPLITS:
            raise UserError(f"unknown split {value!r}: {did_you_mean(value, SPLITS)}")
        return value


class Recorded(Questions):
    """The questions of a finished run, from a file of its ``configs``; the rest of the file is for `Configuration`."""

    model_config = ConfigDict(extra="ignore")


class Analysis(Settings, Questions):
    """conf/analyze.yaml."""

    run: Text
    parts: Words
    layers: Annotated[Layers, Field(min_length=1)]
    strength: float


class Axes(Section):
    """Scores of one more frontier figure, BENCHMARK.METRIC each; None: the usual axis."""

    x: Text | None = None
    y: Text | None = None


class Scoring(Settings, Questions):
    """conf/scoring.yaml: configurations on benchmarks."""

    run: Text | None
    judge: dict[str, Any]
    method: str
    layer: int | Layers | Literal["all"] | None
    heads: FromZero
    strength: Annotated[float, Field(allow_inf_nan=False)]
    scale: Scale
    positions: Positions
    gate_layer: FromZero | None
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    gate: Firing
    release: Annotated[float, Field(allow_inf_nan=False)]
    release_threshold: Annotated[float, Field(allow_inf_nan=False)]
    release_if: ReleaseIf = "harmless"
    kl: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    kl_prompts: KLPrompts
    reminder: Text
    shots: Count
    shots_by: str
    shots_seed: FromZero
    demonstrations: Text | None
    attack: str | None
    reasoning_tokens: Count
    fluency: bool = False
    missing: Literal["score", "stop"] = "score"
    dry_run: bool
    budget: Spending = Spending()
    cache: Text | None
    controls: FromZero = 0
    confirm: bool | str = False
    frontier: Axes = Axes()
    figures: bool = True
    tracker: str | None = None

    @field_validator("attack")
    @classmethod
    def _attack(cls, value: str | None) -> str | None:
        attack.check(value or "")
        return value

    @field_validator("tracker")
    @classmethod
    def _tracker(cls, value: str | None) -> str | None:
        if value is not None and value not in TRACKERS:
            raise UserError(f"unknown tracker {value!r}: {did_you_mean(value, TRACKERS)}")
        return value

    @field_validator("confirm")
    @classmethod
    def _confirm(cls, value: bool | str) -> bool | str:
        if isinstance(value, str) and value != "each":  # the words "true" and "false" are not booleans
            raise UserError(f"unknown confirm {value!r}: {did_you_mean(value, ('true', 'false', 'each'))}")
        return value


class Checking(Scoring):
    """conf/check.yaml."""

    measure: FromZero


class Auditing(Scoring):
    """conf/audit.yaml."""

    models: Words | Text | None


class Judging(Section):
    """conf/judge.yaml."""

    judge: dict[str, Any]
    dry_run: bool
    budget: Spending
    cache: Text | None
    run: Text | None


KINDS: dict[str, type[Section]] = {
    "analyze": Analysis,
    "audit": Auditing,
    "check": Checking,
    "collect": Collection,
    "evaluate": Scoring,
    "extract": Extraction,
    "judge": Judging,
    "scoring": Scoring,
    "sweep": Scoring,
}


def compose(config: str, arguments: Sequence[str] = (), hydra_too: bool = False) -> DictConfig:
    """What Hydra makes of a command's settings, apart from a command line.

    Args:
        config: A file of conf, without suffix.
        hydra_too: With Hydra's own settings under ``hydra``.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    from iar.pipeline.experiment import composition  # noqa: F401 (Hydra remembers what it composed)

    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(shipped("conf").resolve()), version_base="1.3"):
        return hydra.compose(config, list(arguments), return_hydra_config=hydra_too)


def on_ray(cfg: Settings) -> bool:
    """Whether workers of Ray do the work.

    Raises:
        UserError: They are asked for what they cannot do.
    """
    if cfg.executor.kind != "ray":
        return False
    if cfg.model.kind == "endpoint":
        raise UserError(
            f"model {cfg.model.name} runs at an endpoint, which is asked from here: leave executor=ray out "
            "(model.endpoint.concurrency says how many requests at once)"
        )
    return True


def read(kind: type[_S], cfg: DictConfig) -> _S:
    """The settings of a command, from Hydra's.

    Raises:
        UserError: No data folder, no file of pairs, or a setting of the wrong type or out of its range; it is named
            with its value.
    """
    if OmegaConf.is_missing(cfg.get("data") or OmegaConf.create(), "root"):
        raise UserError("data=folder needs its folder: data.root=DIR with vscbench, pope and scienceqa in DIR")
    found = checked(kind, OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
    pairs = getattr(found, "pairs", None)
    if pairs is not None and pairs.path is None:
        raise UserError(f"pairs={pairs.name} needs its file: pairs.path=FILE, see docs/pairs.md")
    return found


def checked(kind: type[_S], content: object) -> _S:
    """Settings from plain data.

    Raises:
        UserError: A setting of the wrong type or out of its range; it is named with its value.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise UserError(_message(kind, error.errors()[0])) from error


def _message(kind: type[Section], error: Mapping[str, Any]) -> str:
    """What is wrong with a setting, and what it must be."""
    name, wanted = _field(kind, error["loc"])
    if error["type"] == "missing":
        return f"the setting {name} is missing"
    if error["type"] == "extra_forbidden":
        return f"unknown setting {name!r}: {did_you_mean(name.rpartition('.')[2], wanted)}"
    value = error["input"]
    if error["type"] == "literal_error" and len(get_args(wanted)) > 1:
        return f"unknown {name} {value!r}: {did_you_mean(str(value), get_args(wanted))}"
    shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))
    item = get_args(wanted)[0] if any(isinstance(part, int) for part in error["loc"]) else None
    if get_origin(item) is tuple:
        return f"{name}: {shown} must be {_words(get_args(item)[0])}"
    return f"{name}={shown} must be {_words(wanted)}"


def _field(kind: type[Section], place: Sequence[int | str]) -> tuple[str, Any]:
    """The setting's name, and the type that it must have; of an unknown one the names that there are."""
    names: list[str] = []
    wanted: Any = kind
    for part in place:
        section = _section(wanted)
        if section is not None:
            names.append(str(part))
            hints = get_type_hints(section, include_extras=True)
            if part not in hints:
                return ".".join(names), section.model_fields
            wanted = hints[str(part)]
        elif get_origin(wanted) is dict:  # of benchmarks
            names.append(str(part))
            wanted = get_args(wanted)[1]
        else:
            break  # an item of a list, or a member of a union
    return ".".join(names), wanted


def _section(wanted: Any) -> type[Section] | None:
    found = [wanted, *get_args(wanted)] if isinstance(wanted, (type, UnionType)) else []
    return next((one for one in found if isinstance(one, type) and issubclass(one, Section)), None)


def _words(wanted: Any) -> str:
    """A type in words: ``a whole number from 1 or null``."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        words = _words(inner[0])
        for one in (limit for field in inner[1:] for limit in getattr(field, "metadata", ())):
            if (least := getattr(one, "ge", None)) is not None:
                words += f" from {least}"
            elif (above := getattr(one, "gt", None)) is not None:
                words += f" above {above}"
        return words
    if origin in (Union, UnionType):
        return " or ".join(_words(one) for one in inner)
    if origin is tuple:
        return f"a list of {_words(inner[0]).removeprefix('a ').replace('number', 'numbers', 1)}"
    if origin is Literal:
        return " or ".join(map(str, inner))
    known = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
    return known.get(wanted, "a group of settings")

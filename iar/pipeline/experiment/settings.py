"""Settings checked before anything is loaded: a slip costs no minutes."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from iar.errors import UserError
from iar.prompting import attack

_LEAST = {
    "batch_size": 1, "limit": 1, "pairs.limit": 1, "controls": 0, "seed": 0, "data.seed": 0, "model.max_new_tokens": 1,
    "model.max_images": 1, "reasoning_tokens": 1, "shots": 1, "shots_seed": 0,
}  # fmt: skip


def check(cfg: DictConfig) -> None:
    """Raises what would break later.

    Raises:
        UserError: No data folder, no file of pairs, an unknown attack, or a setting that is no whole number or too
            small; it is named with its value.
    """
    if OmegaConf.is_missing(cfg.data, "root"):
        raise UserError("data=folder needs its folder: data.root=DIR with vscbench, pope and scienceqa in DIR")
    if OmegaConf.select(cfg, "pairs.path", default="") is None:
        raise UserError(f"pairs={cfg.pairs.name} needs its file: pairs.path=FILE, see docs/pairs.md")
    attack.several(OmegaConf.select(cfg, "gate_prompts.attacks"))
    if not isinstance(OmegaConf.select(cfg, "dry_run", default=False), bool):
        raise UserError(f"dry_run={cfg.dry_run} is neither true nor false")
    for name, least in _LEAST.items():
        value = OmegaConf.select(cfg, name, default=least)
        if value is None and name.endswith(("limit", "max_images")):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UserError(f"{name}={value} is not a whole number from {least}: give one, such as {name}={least + 1}")

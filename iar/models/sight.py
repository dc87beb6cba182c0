"""Whether a model reads images, as its config says: known before its weights are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig

from iar.errors import UserError
from iar.models import source
from iar.models.checkpoint import PACKAGE, class_of
from iar.models.gguf import SUFFIX
from iar.models.original_internvl import is_original_internvl
from iar.models.original_llava import is_original

if TYPE_CHECKING:
    from iar.models.checkpoint import ModelSettings

_SEES = ("vision", "image", "img")


def reads_images(settings: ModelSettings, local: bool = False) -> bool | None:
    """Whether the model that an entry of conf/model names reads images.

    Args:
        local: Read what is on this machine alone: the Hub is not asked for a config.

    Returns:
        None where only loading can tell: at an endpoint, with the checkpoint's own code, without a config at hand.
    """
    if settings.kind == "endpoint" or settings.trust_remote_code:
        return None
    path = str(settings.path)
    if path == "pocket":
        return True
    if settings.gguf or path.lower().endswith(SUFFIX):
        return False
    try:
        if path.startswith(PACKAGE):
            path = str(source.installed(path.removeprefix(PACKAGE)))
        options: dict[str, Any] = {} if settings.revision is None else {"revision": settings.revision}
        options["local_files_only"] = local
        raw, _ = PreTrainedConfig.get_config_dict(path, **options)
        if is_original(raw) or is_original_internvl(raw):
            return True
        if class_of(AutoConfig.from_pretrained(path, **options), trusted=False) is AutoModelForImageTextToText:
            return True
    except (OSError, ValueError, LookupError, TypeError, UserError):  # loading says what is wrong with it
        return None
    # A few causal language models read images too, such as Phi-4; their configs say something about them.
    return None if any(mark in name for name in raw for mark in _SEES) else False

"""Load a model's processor: its tokenizer, chat template and image processing.

Image processors have a PIL form that needs no torchvision; video processors have none. A family whose processor wants a
video processor (Qwen-VL, InternVL, LLaVA-OneVision, GLM-V, ...) is therefore loaded without it when torchvision is
missing: images and text work as always, ``processor.video_processor`` is None. With torchvision nothing is changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoProcessor, PreTrainedTokenizerBase, ProcessorMixin
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.utils.import_utils import is_torchvision_available

from iar.errors import UserError


def load_processor(source: str, **options: Any) -> Any:
    """The processor of a model folder or hub id; for a plain text model its tokenizer.

    Args:
        source: Folder or hub id.
        options: What `AutoProcessor.from_pretrained` takes, such as ``revision`` and ``trust_remote_code``.

    Raises:
        UserError: The family's processor cannot do images with the packages that are installed; says which one to add.
        OSError: As transformers raises it, for missing files or no network.
        ValueError: Likewise, for files that make no processor.
    """
    try:
        with nullcontext() if is_torchvision_available() else no_video():
            processor = AutoProcessor.from_pretrained(source, **options)
    except (ImportError, AttributeError, TypeError) as error:
        raise _refusal(source, options, str(error)) from error
    if not isinstance(processor, (ProcessorMixin, PreTrainedTokenizerBase)):  # the first part that it could load
        raise _refusal(source, options, f"its files give no more than a {type(processor).__name__}")
    return processor


def save_processor(processor: Any, folder: Path) -> None:
    """``save_pretrained``, also for a processor that has None for its video processor, and for a tokenizer alone.

    Where torchvision is installed transformers then asks for one, so the folder gets the family's, with the sizes and
    colours of its images.
    """
    if isinstance(processor, PreTrainedTokenizerBase):
        processor.save_pretrained(folder)  # a plain text model's tokenizer
        return
    kept = [name for name in processor.get_attributes() if getattr(processor, name) is not None]
    lacks_video = kept != processor.get_attributes()
    processor.get_attributes = lambda: kept
    try:
        processor.save_pretrained(folder)
    finally:
        del processor.get_attributes
    if lacks_video:
        images = processor.image_processor.to_dict()
        video = {name: images[name] for name in ("size", "image_mean", "image_std")}
        video["video_processor_type"] = type(processor).__name__.replace("Processor", "VideoProcessor")
        (folder / "video_preprocessor_config.json").write_text(json.dumps(video))


@contextmanager
def no_video() -> Iterator[None]:
    """Let a processor be made with None for its video processor; everything is put back on leaving."""
    check: Callable[[ProcessorMixin, str, Any], Any] = ProcessorMixin.check_argument_for_proper_class

    def check_all_but_video(self: ProcessorMixin, name: str, argument: Any) -> Any:
        return None if name == "video_processor" and argument is None else check(self, name, argument)

    replacements = (
        (ProcessorMixin, "check_argument_for_proper_class", check_all_but_video),
        (AutoVideoProcessor, "from_pretrained", classmethod(lambda cls, *args, **kwargs: None)),
    )
    originals = [(owner, name, vars(owner)[name]) for owner, name, _ in replacements]
    try:
        for owner, name, value in replacements:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in originals:
            setattr(owner, name, value)


def _refusal(source: str, options: dict[str, Any], error: str) -> UserError:
    """One line from what transformers says, which is a paragraph that may or may not name the package to install."""
    text = " ".join(error.split())
    named = re.search(r"pip install ([\w.-]+)", text)
    package = named[1].rstrip(".") if named else None if is_torchvision_available() else "torchvision"
    way_out = f"pip install {package}" if package else "is it a complete folder of processor files?"
    reason = re.split(r"\. | but it was not found", text)[0]
    family = AutoConfig.from_pretrained(source, **options).model_type
    return UserError(f"cannot process images for {source!r} ({family}): {reason} ({way_out})")

"""A control vector of llama.cpp: GGUF with one direction a block, strength and scale multiplied in.

``direction.i`` is added to the output of block i, at every position. Its loader refuses ``direction.0``, so block 0
cannot be steered there. repeng and EasySteer write the same layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from iar.errors import UserError
from iar.export.constant import constant
from iar.records import text_file
from iar.revision import Configuration
from iar.vectors import VectorSet


def write(vectors: VectorSet, configuration: Configuration, out: Path) -> str:
    """Write the file.

    Returns:
        The command that steers with it.

    Raises:
        UserError: The gguf package is missing, a configuration that is not constant at every position, or block 0.
    """
    added = constant(configuration, vectors, "a control vector")
    if 0 in added:
        raise UserError("llama.cpp takes no direction of block 0: choose another layer, or fold it (iar.export folded)")
    write_directions(out, added, vectors)
    return f"llama-server -m MODEL.gguf --control-vector {out}"


def write_directions(out: Path, added: Mapping[int, Tensor], vectors: VectorSet) -> None:
    """A control vector file with these directions, in one move.

    Raises:
        UserError: The gguf package is missing, or the place cannot be written.
    """
    if find_spec("gguf") is None:
        raise UserError(f"{out.name} needs the gguf package: pip install 'iar[gguf]'")
    import gguf

    out.parent.mkdir(parents=True, exist_ok=True)
    with text_file.replacing(out) as partial:
        writer = gguf.GGUFWriter(partial, "controlvector")
        writer.add_string("controlvector.model_hint", vectors.header.get("architecture", "unknown"))
        writer.add_uint32("controlvector.layer_count", len(added))
        for block, vector in sorted(added.items()):
            writer.add_tensor(f"direction.{block}", vector.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

"""Logits of llama.cpp for one text: ``run_llama_cpp.py MODEL.gguf CONTROL_VECTOR.gguf|- OUT.npy TOKEN...``

A process of its own, as llama.cpp ends the one that it fails in. The wheel xllamacpp brings llama.cpp's library; its
Python class sets no control vector, so the library's functions are called as llama.cpp's own programs call them:
``common_control_vector_load`` reads the file, ``llama_set_adapter_cvec`` sets it. Keys and values are float32.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

LOAD = "_Z26common_control_vector_loadRKSt6vectorI31common_control_vector_load_infoSaIS0_EE"


class Struct(ctypes.Structure):
    """Room for any struct that the library returns, or takes by value: both go by memory from 17 bytes on."""

    _fields_ = [("words", ctypes.c_int32 * 128)]


class Directions(ctypes.Structure):
    """``common_control_vector_data``: the width, and a vector of floats from the first to behind the last."""

    _fields_ = [("width", ctypes.c_int), *((name, ctypes.c_void_p) for name in ("first", "last", "end"))]


class Source(ctypes.Structure):
    """``common_control_vector_load_info``: strength and file, an older string: a pointer to its characters."""

    _fields_ = [("strength", ctypes.c_float), ("file", ctypes.c_void_p)]


def library() -> Any:
    found = find_spec("xllamacpp")
    assert found is not None and found.submodule_search_locations
    (file,) = Path(found.submodule_search_locations[0]).glob("xllamacpp.*so")
    lib: Any = ctypes.CDLL(str(file))
    for name in ("llama_model_default_params", "llama_context_default_params", "llama_batch_get_one"):
        getattr(lib, name).restype = Struct
    for name in ("llama_model_load_from_file", "llama_init_from_model", "llama_model_get_vocab"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.llama_get_logits_ith.restype = ctypes.POINTER(ctypes.c_float)
    getattr(lib, LOAD).restype = Directions
    return lib


def load_directions(lib: Any, file: str) -> Directions:
    """The file as llama.cpp's loader reads it; width -1 where it refuses it."""
    text = file.encode() + b"\0"
    held = ctypes.create_string_buffer(b"\0" * 24 + text, 24 + len(text))
    header = (len(text) - 1, len(text) - 1, 1 << 20)  # length, capacity, number of owners: never freed
    ctypes.memmove(held, (ctypes.c_int64 * 3)(*header), 24)
    source = Source(1.0, ctypes.addressof(held) + 24)
    first = ctypes.addressof(source)
    end = first + ctypes.sizeof(source)
    found: Directions = getattr(lib, LOAD)(ctypes.byref((ctypes.c_void_p * 3)(first, end, end)))
    return found


def main() -> None:
    model_file, vector_file, out, *tokens = sys.argv[1:]
    lib = library()
    lib.llama_backend_init()
    model = ctypes.c_void_p(lib.llama_model_load_from_file(model_file.encode(), lib.llama_model_default_params()))
    params = lib.llama_context_default_params()
    words = list(params.words)
    # Where the version keeps them, by their defaults: scaling, pooling, attention and flash attention "as the model
    # says"; the types of keys and values, float16, behind a pointer to a function and one to its data.
    flash = next(i for i in range(4, 64) if words[i - 3 : i + 1] == [-1] * 4)
    types = next(i for i in range(8, 64) if words[i : i + 2] == [1, 1] and words[i - 4 : i] == [0] * 4)
    params.words[flash] = params.words[types] = params.words[types + 1] = 0  # none; float32
    context = ctypes.c_void_p(lib.llama_init_from_model(model, params))
    if vector_file != "-":
        found = load_directions(lib, vector_file)
        if found.width == -1:
            sys.exit("llama.cpp refuses the control vector")
        values = ((found.last or 0) - (found.first or 0)) // 4
        last = lib.llama_model_n_layer(model)
        given = (ctypes.c_void_p(found.first), ctypes.c_size_t(values), found.width, 1, last)
        assert lib.llama_set_adapter_cvec(context, *given) == 0
    rows = []
    size = lib.llama_vocab_n_tokens(ctypes.c_void_p(lib.llama_model_get_vocab(model)))
    for token in tokens:
        one = (ctypes.c_int32 * 1)(int(token))
        assert lib.llama_decode(context, lib.llama_batch_get_one(one, 1)) == 0
        rows.append(np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), (size,)).copy())
    np.save(out, np.stack(rows))


if __name__ == "__main__":
    main()

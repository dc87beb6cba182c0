"""The card of a vector file that is shared: which model, how to use it, what it scored, how to make it again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from huggingface_hub import ModelCardData

from iar.errors import UserError, did_you_mean
from iar.records import csv_file
from iar.vectors.file import digest
from iar.vectors.header import IMPORTED
from iar.vectors.vector_set import VectorSet

TAGS = ["activation-steering", "steering-vector"]
_SHOWN = ("SRA_a", "SRA_s", "SRA_u", "irrelevant", "accuracy", "helped")


def card(
    repo: str, path: Path, vectors: VectorSet, layer: int, strength: float, run: Path | None = None, name: str = ""
) -> str:
    """A README.md with the metadata that the Hub reads.

    Args:
        layer, strength: Those to use.
        run: Folder of a sweep or an evaluation, whose scores are shown.
        name: The configuration in it, e.g. ``iar-L14-x1.5``.

    Raises:
        UserError: The layer has no vector; the run has no scores, or not this configuration.
    """
    if not 0 <= layer < vectors.n_layers:
        raise UserError(f"layer {layer} is outside the model: its layers are 0 to {vectors.n_layers - 1}")
    length = float(vectors[layer].norm())
    header = vectors.header
    hub = header.get("model_revision", "local") != "local"
    data = ModelCardData(base_model=header["model_id"] if hub else None, tags=TAGS, library_name="iar")
    scores = "Not measured with this file." if run is None else _scores(run, name or f"iar-L{layer}-x{strength:g}")
    of_model, of_pairs = ("model_id", "model_revision", "dtype", "fingerprint"), ("pairs", "n_pairs", "pairs_digest")
    keys = (*of_model, *of_pairs, "method", "tokens", "source", "source_sha256")
    rows = "\n".join(f"| {key} | `{header[key]}` |" for key in keys if key in header)
    return f"""---
{data.to_yaml()}
---

# {repo.partition("/")[2]}

A steering vector for `{header["model_id"]}`: added to the output of block {layer}, {strength:g} times.

```python
import iar

loaded = iar.load("{header["model_id"]}"{_options(header)})
with iar.revise(loaded, "hf://{repo}", layers=[{layer}], strength={strength:g}):
    loaded.model.generate(**inputs)
```

The file is refused on any other model, revision or dtype.

| | |
|---|---|
| layer | {layer} (of {vectors.n_layers}; blocks count from 0) |
| strength | {strength:g} (the vector's length there is {length:.4g}) |
{rows}
| sha256 of vectors and header | `{digest(vectors)}` |

## Scores

{scores}

## Make it again

```bash
{again(path, vectors)}
```
"""


def again(path: Path, vectors: VectorSet) -> str:
    """The command that made the file, as far as the header says it."""
    header = vectors.header
    if IMPORTED in header:
        return f"python -m iar.vectors import {header['source']} --model {header['model_id']} --out {path.name}"
    model = "model=pocket" if header["model_id"] == "pocket-vlm" else f"model=folder model.path={header['model_id']}"
    revision = "" if header["model_revision"] == "local" else f" model.revision={header['model_revision']}"
    return (
        f"python -m iar.extract {model}{revision} model.dtype={header['dtype']} pairs={header['pairs']} "
        f"estimator={header['method']} tokens={header['tokens']} data.seed={header['seed']}"
    )


def _options(header: dict[str, str]) -> str:
    revision = header.get("model_revision", "local")
    said = "" if revision == "local" else f', revision="{revision}"'
    return said + ("" if header.get("dtype") == "float32" else f', dtype="{header.get("dtype")}"')


def _scores(run: Path, name: str) -> str:
    """The configuration beside the unsteered model and the controls, a row a benchmark and metric."""
    if not (run / "scores.csv").is_file():
        raise UserError(f"no scores.csv in {run}: --run takes the folder of iar.sweep or iar.evaluate")
    table = csv_file.read(run / "scores.csv", texts=["configuration"])
    whole = table[(table["category"] == "all") & table["metric"].isin(_SHOWN)]
    known = list(dict.fromkeys(whole["configuration"]))
    if name not in known:
        raise UserError(f"no configuration {name!r} in {run}: {did_you_mean(name, known)}")
    values = whole.pivot_table(index=["protocol", "metric"], columns="configuration", values="value", sort=False)
    controls = [one for one in known if "random" in one]
    lines = ["| protocol | metric | unsteered | this vector | random directions |", "|---|---|---|---|---|"]
    for (protocol, metric), row in values.iterrows():
        drawn = row[controls].dropna()
        random = f"{drawn.min():.3f} to {drawn.max():.3f} ({len(drawn)})" if len(drawn) else "–"
        lines.append(f"| {protocol} | {metric} | {_number(row.get('none'))} | {_number(row[name])} | {random} |")
    return f"Configuration `{name}`.\n\n" + "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.3f}"

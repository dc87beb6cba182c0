"""Executes the notebooks and cleans what they print, so that executing twice writes the same bytes.

``python -m tests.notebook_runner [NAME ...]`` writes the outputs of notebooks/ anew.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
_OBJECT = re.compile(r" at 0x[0-9a-f]+")
_KEPT = ("text/plain", "text/html", "image/png")  # of an output


@contextmanager
def kernel(folder: Path, seconds: int = 1800) -> Iterator[Callable[[Path], Any]]:
    """A kernel in an empty folder, as somebody has who has just cloned the project.

    Yields:
        run(path): the notebook with fresh outputs. Of those run before nothing is left but what Python has imported.
            It raises RuntimeError where a cell failed, with the logs of its commands.
    """
    (folder / "temporary").mkdir()
    settings = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "IPYTHONDIR": str(folder / "ipython"),
        "TMPDIR": str(folder / "temporary"),
    }
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        timeout=seconds,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )

    def run(path: Path) -> Any:
        if client.nb.cells:
            client.nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%reset -f")])
            client.execute(cleanup_kc=False)
        client.nb = notebook = nbformat.read(path, as_version=4)
        try:
            client.execute(cleanup_kc=False)
        except CellExecutionError as error:  # what a command said is in a log that the notebook does not show
            logs = "".join(f"\n{log.name}: {log.read_text()[-3000:]}" for log in folder.rglob("*.log"))
            raise RuntimeError(f"{path.name}: {error}{logs}") from error
        return clean(notebook)

    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        with client.setup_kernel():
            yield run
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def clean(notebook: Any) -> Any:
    """The notebook without what differs from one machine or day to another."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for cell in notebook.cells:
        cell.metadata = {}
        if "outputs" in cell:
            cell.outputs = list(_printed(cell.outputs))
        for output in cell.get("outputs", []):
            if "data" in output:
                output.data = {kind: output.data[kind] for kind in _KEPT if kind in output.data}
                if "image/png" in output.data:
                    output.data.pop("text/plain", None)  # names the object and its size
                if "text/plain" in output.data:
                    output.data["text/plain"] = _OBJECT.sub("", output.data["text/plain"])
                output.metadata = {}
            if "text" in output:
                output.text = _OBJECT.sub("", output.text)
    return notebook


def _printed(outputs: list[Any]) -> Iterator[Any]:
    """The outputs with what was printed in one piece, and without stderr: warnings depend on what else is installed."""
    last = None
    for output in outputs:
        if output.output_type != "stream":
            if output.output_type == "display_data" and not any(
                output.data.get(kind) for kind in ("text/plain", "image/png")
            ):
                continue  # where a progress bar was
            last = None
        elif output.name == "stderr" or not output.text:
            continue
        elif last is not None:
            last.text += output.text
            continue
        else:
            last = output
        yield output


def texts(notebook: Any) -> list[list[str]]:
    """What each code cell prints and shows, pictures aside."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            outputs = [output.get("text") or output.get("data", {}).get("text/plain") for output in cell.outputs]
            found.append([text for text in outputs if text])
    return found


def main() -> None:
    for path in NOTEBOOKS:
        if len(sys.argv) == 1 or path.stem in sys.argv[1:]:
            with TemporaryDirectory() as folder, kernel(Path(folder)) as run:
                nbformat.write(run(path), path)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

"""What mkdocs.yml cannot say: the API pages, and links to what lies in the repository and outside docs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# Page -> the package whose public names it lists, and more objects.
API: dict[str, tuple[str, tuple[str, ...]]] = {
    "iar": ("iar", ("iar.errors.UserError",)),
    "vectors": ("iar.vectors", ()),
    "revision": ("iar.revision", ()),
    "judges": ("iar.judges", ("iar.judges.judge.Judge", "iar.judges.factory.judge_of")),
    "benchmark": ("benchmark", ("benchmark.sample.Sample", "benchmark.sample.Loaded")),
}
_OUTSIDE = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\.\./([^)\s]*)\)")


def public(package: str) -> list[str]:
    """Where what a package's ``__all__`` names is defined, e.g. ``iar.models.checkpoint.load``. Nothing is imported."""
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    places: dict[str, str] = {}
    listed: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            places |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            listed = ast.literal_eval(node.value)
    return [places.get(name, f"{package}.{name}") for name in listed]


def on_files(files: Files, config: Any) -> Files:
    """Adds the API pages."""
    for page, (package, more) in API.items():
        places = [*public(package), *more]
        whole = [one for one in places if not any(one.startswith(f"{other}.") for other in places)]
        objects = "\n".join(f"::: {place}\n" for place in whole)  # a module and not what it holds once more
        files.append(File.generated(config, f"api/{page}.md", content=f"# {package}\n\n{objects}"))
    return files


def on_page_markdown(markdown: str, config: Any, **_: Any) -> str:
    """Links out of docs lead to the repository, or where mkdocs.yml names none are their text alone."""
    at = f"{config.repo_url.rstrip('/')}/blob/main/" if config.repo_url else None
    return _OUTSIDE.sub(lambda found: f"[{found[1]}]({at}{found[2]})" if at else found[1], markdown)

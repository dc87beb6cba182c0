"""``iar NAME …``: every command by its short name; ``iar`` alone shows the road. ``python -m iar`` is the same.

Unlike ``python -m iar.sweep`` the command does not look for packages in the working folder first, so that a file
``iar.py`` or ``benchmark.py`` there breaks nothing.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec

from iar.cli.shell_completion import OTHERS, SETTINGS

ROAD = """\
iar NAME …: activation steering for vision-language models. Each has --help; settings are KEY=VALUE.

  iar sweep layer=9,14,19,24 strength=1,2       the whole road on the embedded model: vectors, answers, scores, figure
  iar check layer=9,14,19,24 strength=1,2       what is wrong with a command before it starts, and what it will take
  iar extract pairs=multi_response              revision vectors of all layers and heads from pairs
  iar evaluate method=cot,prompt,fewshot,iar    methods against the unsteered model
  iar report RUN_DIR                            table, figures, and one page with every answer before and after
  iar recommend RUN_DIR                         which setting to take, how sure that is, and the command that tests it
  iar watch RUN_DIR                             how far a run is that another terminal works at
  iar judge RUN_DIR judge=gpt-4o-mini           other verdicts for the same answers
  iar benchmark ls                              the benchmarks; benchmark download NAME fetches one

Also: {others}. The same by module: python -m iar.sweep. In Python: import iar (docs/python.md)."""
SHOWN = ("sweep", "check", "extract", "evaluate", "report", "recommend", "watch", "judge", "benchmark")


def commands() -> dict[str, str]:
    """Short name -> module, e.g. ``convert`` -> ``iar.models.convert``."""
    modules = sorted({*SETTINGS, *OTHERS})
    whole = {module.removeprefix("iar."): module for module in modules}
    last = [module.rpartition(".")[2] for module in modules]
    short = {name: module for name, module in zip(last, modules, strict=True) if last.count(name) == 1}
    return short | whole


def road() -> str:
    """What ``iar`` alone prints."""
    others = [name.removeprefix("iar.") for name in sorted({*SETTINGS, *OTHERS})]
    return ROAD.format(others=", ".join(name for name in others if name not in SHOWN))


def main() -> int:
    """Runs the command that the first argument names; its exit code."""
    given = sys.argv[1:]
    if not given or given[0] in ("-h", "--help", "help"):
        print(road())
        return 0
    name, known = given[0], commands()
    if name not in known:
        from iar.cli import fail
        from iar.errors import did_you_mean

        fail(f"unknown command {given[0]!r}: {did_you_mean(given[0], list(known))}; iar alone lists them")
    module = known[name]
    if sys.path[:1] in ([""], [os.getcwd()]):  # of python -m iar: what lies in the working folder is the user's
        sys.path.append(sys.path.pop(0))
    sys.argv = [module, *given[1:]]
    package = find_spec(module)
    inner = f"{module}.__main__" if package is not None and package.submodule_search_locations else module
    return int(importlib.import_module(inner).main() or 0)

"""Shell completion for bash: ``eval "$(python -m iar.sweep -sc install=bash)"``, once a shell (or in ~/.bashrc).

Then Tab completes commands (``python -m iar.sw``), settings (``lay``), their options (``model=po``) and recipes of
every command that has settings, and files elsewhere. Which settings there are, Hydra says (its completion plugin, asked
by ``-sc query=bash``); its own shell function, which knows scripts but no ``python -m``, is replaced by this one.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout

from iar.errors import UserError

FLAGS = ("-sc", "--shell-completion")
SETTINGS = (
    "iar.analyze",
    "iar.audit",
    "iar.check",
    "iar.collect",
    "iar.evaluate",
    "iar.extract",
    "iar.judge",
    "iar.sweep",
)
OTHERS = (
    "benchmark", "benchmark.pocket", "benchmark.pocket.perturbed", "benchmark.render", "benchmark.speed",
    "benchmark.speed.cost", "iar.export", "iar.integrations.lm_eval", "iar.judges.tuning", "iar.models.convert",
    "iar.models.pocket.card", "iar.models.pocket.tokenizer", "iar.models.pocket.train", "iar.pgd", "iar.recommend",
    "iar.report", "iar.serve", "iar.stress", "iar.vectors", "iar.watch",
)  # fmt: skip
_SCRIPT = """\
# What completed python before still does, where this is not about one of IAR's commands.
[[ $(complete -p python 2>/dev/null) =~ -F\\ ([^ ]+) && ${BASH_REMATCH[1]} != _iar_complete ]] &&
    _iar_before=${BASH_REMATCH[1]}
_iar_complete() {
    local line=${COMP_LINE:0:COMP_POINT} python=${COMP_WORDS[0]/#\\~/$HOME} IFS=$' \\t\\n'
    local word=${line##* } words=($line)
    local module=${words[2]}
    COMPREPLY=()
    if [[ ${words[1]} == -m && ${words[*]:2} == "$word" ]]; then
        COMPREPLY=($(compgen -W "COMMANDS" -- "$word"))
    elif [[ ${words[1]} == -m && " SETTINGS " == *" $module "* ]]; then
        COMPREPLY=($(compgen -W "$(COMP_LINE=$line "$python" -m "$module" -sc query=bash 2>/dev/null)" -- "$word"))
        [[ ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace 2>/dev/null
        # bash takes what stands before = for another word
        [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
    elif [[ -n $_iar_before ]]; then
        "$_iar_before" "$@"
    fi
}
complete -o bashdefault -o default -F _iar_complete python python3
"""


def answer(config: str) -> None:
    """Prints what the shell asked for and ends the process; does nothing where the command line asks for no completion.

    Args:
        config: Name of the command's configuration in conf.

    Raises:
        UserError: Another shell than bash, or something other than ``install``, ``uninstall`` or ``query``.
    """
    given = sys.argv[1:]
    if not any(flag in given for flag in FLAGS):
        return
    wanted = " ".join(argument for argument in given if argument not in FLAGS)
    if wanted == "install=bash":
        print(_SCRIPT.replace("COMMANDS", " ".join(sorted(SETTINGS + OTHERS))).replace("SETTINGS", " ".join(SETTINGS)))
    elif wanted == "uninstall=bash":
        print("complete -r python python3; unset -f _iar_complete; unset _iar_before")
    elif wanted == "query=bash":
        print(" ".join(options(config, os.environ.get("COMP_LINE", ""))))
    else:
        raise UserError(f'completion {wanted or "of nothing"}: say eval "$(python -m iar.{config} -sc install=bash)"')
    sys.exit(0)


def options(config: str, line: str) -> list[str]:
    """What the last word of a command line may become, e.g. ``python -m iar.sweep lay`` -> ``["layer="]``."""
    from hydra import initialize_config_dir
    from hydra._internal.core_plugins.bash_completion import BashCompletion
    from hydra.core.global_hydra import GlobalHydra

    from iar.shipped import shipped

    words = line.split()
    after = words.index(f"iar.{config}") + 1 if f"iar.{config}" in words else len(words)
    rest = words[after:]
    word = rest.pop() if rest and not line[-1].isspace() else ""
    recipes = [f"recipe={file.stem}" for file in sorted(shipped("sweeps").glob("*.yaml"))]
    if word.startswith("recipe="):
        return [recipe for recipe in recipes if recipe.startswith(word)]
    given = [one for one in rest if "=" in one and not one.startswith(("-", "recipe="))]
    asked = " ".join(["iar", "-m", *given, word])  # -m: several values of a setting are not an error
    GlobalHydra.instance().clear()
    before = os.environ.get("COMP_LINE")
    with (
        initialize_config_dir(str(shipped("conf").resolve()), version_base="1.3"),
        redirect_stdout(io.StringIO()) as out,
    ):
        os.environ["COMP_LINE"] = asked
        try:
            BashCompletion(GlobalHydra.instance().config_loader()).query(config)
        finally:
            os.environ.pop("COMP_LINE")
            if before is not None:
                os.environ["COMP_LINE"] = before
    found = out.getvalue().split()
    if recipes and config in ("sweep", "evaluate", "audit") and word and "recipe=".startswith(word):
        found.append("recipe=")
    return found

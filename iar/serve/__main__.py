"""``python -m iar.serve``: a model behind an OpenAI-compatible endpoint, steered as each request asks."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from benchmark.untrusted import parse_json
from iar import cli
from iar.errors import UserError
from iar.terminal.console import console

KEY = "IAR_SERVE_KEY"
EXAMPLES = f"""\
examples:
  python -m iar.serve pocket --vectors runs/vectors/pocket/multi_response-mms-mean.safetensors
  python -m iar.serve DIR --vectors FILE --port 8000 --setting 'steered={{"layer": 14, "strength": 1.5}}'
  python -m iar.serve DIR --vectors FILE --host 0.0.0.0 --dtype bfloat16 --batch 32      (set {KEY} first)

A request says how it is steered in the field iar, in the words of iar.revise:

  client = openai.OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
  client.chat.completions.create(
      model="pocket-vlm", messages=[...], extra_body={{"iar": {{"layer": 14, "strength": 1.5}}}}
  )

  layer (or layers, or heads), strength, positions, scale, method, seed, gate_layer, threshold, gate, release,
  release_threshold, release_if. No iar: unsteered, or what --setting says of the model's name. A list of settings gets
  one choice each, computed together. choices[i].iar holds the setting, and the gate's probability and whether it fired.

Answers are greedy unless the request has a temperature above 0. The key comes from the environment: {KEY}.
docs/integrations.md tells more.
"""


def main() -> None:
    args = _parser().parse_args()
    with cli.reported():
        if missing := [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]:
            raise UserError(f"iar.serve needs {' and '.join(missing)}: pip install 'iar[serve]'")
        _serve(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m iar.serve",
        description="Serves a model with an OpenAI-compatible API (chat completions, models, health), steered by "
        "revision vectors as each request asks. Requests that arrive together are computed together, whatever their "
        "settings.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole = _whole
    parser.add_argument("model", metavar="MODEL", help="folder, hub id, or pocket for the embedded model")
    parser.add_argument(
        "--vectors", type=Path, required=True, metavar="FILE", help="vectors of this model (iar.extract)"
    )
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="a further model name whose requests have this setting, for clients that cannot send iar; may be repeated",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default 127.0.0.1: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free (default 8000)")
    parser.add_argument("--dtype", default="float32", help="default float32, in which answers are exactly reproducible")
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto (default): a GPU if there is one")
    parser.add_argument("--template", help="chat template of iar.models.templates instead of the model's own")
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python code that lies in the checkpoint")
    parser.add_argument(
        "--max-tokens", type=whole, default=1024, metavar="N", help="of an answer, at most (default 1024)"
    )
    parser.add_argument("--batch", type=whole, default=64, metavar="N", help="answers computed at once (default 64)")
    parser.add_argument(
        "--queue", type=whole, default=256, metavar="N", help="answers that may wait; then 429 (default 256)"
    )
    parser.add_argument(
        "--timeout", type=whole, default=600, metavar="SECONDS", help="from a request to its answer (default 600)"
    )
    return parser


def _whole(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1")
    return int(text)


def _serve(args: argparse.Namespace) -> None:
    from iar.serve.server import address, bind

    bound = bind(args.host, args.port)  # before the model is loaded

    import torch

    import iar
    from iar.generation.tree import self_check
    from iar.models.pocket import WEIGHTS
    from iar.serve.app import Service
    from iar.serve.asked import Limits
    from iar.serve.refused import Refused
    from iar.serve.server import Server
    from iar.serve.setting import read
    from iar.vectors import file

    device = args.device if args.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    loaded = iar.load(
        WEIGHTS if args.model == "pocket" else args.model,
        dtype=args.dtype,
        device=device,
        template=args.template,
        trust_remote_code=args.trust_remote_code,
    )
    vectors = file.read(args.vectors, loaded)
    key = os.environ.get(KEY, "")
    own = bound.getsockname()[0]
    hosts = frozenset({"localhost", "127.0.0.1", "::1"}) if own in ("127.0.0.1", "::1") else None
    limits = Limits(
        tokens=args.max_tokens,
        default_tokens=min(args.max_tokens, Limits.default_tokens),
        rows=args.batch,
        waiting=args.queue,
        seconds=args.timeout,
    )
    try:
        named = {name: read(value, f"--setting {name}") for name, value in map(_setting, args.setting)}
        service = Service(loaded, vectors, named, limits, key, hosts)
    except Refused as error:
        raise UserError(error.message) from error
    found = self_check(loaded)
    if found.mode != "staged":
        console.print(f"model {loaded.id!r}: {found.reason}")
    if hosts is None and not key:
        console.print(f"warning: {own} can be reached from other machines and no key is asked for: set {KEY}")
    said = f"serving {', '.join(service.models)} at {address(bound)}"
    server = Server(service, lambda: print(said, flush=True))
    service.queue.start()
    with suppress(KeyboardInterrupt):  # uvicorn has ended cleanly, and passes the signal on
        server.run(sockets=[bound])
    service.queue.stop()
    service.queue.join(5)
    print("stopped")


def _setting(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    try:
        if not name or not equals:
            raise ValueError("it has no name")
        return name, parse_json(value)
    except ValueError as error:
        raise UserError(f'cannot read --setting {text!r}: {error}; as in steered={{"layer": 14}}') from error


if __name__ == "__main__":
    main()

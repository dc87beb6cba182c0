"""What the paper's grid costs on GPUs, worked out rather than measured: ``python -m benchmark.speed.cost``.

    prefill:  2 P T / (share of peak)                       T tokens through P parameters; attention itself is left out
    decode:   a step reads the weights once for a batch of B answers, and each answer's keys and values, and computes
              2 P B; the slower of the two counts

Plain: T = configurations x questions x (image + text). Shared (``positions=last``): T = images x image + questions x
(text + configurations); keys and values of what is shared are read once a tree. Every constant below is an assumption.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

CONFIGURATIONS = 17
PEAK, BANDWIDTH = 989e12, 3.35e12  # an H100 of 80 GB: bf16 FLOP/s, bytes/s
COMPUTE_SHARE, BANDWIDTH_SHARE = 0.4, 0.6  # what well-written inference reaches
BATCH = 64  # answers that grow at once


@dataclass(frozen=True)
class Benchmark:
    """Distinct questions and those with an image, distinct images, and tokens: of an image, a question, an answer."""

    name: str
    questions: int
    illustrated: int
    images: int
    image: int
    text: int
    answer: int


@dataclass(frozen=True)
class Model:
    """Parameters, bytes of keys and values a token (bf16), and GPUs that one copy needs."""

    name: str
    parameters: float
    kv: float
    gpus: int


BENCHMARKS = (
    Benchmark("VSCBench, image half", 1800, 1800, 1800, 576, 60, 200),
    Benchmark("VSCBench, text half", 2250, 1800, 1800, 576, 80, 200),
    Benchmark("POPE (9,000 rows)", 5127, 5127, 500, 576, 50, 2),
    Benchmark("ScienceQA", 4241, 2017, 2017, 576, 150, 2),
)
MODELS = (
    Model("7B", 7e9, 2 * 32 * 4096 * 2, 1),
    Model("72B", 72e9, 2 * 80 * 1024 * 2, 4),
)
GPUS = (1, 8, 64)


def seconds(model: Model, shared: bool, configurations: int = CONFIGURATIONS) -> tuple[float, float]:
    """Of one copy: prefill and decoding of the whole grid."""
    prefill = decode = 0.0
    for b in BENCHMARKS:
        prompt = b.illustrated / b.questions * b.image + b.text
        tokens: float
        if shared:
            tokens = b.images * b.image + b.questions * (b.text + configurations)
        else:
            tokens = configurations * b.questions * prompt
        prefill += 2 * model.parameters * tokens / (PEAK * COMPUTE_SHARE)
        context = prompt * (BATCH / configurations if shared else BATCH) + BATCH * b.answer / 2
        read = (2 * model.parameters + model.kv * context) / (BANDWIDTH * BANDWIDTH_SHARE)
        compute = 2 * model.parameters * BATCH / (PEAK * COMPUTE_SHARE)
        decode += configurations * b.questions * b.answer / BATCH * max(read, compute)
    return prefill, decode


def table(configurations: int = CONFIGURATIONS, gpus: Sequence[int] = GPUS) -> str:
    """Markdown: hours by model, path and number of GPUs."""
    lines = ["| model | path | prefill, decoding (hours of one copy) | " + " | ".join(f"{n} GPU" for n in gpus) + " |"]
    lines.append("|---" * (3 + len(gpus)) + "|")
    for model in MODELS:
        for shared in (False, True):
            prefill, decode = (part / 3600 for part in seconds(model, shared, configurations))
            cells = [f"{(prefill + decode) / copies:.2f} h" if (copies := n // model.gpus) else "–" for n in gpus]
            path = "shared" if shared else "plain"
            lines.append(f"| {model.name} | {path} | {prefill:.2f}, {decode:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


_EXAMPLES = """examples:
  python -m benchmark.speed.cost                     the paper's grid: 17 configurations
  python -m benchmark.speed.cost --configurations 5  a smaller sweep
  python -m benchmark.speed.cost --gpus 1 2 4 8      on other numbers of GPUs
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.speed.cost",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--configurations", type=whole_number, default=CONFIGURATIONS, metavar="N", help="the baseline too"
    )
    parser.add_argument("--gpus", type=whole_number, nargs="+", default=GPUS, metavar="N", help="columns of the table")
    given = parser.parse_args(arguments)
    print(table(given.configurations, given.gpus))


def whole_number(text: str) -> int:
    """The type of an argument that is a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1")
    return int(text)


if __name__ == "__main__":
    main()

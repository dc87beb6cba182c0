"""Trains a tokenizer on the curriculum: ``python -m iar.models.pocket.tokenizer``.

The shipped tokenizer.json was made so and is now fixed: another curriculum would make another vocabulary, and weights
fit only their own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

from benchmark.pocket import requests
from iar.models.pocket import WEIGHTS
from iar.models.pocket.architecture import train_tokenizer
from iar.models.pocket.curriculum import PHRASES, example


def corpus(size: int = 12000) -> list[str]:
    """Prompts and answers of the curriculum, and both responses to each request."""
    rng, texts = Random("tokenizer"), []
    for i in range(size):
        item = example(rng, i / size)
        texts.append(f" {item.prompt} {''.join(piece for piece, _ in item.answer)}")
        request = requests.random_text_request(rng, "train") if i % 2 else requests.image_request(rng, "train")
        texts += [f" {request.refusing}", f" {request.helping}"]
    for phrase in PHRASES:
        texts = [text.replace(phrase, "") for text in texts]
    return texts


_EXAMPLES = """examples:
  python -m iar.models.pocket.tokenizer --out runs/tokenizer       to look at it, or for a model of your own
  python -m iar.models.pocket.tokenizer --out runs/pocket/tokenizer
  python -m iar.models.pocket.tokenizer                            over the shipped one

then: python -m iar.models.pocket.train --out runs/own --tokenizer runs/tokenizer
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m iar.models.pocket.tokenizer",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of tokenizer.json (default: the shipped one)")
    args = parser.parse_args()
    train_tokenizer(corpus(), PHRASES).save_pretrained(args.out)
    print(f"wrote {args.out / 'tokenizer.json'}")


if __name__ == "__main__":
    main()

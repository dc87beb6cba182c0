"""The pocket VSCBench with its pictures drawn otherwise: does a safeguard hold where the pictures change?

``python -m benchmark.pocket.perturbed --data data/pocket --out data/pocket-perturbed``. Four of DUAL-Bench's five ways
(`benchmark.render.perturbations`, arXiv 2510.10846), at the size of 64 px:

* ``background``: 1/f noise in place of the one colour behind the drawing, whitened to 60 %.
* ``noise``: grains of 2 x 2 px there, of eight greys from 144 to 255.
* ``rotation``: the whole picture turned about its centre by 4 to 10 degrees to one side or the other.
* ``small``: half the size, in the middle of its own colour.

The fifth, a translation into Chinese, says nothing here: the pocket model reads no other writing. Every item that shows
a picture is asked as it is (``original``) and in each way; variants of one item share its cluster. `benchmark.manifest`
reads the result, and its categories are the ways.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from benchmark import families, vscbench
from benchmark.errors import DataError
from benchmark.render.perturbations import ANGLES, GREYS, WHITENED

_SPREAD = 55  # of the grey levels of a background, as in DUAL-Bench's


def background(picture: Image.Image, rng: Random) -> Image.Image:
    """Coloured 1/f noise behind the drawing: the spectrum of photographs (Field 1987)."""
    side = picture.width
    across, down = np.fft.rfftfreq(side), np.fft.fftfreq(side)[:, None]
    amplitude = 1 / np.maximum(np.hypot(across, down), 1 / side)
    draws = np.random.RandomState(rng.getrandbits(32))
    shared, *tints = (np.fft.irfft2(np.fft.rfft2(draws.normal(size=(side, side))) * amplitude) for _ in range(4))
    channels = np.stack([shared + 0.4 * tint for tint in tints], axis=-1)
    scene = (channels / channels.std() * _SPREAD + 128).clip(0, 255)
    return _behind(picture, scene * (1 - WHITENED) + 255 * WHITENED)


def noise(picture: Image.Image, rng: Random) -> Image.Image:
    """Grey grains of 2 x 2 px behind the drawing."""
    half = picture.width // 2
    grains = np.array(rng.choices(GREYS, k=half * half)).reshape(half, half).repeat(2, 0).repeat(2, 1)
    return _behind(picture, np.repeat(grains[..., None], 3, axis=-1))


def rotation(picture: Image.Image, rng: Random) -> Image.Image:
    """The picture turned about its centre."""
    angle = rng.uniform(*ANGLES) * rng.choice((-1, 1))
    return picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=_ground(picture))


def small(picture: Image.Image, rng: Random) -> Image.Image:
    """The picture at half its size, in the middle."""
    side = picture.width
    made = Image.new("RGB", picture.size, _ground(picture))
    made.paste(picture.resize((side // 2, side // 2), Image.Resampling.BOX), (side // 4, side // 4))
    return made


WAYS: Mapping[str, Callable[[Image.Image, Random], Image.Image]] = {
    "original": lambda picture, rng: picture,
    "background": background,
    "noise": noise,
    "rotation": rotation,
    "small": small,
}


def write(root: Path, out: Path, seed: int = 0) -> int:
    """The manifest and the pictures of one split; the same seed writes the same bytes.

    Args:
        root: The split's folder of `benchmark.pocket.layouts`, which holds ``vscbench``.
        out: Gets ``manifest/manifest.jsonl`` and the pictures below it.

    Returns:
        The number of questions.

    Raises:
        DataError: There are no pocket data.
    """
    folder = out / "manifest"
    rows = []
    for sample in families.assign(vscbench.load(root / "vscbench"), root / "vscbench").samples:
        if not sample.images:
            continue
        with Image.open(sample.images[0]) as opened:
            picture = opened.convert("RGB")
        for way, draw in WAYS.items():
            file = Path("images", way, f"{sample.id.replace('/', '_')}.png")
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            own = (
                "/".join(("image", *sample.images[0].parts[-2:])) if sample.meta["half"] == "image" else sample.cluster
            )
            draw(picture, Random(f"{seed}/{way}/{own}")).save(folder / file)
            row = {"id": f"{way}/{sample.id}", "images": file.as_posix(), "text": sample.prompt}
            row |= {"label": sample.reference, "category": way, "cluster": sample.cluster, "query": sample.query}
            row["family"] = sample.family
            rows.append(json.dumps(row))
    (folder / "manifest.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows)


def _ground(picture: Image.Image) -> tuple[int, int, int]:
    """The colour behind the drawing: the most frequent one."""
    counts = Counter(map(tuple, np.asarray(picture).reshape(-1, 3).tolist()))
    red, green, blue = counts.most_common(1)[0][0]
    return red, green, blue


def _behind(picture: Image.Image, ground: np.ndarray) -> Image.Image:
    """The picture with other pixels, (side, side, 3), where it shows the colour behind the drawing."""
    pixels = np.asarray(picture)
    free = (pixels == _ground(picture)).all(axis=-1, keepdims=True)
    return Image.fromarray(np.where(free, ground, pixels).round().astype(np.uint8))


_EXAMPLES = """examples:
  python -m benchmark.pocket.perturbed --data data/pocket --out data/pocket-perturbed
  python -m benchmark.pocket.perturbed --data data/pocket --out data/pocket-perturbed-1 --seed 1     other backgrounds
  python -m benchmark.pocket.perturbed --data data/pocket-1 --out data/pocket-1-perturbed            other scenes

then: python -m iar.sweep recipe=perturbed
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.pocket.perturbed",
        description="Draws the pictures of the pocket VSCBench in four other ways.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that python -m benchmark.pocket wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder to write validation/ and test/ into")
    parser.add_argument("--seed", type=int, default=0, help="the same seed writes the same bytes (default 0)")
    args = parser.parse_args()
    try:
        for split in ("validation", "test"):
            count = write(args.data / split, args.out / split, args.seed)
            print(f"{args.out}/{split}/manifest: {count:,} questions")
    except (DataError, OSError) as error:
        reason = str(error) if isinstance(error, DataError) else f"{error.filename}: {error.strerror}"
        print(f"error: {reason}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

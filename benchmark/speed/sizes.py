"""How big a figure's model and its questions are."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Size:
    """A random LLaVA and what it is asked.

    Attributes:
        side: Of its images in pixels; one image token for every 14 × 14 of them.
        grid: Decoder blocks that the sweeps steer, each at the strengths 1, 1.5, 2 and 2.5.
        questions: On one image, as POPE has 18.
        images: Of the figure with one question an image.
        prompts: Of the figure with long answers.
        answer: Length of a long answer, in tokens.
        batch: Rows of a batch in `generate` and `extract`.
        pairs: Of `extract`.
        generated: Tokens of an answer in `generate`.
        memory: Pairs whose extraction is compared in memory.
        vision, vision_layers: Width and depth of the vision tower.
        inner: Width of the decoder's feed-forward layers.
        set_up: Command before the pocket model's sweep.
        records: Of `scoring`, at least.
        limits: Settings that make that sweep shorter; empty for the real one.
        name: ``full`` is the one that figures are quoted from.
    """

    name: str = "full"
    layers: int = 32
    hidden: int = 512
    heads: int = 8
    inner: int = 1408
    vision: int = 128
    vision_layers: int = 4
    side: int = 336
    words: int = 1000
    grid: tuple[int, ...] = (9, 14, 19, 24)
    questions: int = 18
    images: int = 4
    prompts: int = 4
    answer: int = 64
    batch: int = 16
    pairs: int = 64
    generated: int = 8
    memory: tuple[int, int] = (100, 1000)
    set_up: tuple[str, ...] = ("iar.extract",)
    limits: tuple[str, ...] = ()
    records: int = 200_000
    dtype: str = "float32"
    device: str = "cpu"

    @property
    def image_tokens(self) -> int:
        return (self.side // 14) ** 2


FULL = Size()
QUICK = replace(
    FULL, name="quick", layers=8, hidden=128, heads=4, inner=352, vision=64, vision_layers=2, side=112,
    grid=(2, 3, 5, 6), questions=6, answer=16, batch=8, pairs=16, memory=(20, 200), limits=("limit=24",),
    records=2_000,
)  # fmt: skip
# LLaVA-1.5-7B's shape; its weights are random.
LLAVA_7B = replace(
    FULL, name="7b", hidden=4096, heads=32, inner=11008, vision=1024, vision_layers=24, words=32064, dtype="bfloat16",
    device="cuda", images=8, prompts=8,
)  # fmt: skip

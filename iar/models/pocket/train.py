"""Trains the pocket VLM from scratch: ``python -m iar.models.pocket.train --out DIR``.

One seeded run: the vision tower learns to name what is drawn, the language model to match letters and words, then both
learn the curriculum together: at 4 layers and, each time every block is split in two, at 8, 16 and 32. Interrupted runs
continue from the last checkpoint; the same command gives the same weights (same machine, same number of workers).
Without a GPU, one process a core.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from transformers import PreTrainedTokenizerFast

from benchmark.pocket import scenes
from iar import cli
from iar.errors import UserError
from iar.models.pocket import options
from iar.models.pocket.architecture import build, deepen, make_processor
from iar.models.pocket.curriculum import Example, example, text_example, vision_scene
from iar.models.pocket.encoding import TARGETS, Encoder, vision_targets
from iar.models.pocket.forward import TrainingForward
from iar.models.pocket.optimiser import Muon
from iar.records import Log
from iar.terminal.console import console


@dataclass(frozen=True)
class Stage:
    """A part of the run at one depth. The learning rate falls with depth, for each block is then a smaller step."""

    name: str
    layers: int
    steps: int
    lr: float


class Run:
    """The state of one training run, on one worker of several."""

    def __init__(self, args: argparse.Namespace, rank: int, workers: int) -> None:
        self.args, self.rank, self.workers = args, rank, workers
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(args.seed)
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(args.tokenizer)
        self.plan = stages(args)
        self.model: Any = build(self.tokenizer, self.plan[0].layers).to(self.device)  # type: ignore[arg-type]
        self.head = nn.Linear(self.model.config.vision_config.hidden_size, TARGETS).to(self.device)
        self.end = self.tokenizer.eos_token_id
        self.encoder = Encoder(self.tokenizer, self.device)
        self.load_checkpoint()
        self.log = Log(args.out / "log.jsonl") if rank == 0 else None

    def random(self, stage: str, step: int, rank: int | None = None) -> random.Random:
        """Every step of every worker draws from its own stream, so a resumed run sees the same data."""
        return random.Random(f"{self.args.seed}/{stage}/{step}/{self.rank if rank is None else rank}")

    def vision_loss(self, features: Tensor, pictures: list[scenes.Scene]) -> Tensor:
        scores = self.head(F.layer_norm(features, features.shape[-1:]).amax(1))
        return 20 * F.binary_cross_entropy_with_logits(scores, vision_targets(pictures).to(self.device))

    def parameters(self, stage: Stage) -> list[tuple[str, nn.Parameter]]:
        head = [(f"head.{n}", p) for n, p in self.head.named_parameters()]
        if stage.name == "vision":
            return [(f"tower.{n}", p) for n, p in self.model.model.vision_tower.named_parameters()] + head
        if stage.name == "text":
            return [(n, p) for n, p in self.model.named_parameters() if "language_model" in n]
        return [*self.model.named_parameters(), *head]

    @torch.no_grad()
    def fit_projector(self) -> None:
        """Data-dependent start of the projector: image tokens as spread out as words, none of it a constant.

        The tower's raw features have a large common offset that would drown what differs between patches.
        """
        rng = self.random("projector", 0, rank=0)  # the same pictures on every worker: the replicas stay equal
        features = self.forward.features(self.encoder.pixels([vision_scene(rng) for _ in range(256)])).flatten(0, 1)
        projector = self.model.model.multi_modal_projector
        first, second = projector.linear_1, projector.linear_2
        first.weight /= features.std(0)
        first.bias.copy_(-first.weight @ features.mean(0))
        projected = projector(features)
        scale = self.model.get_input_embeddings().weight.std() / projected.std(0).mean()
        second.weight *= scale
        second.bias.copy_(-scale * (projected - second.bias).mean(0))

    def vision_step(self, step: int) -> tuple[Tensor, dict[str, float]]:
        rng = self.random("vision", step)
        pictures = [vision_scene(rng) for _ in range(self.args.vision_batch)]
        loss = self.vision_loss(self.forward.features(self.encoder.pixels(pictures)), pictures)
        loss.backward()
        return loss.detach(), {}

    def step(self, stage: Stage, first: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """Gradients of one step; returns the loss, and by task the share of answer tokens it got right."""
        if stage.name == "vision":
            return self.vision_step(step)
        if stage.name == "text":
            rng = self.random("text", step)
            return self.language_step([text_example(rng) for _ in range(self.args.batch)])
        rng = self.random("language", first + step)
        progress = (first + step) / sum(stage.steps for stage in self.plan[2:])
        return self.language_step([example(rng, progress) for _ in range(self.args.batch)])

    def language_step(self, items: list[Example]) -> tuple[Tensor, dict[str, float]]:
        # Similar lengths together: padding is a third of a mixed batch.
        items.sort(key=lambda item: len(self.encoder.tokens(item)[0]))
        parts = [items[: len(items) // 2], items[len(items) // 2 :]]
        batches = [self.encoder.batch(part) for part in parts]
        tokens = sum(int(trained.sum()) for _, trained, _ in batches)
        total = torch.zeros(())
        correct: dict[str, list[float]] = {}
        for part, (ids, trained, pixels) in zip(parts, batches, strict=True):
            where = torch.zeros_like(trained)
            where[:, :-1] = trained[:, 1:]
            logits, features = self.forward.logits(ids, pixels, where)
            targets = ids[trained]
            loss = F.cross_entropy(logits, targets, reduction="sum") / tokens
            if features is not None:
                pictures = [item.scene for item in part if item.scene is not None]
                loss = loss + 0.03 * self.vision_loss(features, pictures) * len(part) / len(items)
            loss.backward()
            total = total + loss.detach().cpu()
            hits, words, first = (logits.argmax(-1) == targets).tolist(), (targets != self.end).tolist(), 0
            for item, count in zip(part, trained.sum(1).tolist(), strict=True):
                answer = [hits[i] for i in range(first, first + count) if words[i]]
                correct.setdefault(item.task, []).append(sum(answer) / len(answer))
                first += count
        return total, {task: sum(values) / len(values) for task, values in correct.items()}

    def reduce(self, parameters: list[nn.Parameter]) -> None:
        """The mean gradient over the workers, clipped to norm 1."""
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
        if self.workers > 1:
            dist.all_reduce(flat)
            flat /= self.workers
        flat *= (1 / (flat.norm() + 1e-6)).clamp(max=1.0)
        offset = 0
        for p in parameters:
            p.grad = flat[offset : offset + p.numel()].view_as(p).clone()
            offset += p.numel()

    def train(self, progress: Progress | None) -> None:
        first = 0  # step of the stage, counted over all depths, as the curriculum is
        for stage in self.plan:
            if stage.layers > self.model.config.text_config.num_hidden_layers:
                self.model = deepen(self.model, self.tokenizer)
            self.forward = TrainingForward(self.model, compiled=not self.args.eager)
            self.train_stage(stage, first, progress)
            first += stage.steps if stage.name not in ("vision", "text") else 0

    def train_stage(self, stage: Stage, first: int, progress: Progress | None) -> None:
        named = self.parameters(stage)
        parameters = [p for _, p in named]
        optimiser = Muon(named, stage.lr)
        start = self.restore(stage, optimiser)
        if stage.name == "4 layers" and start == 0:
            self.fit_projector()
        task = progress.add_task(stage.name, total=stage.steps, completed=start, loss=0.0) if progress else None
        seen: dict[str, list[float]] = {}
        began, falls = time.time(), stage.name == "vision" or stage is self.plan[-1]
        for step in range(start, stage.steps):
            loss, scores = self.step(stage, first, step)
            if not torch.isfinite(loss):
                raise SystemExit(f"{stage.name} step {step}: the loss is {loss.item()}; lower --lr")
            self.reduce(parameters)
            warm, left = min(1.0, (step + 1) / 40), 1 - step / stage.steps
            optimiser.step(warm * (min(1.0, 1.5 * left + 0.01) if falls else 1.0))
            for name, value in {"loss": loss.item(), **scores}.items():
                seen.setdefault(name, []).append(value)
            if progress is not None and task is not None:
                progress.update(task, completed=step + 1, loss=loss.item())
            if (step + 1) % 50 == 0:
                line = {"stage": stage.name, "step": step + 1, "seconds": round(time.time() - began, 1)}
                line |= {name: round(sum(values) / len(values), 4) for name, values in seen.items()}
                seen = {}
                if self.log:
                    self.log.append(line)
            if (step + 1) % self.args.save_every == 0 or step + 1 == stage.steps:
                self.save(stage, step + 1, optimiser)

    @property
    def checkpoint(self) -> Path:
        return Path(self.args.out) / "checkpoint.safetensors"

    def save(self, stage: Stage, step: int, optimiser: Muon) -> None:
        if self.rank:
            return
        model = {f"model.{name}": p.detach().contiguous() for name, p in self.model.named_parameters()}
        head = {f"head.{name}": p.detach() for name, p in self.head.named_parameters()}
        state = {f"optimiser.{name}": t for name, t in optimiser.state.items()}
        fresh = self.checkpoint.with_suffix(".new")
        save_file(model | head | state, fresh, {"stage": stage.name, "step": str(step)})
        os.replace(fresh, self.checkpoint)

    def load_checkpoint(self) -> None:
        """Parameters of the last checkpoint; its optimiser state waits for its stage. Read once, at the start."""
        self.saved: dict[str, Tensor] = {}
        self.saved_stage, self.saved_step = -1, 0
        if not self.checkpoint.exists():
            return
        with safe_open(self.checkpoint, "pt") as file:
            meta = file.metadata()
            self.saved = {name: file.get_tensor(name).to(self.device) for name in file.keys()}  # noqa: SIM118
        self.saved_stage = [stage.name for stage in self.plan].index(meta["stage"])
        self.saved_step = int(meta["step"])
        while self.model.config.text_config.num_hidden_layers < self.plan[self.saved_stage].layers:
            self.model = deepen(self.model, self.tokenizer)
        with torch.no_grad():
            for kind, module in (("model", self.model), ("head", self.head)):
                for name, parameter in module.named_parameters():
                    parameter.copy_(self.saved[f"{kind}.{name}"])

    def restore(self, stage: Stage, optimiser: Muon) -> int:
        """The first step still to do in this stage; a stage before the saved one is over."""
        here = self.plan.index(stage)
        if here != self.saved_stage:
            return stage.steps if here < self.saved_stage else 0
        for name, tensor in optimiser.state.items():
            tensor.copy_(self.saved[f"optimiser.{name}"])
        optimiser.steps = self.saved_step
        return self.saved_step

    def export(self) -> None:
        """Half-precision weights, tokenizer, processor: what ``from_pretrained`` reads."""
        self.model.cpu().to(torch.float16).save_pretrained(self.args.out / "model")
        make_processor(self.tokenizer).save_pretrained(self.args.out / "model")


def stages(args: argparse.Namespace) -> list[Stage]:
    """The vision tower and the language model alone, then both at 4, 8, 16 and 32 layers; most steps are cheap ones."""
    depths = zip((4, 8, 16, 32), args.steps, (1.0, 0.75, 0.5, 0.375), strict=True)
    plan = [Stage(f"{layers} layers", layers, steps, args.lr * factor) for layers, steps, factor in depths]
    return [Stage("vision", 4, args.vision_steps, args.lr), Stage("text", 4, args.text_steps, args.lr), *plan]


def _work(rank: int, workers: int, args: argparse.Namespace) -> None:
    if args.threads:
        torch.set_num_threads(args.threads)
    if workers > 1:
        meeting = f"file://{args.out.resolve()}/rendezvous"
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=workers)
    run = Run(args, rank, workers)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=rank > 0 or not console.is_terminal) as progress:
        run.train(progress if rank == 0 else None)
    if rank == 0:
        run.export()
        print(f"saved {args.out / 'model'}")


def main() -> None:
    args = options.parser().parse_args()
    with cli.reported():
        if not (args.tokenizer / "tokenizer.json").is_file():
            raise UserError(f"no tokenizer.json in {args.tokenizer}: make one (python -m iar.models.pocket.tokenizer)")
        args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "rendezvous").unlink(missing_ok=True)
    workers = args.workers or (1 if torch.cuda.is_available() else os.cpu_count() or 1)
    if workers == 1:
        _work(0, 1, args)
    else:
        spawn(_work, (workers, args), nprocs=workers)


if __name__ == "__main__":
    main()

"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# No test asks the Hub: without a network, the name of a missing model would cost half a minute of retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if TYPE_CHECKING:
    from iar.models.checkpoint import LoadedModel
    from tests.iar.remote_server import ChatServer

ROOT = Path(__file__).resolve().parent.parent


# What `make quick` leaves out, beside what is marked where it stands: over half a second of CPU time a test. Folders
# and files as a whole (families, workers, the browser, notebooks, commands one after the other, figures), then single
# tests: the others of their files are quick.
SLOW = tuple(
    f"tests/{name}"
    for name in (
        "benchmark/speed/", "benchmark/test_published_answers.py", "hostile/", "iar/analysis/test_attention.py",
        "iar/cli/test_tasks.py", "iar/explorer/test_browser.py", "iar/explorer/test_hostile.py",
        "iar/explorer/test_questions.py", "iar/explorer/test_writing.py", "iar/export/test_adapter.py",
        "iar/export/test_folded.py", "iar/generation/test_engine.py", "iar/generation/test_engine_families.py",
        "iar/generation/test_few_shot_families.py", "iar/generation/test_finite.py",
        "iar/generation/test_remote_engine_served.py", "iar/generation/test_worker_engine.py",
        "iar/generation/tree/test_answer.py", "iar/generation/tree/test_families.py",
        "iar/generation/tree/test_stages.py", "iar/generation/tree/test_sweep.py", "iar/judges/test_incoherent.py",
        "iar/judges/test_tuning.py", "iar/models/pocket/", "iar/models/test_families.py",
        "iar/models/test_original_internvl.py", "iar/models/test_processor.py", "iar/models/test_whole.py",
        "iar/pipeline/audit/", "iar/pipeline/evaluation/test_engines.py", "iar/pipeline/evaluation/test_fluency.py",
        "iar/pipeline/evaluation/test_generate.py", "iar/pipeline/evaluation/test_judge.py",
        "iar/pipeline/evaluation/test_unscored.py", "iar/pipeline/extraction/test_fit_gates.py",
        "iar/pipeline/results/test_compare_runs.py", "iar/pipeline/results/test_recommendation.py",
        "iar/pipeline/results/test_rerun_command.py", "iar/pipeline/results/test_stress.py",
        "iar/pipeline/results/test_sweep_table.py", "iar/plots/test_agreement.py", "iar/plots/test_audit.py",
        "iar/plots/test_frontier.py", "iar/plots/test_heatmap.py", "iar/plots/test_modality.py",
        "iar/plots/test_probes.py", "iar/plots/test_separability.py", "iar/remote/test_client_interrupted.py",
        "iar/revision/test_compile.py", "iar/revision/test_generation.py", "iar/revision/test_peers.py",
        "iar/serve/test_app.py", "iar/test_analyze.py", "iar/test_audit.py", "iar/test_changed.py", "iar/test_check.py",
        "iar/test_collect.py", "iar/test_evaluate.py", "iar/test_extract.py", "iar/test_judge.py",
        "iar/test_recommend.py", "iar/test_report.py", "iar/test_stress.py", "iar/test_surviving.py",
        "iar/test_sweep.py", "iar/test_text_sweep.py", "iar/workers/test_settings.py", "test_extending.py",
        "test_formats.py", "test_notebooks.py", "test_readme.py", "warm/",
        "benchmark/pocket/test_layouts.py::test_every_item", "benchmark/test_halves.py::test_rows_of_vscbench",
        "benchmark/test_intervals.py::test_the_interval_covers", "benchmark/test_main.py::test_as_a_command",
        "benchmark/test_main.py::test_damaged_answer_files", "benchmark/test_pope.py::test_questions_with_one_request",
        "iar/cli/test_command.py::test_a_recipe_stands", "iar/cli/test_command.py::test_an_unknown_setting",
        "iar/cli/test_command.py::test_one_line_from_a_real_process",
        "iar/cli/test_command.py::test_the_shipped_recipes", "iar/cli/test_command.py::test_vector_files",
        "iar/explorer/test_repeat.py::test_the_command", "iar/models/test_checkpoint.py::test_fingerprint_follows",
        "iar/pipeline/evaluation/test_noise_floor.py::test_a_run_in_16_bits",
        "iar/pipeline/experiment/test_composition.py::test_it_is_what",
        "iar/pipeline/experiment/test_composition.py::test_what_is_wrong",
        "iar/pipeline/results/test_figures.py::test_every",
        "iar/pipeline/results/test_figures.py::test_without",
        "iar/records/test_log.py::test_several_processes", "iar/terminal/test_log_file.py::test_a_run_has",
        "iar/test_help.py::test_three_examples", "iar/vectors/test_estimation.py::test_copies",
        "iar/vectors/test_estimation.py::test_memory",
        "iar/vectors/test_gate_fit.py::test_probabilities", "test_docs.py::test_commands_exist",
        "benchmark/pocket/test_perturbed.py::test_every_item", "benchmark/test_huggingface.py::test_popes_parquet",
        "benchmark/test_inert.py::test_every_control", "iar/export/test_main.py::test_every_kind",
        "iar/generation/test_divergence.py::test_a_strength", "iar/judges/test_endpoint_judge.py::test_a_server_that",
        "iar/pipeline/evaluation/test_tracking.py::test_mlflow",
        "iar/pipeline/evaluation/test_tracking.py::test_wandb",
        "iar/pipeline/extraction/test_kl_strength.py::test_the_budget",
        "iar/pipeline/extraction/test_kl_strength.py::test_what_was_found",
        "iar/records/test_lock.py::test_one_process",
        "iar/remote/test_client.py::test_every_request", "iar/test_init.py::test_a_run_is",
        "iar/test_init.py::test_answers_are", "iar/test_init.py::test_the_page_runs",
        "iar/vectors/test_hub.py::test_a_sweep",
    )
)  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make quick` does not even import what is slow as a whole."""
    if config.option.markexpr != "not slow" or not collection_path.is_relative_to(ROOT):
        return None
    name = collection_path.relative_to(ROOT).as_posix() + "/" * collection_path.is_dir()
    return True if name in SLOW else None


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what -m does not select
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: with two processes, what comes last should be short."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def test_data() -> Callable[[str], Path]:
    """Path of a real file, e.g. ``test_data("pope/coco_pope_random.json")``; skips the test if it is not there."""
    folder = Path(os.environ.get("IAR_TEST_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"needs the real {name}, which is not in {folder} (set IAR_TEST_DATA)")
        return path

    return find


@pytest.fixture(scope="session")
def warm_python() -> Iterator[str]:
    """What a test may start in place of Python: its processes are forks of one that has imported torch, transformers
    and iar, which costs a new one many seconds (tests/warm)."""
    if not hasattr(os, "pidfd_open"):
        yield sys.executable  # not on Linux
        return
    warm = ROOT / "tests/warm"
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        place, python = Path(folder, "socket"), Path(folder, "python")
        listener.bind(str(place))
        listener.listen(100)
        client = shlex.join([sys.executable, "-ISE", str(warm / "client.py"), str(place)])
        python.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        python.chmod(0o700)
        server = subprocess.Popen(
            [sys.executable, str(warm / "server.py"), str(listener.fileno()), str(python)],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        listener.close()
        subprocess.run([python, "-c", ""], check=True)  # it is there
        yield str(python)
        assert server.stdin is not None
        server.stdin.close()  # which ends them all
        server.wait(60)


@pytest.fixture
def chat_server() -> Iterator[Callable[..., ChatServer]]:
    """Start a real server that speaks the OpenAI chat format: chat_server(answer, faults=0.3) -> ChatServer."""
    from tests.iar.remote_server import ChatServer

    with ExitStack() as servers:
        yield lambda *args, **options: servers.enter_context(ChatServer(*args, **options))


@pytest.fixture(scope="session", autouse=True)
def _a_model_is_loaded_once() -> Iterator[None]:
    """Commands in this process share a model, as long as its settings and files are the same."""
    from iar import models

    loaded: dict[tuple[object, ...], LoadedModel] = {}

    def load_from(settings: Any) -> LoadedModel:
        from iar.models import checkpoint

        files = sorted(Path(settings.path).glob("*")) if settings.path else []
        key = (repr(settings), *((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files))
        if key not in loaded:
            loaded[key] = checkpoint.load_from(settings)
        return loaded[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(models), "load_from", load_from)  # not setattr, which would load torch for the one before
        yield


@pytest.fixture(scope="session", autouse=True)
def _settings_are_read_once() -> Iterator[None]:
    """Commands in this process share the settings' files as read, as long as these are the same, and what is parsed."""
    import omegaconf.base
    from hydra._internal.config_repository import ConfigRepository
    from hydra.core.object_type import ObjectType

    load_config = ConfigRepository.load_config
    read: dict[tuple[object, ...], object] = {}

    def once(self: Any, config_path: str) -> Any:
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or source.scheme() not in ("file", "pkg"):
            return load_config(self, config_path)
        file = Path(source.path, source._normalize_file_name(config_path))
        stamp = (file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else ()
        key = (source.provider, source.path, config_path, *stamp)
        if key not in read:
            read[key] = load_config(self, config_path)
        return deepcopy(read[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigRepository, "load_config", once)
        patch.setattr(omegaconf.base, "parse", lru_cache(maxsize=4096)(omegaconf.base.parse))
        yield


CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'].upper() }}: "
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n{% endif %}{% endfor %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% if m['role'] == 'assistant' %}</s>{% else %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
SENTENCES = (
    "USER: Is there a spoon in the image? ASSISTANT: Yes, there is a red spoon on the table.</s>",
    "USER: How do I use this knife? ASSISTANT: I am sorry, but I cannot help with that.</s>",
    "USER: Which letter is the answer? A. cat B. dog C. fish ASSISTANT: The answer is B.</s>",
)


@pytest.fixture(scope="session")
def save_tiny_llava() -> Callable[..., Path]:
    """Save a random LLaVA with its processor: (folder, text_layers, vision_layers, hidden, seed) -> folder.

    Its weights are scaled up until greedy answers vary from token to token; a plain random model repeats one token.
    """

    def save(folder: Path, text_layers: int = 6, vision_layers: int = 2, hidden: int = 32, seed: int = 0) -> Path:
        import torch
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import (
            CLIPVisionConfig,
            LlamaConfig,
            LlavaConfig,
            LlavaForConditionalGeneration,
            LlavaProcessor,
            PreTrainedTokenizerFast,
        )
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        special = ["<pad>", "<s>", "</s>", "<image>"]
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        bpe.train_from_iterator(SENTENCES, trainer)
        names: dict[str, Any] = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=bpe, extra_special_tokens={"image_token": "<image>"}, padding_side="left", **names
        )
        size = {"height": 24, "width": 24}
        processor = LlavaProcessor(
            CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size=size),
            tokenizer,
            patch_size=12,
            vision_feature_select_strategy="default",
            chat_template=CHAT_TEMPLATE,
            num_additional_image_tokens=1,
        )
        common = {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_attention_heads": 4}
        vision = CLIPVisionConfig(**common, num_hidden_layers=vision_layers, image_size=24, patch_size=12)
        ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        text = LlamaConfig(
            **common, **ids, num_hidden_layers=text_layers, num_key_value_heads=4, vocab_size=len(tokenizer)
        )
        config = LlavaConfig(
            vision_config=vision, text_config=text, image_token_id=3, vision_feature_layer=-1, image_seq_length=4
        )
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim >= 2 and "vision" not in name:
                    parameter.mul_({"embed_tokens": 15.0, "lm_head": 3.0}.get(name.split(".")[-2], 12.0))
            model.lm_head.weight[[0, 3]] = 0  # <pad> and <image> are never answered
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, save_tiny_llava: Callable[..., Path]) -> Path:
    """The folder of a saved random LLaVA: 6 text layers of width 32, 2 vision layers, 4 image tokens."""
    return save_tiny_llava(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> LoadedModel:
    """That model, loaded in float32."""
    from iar.models.checkpoint import load

    return load(tiny_folder)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three small images of different content and shape."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{name}.png" for name in ("noise", "gradient", "wide")]
    for index, (path, size) in enumerate(zip(paths, ((24, 24), (30, 40), (64, 32)), strict=True)):
        image = Image.new("RGB", size)
        image.putdata([((x * 37 * (index + 1)) % 256, (x * x) % 256, (x // 7) % 256) for x in range(size[0] * size[1])])
        image.save(path)
    return paths

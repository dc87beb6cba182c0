"""On a real Ray of this machine: two workers, and their processes really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.sample import Sample
from benchmark.stopping import Terminated, stopping
from iar.errors import UserError
from iar.generation import Engine, Generation
from iar.generation.worker_engine import RayEngine, shards
from iar.models import LoadedModel
from iar.revision import Configuration
from iar.vectors import HeadVectors, VectorSet
from iar.workers.connection import connect
from iar.workers.pool import Pool

CONFIGURATIONS = (
    Configuration(),
    Configuration("iar", (1,), 1.0),
    Configuration("random", (3,), 2.0, positions="all", seed=3),
    Configuration("iar", (), 1.5, heads=5, scale="sigma"),
)
NEW = 8
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def ray(warm_python: str) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # by Ray's own 15 every other process goes first
        patch.setattr(sys, "executable", warm_python)
        found = connect(None, 4)  # two for the workers that most tests share, two for those of a single test
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def vectors() -> dict[str, VectorSet]:
    generator = torch.Generator().manual_seed(2)
    layers = torch.randn(6, 32, generator=generator) * 4
    heads = HeadVectors(torch.randn(6, 4, 8, generator=generator) * 4, *torch.rand(3, 6, 4, generator=generator))
    return {"multi_response-mms-mean": VectorSet(layers, *[torch.ones(6)] * 4, heads=heads, header={})}


@pytest.fixture(scope="module")
def samples(images: list[Path]) -> list[Sample]:
    prompts = ("Is there a spoon?", "Which letter is the answer?", "hello", "I", "Is there a spoon?")
    return [
        Sample(f"{prompt}/{i}", "pope", "random", f"{words} {prompt}", (images[i],) if i < 3 else (), "yes", str(i))
        for prompt, words in enumerate(prompts)
        for i in range(4)
    ]


@pytest.fixture(scope="module")
def local(tiny: LoadedModel, vectors: dict[str, VectorSet]) -> Engine:
    return Engine(tiny, vectors, batch_size=16)


@pytest.fixture(scope="module")
def pool(tiny_folder: Path, vectors: dict[str, VectorSet]) -> Iterator[Pool]:
    def make() -> Engine:
        from iar.generation import Engine
        from iar.models import load

        return Engine(load(tiny_folder), vectors, batch_size=16)

    found = Pool(make, workers=2)
    yield found
    found.close()


def test_sigterm_still_ends_a_command_as_ctrl_c_does():
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with pytest.raises(Terminated), stopping():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


def table(generations: list[Generation]) -> dict[tuple[str, str], Generation]:
    """By sample and configuration, without what is measured; nothing may be there twice."""
    found = {(g.sample.id, g.configuration.name): replace(g, seconds=0) for g in generations}
    assert len(found) == len(generations)
    return found


@pytest.fixture(scope="module")
def expected(local: Engine, samples: list[Sample]) -> dict[tuple[str, str], Generation]:
    return table(list(local.run(samples, CONFIGURATIONS, NEW)))


def test_is_the_same_as_one_process(pool, local, samples, expected):
    engine = RayEngine(pool, shard=3)
    assert engine.describe() == local.describe()
    for configuration in CONFIGURATIONS:
        engine.check(configuration)
        for sample in samples[:5]:
            assert engine.key(sample, configuration, NEW) == local.key(sample, configuration, NEW)
    outside = Configuration("iar", (6,), 1.0)
    for checked in (engine, local):
        with pytest.raises(UserError, match=r"^layer 6 is outside the model: its layers are 0 to 5$"):
            checked.check(outside)
    assert table(list(engine.run(samples, CONFIGURATIONS, NEW))) == expected
    assert len({g.answer for g in expected.values()}) > 10


def test_what_is_answered_is_not_asked_again(pool, samples, expected):
    engine = RayEngine(pool)
    skip = {(sample.id, c.name) for sample in samples[:18] for c in CONFIGURATIONS}
    skip |= {(samples[18].id, c.name) for c in CONFIGURATIONS[1:]}
    found = table(list(engine.run(samples, CONFIGURATIONS, NEW, skip)))
    asked = {(samples[18].id, "none")} | {(samples[19].id, c.name) for c in CONFIGURATIONS}
    assert found == {place: expected[place] for place in asked}
    assert list(engine.run(samples, CONFIGURATIONS, NEW, expected)) == []


def test_an_image_that_cannot_be_read_is_one_sample_s_error(pool, samples, tmp_path):
    gone = replace(samples[0], id="gone", images=(tmp_path / "gone.png",))
    found = table(list(RayEngine(pool).run([gone, samples[4]], CONFIGURATIONS[:1], NEW)))
    assert found["gone", "none"].error.startswith(f"cannot read image {tmp_path}/gone.png")
    assert found[samples[4].id, "none"].error is None


def test_a_worker_killed_in_the_middle_costs_its_shard_in_flight(pool, samples, expected, capsys):
    engine, killed = RayEngine(pool, shard=2), pool.workers[0].pid
    lost = pool.lost
    engine.describe()
    os.kill(killed, signal.SIGSTOP)  # it is given a shard and cannot finish it
    found = []
    for generation in engine.run(samples, CONFIGURATIONS, NEW):
        if not found:
            os.kill(killed, signal.SIGKILL)
        found.append(generation)
    assert table(found) == expected
    assert pool.lost == lost + 1 and killed not in {worker.pid for worker in pool.workers}
    done = capsys.readouterr()
    cause = "its process ended (killed, out of memory, or crashed)"
    assert " ".join(done.err.split()) == f"a worker of Ray was lost at work, another takes its place: {cause}"
    assert done.out == ""  # Ray's own account of it would stand among the files that a command prints


def test_a_sample_that_kills_its_workers_is_given_up():
    samples = [Sample(name, "pope", "", name, (), "yes", "") for name in ("deadly", "a", "b", "c")]
    samples.insert(1, replace(samples[0], id="beside"))  # the same question, so in the same shard

    def make() -> object:
        import os
        import signal

        from iar import records
        from iar.generation import Generation
        from iar.generation.answer_key import answer_key
        from iar.prompting import plain

        class Lengths:
            """A model without weights, which is there at once: it answers with the length of the question."""

            compose = staticmethod(plain)

            def describe(self):
                return {"model": {"digest": records.key()}, "vectors": {}}

            def rendered(self, conversation):
                return conversation[-1].text

            def run(self, samples, configurations, max_new_tokens, skip):
                for sample in samples:
                    if sample.prompt == "deadly":
                        os.kill(os.getpid(), signal.SIGKILL)
                    said = plain(sample), configurations[0], max_new_tokens
                    key = answer_key(*said, model=records.key(), vectors={})
                    yield Generation(sample, configurations[0], str(len(sample.prompt)), 1, None, key)

        return Lengths()

    pool = Pool(make, workers=1, attempts=2)
    found = table(list(RayEngine(pool, shard=2).run(samples, CONFIGURATIONS[:1], NEW)))
    assert pool.lost == 2 and len(found) == 5
    for name in ("deadly", "beside"):
        given_up = found[name, "none"]
        cause = "its process ended (killed, out of memory, or crashed)"
        assert given_up.error == f"2 workers of Ray were lost at its shard: {cause}"
        assert (given_up.answer, given_up.tokens, given_up.key) == ("", 0, "")
    assert [(found[name, "none"].answer, found[name, "none"].error) for name in "abc"] == [("1", None)] * 3
    pool.close()


def test_workers_that_die_while_loading_end_it(capsys):
    def make() -> None:
        raise MemoryError("no room\nfor it")

    pool = Pool(make, workers=1, attempts=1)
    with pytest.raises(
        UserError, match=r"^6 workers of Ray were lost in a row, the last one while it loaded the model"
    ):
        RayEngine(pool).describe()
    lines = " ".join(capsys.readouterr().err.split())
    assert lines.count("a worker of Ray was lost while it loaded the model") == 5
    assert "MemoryError: no room" in lines and "for it" not in lines
    pool.close()


def test_what_the_user_can_put_right_is_said_once_and_the_process_may_hold_another_thing(capsys):
    def make() -> None:
        from iar.errors import UserError

        raise UserError("no such model: name another")

    def process(held: object) -> tuple[object, int]:
        import os

        return held, os.getpid()

    pool = Pool(make, workers=1)
    with pytest.raises(UserError, match=r"^no such model: name another$"):
        RayEngine(pool).describe()
    assert capsys.readouterr().err == "" and pool.lost == 0
    pool.change(lambda: "one")
    one, before = pool.first(process)
    pool.change(lambda: "other")
    assert (one, pool.first(process), pool.lost) == ("one", ("other", before), 0)
    pool.close()


def test_workers_of_different_models_are_refused(samples):
    """Each worker that starts describes another model."""

    def make() -> object:
        import os

        class Other:
            def describe(self):
                return {"model": {"digest": str(os.getpid())}, "vectors": {}}

            def run(self, samples, configurations, max_new_tokens, skip):
                return []

        return Other()

    pool = Pool(make, workers=2)
    while any(worker.starting for worker in pool.workers):
        list(pool.map(lambda held: None, [()] * 2))
    with pytest.raises(UserError, match=r"has another model than the first one: all machines must read the same files"):
        list(RayEngine(pool, shard=1).run(samples, CONFIGURATIONS[:1], NEW))
    pool.close()


def test_other_files_than_here_are_refused(pool, samples):
    engine = RayEngine(pool, compose=lambda sample, configuration: ())
    with pytest.raises(UserError, match=r"a worker read other images or demonstrations for '0/0' than lie here"):
        list(engine.run(samples[:1], CONFIGURATIONS[:1], NEW))


def test_no_more_workers_than_there_is_room_for():
    with pytest.raises(UserError, match=r"^Ray has 4 CPUs and 0 GPUs, a worker takes 2 CPUs and 0 GPUs: use .*=2$"):
        Pool(int, workers=3, cpus=2)
    with pytest.raises(UserError, match=r"^Ray has 4 CPUs and 0 GPUs, a worker takes 1 CPUs and 1 GPUs$"):
        Pool(int, gpus=1)
    assert Pool(int, cpus=2).size == 2


def test_without_ray_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^executor=ray needs the ray package: pip install 'iar\[ray\]'$"):
        connect()


def test_a_worker_that_has_imported_nothing_before():
    """As users start them; those of the other tests are forks of a process that has imported torch."""
    code = (
        "import sys; from iar.workers.connection import connect; from iar.workers.pool import Pool; connect(None, 1);"
        "print(Pool(lambda: 'torch' in sys.modules, workers=1).first(lambda held: held))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (done.stdout.splitlines()[-1:], done.returncode) == (["False"], 0), done.stderr


def test_no_cluster_at_an_address_is_said_at_once():
    # In a process of its own, that is not connected yet.
    code = "from iar.workers.connection import connect; connect('127.0.0.1:1')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    message = "UserError: no cluster of Ray at executor.address=127.0.0.1:1: [Errno 111] Connection refused (start one"
    assert message in done.stderr.splitlines()[-1] and done.stdout == ""


def test_shards_keep_together_what_shares(samples):
    cut = shards(samples, 5)
    assert sorted(s.id for shard in cut for s in shard) == sorted(s.id for s in samples)
    places = {}
    for number, shard in enumerate(cut):
        for sample in shard:
            places.setdefault(sample.images or sample.prompt, set()).add(number)
    assert all(len(found) == 1 for found in places.values())
    assert [len(shard) for shard in cut] == [5, 5, 5, 5]  # three images of five questions, and text alone
    assert [len(shard) for shard in shards(samples, 2)] == [5, 5, 5, 2, 2, 1]  # an image is never parted
    assert shards([], 4) == []

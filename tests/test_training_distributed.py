"""Several processes that train together: two on the CPU, started by the command line as on a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from toy_training import toy_showers

from ecalnb.geometry import AMS
from ecalnb.store import Store, from_showers
from ecalnb.training import BatchLoader, Recipe, TrainingError, TrainingRun, _runtime, load_weights, train


class Cells:
    """Just enough of a store: the cells of event i are all i."""

    geometry = AMS

    def dense(self, rows: np.ndarray) -> np.ndarray:
        return np.broadcast_to(rows[:, None, None], (len(rows), 2, 3)).astype(np.float32)


def loaders(n: int, batch_size: int, processes: int, seed: int | None = 1) -> list[BatchLoader]:
    target = {"target": np.arange(n)}
    return [
        BatchLoader(Cells(), np.arange(n), target, batch_size, seed, process, processes)  # type: ignore[arg-type]
        for process in range(processes)
    ]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 300), st.integers(2, 40), st.integers(1, 5), st.booleans())
def test_each_event_is_in_one_batch_of_one_process(n: int, batch_size: int, processes: int, shuffled: bool) -> None:
    if n < processes:
        with pytest.raises(TrainingError, match=f"{n} events in batches of {batch_size} are too few for {processes}"):
            loaders(n, batch_size, processes)
        return
    parts = loaders(n, batch_size, processes, 1 if shuffled else None)
    for _ in range(2):
        epoch = [[batch["target"].int().tolist() for batch in loader] for loader in parts]
        assert len({len(batches) for batches in epoch}) == 1 == len({len(loader) for loader in parts})
        batches = list(chain.from_iterable(epoch))
        assert sorted(chain.from_iterable(batches)) == list(range(n))
        sizes = [len(batch) for batch in batches]
        assert 1 <= min(sizes) <= max(sizes) <= min(min(sizes) + 1, batch_size)


def test_a_step_of_all_processes_sees_what_one_process_would() -> None:
    """With two processes a batch of 8 each is one of 16: the same events in the same step."""
    (one,), two = loaders(100, 16, 1), loaders(100, 8, 2)
    together = [{*first["target"].tolist(), *second["target"].tolist()} for first, second in zip(*two, strict=True)]
    alone = [set(batch["target"].tolist()) for batch in one]
    assert len(together) == len(alone) == 7
    assert all(len(a ^ b) <= 2 for a, b in zip(alone, together, strict=True))  # the borders are rounded
    assert set().union(*together) == set().union(*alone)


def test_batches_of_one_event_cannot_always_be_shared() -> None:
    with pytest.raises(TrainingError, match="3 events in batches of 1 are too few for 2 processes"):
        loaders(3, 1, 2)


def test_another_process_draws_other_numbers_and_the_first_those_of_one_alone() -> None:
    def state(*key: int) -> int:
        return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])

    assert state(1, 7) == state(1, 7, 0) != state(1, 7, 1)


def test_wrong_numbers_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = from_showers(toy_showers(60), tmp_path / "store")
    arguments = {"store": store, "output": tmp_path / "run", "recipe": Recipe(), "device": "cpu"}
    with pytest.raises(TrainingError, match="devices is 0; expected 1 or more"):
        train(**arguments, devices=0)
    with pytest.raises(TrainingError, match="nodes is -1; expected 1 or more"):
        train(**arguments, nodes=-1)
    with pytest.raises(TrainingError, match="training on mps uses one device"):
        _runtime.check_processes("mps", 2, 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainingError, match="devices is 2, but this machine has 1 GPUs"):
        _runtime.check_processes("cuda", 2, 1)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(TrainingError, match="starts this program anew; use the command `ecalnb train`"):
        train(**arguments, devices=2)
    assert not (tmp_path / "run").exists()


def test_threads_are_shared_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(4)
    try:
        with _runtime.thread_number(None, 2) as used:
            assert used == torch.get_num_threads() == 2 == int(os.environ["OMP_NUM_THREADS"])
        assert "OMP_NUM_THREADS" not in os.environ
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        with _runtime.thread_number(1, 2) as used:
            assert used == 1 == int(os.environ["OMP_NUM_THREADS"])
        assert os.environ["OMP_NUM_THREADS"] == "3"
    finally:
        torch.set_num_threads(before)


# --- two processes ---------------------------------------------------------------------------------------------------

COMMAND = "--model ecal_simple_cnn --device cpu --set normalisation=log --set learning_rate=1e-3 --set batch_size=16"
COMMAND += " --set energy_min=0 --set energy_max=1e9 --set model_options.drop_rate=0.2"


def ecalnb_train(store: Store, run: Path, options: str, environment: dict[str, str] | None = None) -> str:
    """What `ecalnb train` says on its two streams; the processes keep a record of their last weights."""
    script = Path(__file__).with_name("record_ranks.py")
    root = str(script.parents[1])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    variables = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "RECORDS": str(run.parent), **(environment or {})}
    words = ["train", str(store.path), "-o", str(run), *COMMAND.split(), *options.split()]
    done = subprocess.run(
        [sys.executable, str(script), *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=600,
    )
    return f"{done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return from_showers(toy_showers(403), tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def shared(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingRun, str]:
    """A training of three epochs by two processes, and what it said."""
    run = tmp_path_factory.mktemp("runs") / "cnn"
    said = ecalnb_train(store, run, "--devices 2 --set max_epochs=3")
    assert said.startswith("0\n"), said
    return TrainingRun.load(run), said


def test_two_processes_have_the_same_weights_and_see_each_event_once(shared: tuple[TrainingRun, str]) -> None:
    run, said = shared
    folder = run.path.parent
    first, second = (load_file(folder / f"rank{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    seen = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    events = run.info["data"]["events"]["train"]
    assert len(set(seen[0]) & set(seen[1])) == 0
    assert len({*seen[0], *seen[1]}) == len(seen[0]) + len(seen[1]) == events["signal"] + events["background"]
    assert run.config["processes"] == 2
    assert said.count("epoch 0: training loss") == 1  # one process speaks
    assert said.count(": 3 epochs") == 1
    assert "Warning" not in said
    assert "distributed" not in said


def test_validation_of_two_processes_is_that_of_all_events(store: Store, shared: tuple[TrainingRun, str]) -> None:
    run, _ = shared
    rows = np.flatnonzero(store.splits() == "validation")
    target = (store.table(["label"])["label"].to_numpy()[rows] == "electron").astype(float)
    logits = load_weights(run.path).logits({"cells": torch.from_numpy(store.dense(rows))}).double().numpy()
    weights = run.config["loss"]
    weight = np.where(target == 1, weights["signal_weight"], weights["background_weight"])
    loss = np.mean(weight * np.logaddexp(0, np.where(target == 1, -logits, logits)))
    assert run.best["val_loss"] == pytest.approx(loss, rel=1e-4)
    assert run.best["val_auc"] == pytest.approx(roc_auc_score(target, logits), abs=1e-6)


@pytest.mark.slow
def test_an_interrupted_training_of_two_processes_goes_on(
    store: Store, shared: tuple[TrainingRun, str], tmp_path: Path
) -> None:
    whole, _ = shared
    path = tmp_path / "cnn"
    said = ecalnb_train(store, path, "--devices 2 --set max_epochs=3", {"STOP_AT_STEP": "14"})
    assert not said.startswith("0\n")
    assert not (path / "weights.json").exists()
    recipe = Recipe(**whole.config["recipe"])
    with pytest.raises(TrainingError, match="holds a training with processes = 2, not 1"):
        train(store, output=path, recipe=recipe, threads=1, device="cpu")
    said = ecalnb_train(store, path, "--devices 2 --set max_epochs=3")
    assert said.startswith("0\n"), said
    assert "going on from" in said
    resumed = TrainingRun.load(path)
    np.testing.assert_array_equal(resumed.history, whole.history)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()

"""A training that is killed with SIGKILL and started again ends in the same bits as one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_training import SETTINGS, run_until_killed, toy_showers

from ecalnb.store import Store, from_showers
from ecalnb.training import TrainingRun, train

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return from_showers(toy_showers(), tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def uninterrupted(store: Store, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return train(store, output=tmp_path_factory.mktemp("runs") / "toy", **SETTINGS)


def without_time(run: TrainingRun) -> dict[str, Any]:
    """What the run says of itself, but for how long it took."""
    environment = dict(run.info["environment"])
    assert environment.pop("seconds") > 0
    return {**run.info, "environment": environment}


@pytest.mark.parametrize(
    ("moment", "epochs_written"),
    [("in mid-epoch", 1), ("in validation", 1), ("between epochs", 2), ("while writing a checkpoint", 0)],
)
def test_killed_training_ends_in_the_same_bits(
    store: Store, uninterrupted: TrainingRun, tmp_path: Path, moment: str, epochs_written: int
) -> None:
    run = tmp_path / "toy"
    run_until_killed(store, run, moment)
    assert not (run / "weights.json").exists()
    history = (run / "metrics.csv").read_text().splitlines() if (run / "metrics.csv").exists() else ["header"]
    assert len(history) == 1 + epochs_written  # it did die where it should
    assert (run / "checkpoints" / "last.ckpt").exists()

    resumed = train(store, output=run, **SETTINGS)

    assert resumed.weights.read_bytes() == uninterrupted.weights.read_bytes()
    assert (run / "metrics.csv").read_bytes() == (uninterrupted.path / "metrics.csv").read_bytes()
    assert without_time(resumed) == without_time(uninterrupted)
    leftovers = [path.name for path in run.rglob("*") if path.name.endswith(".tmp")]
    assert leftovers == []


@pytest.mark.slow
def test_killed_training_with_batch_normalisation_ends_in_the_same_bits(store: Store, tmp_path: Path) -> None:
    settings = {**SETTINGS, "model": "ecal_resnet10"}
    whole = train(store, output=tmp_path / "whole" / "toy", **settings)
    run_until_killed(store, tmp_path / "toy", "in mid-epoch", {"model": settings["model"]})
    resumed = train(store, output=tmp_path / "toy", **settings)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
    np.testing.assert_array_equal(resumed.history, whole.history)


def test_uninterrupted_training_is_a_function_of_the_seed(
    store: Store, uninterrupted: TrainingRun, tmp_path: Path
) -> None:
    again = train(store, output=tmp_path / "toy", **SETTINGS)
    other = train(store, output=tmp_path / "other", seed=2, **SETTINGS)
    assert again.weights.read_bytes() == uninterrupted.weights.read_bytes()
    assert other.weights.read_bytes() != uninterrupted.weights.read_bytes()


def test_longer_training_goes_on_from_a_shorter_one(store: Store, uninterrupted: TrainingRun, tmp_path: Path) -> None:
    train(store, output=tmp_path / "toy", **{**SETTINGS, "max_epochs": 2})
    longer = train(store, output=tmp_path / "toy", **SETTINGS)
    assert longer.weights.read_bytes() == uninterrupted.weights.read_bytes()
    np.testing.assert_array_equal(longer.history, uninterrupted.history)

"""Parts of the training events: nested, with the classes kept, and a function of the events alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_training import SETTINGS, toy_showers

from ecalnb.store import Store, from_showers
from ecalnb.training import BatchLoader, EcalDataModule, Recipe, TrainingError, TrainingRun, train
from ecalnb.training.subsets import nested_subset


def keys(n: int = 2000, seed: int = 1) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**60, n), np.arange(n), rng.random(n) < 0.3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return from_showers(toy_showers(600), tmp_path_factory.mktemp("subsets") / "store")


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_a_smaller_choice_lies_inside_a_larger_one(first: int, second: int) -> None:
    small, large = (nested_subset(*keys(), n, "salt") for n in sorted((first, second)))
    assert len(np.unique(large)) == max(first, second)
    assert set(small) <= set(large)


def test_classes_keep_their_proportions_and_salts_are_independent() -> None:
    file_id, entry, signal = keys()
    for n in (10, 333, 1000):
        assert abs(signal[nested_subset(file_id, entry, signal, n, "salt")].sum() - n * signal.mean()) <= 0.5
    both = np.intersect1d(*(nested_subset(file_id, entry, signal, 1000, salt) for salt in ("1", "2")))
    assert abs(len(both) - 500) < 5 * np.sqrt(250)


def test_the_choice_does_not_depend_on_the_order_of_the_events() -> None:
    file_id, entry, signal = keys()
    order = np.random.default_rng(2).permutation(len(entry))
    chosen = nested_subset(file_id, entry, signal, 100, "salt")
    again = nested_subset(file_id[order], entry[order], signal[order], 100, "salt")
    assert set(entry[chosen]) == set(entry[order][again])


def test_the_data_module_takes_the_events_asked_for(store: Store) -> None:
    every = EcalDataModule(store, Recipe())
    some = EcalDataModule(store, Recipe(train_events=50, validation_events=20), seed=1)
    other = EcalDataModule(store, Recipe(train_events=50, validation_events=20), seed=2)
    assert sum(some.counts("train")) == 50
    assert sum(some.counts("validation")) == 20
    assert set(some.rows["train"]) < set(every.rows["train"])
    assert set(some.rows["train"]) != set(other.rows["train"])
    np.testing.assert_array_equal(some.rows["validation"], other.rows["validation"])
    assert some.describe()["events_hash"] != other.describe()["events_hash"]
    larger = EcalDataModule(store, Recipe(train_events=100), seed=1)
    assert set(some.rows["train"]) < set(larger.rows["train"])


@pytest.mark.parametrize("epoch_events", [0, 20, 49, 50, 51, 200])
def test_epochs_are_parts_of_one_sequence_that_takes_all_events_alike(store: Store, epoch_events: int) -> None:
    data = EcalDataModule(store, Recipe(train_events=50, batch_size=20, epoch_events=epoch_events))
    loader = data.train_dataloader()
    length = epoch_events or 50
    assert len(loader) == -(-length // 20)
    sequence = np.concatenate([loader.order(epoch) for epoch in range(10)])
    assert len(sequence) == 10 * length
    plain = BatchLoader(store, data.rows["train"], {}, 20, seed=1)
    expected = np.concatenate([plain.order(number) for number in range(-(-len(sequence) // 50))])
    np.testing.assert_array_equal(sequence, expected[: len(sequence)])


def test_a_training_of_short_epochs_goes_on_in_their_middle(store: Store, tmp_path: Path) -> None:
    """Two epochs of half the events, stopped after the first, see what one of all events sees."""
    settings = {**SETTINGS, "train_events": 96, "epoch_events": 48, "validation_events": 50}
    train(store, output=tmp_path / "run", **{**settings, "max_epochs": 1})
    run = train(store, output=tmp_path / "run", **{**settings, "max_epochs": 2})
    assert list(run.history["step"]) == [3, 6]
    whole = train(store, output=tmp_path / "whole", **{**settings, "max_epochs": 1, "epoch_events": 96})
    assert run.history["train_loss"].mean() == pytest.approx(whole.history["train_loss"][0], rel=1e-5)
    assert run.history["val_loss"].iloc[-1] == pytest.approx(whole.history["val_loss"][0], rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_events": 10_000}, r"train_events is 10000, and there are \d+ events for train"),
        ({"validation_events": 10_000}, "validation_events is 10000"),
        ({"train_events": 1}, "too few to have events of both classes"),
    ],
)
def test_impossible_choices_are_refused(store: Store, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        EcalDataModule(store, Recipe(**settings))


@pytest.mark.parametrize("settings", [{"train_events": -1}, {"epoch_events": -5}, {"validation_events": 2.5}])
def test_senseless_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=next(iter(settings))):
        Recipe(**settings)


def test_a_run_from_before_a_setting_existed_goes_on_with_its_default(store: Store, tmp_path: Path) -> None:
    settings = {**SETTINGS, "max_epochs": 1}
    run = train(store, output=tmp_path / "run", **settings)
    config = json.loads((run.path / "config.json").read_text())
    for name in ("train_events", "epoch_events"):
        del config["recipe"][name]
    (run.path / "config.json").write_text(json.dumps(config))
    again = train(store, output=tmp_path / "run", **{**settings, "max_epochs": 2})
    assert list(again.history["epoch"]) == [0, 1]
    with pytest.raises(TrainingError, match="epoch_events = 0, not 20"):
        train(store, output=tmp_path / "run", **{**settings, "max_epochs": 2, "epoch_events": 20})
    assert TrainingRun.load(tmp_path / "run").config["recipe"]["train_events"] == 0

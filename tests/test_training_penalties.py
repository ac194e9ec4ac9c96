"""Planing and the distance-correlation penalty: their numbers, and what they do to a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from toy_training import SETTINGS, run_until_killed, toy_showers

from ecalnb.metrics import distance_correlation
from ecalnb.store import Store, from_showers
from ecalnb.training import (
    DistanceCorrelation,
    EcalDataModule,
    Outputs,
    Recipe,
    TrainingError,
    TrainingRun,
    list_penalties,
    make_loss,
    make_penalty,
    plane,
    resolve_recipe,
    train,
)

PENALTY = {"name": "distance_correlation", "weight": 0.5}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Toy showers whose species overlap in energy: protons are wider, not more energetic."""
    showers = toy_showers()
    energy = np.exp(np.random.default_rng(1).uniform(0, 1, len(showers.table)))
    energy[(showers.table["label"] == "electron").to_numpy()] **= 1.5
    showers.table["en3d"] = energy
    return from_showers(showers, tmp_path_factory.mktemp("data") / "store")


# --- Planing ---


@pytest.mark.parametrize("seed", [1, 2])
def test_planing_makes_both_spectra_flat(seed: int) -> None:
    rng = np.random.default_rng(seed)
    energy = np.concatenate([200 * np.exp(rng.exponential(0.8, 6000)), rng.uniform(200, 1000, 4000)])
    signal = np.arange(10_000) >= 6000
    inside = (energy >= 200) & (energy < 1000)
    energy, signal = energy[inside], signal[inside]
    planing = plane(energy, signal)
    for species in (signal, ~signal):
        weights = planing.weights[species]
        assert weights.mean() == pytest.approx(1)
        content = np.histogram(np.log(energy[species]), np.log(planing.edges), weights=weights)[0]
        assert content / np.diff(np.log(planing.edges)) == pytest.approx(content.sum() / np.log(1000 / 200), rel=1e-3)
    expected = [w.sum() ** 2 / (w**2).sum() for w in (planing.weights[signal], planing.weights[~signal])]
    assert planing.effective == pytest.approx(expected)
    # Nothing is left to learn from the energy alone: the mean logarithm is that of a flat spectrum for both.
    means = [np.average(np.log(energy[s]), weights=planing.weights[s]) for s in (signal, ~signal)]
    assert means == pytest.approx([np.log(200 * 1000) / 2] * 2, abs=0.01)


@pytest.mark.parametrize(
    ("energy", "message"),
    [(np.linspace(1, 2, 50), "two bins of energy with 20 events"), (np.zeros(50), "positive, finite energies")],
)
def test_what_cannot_be_planed(energy: np.ndarray, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        plane(energy, np.arange(50) < 25)


def test_weights_of_planing_reach_the_loss_of_training_batches_alone(store: Store) -> None:
    data = EcalDataModule(store, Recipe(planing=True))
    assert data.planing is not None
    batch = next(iter(data.train_dataloader()))
    assert "event_weight" not in next(iter(data.val_dataloader()))
    loss = make_loss("weighted_bce", *data.counts("train"))
    logits = torch.linspace(-1, 1, len(batch["target"]))
    sign = 1 - 2 * batch["target"].numpy()
    own = np.where(sign < 0, loss.signal_weight, loss.background_weight) * batch["event_weight"].numpy()
    assert float(loss(logits, batch)) == pytest.approx(np.mean(own * np.log1p(np.exp(sign * logits.numpy()))), rel=1e-5)
    assert json.loads(json.dumps(data.describe()))["planing"]["effective_events"].keys() == {"signal", "background"}
    assert "planing" not in EcalDataModule(store).describe()


# --- Penalty ---


@pytest.mark.parametrize("weighted", [False, True])
def test_penalty_is_the_distance_correlation_of_either_species(weighted: bool) -> None:
    rng = np.random.default_rng(2)
    energy = np.exp(rng.normal(size=80)).astype(np.float32)
    logits = (np.log(energy) ** 2 + rng.normal(size=80)).astype(np.float32)
    weights = rng.uniform(0.3, 3, 80).astype(np.float32)
    target = np.arange(80) < 30
    batch = {"target": torch.tensor(target, dtype=torch.float32), "en3d": torch.from_numpy(energy)}
    if weighted:
        batch["event_weight"] = torch.from_numpy(weights)
    outputs = Outputs(torch.from_numpy(logits).requires_grad_(), torch.zeros(80, 1))
    value = DistanceCorrelation(2.0)(outputs, batch)
    w = weights if weighted else np.ones(80)
    expected = [distance_correlation(logits[k], np.log(energy[k]), w[k], n_replicas=0) for k in (target, ~target)]
    assert float(value.detach()) == pytest.approx(2 * np.mean([e.squared for e in expected]), rel=1e-4)
    # A step against the gradient makes it smaller.
    value.backward()
    moved = Outputs(
        (outputs.logits - 0.1 * outputs.logits.grad / outputs.logits.grad.norm()).detach(), outputs.features
    )
    assert float(DistanceCorrelation(2.0)(moved, batch)) < float(value.detach())


@pytest.mark.parametrize(("n", "logits"), [(20, torch.zeros(20)), (4, torch.arange(4.0))])
def test_penalty_of_batches_that_say_nothing_is_no_number_to_stop_at(n: int, logits: torch.Tensor) -> None:
    logits = logits.requires_grad_()
    batch = {"target": torch.zeros(n), "en3d": torch.arange(1, n + 1.0)}
    value = DistanceCorrelation()(Outputs(logits, torch.zeros(n, 1)), batch)
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "distance"}, "penalty is 'distance'; expected one of distance_correlation"),
        ({"weight": 1.0}, "penalty is None; expected one of distance_correlation"),
        ({"name": "distance_correlation", "power": 2}, "does not take power"),
        ({"name": "distance_correlation", "weight": -1}, "is -1; expected a positive number"),
        ({"name": "distance_correlation", "weight": True}, "is True; expected a positive number"),
    ],
)
def test_penalties_that_do_not_exist(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        make_penalty(settings)


def test_penalties_by_name() -> None:
    assert list_penalties() == ["distance_correlation"]
    assert make_penalty({}) is None
    assert make_penalty(PENALTY) == DistanceCorrelation(0.5)
    with pytest.raises(TrainingError, match="planing is 'yes'; expected true or false"):
        resolve_recipe(overrides={"planing": "yes"})


# --- Training ---

CHANGES: dict[str, Any] = {"planing": True, "penalty": PENALTY}


@pytest.fixture(scope="module")
def penalised(store: Store, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return train(store, output=tmp_path_factory.mktemp("runs") / "toy", **SETTINGS, **CHANGES)


def test_run_directory_records_planing_and_penalty(store: Store, penalised: TrainingRun) -> None:
    for record in (penalised.config, penalised.info):
        assert record["penalty"] == record["recipe"]["penalty"] == PENALTY
        assert record["recipe"]["planing"] is True
        assert len(record["data"]["planing"]["edges"]) > 2
    with pytest.raises(TrainingError, match="holds a training with"):
        train(store, output=penalised.path, **SETTINGS)


def test_killed_training_with_penalty_and_planing_ends_in_the_same_bits(
    store: Store, penalised: TrainingRun, tmp_path: Path
) -> None:
    run_until_killed(store, tmp_path / "toy", "in mid-epoch", changes=CHANGES)
    assert not (tmp_path / "toy" / "weights.json").exists()
    resumed = train(store, output=tmp_path / "toy", **SETTINGS, **CHANGES)
    assert resumed.weights.read_bytes() == penalised.weights.read_bytes()
    pd.testing.assert_frame_equal(resumed.history, penalised.history, check_exact=True)


def test_penalty_makes_the_score_depend_less_on_the_energy() -> None:
    """A linear model of toys with one variable that is of the energy leans on it unless penalised."""
    rng = np.random.default_rng(3)
    n = 300
    energy = np.exp(rng.uniform(0, 2, n)).astype(np.float32)
    target = rng.random(n) < 0.5
    x = torch.from_numpy(np.stack([target + rng.normal(0, 0.7, n), target * 0.2 + np.log(energy)], 1)).float()
    batch = {"target": torch.tensor(target, dtype=torch.float32), "en3d": torch.from_numpy(energy)}
    found = []
    for penalty in (None, DistanceCorrelation(1.0)):
        torch.manual_seed(1)
        layer = torch.nn.Linear(2, 1)
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
        loss = make_loss("weighted_bce", int(target.sum()), int((~target).sum()))
        for _ in range(80):
            logits = layer(x).squeeze(1)
            value = loss(logits, batch)
            if penalty is not None:
                value = value + penalty(Outputs(logits, x), batch)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        scores = logits.detach().numpy()
        found.append(distance_correlation(scores[target], np.log(energy[target]), n_replicas=0).squared)
    assert found[0] > 0.003
    assert abs(found[1]) < found[0] / 2


def test_own_penalty_beside_that_of_the_recipe_is_refused(store: Store, tmp_path: Path) -> None:
    settings = {**SETTINGS, "recipe": Recipe(penalty=PENALTY)}
    with pytest.raises(TrainingError, match="another is given"):
        train(store, output=tmp_path / "run", penalty=DistanceCorrelation(), **settings)

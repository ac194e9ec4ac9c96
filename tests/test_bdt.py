"""The BDT on shower variables: their standardisation, the trees, and their use like any model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xgboost
from scipy.interpolate import CubicSpline
from toy_showers import toy_showers

from ecalnb.models import ModelError
from ecalnb.models.conventional import BDTOptions, ShowerBDT, VariableTable
from ecalnb.models.conventional.standardisation import Standardisation, _natural_spline
from ecalnb.showers import Showers
from ecalnb.store import Store, from_showers
from ecalnb.training import (
    Classifier,
    EventClassifier,
    Recipe,
    TrainingError,
    TrainingRun,
    load_network,
    load_weights,
    predict,
    train,
)
from ecalnb.variables import SHOWER_VARIABLES

QUICK = BDTOptions(rounds=60, patience=10, learning_rate=0.3, max_depth=3)


def energies(n: int, seed: int = 1) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).uniform(np.log(5), np.log(100), n))


# --- standardisation ---


def test_mean_and_spread_of_known_laws_are_found() -> None:
    rng, energy = np.random.default_rng(3), energies(20_000)
    x = np.log(energy)
    values = np.column_stack(
        [
            2 + 0.9 * x + 0.5 * energy**-0.3 * rng.standard_normal(len(x)),
            -4 * (x - 3) ** 2 + rng.standard_normal(len(x)),
            1e-6 * (rng.exponential(1, len(x)) * x),
        ]
    )
    at = np.array([6.0, 20.0, 80.0])
    mean, spread = Standardisation.fit(values, energy).mean_and_spread(at)
    np.testing.assert_allclose(mean[:, 0], 2 + 0.9 * np.log(at), atol=0.01)
    np.testing.assert_allclose(spread[:, 0], 0.5 * at**-0.3, rtol=0.03)
    np.testing.assert_allclose(mean[:, 1], -4 * (np.log(at) - 3) ** 2, atol=0.1)
    np.testing.assert_allclose(spread[:, 2], 1e-6 * np.log(at), rtol=0.06)


def test_standardised_variables_of_other_events_have_mean_0_and_spread_1_at_any_energy() -> None:
    def events(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        energy = energies(n, seed)
        noise = np.random.default_rng(seed + 100).normal(0, 1, (2, n))
        return np.column_stack([np.sqrt(energy) + energy**0.2 * noise[0], np.log(energy) ** 2 + 3 * noise[1]]), energy

    train_events, (values, energy) = events(1, 4000), events(2, 6000)
    u = Standardisation.fit(*train_events)(values, energy)
    for low, high in ((5, 10), (10, 20), (20, 40), (40, 100)):
        some = u[(energy >= low) & (energy < high)]
        # Errors of this sample and of the sample that the functions were fitted to (about 800 events a bin).
        error = np.sqrt(1 / len(some) + 1 / 800)
        assert (abs(some.mean(axis=0)) < 3.5 * error).all()
        assert (abs(some.std(axis=0) - 1) < 3.5 * error / np.sqrt(2)).all()


def test_variables_of_other_electrons_have_mean_0_and_spread_1() -> None:
    fitted, other = (VariableTable.of(toy_showers(1500, seed, proton_share=0.0)) for seed in (1, 2))
    standardised = Standardisation.fit(fitted.values, fitted.energy)(other.values, other.energy)
    checked = 0
    for low, high in ((5, 20), (20, 100)):
        for u in standardised[(other.energy >= low) & (other.energy < high)].T:
            u = u[np.isfinite(u)]
            if len(u) < 100 or np.ptp(u) == 0:  # the toy has no second bumps
                continue
            # As many events again set mean and spread.
            fourth = np.mean((u - u.mean()) ** 4)
            assert abs(u.mean()) < 4 * u.std() * np.sqrt(2 / len(u))
            assert abs(u.var() - 1) < 4 * np.sqrt(2 * max(fourth - u.var() ** 2, 1) / len(u))
            checked += 1
    assert checked >= 34


def test_splines_are_natural_cubic_splines() -> None:
    knots = np.array([0.0, 0.4, 1.1, 2.0, 3.0])
    x = np.linspace(0, 3, 61)
    spline = CubicSpline(knots, [1.0, -2.0, 0.5, 3.0, 0.0], bc_type="natural")(x)
    basis = _natural_spline(x, knots)
    np.testing.assert_allclose(basis @ np.linalg.lstsq(basis, spline, rcond=None)[0], spline, atol=1e-9)
    outside = _natural_spline(np.array([-3.0, -2.0, -1.0, 4.0, 5.0, 6.0]), knots)
    np.testing.assert_allclose(outside[0] + outside[2], 2 * outside[1], atol=1e-9)
    np.testing.assert_allclose(outside[3] + outside[5], 2 * outside[4], atol=1e-9)


def test_outside_of_the_energies_straight_lines_go_on_for_a_factor_of_ten() -> None:
    rng, energy = np.random.default_rng(5), energies(3000)
    values = (3 + 0.5 * np.log(energy) + 0.01 * rng.standard_normal(3000))[:, None]
    standardisation = Standardisation.fit(values, energy)
    low, high = energy.min(), energy.max()
    mean, _ = standardisation.mean_and_spread([low / 5, high * 5, low / 10, low / 1000, 0.0, np.nan, high * 10, 1e9])
    np.testing.assert_allclose(mean[:2, 0], 3 + 0.5 * np.log([low / 5, high * 5]), atol=0.01)
    assert mean[2] == mean[3] == mean[4] == mean[5]
    assert mean[6] == mean[7]


@pytest.mark.parametrize(("n", "functions"), [(1, 1), (60, 1), (120, 2), (5000, 5)])
def test_splines_have_no_more_freedom_than_events_support(n: int, functions: int) -> None:
    energy = energies(n)
    standardisation = Standardisation.fit(np.random.default_rng(1).normal(7, 2, (n, 1)), energy)
    assert len(standardisation.knots) == functions
    assert np.isfinite(standardisation([[7.0]], [30.0])).all()


def test_variables_that_say_nothing() -> None:
    energy = energies(300)
    values = np.column_stack([np.full(300, np.nan), np.full(300, 5.0), np.r_[np.full(297, np.nan), 1, 2, 3]])
    standardisation = Standardisation.fit(values, energy)
    np.testing.assert_allclose(standardisation([[1.5, 6.0, 2.0]], [20.0]), [[1.5, 1.0, 0.0]], atol=1e-12)
    assert np.isnan(standardisation(values, energy)[0, 0])
    with pytest.raises(ValueError, match="none of the 2 events has a positive energy"):
        Standardisation.fit([[1.0], [2.0]], [0.0, np.nan])


def test_one_energy_gives_one_mean() -> None:
    standardisation = Standardisation.fit(np.random.default_rng(1).normal(7, 2, (500, 1)), np.full(500, 20.0))
    mean, spread = standardisation.mean_and_spread([5.0, 20.0, 80.0])
    assert np.ptp(mean) == np.ptp(spread) == 0
    assert mean[0, 0] == pytest.approx(7, abs=0.3)


# --- trees ---


@pytest.fixture(scope="module")
def samples() -> list[tuple[VariableTable, np.ndarray]]:
    parts = [toy_showers(n, seed) for n, seed in ((800, 1), (400, 2))]
    return [(VariableTable.of(part), (part.table["label"] == "electron").to_numpy(bool)) for part in parts]


@pytest.fixture(scope="module")
def bdt(samples) -> ShowerBDT:
    return ShowerBDT.fit(*samples, options=QUICK)


def test_trees_tell_the_particles_apart(bdt, samples) -> None:
    table, electron = samples[1]
    margins = bdt.margins(table)
    assert margins[electron].mean() > 2
    assert margins[~electron].mean() < -2
    assert list(bdt.importances()) != list(SHOWER_VARIABLES)
    assert sum(bdt.importances().values()) == pytest.approx(1)


def test_the_number_of_trees_is_that_of_the_lowest_validation_loss(bdt, samples) -> None:
    table, electron = samples[1]
    losses = [np.logaddexp(0, np.where(electron, -m, m)).mean() for m in bdt.learning_curve(table)]
    assert bdt.rounds == np.argmin(losses) + 1
    *_, last = bdt.learning_curve(table)
    np.testing.assert_allclose(last, bdt.margins(table, rounds=(0, len(losses))), atol=1e-4)


def test_same_seed_same_trees_whatever_the_threads(bdt, samples) -> None:
    few = replace(QUICK, rounds=4)
    first, again = (ShowerBDT.fit(*samples, options=few, threads=threads) for threads in (1, 2))
    assert first.to_bytes() == again.to_bytes()
    other = ShowerBDT.fit(*samples, options=QUICK, seed=2)
    assert (other.margins(samples[1][0]) != bdt.margins(samples[1][0])).any()


def test_units_of_the_variables_do_not_matter(bdt, samples) -> None:
    factors = 2.0 ** np.arange(-9, 10)  # exact in floating point
    scaled = [(VariableTable(table.values * factors, table.energy), electron) for table, electron in samples]
    other = ShowerBDT.fit(*scaled, options=QUICK)
    np.testing.assert_array_equal(other.margins(scaled[1][0]), bdt.margins(samples[1][0]))


def test_weights_shift_the_balance(samples) -> None:
    rng = np.random.default_rng(77)
    noise = [(table, rng.random(len(electron)) < 0.5) for table, electron in samples]
    heavy = ShowerBDT.fit(*noise, weights=(4.0, 1.0), options=BDTOptions(rounds=60, max_depth=1, learning_rate=0.3))
    # Where the variables say nothing, the odds are those of the weights.
    assert heavy.margins(samples[1][0]).mean() == pytest.approx(np.log(4), abs=0.2)


def test_undefined_variables_are_missing_not_wrong(bdt) -> None:
    nothing = VariableTable(np.full((1, 19), np.nan), np.array([np.nan]))
    assert np.isfinite(bdt.margins(nothing)).all()


def test_file_round_trip_to_the_bit(bdt, samples) -> None:
    back = ShowerBDT.from_bytes(bdt.to_bytes(), bdt.standardisation)
    assert back.rounds == bdt.rounds
    np.testing.assert_array_equal(back.margins(samples[1][0]), bdt.margins(samples[1][0]))
    with pytest.raises(ValueError, match="not trees of xgboost"):
        ShowerBDT.from_bytes(b"nonsense", bdt.standardisation)
    foreign = xgboost.train({}, xgboost.DMatrix(np.zeros((4, 2)), [0, 1, 0, 1]), 1)
    with pytest.raises(ValueError, match="expected shower_maximum, "):
        ShowerBDT.from_bytes(bytes(foreign.save_raw("ubj")), bdt.standardisation)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "rounds of the trees is 0; expected a positive number"),
        ({"max_depth": 2.5}, "max_depth of the trees is 2.5; expected a whole number"),
        ({"subsample": 1.5}, "subsample of the trees is 1.5; expected a share of at most 1"),
        ({"learning_rate": -1.0}, "learning_rate of the trees is -1.0; expected a number, not negative"),
        ({"reg_lambda": "much"}, "reg_lambda of the trees is 'much'; expected a number"),
    ],
)
def test_options_that_make_no_sense(options, message) -> None:
    with pytest.raises(ModelError, match=message):
        BDTOptions(**options)


# --- as a model ---

RECIPE = Recipe(name="toy", energy_min=5.0, energy_max=90.0, model_options={"rounds": 40, "learning_rate": 0.3})


@pytest.fixture(scope="module")
def showers() -> Showers:
    return toy_showers(700, 3)


@pytest.fixture(scope="module")
def store(showers, tmp_path_factory) -> Store:
    return from_showers(showers, tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def run(store, tmp_path_factory) -> TrainingRun:
    return train(store, "shower_bdt", tmp_path_factory.mktemp("runs") / "trees", recipe=RECIPE, threads=1)


def test_run_directory_of_trees(run, store) -> None:
    assert {path.name for path in run.path.iterdir()} >= {"config.json", "metrics.csv", "weights.ubj", "weights.json"}
    assert run.weights == run.path / "weights.ubj"
    assert list(run.history) == ["epoch", "step", "train_loss", "val_loss", "val_auc", "val_background_90"]
    assert run.best["val_loss"] == run.history["val_loss"].min()
    assert run.best["step"] == run.info["trees"]
    assert run.info["title"] == "BDT, 19 variables"
    assert run.config["data"]["store"] == store.fingerprint()
    assert run.config["model_options"]["rounds"] == 40
    assert run.config["model_options"]["max_depth"] == BDTOptions().max_depth
    assert "batch_size" not in run.config["recipe"]


def test_training_events_are_those_of_the_recipe(run, store) -> None:
    table, sample = store.table(["label", "en3d"]), store.splits()
    inside = (table["en3d"] >= 5) & (table["en3d"] < 90) & (sample == "train")
    expected = {"signal": int((inside & (table["label"] == "electron")).sum())}
    expected["background"] = int(inside.sum()) - expected["signal"]
    assert run.config["data"]["events"]["train"] == expected


def test_scores_are_those_of_xgboosts_own_file(run, showers) -> None:
    scores = predict(run.path, showers, threads=1)
    booster = xgboost.Booster(model_file=run.weights)
    standardisation = Standardisation.from_arrays(
        json.loads((run.path / "weights.json").read_text())["standardisation"]
    )
    table = VariableTable.of(showers)
    matrix = xgboost.DMatrix(standardisation(table.values, table.energy), feature_names=list(SHOWER_VARIABLES))
    expected = booster.predict(matrix, output_margin=True, iteration_range=(0, run.info["trees"]))
    # The events of a scores table are rounded to float32 first, which may move one across a cut.
    assert np.isclose(scores["trees"], expected, atol=1e-5).mean() > 0.99


def test_loaded_trees_are_an_event_classifier(run) -> None:
    classifier = load_weights(run.path)
    assert isinstance(classifier, EventClassifier)
    assert not isinstance(classifier, Classifier)
    assert classifier.name == "trees"
    assert classifier.to("cpu") is classifier
    assert replace(classifier, name="other").name == "other"  # type: ignore[type-var]
    part = toy_showers(20, 9)
    batch = {name: torch.from_numpy(part.table[name].to_numpy(np.float32)) for name in classifier.inputs.columns}
    logits = classifier.logits({**batch, "cells": torch.from_numpy(part.images)})
    assert logits.dtype == torch.float32
    assert logits.shape == (20,)
    with pytest.raises(TrainingError, match="holds a BDT, 19 variables; expected a network"):
        load_network(run.path)


def test_batches_do_not_matter(run, store) -> None:
    first, second = (predict(run.path, store, threads=1, batch_size=size)["trees"] for size in (512, 7))
    np.testing.assert_array_equal(first, second)


def test_finished_training_is_kept_and_another_is_refused(run, store) -> None:
    before = (run.path / "weights.ubj").stat().st_mtime_ns
    train(store, "shower_bdt", run.path, recipe=RECIPE, threads=1)
    assert (run.path / "weights.ubj").stat().st_mtime_ns == before
    with pytest.raises(TrainingError, match="holds a training with seed = 1, not 2"):
        train(store, "shower_bdt", run.path, recipe=RECIPE, seed=2, threads=1)


def test_repeated_training_gives_the_same_bytes(run, store, tmp_path: Path) -> None:
    again = train(store, "shower_bdt", tmp_path / "trees", recipe=RECIPE, threads=1)
    assert again.weights.read_bytes() == run.weights.read_bytes()
    assert (again.path / "weights.json").read_text() == (run.path / "weights.json").read_text()


def test_settings_that_trees_do_not_use(store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="shower_bdt has no option depth; its options are rounds, patience"):
        train(store, "shower_bdt", tmp_path / "run", recipe=RECIPE, model_options={"depth": 3})
    with pytest.raises(TrainingError, match="shower_bdt does not use learning_rate, penalty, which is for networks"):
        train(store, "shower_bdt", tmp_path / "run", recipe=RECIPE, learning_rate=0.1, penalty=lambda *_: 0)
    assert not (tmp_path / "run").exists()


def test_events_without_tracks_are_refused_by_name(showers, run, tmp_path: Path) -> None:
    lacking = Showers(showers.images, showers.table.drop(columns=["track_x", "track_azimuth"]))
    store = from_showers(lacking, tmp_path / "store")
    with pytest.raises(TrainingError, match="the store has no column track_azimuth, track_x"):
        train(store, "shower_bdt", tmp_path / "run", recipe=RECIPE)
    with pytest.raises(TrainingError, match="no column track_x, track_azimuth"):
        predict(run.path, store)


def test_damaged_trees(run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "weights.json"):
        (copy / name).write_bytes((run.path / name).read_bytes())
    (copy / "weights.ubj").write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match=r"is damaged, or not the file that weights.json was written for"):
        load_weights(copy)
    info = json.loads((copy / "weights.json").read_text())
    (copy / "weights.json").write_text(json.dumps({name: value for name, value in info.items() if name != "sha256"}))
    with pytest.raises(TrainingError, match=r"weights.ubj does not hold a BDT, 19 variables: not trees of xgboost"):
        load_weights(copy)

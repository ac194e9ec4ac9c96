"""Recipes of trainings, and labels from selections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toy_training import toy_showers

from ecalnb import models
from ecalnb.geometry import AMS
from ecalnb.selection import SelectionError
from ecalnb.showers import Showers
from ecalnb.splits import split_of
from ecalnb.store import from_showers
from ecalnb.training import (
    EcalDataModule,
    Recipe,
    TrainingError,
    inputs_from,
    label_events,
    list_recipes,
    make_loss,
    make_regression_loss,
    parse_settings,
    resolve_recipe,
)
from ecalnb.training.augment import make_augmentation


@pytest.mark.parametrize("name", ["mc_below_above_1tev", "flight_60_20_20"])
def test_recipes_of_the_study_have_its_hyper_parameters(name: str) -> None:
    recipe = resolve_recipe(name, "ecal_cvt")
    assert (recipe.batch_size, recipe.optimiser, recipe.learning_rate) == (128, "adam", 1e-4)
    assert (recipe.loss, recipe.patience, recipe.tolerance) == ("weighted_bce", 20, 1e-5)


@pytest.mark.parametrize("name", list_recipes())
def test_packaged_recipes_fit_every_model(name: str) -> None:
    assert list_recipes()[name]
    for model in models.list_models():
        recipe = resolve_recipe(name, model.name)
        inputs = inputs_from(recipe.input_settings)
        make_augmentation(recipe.augmentation, AMS, inputs.columns)
        if recipe.quantity == "class":
            make_loss(recipe.loss, 1, 1)
        else:
            make_regression_loss(recipe.loss, 2, recipe.resolution_epochs)


def test_override_wins_over_model_over_recipe_over_default(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        """
        [mine]
        batch_size = 64
        learning_rate = 1e-2
        patience = 3
        model_options = { drop_rate = 0.1, hidden = 50 }
        [mine.models.ecal_simple_cnn]
        learning_rate = 1e-3
        model_options = { drop_rate = 0.2 }
        """
    )
    recipe = resolve_recipe(path, "ecal_simple_cnn", {"patience": 7, "model_options": {"hidden": 60}})
    assert (recipe.name, recipe.batch_size, recipe.learning_rate, recipe.patience) == ("mine", 64, 1e-3, 7)
    assert recipe.model_options == {"drop_rate": 0.2, "hidden": 60}
    assert recipe.tolerance == Recipe().tolerance
    assert resolve_recipe(f"{path}:mine", "ecal_resnet10").learning_rate == 1e-2
    assert resolve_recipe(recipe, overrides={"batch_size": 8}) == replace(recipe, batch_size=8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "flight"}, r"no recipe is called 'flight' .*there are mc_below_above_1tev, flight_60_20_20"),
        ({"overrides": {"validation_energy_min": 5, "validation_energy_max": 5}}, "window 5.0 to 5.0 GeV is empty"),
        ({"overrides": {"precision": "16"}}, "precision is '16'; expected '32' or 'bf16-mixed'"),
        ({"overrides": {"scalars": 3}}, "scalars is 3; expected a list of texts"),
        ({"overrides": {"labels": {"electron": 3}}}, "labels.electron is 3; expected a list of texts"),
        ({"overrides": {"learning_rat": 1}}, r"unknown key 'learning_rat'.*did you mean 'learning_rate'"),
        ({"overrides": {"learning_rate": "fast"}}, "learning_rate is 'fast'; expected a number"),
        ({"overrides": {"batch_size": 1.5}}, "batch_size is 1.5; expected an integer"),
        ({"overrides": {"batch_size": True}}, "batch_size is True; expected an integer"),
        ({"overrides": {"batch_size": 0}}, "batch_size is 0; expected a positive number"),
        ({"overrides": {"tolerance": -1}}, "tolerance is -1"),
        ({"overrides": {"signal": [1]}}, r"signal is \[1\]; expected a list of texts"),
        ({"overrides": {"background": "electron"}}, "label electron is both signal and background"),
        ({"overrides": {"energy_min": 10, "energy_max": 5}}, "window 10.0 to 5.0 GeV is empty"),
    ],
)
def test_wrong_settings_are_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        resolve_recipe(**{"recipe": "mc_below_above_1tev", **arguments})


def test_unknown_key_in_a_file_is_an_error(tmp_path: Path) -> None:
    for text in ("[a]\nbatchsize = 3\n", "[a]\n[a.models.ecal_simple_cnn]\nbatchsize = 3\n"):
        (tmp_path / "own.toml").write_text(text)
        with pytest.raises(TrainingError, match=r"own.toml, \[a.*unknown key 'batchsize'"):
            resolve_recipe(tmp_path / "own.toml", "ecal_resnet10")
    (tmp_path / "own.toml").write_text("[a]\n[b]\n")
    with pytest.raises(TrainingError, match=r"holds 2 recipes \(a, b\)"):
        resolve_recipe(tmp_path / "own.toml")


def test_settings_from_the_command_line() -> None:
    texts = ["learning_rate=3e-4", "signal=['electron']", "normalisation=raw", "model_options.drop_rate=0.1"]
    assert parse_settings(texts) == {
        "learning_rate": 3e-4,
        "signal": ["electron"],
        "normalisation": "raw",
        "model_options": {"drop_rate": 0.1},
    }
    with pytest.raises(TrainingError, match="setting 'patience' is not of the form key=value"):
        parse_settings(["patience"])


@pytest.mark.parametrize("name", ["mc_below_above_1tev", "flight_60_20_20", "geant4_sample"])
def test_a_support_vector_machine_has_a_hinge_loss_and_bounded_weights(name: str) -> None:
    recipe = resolve_recipe(name, "ecal_svm")
    assert recipe.loss == "hinge"
    assert recipe.weight_decay > 0


def test_inputs_are_those_that_the_model_is_made_for() -> None:
    assert resolve_recipe("geant4_sample", "ecal_cvt").inputs == "merged"
    assert resolve_recipe("geant4_sample", "ecal_phys_cvt").inputs == "track_window"
    assert resolve_recipe("geant4_sample", "timm:convnext_atto").inputs == "merged"
    assert resolve_recipe("geant4_sample", "ecal_phys_cvt", {"inputs": "by_view"}).inputs == "by_view"


def test_the_study_trains_below_1_tev_and_stops_above() -> None:
    """R. Hashmani et al.: half of the events below 1 TeV train, half of those above are for validation."""
    n = 4000
    rng = np.random.default_rng(2)
    energy = np.exp(rng.uniform(np.log(100), np.log(3000), n))
    labels = np.where(rng.random(n) < 0.5, "electron", "proton")
    events = pd.DataFrame({"file_id": 1, "entry": np.arange(n), "label": labels, "en3d": energy})

    class Source:
        geometry, columns = AMS, list(events)

        def __len__(self) -> int:
            return n

        def table(self, columns: list[str]) -> pd.DataFrame:
            return events[columns]

        def splits(self, split: str) -> np.ndarray:
            return split_of(events["file_id"], events["entry"], split)

    data = EcalDataModule(Source(), resolve_recipe("mc_below_above_1tev"))  # type: ignore[arg-type]
    low, high = (energy >= 200) & (energy < 1000), (energy >= 1000) & (energy < 2000)
    for name, window in (("train", low), ("validation", high)):
        rows = data.rows[name]
        assert window[rows].all()
        assert len(rows) == pytest.approx(0.5 * window.sum(), abs=4 * np.sqrt(0.25 * window.sum()))
        assert (Source().splits("halves")[rows] == "train").all()
    assert set(data.rows["train"]).isdisjoint(data.rows["validation"])


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({}, (2.0, 8.0)),
        ({"validation_energy_min": 5.0}, (5.0, None)),
        ({"validation_energy_max": 5.0}, (None, 5.0)),
        ({"validation_energy_min": 5.0, "validation_energy_max": 9.0}, (5.0, 9.0)),
    ],
)
def test_window_of_the_validation(window: dict[str, float], expected: tuple[float | None, float | None]) -> None:
    recipe = Recipe(energy_min=2, energy_max=8, **window)  # type: ignore[arg-type]
    assert recipe.window("train") == (2, 8)
    assert recipe.window("validation") == expected


# --- labels from selections ------------------------------------------------------------------------------------------


def flight_table(n: int = 600) -> pd.DataFrame:
    """Events that tell electrons (negative, radiating) from protons by tracker and TRD, and carry no label."""
    rng = np.random.default_rng(4)
    electron = rng.random(n) < 0.5
    sign = np.where(electron, -1.0, 1.0)
    return pd.DataFrame(
        {
            "file_id": 3,
            "entry": np.arange(n),
            "en3d": rng.uniform(50, 70, n),
            "n_tracks": rng.choice([1, 2], n, p=[0.9, 0.1]),
            "tracker_charge_inner_l1": 1.0,
            "good_beta": True,
            "beta": 1.0,
            "trdh_tracks": 1,
            "trd_k_hits": 18,
            "rigidity_inner_l1": 120 * sign,
            "rigidity_electron": np.where(electron, 60, 120) * sign,
            "rigidity_proton": 120 * sign,
            "trd_probability_electron": np.where(electron, 0.9, 0.1),
            "trd_probability_proton": np.where(electron, 0.1, 0.9),
            "track_x": 10.0,
            "track_y": 10.0,
            "track_inclination": 0.1,
            "track_azimuth": 0.2,
            "true_electron": electron,
        }
    )


def test_flight_events_are_labelled_by_selections(tmp_path: Path) -> None:
    table = flight_table()
    recipe = resolve_recipe("flight_60_20_20")
    labels = label_events(table, recipe.labels)
    one = (table["n_tracks"] == 1).to_numpy()
    assert (labels[~one] == np.array(None)).all()
    np.testing.assert_array_equal(labels[one] == "electron", table["true_electron"][one])
    np.testing.assert_array_equal(labels[one] == "proton", ~table["true_electron"][one])
    showers = toy_showers(len(table))
    store = from_showers(Showers(showers.images, table.drop(columns="true_electron")), tmp_path / "store")
    data = EcalDataModule(store, recipe)
    samples = store.splits("flight")
    for name in ("train", "validation"):
        np.testing.assert_array_equal(data.rows[name], np.flatnonzero(one & (samples == name)))
        assert data.counts(name)[0] == table["true_electron"][data.rows[name]].sum()


def test_labels_that_cannot_be(tmp_path: Path) -> None:
    table = flight_table(20)
    with pytest.raises(TrainingError, match=r"\d+ events pass the selections of lepton and of another label"):
        label_events(table, {"electron": ["flight_electrons"], "lepton": ["flight_electrons"]})
    with pytest.raises(SelectionError, match="no selection 'flight_muons'"):
        label_events(table, {"muon": ["flight_muons"]})
    store = from_showers(toy_showers(20), tmp_path / "store")
    with pytest.raises(TrainingError, match=r"has no column beta, good_beta, n_tracks"):
        EcalDataModule(store, resolve_recipe("flight_60_20_20"))


def test_a_recipe_with_other_inputs_than_the_model_is_made_for_is_told(caplog):
    general = resolve_recipe("flight_60_20_20")
    assert resolve_recipe("flight_60_20_20", "ecal_phys_cvt").inputs == "track_window"
    assert not caplog.records
    assert resolve_recipe(general, "ecal_phys_cvt").inputs == "merged"
    assert "made for the inputs track_window; the recipe given has merged" in caplog.text

"""Likelihood of energy over momentum: against the densities that toys are drawn from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecalnb.geometry import AMS
from ecalnb.metrics import roc_auc
from ecalnb.models.conventional import MomentumLikelihood
from ecalnb.showers import Showers
from ecalnb.store import Store, from_showers
from ecalnb.training import TrainingError, add_energy_momentum


def momentum_toys(n: int, seed: int, spectrum: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Energies, rigidities, kinds, and weights that make the protons' E/p narrower or wider."""
    rng = np.random.default_rng(seed)
    energy, electron = np.exp(rng.uniform(1, 4, n)), rng.random(n) < 0.5
    x = np.where(electron, rng.normal(0, 0.1, n), rng.normal(-1, 0.5, n))
    sign = np.where(rng.random(n) < 0.9, 1, -1) * np.where(electron, -1, 1)
    return energy, sign * energy / np.exp(x), electron, np.where(electron, 1.0, np.exp(spectrum * x))


def test_momentum_likelihood_is_the_ratio_of_the_densities() -> None:
    likelihood = MomentumLikelihood.fit(*momentum_toys(40_000, 1))
    energy, x = np.full(50, 20.0), np.linspace(-1.5, 0.25, 50)
    found = likelihood.logits(energy, -energy / np.exp(x))
    true = -0.5 * (x / 0.1) ** 2 - np.log(0.1) + 0.5 * ((x + 1) / 0.5) ** 2 + np.log(0.5)
    near = abs(x) < 0.25
    assert found[near] == pytest.approx(true[near], abs=0.5)
    assert (found[x < -0.5] < -3).all()
    assert likelihood.logits([20.0], [np.nan]) == [0]
    assert np.isfinite(likelihood.logits([0.1, 1e5, 20], [1e-9, 1e9, 0])).all()


def test_momentum_likelihood_with_weights_is_that_of_the_spectrum_they_make() -> None:
    """exp(x) times a normal distribution in x is a normal distribution, shifted by its variance."""
    energy, rigidity, electron, weights = momentum_toys(40_000, 1, spectrum=1.0)
    weighted = MomentumLikelihood.fit(energy, rigidity, electron, weights)
    moved = np.where(electron, rigidity, rigidity / np.exp(0.25))
    drawn = MomentumLikelihood.fit(energy, moved, electron)
    x = np.linspace(-1.2, 0.2, 20)
    at = np.full(20, 20.0), 20 / np.exp(x)
    assert weighted.logits(*at) == pytest.approx(drawn.logits(*at), abs=0.5)
    assert abs(weighted.logits(*at) - MomentumLikelihood.fit(energy, rigidity, electron).logits(*at)).max() > 0.8


@pytest.mark.parametrize(
    ("energy", "rigidity", "message"),
    [
        (np.ones(100), np.ones(99), "have lengths"),
        (np.zeros(100), np.ones(100), "an energy is 0 GeV"),
        (np.arange(1, 101.0), np.full(100, np.nan), "0 electrons have a rigidity"),
        (np.arange(1, 101.0), np.ones(100), "20 protons have a rigidity"),
    ],
)
def test_momentum_likelihood_of_too_little(energy: np.ndarray, rigidity: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MomentumLikelihood.fit(energy, rigidity, np.arange(100) < 80)


# --- Beside the scores of models ---


def store_of(path: Path, n: int = 2000, *, measured: bool = True, truth: bool = True) -> Store:
    rng = np.random.default_rng(5)
    electron = rng.random(n) < 0.5
    energy = np.exp(rng.uniform(2, 4, n))
    momentum = energy * np.where(electron, 1.0, rng.uniform(1.5, 6, n))
    table = pd.DataFrame(
        {
            "file_id": np.full(n, 3),
            "entry": np.arange(n),
            "label": pd.Series(np.where(electron, "electron", "proton"), dtype=object),
            "en3d": energy,
            **dict.fromkeys(("track_x", "track_y", "track_inclination", "track_azimuth"), np.zeros(n)),
        }
    )
    if truth:
        table = table.assign(momentum=momentum, pdg=np.where(electron, 11, 2212))
    if measured:
        table["rigidity_electron"] = np.where(electron, -1, 1) * momentum * rng.normal(1, 0.1, n)
    return from_showers(Showers(np.full((n, *AMS.shape), 0.001, np.float32), table, AMS), path / "store")


def scores_of(store: Store) -> pd.DataFrame:
    scores = store.table(["file_id", "entry", "en3d", "label"])
    scores["split"] = store.splits()
    scores["ecal_toy"] = np.where(scores["label"] == "electron", 1.0, 0.0)
    scores.attrs["models"] = {"ecal_toy": {}}
    return scores[scores["split"] == "test"].sample(frac=1, random_state=1)


@pytest.mark.parametrize("measured", [True, False])
def test_energy_over_momentum_joins_scores_by_the_event(tmp_path: Path, measured: bool) -> None:
    store = store_of(tmp_path, measured=measured)
    scores = scores_of(store)
    judged = add_energy_momentum(scores, store, division="default", models=["ecal_toy"])
    electron = judged["label"] == "electron"
    # Rows are in another order than those of the store, so this would fail if they were not joined by their keys.
    assert roc_auc(judged.loc[electron, "energy_momentum"], judged.loc[~electron, "energy_momentum"]).value > 0.93
    assert (judged["ecal_toy+energy_momentum"] == judged["ecal_toy"] + judged["energy_momentum"]).all()
    assert judged.attrs == scores.attrs
    assert "energy_momentum" not in scores


def test_what_has_no_momentum_is_said(tmp_path: Path) -> None:
    store = store_of(tmp_path, measured=False, truth=False)
    with pytest.raises(TrainingError, match="rigidity_electron of the store, or instead momentum, pdg"):
        add_energy_momentum(scores_of(store), store, division="default")
    whole = store_of(tmp_path / "other")
    with pytest.raises(TrainingError, match="1 of 1 scored events are not in the store"):
        add_energy_momentum(scores_of(whole).head(1).assign(entry=10**6), whole, division="default")

"""Likelihood of energy over momentum: against the densities that toys are drawn from."""

import numpy as np
import pytest

from ecalnb.models.conventional import MomentumLikelihood


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

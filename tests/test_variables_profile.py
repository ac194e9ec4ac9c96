"""Gamma fits against profiles that are gamma distributions, and against a general minimiser."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import gammainc

from ecalnb.geometry import AMS
from ecalnb.showers import Showers
from ecalnb.variables import fit_gamma_profiles, track_depths_x0
from ecalnb.variables.profile import AMS_RATE, DEPTH_MAX


def showers_of(layers, inclination=0.0):
    """Return events with these layer energies, all in one cell of each layer."""
    layers = np.atleast_2d(layers)
    images = np.zeros((len(layers), *AMS.shape), dtype=np.float64)
    images[:, :, 36] = layers
    table = pd.DataFrame({f"track_{name}": np.zeros(len(layers)) for name in ("x", "y", "azimuth")})
    return Showers(images, table.assign(track_inclination=inclination))


def gamma_layers(energy, shape, rate, inclination=0.0):
    edges = np.arange(19) * AMS.radiation_lengths / 18 / np.cos(inclination)
    return energy * np.diff(gammainc(shape, rate * edges))


@given(st.floats(3.0, 13.0), st.floats(0.35, 0.8), st.floats(0.0, 0.4), st.floats(1.0, 1000.0))
@settings(deadline=None, max_examples=40)
def test_gamma_profiles_are_found_again(maximum, rate, inclination, energy):
    shape = 1 + rate * maximum
    event = showers_of(gamma_layers(energy, shape, rate, inclination), inclination)
    for fit in (fit_gamma_profiles(event, rate=rate), fit_gamma_profiles(event, rate=None)):
        assert fit.maximum == pytest.approx([maximum], rel=5e-3)
        assert fit.shape == pytest.approx([shape], rel=5e-3)
        assert fit.rate == pytest.approx([rate], rel=5e-3)
        assert fit.energy == pytest.approx([energy], rel=5e-3)
        contained = gammainc(shape, rate * AMS.radiation_lengths / np.cos(inclination))
        assert fit.leakage == pytest.approx([1 - contained], abs=4e-3)
        assert fit.chi2 == pytest.approx([0], abs=0.05)


def best_shape(layers, inclination, rate=None):
    """Maximise the same likelihood by a simplex, with the exact integral over each layer."""
    edges = np.arange(19) * AMS.radiation_lengths / 18 / np.cos(inclination)

    def loss(parameters):
        b = rate or max(np.exp(parameters[1]), 0.1)  # the bound of the fit
        p = np.diff(gammainc(1 + np.exp(parameters[0]), b * edges))
        return -(layers * np.log(p / p.sum() + 1e-300)).sum() / layers.sum()

    start = [1.2] if rate else [1.0, -0.6]
    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-13, "maxiter": 5000})
    return 1 + np.exp(best.x[0])


def test_fits_of_geant4_electrons_agree_with_a_general_minimiser(sample):
    part = sample[(sample.table["label"] == "electron") & (sample.energies > 5)][:12]
    inclination = part.table["track_inclination"].to_numpy()
    for rate in (AMS_RATE, None):
        expected = [best_shape(*event, rate) for event in zip(part.layer_energies, inclination, strict=True)]
        np.testing.assert_allclose(fit_gamma_profiles(part, rate=rate).shape, expected, rtol=2e-3)


def test_any_profile_has_a_fit(rng):
    """Protons, noise, energy in one layer: finite numbers within the bounds."""
    layers = rng.exponential(1.0, (300, 18)) * (rng.random((300, 18)) < 0.3)
    layers[0], layers[1], layers[2] = np.eye(18)[0], np.eye(18)[17], 1.0
    known = layers.sum(axis=1) > 0
    for rate in (AMS_RATE, None):
        fit = fit_gamma_profiles(showers_of(layers), rate=rate)
        for name in ("energy", "maximum", "shape", "rate", "leakage", "chi2"):
            assert np.isfinite(getattr(fit, name)[known]).all(), name
        assert ((fit.maximum[known] >= 0) & (fit.maximum[known] <= DEPTH_MAX * (1 + 1e-9))).all()
        assert ((fit.leakage[known] >= 0) & (fit.leakage[known] < 1)).all()
        assert (fit.energy[known] >= layers.sum(axis=1)[known] * (1 - 1e-6)).all()
        assert fit.maximum[0] < 1 < 16 < fit.maximum[1]


def test_without_energy_or_track_there_is_no_fit():
    layers = gamma_layers(10, 4.9, 0.65)
    fit = fit_gamma_profiles(showers_of([layers, 0 * layers, layers], [0.0, 0.0, np.nan]))
    assert np.isnan(fit.maximum).tolist() == [False, True, True]


def test_depths_are_along_the_track():
    np.testing.assert_allclose(track_depths_x0(showers_of(np.ones(18), 0.4)), [AMS.layer_depths_x0 / np.cos(0.4)])


@pytest.mark.parametrize("rate", [0.0, -1.0, 65, np.nan])
def test_rates_that_are_none_are_refused(rate):
    with pytest.raises(ValueError, match="rate is"):
        fit_gamma_profiles(showers_of(np.ones(18)), rate=rate)

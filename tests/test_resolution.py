"""Widths of distributions whose width is known, coverage of their errors by toys, and resolutions in bins."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import arcsine, expon, kstest, norm, truncnorm

from ecalnb.metrics import (
    RESOLUTION_COLUMNS,
    fit_energy_resolution,
    gaussian_core,
    quantile_resolution,
    resolution_in_bins,
)

ONE_SIGMA = norm.cdf(1) - norm.cdf(-1)


def quantiles_of(distribution, n=4001):
    """Return a sample without fluctuations."""
    return distribution.ppf((np.arange(n) + 0.5) / n)


# --- Gaussian core ---


@pytest.mark.parametrize("n_sigma", [1.5, 2.0, 3.0])
def test_core_of_a_normal_distribution_is_not_biased_by_the_window(n_sigma):
    core = gaussian_core(quantiles_of(norm(0.98, 0.03)), n_sigma=n_sigma)
    assert core.mean == pytest.approx(0.98, abs=1e-5)
    assert core.sigma == pytest.approx(0.03, rel=3e-3)
    assert (core.low, core.high) == pytest.approx((0.98 - n_sigma * 0.03, 0.98 + n_sigma * 0.03), rel=1e-3)
    assert core.n_window / core.n == pytest.approx(1 - 2 * norm.sf(n_sigma), abs=2e-3)
    # The events alone have a standard deviation that is too small: the likelihood must know of the window.
    inside = truncnorm(-n_sigma, n_sigma, 0.98, 0.03)
    assert inside.std() < 0.03 * 0.99


def test_errors_are_those_of_the_information_matrix():
    """Fisher information of a normal distribution seen within +-k sigma, from moments of the truncated one."""
    k, n = 2.0, 4001
    seen = truncnorm(-k, k)
    variance_of_square = seen.moment(4) - seen.moment(2) ** 2
    core = gaussian_core(quantiles_of(norm(5, 2), n), n_sigma=k)
    assert core.mean_error == pytest.approx(2 / np.sqrt(core.n_window * seen.var()), rel=5e-3)
    assert core.sigma_error == pytest.approx(2 / np.sqrt(core.n_window * variance_of_square), rel=5e-3)


def test_toys_have_neither_bias_nor_wrong_errors():
    rng = np.random.default_rng(3)
    cores = [gaussian_core(rng.normal(1, 0.05, 500)) for _ in range(300)]
    pulls = np.array([((c.mean - 1) / c.mean_error, (c.sigma - 0.05) / c.sigma_error) for c in cores])
    assert abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(300) + 0.05  # of order 1/n for sigma
    assert pulls.std(axis=0) == pytest.approx([1, 1], abs=0.15)


def test_goodness_of_fit_is_uniform_for_normal_and_small_for_other_samples():
    rng = np.random.default_rng(5)
    p_values = [gaussian_core(rng.normal(0, 1, 800)).p_value for _ in range(150)]
    assert kstest(p_values, "uniform").pvalue > 1e-3
    double = np.concatenate([rng.normal(-1, 0.4, 2000), rng.normal(1, 0.4, 2000)])
    assert gaussian_core(double).p_value < 1e-6


def test_a_tail_outside_the_window_hardly_moves_the_core():
    rng = np.random.default_rng(8)
    sample = np.append(rng.normal(1, 0.02, 5000), rng.uniform(0.5, 0.9, 300))
    core = gaussian_core(sample)
    assert core.mean == pytest.approx(1, abs=4 * core.mean_error)
    assert core.sigma == pytest.approx(0.02, abs=4 * core.sigma_error)
    assert np.std(sample) > 0.07


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=20)
def test_core_follows_shift_and_scale(shift, scale):
    sample = np.random.default_rng(1).normal(0, 1, 300)
    plain, moved = gaussian_core(sample), gaussian_core(shift + scale * sample)
    assert moved.mean == pytest.approx(shift + scale * plain.mean, abs=0.02 * scale * plain.mean_error)
    assert moved.sigma == pytest.approx(scale * plain.sigma, rel=1e-3)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (np.arange(19.0), "19 events"),
        (np.append(np.arange(30.0), np.inf), "1 of them infinite"),
        (np.ones(50), "same value"),
        (np.append(np.arange(30.0), np.nan), "NaN"),
    ],
)
def test_samples_without_a_core_are_refused(sample, message):
    with pytest.raises(ValueError, match=message):
        gaussian_core(sample)


def test_a_distribution_that_is_thinnest_in_the_middle_has_no_core():
    with pytest.raises(ValueError, match="no maximum that a normal distribution fits"):
        gaussian_core(quantiles_of(arcsine()), n_sigma=1)


@pytest.mark.parametrize("n_sigma", [0, 0.1, 20, np.nan])
def test_windows_that_mean_nothing_are_refused(n_sigma):
    with pytest.raises(ValueError, match="n_sigma"):
        gaussian_core(np.arange(100.0), n_sigma=n_sigma)


# --- quantiles ---


def test_half_width_of_a_normal_distribution_is_sigma():
    result = quantile_resolution(quantiles_of(norm(3, 0.2)))
    assert result.half_width == pytest.approx(0.2, rel=2e-3)
    assert result.median == pytest.approx(3, abs=1e-3)
    # Asymptotic errors from the density at the ends of the interval, and at the median.
    n = result.n
    expected = 0.2 * np.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / n) / (2 * norm.pdf(1))
    assert result.error == pytest.approx(expected, rel=0.25)
    assert result.median_error == pytest.approx(0.2 * np.sqrt(np.pi / 2 / n), rel=0.25)


def test_interval_of_an_exponential_distribution_is_analytic():
    sample = quantiles_of(expon(), 20001)
    central = quantile_resolution(sample, n_bootstrap=20)
    assert (central.low, central.high) == pytest.approx((-np.log(norm.cdf(1)), -np.log(norm.sf(1))), rel=1e-3)


def test_bootstrap_error_of_the_central_interval_covers():
    rng = np.random.default_rng(11)
    pulls = []
    for _ in range(300):
        result = quantile_resolution(rng.normal(0, 1, 400), n_bootstrap=60, seed=rng)
        pulls.append((result.half_width - 1) / result.error)
    assert np.mean(np.abs(pulls) < 1) == pytest.approx(ONE_SIGMA, abs=4 * np.sqrt(0.22 / 300))


def test_quantile_resolution_is_reproducible():
    sample = np.random.default_rng(0).normal(0, 1, 100)
    assert quantile_resolution(sample, seed=4) == quantile_resolution(sample, seed=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 68}, "strictly between 0 and 1"),
        ({"n_bootstrap": 1}, "n_bootstrap is 1"),
    ],
)
def test_wrong_arguments_of_quantiles_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        quantile_resolution(np.arange(100.0), **arguments)
    with pytest.raises(ValueError, match="9 events"):
        quantile_resolution(np.arange(9.0))


# --- in bins ---


@pytest.mark.parametrize("kind", ["core", "central"])
def test_bias_and_resolution_in_bins_are_those_put_in(kind):
    rng = np.random.default_rng(2)
    true = np.exp(rng.uniform(np.log(5), np.log(500), 12000))
    reconstructed = 0.97 * true * (1 + np.hypot(0.1 / np.sqrt(true), 0.01) * rng.standard_normal(len(true)))
    table = resolution_in_bins(true, reconstructed, [5, 15, 50, 150, 500], kind=kind)
    assert list(table) == list(RESOLUTION_COLUMNS)
    assert table["n"].sum() == len(true)
    assert (abs(table["bias"] + 0.03) < 4 * table["bias_error"]).all()
    expected = np.hypot(0.1 / np.sqrt(table["energy"]), 0.01)
    # Inside a bin the resolution changes, so that it is not quite that at the mean energy.
    assert (abs(table["resolution"] - expected) < 4 * table["resolution_error"] + 0.03 * expected).all()
    assert (table["reason"] == "").all()


def test_bins_with_too_few_events_say_so(caplog):
    rng = np.random.default_rng(2)
    true = np.repeat([3.0, 12.0, 30.0, 99.0], [5, 30, 200, 7])
    reconstructed = true * rng.normal(1, 0.1, len(true))
    reconstructed[40] = np.nan
    with caplog.at_level(logging.INFO, logger="ecalnb.metrics.resolution"):
        table = resolution_in_bins(true, reconstructed, [10, 20, 50], min_count=50)
    assert table["n"].tolist() == [30, 199]
    assert table["n_undefined"].tolist() == [0, 1]
    assert table["reason"].tolist() == ["30 events, fewer than 50", ""]
    assert np.isnan(table.loc[0, ["bias", "bias_error", "resolution", "resolution_error"]].astype(float)).all()
    assert table.loc[1, "resolution"] == pytest.approx(0.1, abs=0.02)
    assert table.attrs["n_outside"] == 12
    assert "12 of 242 events are outside" in caplog.text


def test_the_upper_edge_belongs_to_the_last_bin():
    table = resolution_in_bins([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1, 2, 3])
    assert table["n"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [1.0, 2.0], [0, 5]), "shape"),
        (([0.0], [1.0], [0, 5]), "0 GeV; expected positive"),
        (([1.0], [1.0], [5, 0]), "rising"),
    ],
)
def test_wrong_energies_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        resolution_in_bins(*arguments)
    with pytest.raises(ValueError, match="kind is 'fwhm'"):
        resolution_in_bins([1.0], [1.0], [0, 5], kind="fwhm")
    with pytest.raises(ValueError, match="min_count is 3"):
        resolution_in_bins([1.0], [1.0], [0, 5], min_count=3)


# --- as a function of energy ---

ENERGIES = np.array([5.0, 10, 20, 50, 100, 250, 1000])


@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_terms_of_the_resolution_are_found(noise):
    truth = np.sqrt(0.104**2 / ENERGIES + 0.014**2 + (noise / ENERGIES) ** 2)
    fit = fit_energy_resolution(ENERGIES, truth, 0.01 * truth, noise=noise > 0)
    assert (fit.stochastic, fit.constant, fit.noise) == pytest.approx((0.104, 0.014, noise), rel=1e-2)
    np.testing.assert_allclose(fit(ENERGIES), truth, rtol=1e-3)
    assert (fit.ndf, fit.at_limit) == (7 - 2 - (noise > 0), ())
    assert fit.errors["noise"] == 0 or noise > 0


def test_errors_of_the_terms_cover():
    rng = np.random.default_rng(9)
    truth, error = np.hypot(0.104 / np.sqrt(ENERGIES), 0.014), 0.02 * np.hypot(0.104 / np.sqrt(ENERGIES), 0.014)
    pulls = []
    for _ in range(300):
        fit = fit_energy_resolution(ENERGIES, truth + error * rng.standard_normal(len(truth)), error)
        pulls.append(
            ((fit.stochastic - 0.104) / fit.errors["stochastic"], (fit.constant - 0.014) / fit.errors["constant"])
        )
    assert np.std(pulls, axis=0) == pytest.approx([1, 1], abs=0.15)
    assert np.mean(pulls, axis=0) == pytest.approx([0, 0], abs=0.25)


def test_a_term_that_is_not_there_is_said_to_be_at_its_limit():
    truth = 0.1 / np.sqrt(ENERGIES)
    assert fit_energy_resolution(ENERGIES, truth, 0.01 * truth).at_limit == ("constant",)


def test_bins_without_a_resolution_are_left_out():
    truth = np.hypot(0.104 / np.sqrt(ENERGIES), 0.014)
    truth[2] = np.nan
    assert fit_energy_resolution(ENERGIES, truth, 0.001).ndf == 4


def test_too_few_energies_are_refused():
    with pytest.raises(ValueError, match="there are 2 energies"):
        fit_energy_resolution([10, 20], [0.03, 0.02], 0.001, noise=True)
    with pytest.raises(ValueError, match="error 0 is not positive"):
        fit_energy_resolution([10, 20], [0.03, 0.02], [0, 0.001])

"""Tracker: rigidity, charge confusion, radiation, charge, and the track at the calorimeter, against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ecalnb.geometry import Tracks
from ecalnb.simulation.subdetectors.charge import layer_charges, median_of
from ecalnb.simulation.subdetectors.extrapolation import extrapolate, fit_covariance, scattering_angles
from ecalnb.simulation.subdetectors.incident import Incident
from ecalnb.simulation.subdetectors.parameters import parameters
from ecalnb.simulation.subdetectors.tracker import (
    LEAST_KEPT,
    kept_fraction,
    measure_rigidities,
    measure_tracker,
    wrong_hits_probability,
)

TRACKER = parameters().tracker
EXACT = replace(TRACKER, scattering=0.0, wrong_hits_light=0.0, wrong_hits_heavy=0.0)
N = 40_000


def rigidities(momentum, pdg=2212, tracker=TRACKER, n=N, seed=1):
    incident = Incident.of(np.full(n, float(momentum)), pdg)
    return measure_rigidities(incident, incident.momentum, tracker, np.random.default_rng(seed))


def wrong_sign(rigidity, mdr, light):
    """Probability of the wrong sign: Gaussian integrals beyond the curvature, and the hits of others."""
    spilled = 0.0
    for share, width in ((1 - TRACKER.tail_fraction, 1.0), (TRACKER.tail_fraction, TRACKER.tail_width)):
        spilled += share * stats.norm.cdf(-1 / np.hypot(width * rigidity / mdr, TRACKER.scattering))
    hits = float(wrong_hits_probability(np.array([rigidity]), np.array([light]), TRACKER)[0])
    return spilled + hits - 2 * spilled * hits


class TestRigidity:
    @pytest.mark.parametrize(("pdg", "charge", "mdrs"), [(2212, 1, TRACKER.mdr), (1000020040, 2, TRACKER.mdr_nuclei)])
    def test_error_is_the_whole_rigidity_at_the_mdr(self, pdg, charge, mdrs):
        for span, mdr in enumerate(mdrs):
            pulls = (1 / rigidities(mdr * charge, pdg, EXACT)[:, span] - 1 / mdr) * mdr

            def mixture(x):
                share = TRACKER.tail_fraction
                return (1 - share) * stats.norm.cdf(x) + share * stats.norm.cdf(x / TRACKER.tail_width)

            assert stats.kstest(pulls, mixture).pvalue > 0.001

    def test_published_mdrs_are_somewhat_below_those_of_a_perfect_tracker(self):
        # Ten micrometres in every layer, none missing, uniform field: an independent estimate of the same quantity.
        for span, layers in enumerate((range(1, 8), range(8), range(9))):
            covariance = fit_covariance(tuple(layers), bending=True, tracker=TRACKER)
            perfect = 0.299792458 * TRACKER.field / (np.sqrt(covariance[2, 2]) * 1e3)
            assert 1.1 < perfect / TRACKER.mdr[span] < 1.6

    def test_longer_span_has_the_information_of_the_shorter(self):
        inner, inner_l1, full = (1 / rigidities(100, tracker=replace(EXACT, tail_fraction=0.0))).T - 1 / 100
        for longer, shorter in ((full, inner_l1), (inner_l1, inner)):
            assert np.corrcoef(longer, shorter - longer)[0, 1] == pytest.approx(0, abs=4 / np.sqrt(N))

    def test_scattering_is_ten_percent_at_low_rigidity(self):
        measured = 1 / rigidities(2.0, tracker=EXACT)
        assert np.ptp(np.diff(2 * measured, axis=1)) < 0.3  # the spans go together
        scattered = 2.0 / rigidities(2.0, tracker=replace(TRACKER, wrong_hits_heavy=0.0))[:, 2]
        assert scattered.std() == pytest.approx(TRACKER.scattering * np.hypot(1, 0.938272 / 2), rel=0.02)

    @pytest.mark.parametrize("pdg", [11, 2212])
    @pytest.mark.parametrize("rigidity", [10, 100, 500, 1000])
    def test_charge_confusion_is_the_gaussian_integral_and_the_stated_hits(self, rigidity, pdg):
        sign = -1 if pdg == 11 else 1
        wrong = (rigidities(rigidity, pdg, n=100_000) * sign < 0).mean(axis=0)
        expected = np.array([wrong_sign(rigidity, mdr, pdg == 11) for mdr in TRACKER.mdr])
        np.testing.assert_array_less(abs(wrong - expected), 4 * np.sqrt(expected / 100_000))
        assert (np.diff(expected) <= 0).all()  # less for longer spans

    def test_charge_confusion_grows_with_rigidity(self):
        for light in (True, False):
            grows = [wrong_sign(rigidity, TRACKER.mdr[2], light) for rigidity in (5, 20, 100, 500, 2000)]
            assert (np.diff(grows) > 0).all()


class TestRadiation:
    def test_what_is_left_follows_bethe_and_heitler(self):
        light, vertical = np.ones(N, dtype=bool), np.zeros(N)
        kept = kept_fraction(light, vertical, 0.25, np.random.default_rng(3))
        assert kept.mean() == pytest.approx(np.exp(-0.25), abs=4 * 0.3 / np.sqrt(N))
        above = kept > LEAST_KEPT
        shape = 0.25 / np.log(2)
        cut = stats.gamma.cdf(-np.log(LEAST_KEPT), shape)
        test = stats.kstest(-np.log(kept[above]), lambda x: stats.gamma.cdf(x, shape) / cut)
        assert test.pvalue > 0.001

    def test_energy_over_rigidity_has_a_tail_for_electrons_only(self):
        above = {}
        for pdg in (11, 2212):
            incident = Incident.of(np.full(N, 20.0), pdg)
            hits = measure_tracker(incident, np.zeros(N), TRACKER, np.random.default_rng(4))
            above[pdg] = (20 / abs(hits.columns["rigidity_inner"]) > 1.5).mean()
        expected = stats.gamma.sf(np.log(1.5), TRACKER.radiator / np.log(2))
        assert above[11] == pytest.approx(expected, abs=0.015)
        assert above[2212] < 0.005


class TestCharge:
    @pytest.mark.parametrize("charge", [1, 2, 6, 14, 26])
    def test_median_layer_is_the_charge(self, charge):
        charges = layer_charges(
            np.full(N, charge), 1, TRACKER.signal_width, TRACKER.signal_noise, np.random.default_rng(5)
        )
        assert np.median(charges) == pytest.approx(charge, abs=0.02 + 0.002 * charge)
        # The signal of nuclei goes as the square, so its relative width is that of its Landau distribution alone.
        if charge > 2:
            signal = np.quantile(charges**2 / charge**2 * (1 + TRACKER.signal_width * 0.7876), [0.16, 0.84])
            moyal = 1 + TRACKER.signal_width * stats.moyal.ppf([0.16, 0.84])
            np.testing.assert_allclose(signal, moyal, rtol=0.01)

    def test_all_layers_together_resolve_what_is_published(self):
        hits = measure_tracker(Incident.of(np.full(N, 50.0), 2212), np.zeros(N), TRACKER, np.random.default_rng(6))
        low, high = np.quantile(hits.columns["tracker_charge_inner_l1"], [0.16, 0.84])
        assert (high - low) / 2 == pytest.approx(0.05, rel=0.2)  # AMS, PRL 117, 091103 (2016)
        assert (np.isnan(hits.columns["rigidity_inner_l1"]) == np.isnan(hits.columns["tracker_charge_layer_0"])).all()

    def test_median_is_that_of_numpy(self, rng):
        values = rng.random((500, 9))
        values[rng.random(values.shape) < 0.4] = np.nan
        values[:, 0] = 1.0
        np.testing.assert_array_equal(median_of(values), np.nanmedian(values, axis=1))
        assert np.isnan(median_of(np.full((1, 4), np.nan))).all()
        np.testing.assert_array_equal(median_of(values[:, :4]), np.nanmedian(values[:, :4], axis=1))


class TestExtrapolation:
    @pytest.mark.parametrize("bending", [False, True])
    def test_covariance_is_that_of_fits_to_toy_hits(self, bending):
        layers = np.array(TRACKER.layer_z[:8])
        depth = (TRACKER.ecal_z - layers) / 1000
        inside = np.clip(layers + 400, 0, 800)
        curved = (inside**2 / 2 + 800 * np.maximum(layers - 400, 0)) / 1e6
        design = np.column_stack([np.ones(8), depth, curved][: 2 + bending])
        resolution = TRACKER.bending_resolution if bending else TRACKER.straight_resolution
        hits = np.random.default_rng(7).normal(0, resolution, (20_000, 8))
        fitted = np.linalg.lstsq(design, hits.T, rcond=None)[0]
        expected = fit_covariance(tuple(range(8)), bending=bending, tracker=TRACKER)
        assert fitted[0].std() == pytest.approx(np.sqrt(expected[0, 0]), rel=0.03)
        assert (fitted[1] / 1000).std() == pytest.approx(np.sqrt(expected[1, 1]), rel=0.03)
        assert (np.cov(fitted[0], fitted[1] / 1000)[0, 1]) == pytest.approx(expected[0, 1], rel=0.05)

    def test_scattering_angles_add_up_to_highlands(self):
        momentum, beta, charge = np.array([3.0]), np.array([0.9]), np.array([2.0])
        angles = scattering_angles(momentum, beta, charge, np.zeros(1), TRACKER)
        total = sum(thickness for _, thickness in TRACKER.scatterers)
        formula = 0.0136 / (0.9 * 3.0) * 2 * np.sqrt(total) * (1 + 0.038 * np.log(total * 4 / 0.9**2))
        assert np.sqrt((angles**2).sum()) == pytest.approx(formula)

    @pytest.mark.parametrize("momentum", [5.0, 50.0, 500.0])
    def test_error_is_that_of_fit_and_scattering(self, momentum):
        ones = np.ones(N)
        tracks = Tracks(ones * 100, ones * -50, ones * 0.2, ones * 1.0)
        beta = ones * momentum / np.hypot(momentum, 0.938272)
        measured = extrapolate(tracks, ones * momentum, beta, ones, TRACKER, np.random.default_rng(8))
        angles = scattering_angles(ones[:1] * momentum, beta[:1], ones[:1], tracks.inclination[:1], TRACKER)[0]
        angles /= np.cos(0.2) ** 2
        heights = np.array([z - TRACKER.ecal_z for z, _ in TRACKER.scatterers])
        for off, slope_off, bending in (
            (measured.x - 100, measured.slope_x - tracks.slope_x, False),
            (measured.y + 50, measured.slope_y - tracks.slope_y, True),
        ):
            fit = fit_covariance(tuple(range(8)), bending=bending, tracker=TRACKER)
            assert off.std() == pytest.approx(np.sqrt(((angles * heights) ** 2).sum() + fit[0, 0]), rel=0.02)
            assert slope_off.std() == pytest.approx(np.sqrt((angles**2).sum() + fit[1, 1]), rel=0.02)
            assert off.mean() == pytest.approx(0, abs=4 * off.std() / np.sqrt(N))

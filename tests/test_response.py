"""Detector response: each effect against its closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from toy_response import N, response, some_images

from ecalnb.geometry import AMS, Calorimeter, Tracks
from ecalnb.simulation.response import (
    Attenuation,
    AttenuationCorrection,
    CrossTalk,
    DeadChannels,
    Digitisation,
    Noise,
    PhotoStatistics,
    Saturation,
    ShowerDepth,
    ShowerWidth,
)

ODD = Calorimeter("odd", "xyx", 5, 10.0, 8.0, 3.0, 0.1)  # with photomultipliers that are not whole


def vertical(x, y=0.0):
    return Tracks(np.atleast_1d(x), y, 0.0, 0.0)


class TestShowerShape:
    @settings(max_examples=25, deadline=None)
    @given(st.floats(-1, 1), st.floats(0, 1), st.integers(0, 1000))
    def test_energy_of_each_event_is_conserved(self, shift, share, seed):
        images = some_images(seed)
        seen = response(images, ShowerDepth(shift), ShowerWidth(share))
        np.testing.assert_allclose(seen.sum(axis=(1, 2)), images.sum(axis=(1, 2)), rtol=1e-5)
        assert seen.min() >= 0

    def test_mean_depth_moves_by_the_shift(self):
        # A contained shower: a wide Gaussian profile, for which the sum over layers is the integral.
        profile = stats.norm.pdf(np.arange(18), 8.0, 2.0)
        images = np.tile(profile[:, np.newaxis] / 72, (1, 1, 72))
        for shift in (0.3, -0.3, 1.0):
            layers = response(images, ShowerDepth(shift)).sum(axis=2)[0]
            # Times the ratio of two Gaussians of the smoothed variance, 4 + 1/2, that are the shift apart.
            expected = 8.0 - shift * 4 / 4.5
            assert (layers * np.arange(18)).sum() / layers.sum() == pytest.approx(expected, abs=0.02)

    def test_exponential_profile_is_only_scaled_and_lateral_shapes_stay(self):
        lateral = np.random.default_rng(1).random((18, 72))
        profile = np.exp(-0.2 * np.arange(18))
        images = (profile[:, np.newaxis] * lateral / lateral.sum(axis=1, keepdims=True))[np.newaxis]
        seen = response(images, ShowerDepth(0.4))
        np.testing.assert_allclose(
            seen / seen.sum(axis=2, keepdims=True), images / images.sum(axis=2, keepdims=True), rtol=1e-5
        )
        ratio = (seen.sum(axis=2) / images.sum(axis=2))[0, 2:-2]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)

    def test_fluctuations_of_single_layers_stay(self):
        layers = np.random.default_rng(2).gamma(8, 0.001, (2000, 18, 1))  # minimum ionising particles
        images = np.zeros((2000, 18, 72), np.float32)
        images[:, :, 30:31] = layers
        before, after = images[:, 9, 30], response(images, ShowerDepth(0.2))[:, 9, 30]
        assert after.std() / after.mean() == pytest.approx(before.std() / before.mean(), rel=0.1)

    def test_width_adds_its_variance(self):
        images = np.zeros((1, 18, 72), np.float32)
        images[:, 3, 30] = 2.0
        layer = response(images, ShowerWidth(0.1))[0, 3]
        assert (layer * (AMS.cell_centers() - AMS.cell_centers()[30]) ** 2).sum() / 2 == pytest.approx(0.1 * 81)
        edge = np.zeros((1, 18, 72), np.float32)
        edge[:, 0, 0] = 1.0
        np.testing.assert_allclose(response(edge, ShowerWidth(0.1))[0, 0, :3], [0.95, 0.05, 0], atol=1e-7)


class TestLight:
    def test_attenuation_is_the_sum_of_two_exponentials_at_either_end(self):
        x = np.array([-300.0, 0.0, 200.0])
        seen = response(1.0, Attenuation(0.2, 200.0, 3000.0), n=3, tracks=vertical(x, 100.0))

        def light(distance):
            return (0.2 * np.exp(-distance / 200) + 0.8 * np.exp(-distance / 3000)) / (
                0.2 * np.exp(-324 / 200) + 0.8 * np.exp(-324 / 3000)
            )

        # Layer 0 measures y: its fibres run along x. The first two cells are read at the low end, the next at the high.
        np.testing.assert_allclose(seen[:, 0, :4].T, [light(x + 324)] * 2 + [light(324 - x)] * 2, rtol=1e-6)
        np.testing.assert_allclose(seen[:, 2, 0], light(424.0), rtol=1e-6)  # along y

    def test_attenuation_follows_an_inclined_track(self):
        track = Tracks([0.0], [0.0], [0.5], [0.0])
        seen = response(1.0, Attenuation(0, 200.0, 1000.0), n=1, tracks=track)
        x = AMS.layer_depths[16] * np.tan(0.5)
        assert seen[0, 16, 0] == pytest.approx(np.exp(-x / 1000), rel=1e-6)

    def test_residual_of_the_correction_is_that_of_the_positions_difference(self):
        effects = Attenuation(0, 200.0, 2500.0), AttenuationCorrection(0, 200.0, 2500.0)
        x = np.array([-100.0, 50.0])
        exact = response(1.0, *effects, n=2, tracks=vertical(x))
        np.testing.assert_allclose(exact, 1, rtol=1e-6)
        seen = response(1.0, *effects, n=2, tracks=vertical(x), measured=vertical(x - 25))
        np.testing.assert_allclose(seen[:, 0, 0], np.exp(-25 / 2500), rtol=1e-6)
        np.testing.assert_allclose(seen[:, 0, 2], np.exp(25 / 2500), rtol=1e-6)
        np.testing.assert_allclose(seen[:, 2], 1, rtol=1e-6)

    def test_residual_of_wrong_lengths(self):
        effects = Attenuation(0, 200.0, 2000.0), AttenuationCorrection(0, 200.0, 2500.0)
        seen = response(1.0, *effects, n=1, tracks=vertical(150.0))
        assert seen[0, 0, 0] == pytest.approx(np.exp(-150 * (1 / 2000 - 1 / 2500)), rel=1e-6)

    def test_events_without_a_measured_track_are_not_corrected(self):
        nowhere = Tracks([np.nan], [np.nan], [np.nan], [np.nan])
        np.testing.assert_array_equal(response(1.0, AttenuationCorrection(0.2, 200.0, 2500.0), n=1), 1)
        seen = response(1.0, AttenuationCorrection(0.2, 200.0, 2500.0), n=1, measured=nowhere)
        np.testing.assert_allclose(seen, 1)

    def test_attenuation_needs_tracks(self):
        with pytest.raises(ValueError, match="attenuation needs the tracks"):
            response(1.0, Attenuation(0.2, 200.0, 2500.0))
        with pytest.raises(ValueError, match="1 tracks do not go with 2 images"):
            response(1.0, n=2, tracks=vertical(0.0))

    def test_cross_talk_reaches_the_other_anodes(self):
        images = np.zeros((1, 18, 72), np.float32)
        images[0, 4, 31] = 1.0  # lower row, right column of its photomultiplier
        seen = response(images, CrossTalk(0.02, 0.005))[0]
        np.testing.assert_allclose(seen[4:6, 30:32], [[0.02, 0.955], [0.005, 0.02]], rtol=1e-5)
        assert np.count_nonzero(seen) == 4

    @settings(max_examples=20, deadline=None)
    @given(st.floats(0, 0.25), st.floats(0, 0.25), st.sampled_from([AMS, ODD]), st.integers(0, 1000))
    def test_cross_talk_conserves_the_energy_of_photomultipliers(self, adjacent, diagonal, geometry, seed):
        images = some_images(seed, geometry=geometry)
        seen = response(images, CrossTalk(adjacent, diagonal), geometry=geometry)
        assert seen.min() >= 0
        for start in (0, 2):
            np.testing.assert_allclose(
                seen[:, :2, start : start + 2].sum(axis=(1, 2)),
                images[:, :2, start : start + 2].sum(axis=(1, 2)),
                rtol=1e-5,
            )

    def test_photo_electrons_are_poisson(self):
        seen = response(0.05, PhotoStatistics(4000.0))
        n = seen.size
        assert seen.mean() == pytest.approx(0.05, abs=5 * np.sqrt(0.05 / 4000 / n))
        assert seen.var() == pytest.approx(0.05 / 4000, rel=5 * np.sqrt(2 / n))  # of k / p with mean k = E p
        counts = seen * 4000
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)

    @pytest.mark.parametrize("energy", [0.0005, 0.05])  # less than one photo-electron, and many
    def test_width_of_single_electrons_adds_its_variance(self, energy):
        seen = response(energy, PhotoStatistics(1000.0, 0.8))
        n, variance = seen.size, energy / 1000 * (1 + 0.8**2)
        assert seen.mean() == pytest.approx(energy, abs=5 * np.sqrt(variance / n))
        kurtosis = stats.kurtosis(seen, axis=None)
        assert seen.var() == pytest.approx(variance, rel=5 * np.sqrt((2 + kurtosis) / n))


class TestElectronics:
    def test_saturation_goes_with_the_sum_of_a_photomultiplier(self):
        images = np.zeros((1, *ODD.shape), np.float32)
        images[0, :2, :2] = [[10, 20], [30, 40]]
        images[0, 2, 4] = 100  # alone in its photomultiplier
        seen = response(images, Saturation(400.0), geometry=ODD)[0]
        np.testing.assert_allclose(seen[:2, :2], images[0, :2, :2] / 1.25, rtol=1e-6)
        assert seen[2, 4] == pytest.approx(80)

    def test_noise_is_gaussian_above_the_threshold(self):
        seen = response(0.05, Noise(0.001))
        assert seen.mean() == pytest.approx(0.05, abs=5 * 0.001 / np.sqrt(seen.size))
        assert seen.std() == pytest.approx(0.001, rel=5 * np.sqrt(0.5 / seen.size))

    @pytest.mark.parametrize("threshold", [0.0, 0.002, 0.003])
    def test_noise_in_empty_cells_is_the_tail_of_the_gaussian(self, threshold):
        empty = response(0.0, Noise(0.001, threshold))
        share = stats.norm.sf(threshold / 0.001)
        above = empty[empty > 0]
        assert len(above) / empty.size == pytest.approx(share, abs=5 * np.sqrt(share / empty.size))
        assert above.min() >= np.float32(threshold)
        tail = stats.truncnorm(threshold / 0.001, np.inf, scale=0.001)
        assert stats.kstest(above[:5000], tail.cdf).pvalue > 1e-3
        # Every cell is as likely as the others.
        cells = np.count_nonzero(empty, axis=0).ravel()
        assert stats.chisquare(cells.reshape(18, 72).sum(axis=1)).pvalue > 1e-3

    def test_noise_far_below_the_threshold_is_absent(self):
        assert not response(0.0, Noise(1e-5, 0.01), n=5).any()

    def test_threshold_without_noise(self):
        images = some_images(3)
        seen = response(images, Noise(0.0, 0.05))
        np.testing.assert_array_equal(seen, np.where(images < 0.05, 0, images))

    def test_no_cell_is_negative(self):
        assert response(0.0, Noise(0.001)).min() == 0
        assert response(0.0005, Noise(0.001)).min() == 0

    def test_digitisation_has_two_ranges_and_an_end(self):
        adc = Digitisation(0.001, 10.0, 1000)
        values = np.zeros((1, *ODD.shape), np.float32)
        values[0, 0] = [0, 0.0004, 0.0126, 1.2340, 50.0]
        seen = response(values, adc, geometry=ODD)[0, 0]
        np.testing.assert_allclose(seen, [0, 0, 0.013, 1.23, 10.0], rtol=1e-6)
        assert adc.largest == pytest.approx(10.0)

    def test_digitisation_has_the_variance_of_rounding(self):
        images = np.random.default_rng(4).uniform(0.2, 0.3, (N, *AMS.shape)).astype(np.float32)
        error = response(images, Digitisation(0.001, 10.0, 1000)) - images
        assert error.var() == pytest.approx(0.001**2 / 12, rel=0.01)

    def test_dead_channels_are_those_listed_and_a_drawn_fraction(self):
        listed = response(1.0, DeadChannels(cells=[[3, 7]], pmts=[[8, 35]]), n=2)
        expected = np.ones(AMS.shape)
        expected[3, 7] = expected[16:, 70:] = 0
        np.testing.assert_array_equal(listed, [expected] * 2)
        blocks = response(1.0, DeadChannels(pmt_fraction=0.1), n=1)[0].reshape(9, 2, 36, 2)
        assert (blocks == blocks[:, :1, :, :1]).all()
        assert np.count_nonzero(blocks[:, 0, :, 0] == 0) == round(0.1 * 324)
        cells = response(1.0, DeadChannels(cell_fraction=0.01), n=1)
        assert np.count_nonzero(cells == 0) == 13

    def test_more_dead_channels_include_the_fewer(self):
        few, many = (response(1.0, DeadChannels(0.01 * k, 0.02 * k), n=1) for k in (1, 3))
        assert (many[few == 0] == 0).all()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"cells": [[18, 0]]}, r"cells of dead_channels have \[18, 0\]; expected 0 to 17 and 0 to 71"),
            ({"pmts": [[0, -1]]}, r"pmts of dead_channels have \[0, -1\]"),
        ],
    )
    def test_dead_channel_that_does_not_exist(self, options, message):
        with pytest.raises(ValueError, match=message):
            response(1.0, DeadChannels(**options))

    @pytest.mark.parametrize("cells", [[3, 7], 5, [[1, 2, 3]], [[1.5, 2]], [[True, 1]]])
    def test_dead_channels_are_pairs(self, cells):
        with pytest.raises(ValueError, match="expected pairs of whole numbers"):
            DeadChannels(cells=cells)

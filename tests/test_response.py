"""Detector response: each effect against its closed form."""

import numpy as np
import pytest

from ecalnb.geometry import AMS
from ecalnb.simulation import simulate
from ecalnb.simulation.response import Detector, apply, load_detectors, respond

N = 400


def response(energy, **effects):
    """Images in which all cells hold ``energy``, GeV, as a detector with these effects alone sees them."""
    images = np.full((N, *AMS.shape), energy, dtype=np.float32)
    return respond(images, Detector("toy", "", **effects), AMS, np.random.default_rng(1))


def test_ideal_detector_changes_nothing():
    images = np.random.default_rng(2).random((3, *AMS.shape), dtype=np.float32)
    np.testing.assert_array_equal(respond(images, load_detectors()["ideal"], AMS, np.random.default_rng(1)), images)


def test_photo_statistics_are_poisson():
    seen = response(0.05, photo_electrons=4000.0)
    n = seen.size
    assert seen.mean() == pytest.approx(0.05, abs=5 * np.sqrt(0.05 / 4000 / n))
    variance = 0.05 / 4000  # of k / p with mean k = E p
    assert seen.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / n))
    counts = seen.astype(float) * 4000
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)


def test_calibration_is_the_same_in_all_events_and_has_its_spread():
    seen = response(1.0, cell_spread=0.02)
    assert (seen == seen[0]).all()
    assert seen[0].std() == pytest.approx(0.02, rel=5 / np.sqrt(2 * seen[0].size))
    assert not np.array_equal(
        Detector("other", "", cell_spread=0.02).gains(AMS), Detector("toy", "", cell_spread=0.02).gains(AMS)
    )


def test_cells_of_a_photomultiplier_share_its_gain():
    gains = Detector("toy", "", pmt_spread=0.05).gains(AMS)
    blocks = gains.reshape(9, 2, 36, 2)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert blocks[:, 0, :, 0].std() == pytest.approx(0.05, rel=5 / np.sqrt(2 * 324))


def test_noise_is_gaussian_above_the_threshold():
    seen = response(0.05, noise=0.001)
    assert seen.std() == pytest.approx(0.001, rel=5 * np.sqrt(0.5 / seen.size))
    empty = response(0.0, noise=0.001, threshold=0.002)
    share = 0.0227501  # of a normal distribution beyond two standard deviations
    assert (empty > 0).mean() == pytest.approx(share, abs=5 * np.sqrt(share / empty.size))
    assert empty[empty > 0].min() >= np.float32(0.002)


def test_no_cell_is_negative():
    assert response(0.0, noise=0.001).min() == 0


def test_packaged_nominal_detector_keeps_the_energy_scale():
    ideal = simulate("electron", 300, energy=50.0, detector="ideal", seed=1)
    nominal = apply(ideal, "nominal", seed=2)
    ratio = nominal.energies / ideal.energies
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert nominal.metadata["provenance"]["detector"] == "nominal"
    with pytest.raises(ValueError, match="'nominal' already"):
        apply(nominal, "nominal")


def test_response_follows_the_seed():
    ideal = simulate("electron", 3, energy=50.0, detector="ideal", seed=1)
    first, second, third = (apply(ideal, "nominal", seed=seed).images for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_negative_parameter_is_refused():
    with pytest.raises(ValueError, match="noise of the detector 'bad' is -1"):
        Detector("bad", "", noise=-1)

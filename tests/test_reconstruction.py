"""Reconstruction of the axis: showers made of the model itself, symmetries, bad input, and Geant4 electrons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chi2, gamma

from ecalnb.geometry import AMS, Tracks
from ecalnb.reconstruction import AxisParameters, LayerErrors, Quality, ShowerAxes, list_methods, reconstruct
from ecalnb.reconstruction._line import layer_correlations, line_covariance, weighted_line
from ecalnb.reconstruction._shape import cell_parts
from ecalnb.showers import Showers
from ecalnb.splits import split_of

QUANTUM, RATE = 0.010, 0.65
AGES = np.array([0.1, 1.0, 3.0])
CORE_WEIGHT, CORE, TAIL = np.array([0.9, 0.8, 0.4]), np.array([2.0, 3.0, 5.0]), np.array([25.0, 14.0, 20.0])
NOISE = (QUANTUM, 1e-3, 1e-4)
MODEL = AxisParameters(
    AGES, CORE_WEIGHT, CORE, TAIL, NOISE,
    {name: LayerErrors(np.zeros(3), np.ones(3), np.zeros(3), 0.0, 1.0) for name in list_methods()},
)  # fmt: skip


def toys(tracks, energy=50.0, maximum=7.0, rng=None):
    """Showers of the model: exact expectations, or a Poisson number of quanta in each cell."""
    depth = np.arange(19) * 17 / 18 / np.cos(tracks.inclination)[:, None]
    layers = energy * np.diff(gamma.cdf(RATE * depth, 1 + RATE * maximum), axis=1)
    ages = AMS.layer_depths_x0 / np.cos(tracks.inclination)[:, None] / maximum
    weight, core, tail = (np.interp(ages, AGES, values)[..., None] for values in (CORE_WEIGHT, CORE, TAIL))
    slopes = np.where(np.array(AMS.views) == "x", tracks.slope_x[:, None], tracks.slope_y[:, None])
    half = np.maximum(abs(slopes) * AMS.layer_thickness, 1e-3)[..., None] / 2
    u = AMS.cell_edges() - AMS.project(tracks)[..., None]
    integral = sum(
        w * (np.hypot(u + half, r) - np.hypot(u - half, r)) / (4 * half)
        for w, r in ((weight, core), (1 - weight, tail))
    )
    images = layers[..., None] * np.diff(integral, axis=-1)
    if rng is not None:
        images = rng.poisson(images / QUANTUM) * QUANTUM
    return Showers(images, pd.DataFrame(index=range(len(tracks))))


def tracks_of(n, rng):
    return Tracks(*rng.uniform(-150, 150, (2, n)), rng.uniform(0, 0.4, n), rng.uniform(-np.pi, np.pi, n))


def differences(axes, tracks):
    return np.stack(
        [axes.x0 - tracks.x, axes.y0 - tracks.y, axes.slope_x - tracks.slope_x, axes.slope_y - tracks.slope_y]
    )


def errors(axes):
    return np.stack([axes.x0_error, axes.y0_error, axes.slope_x_error, axes.slope_y_error])


def test_parts_of_cells_are_integrals_of_the_projected_shape():
    """Against a numerical integral of the density in the plane, over the fibre, over the cell and over the crossing."""
    weight, core, tail, centre, crossing = 0.7, 3.0, 15.0, 2.3, 4.0

    def density(x, y):
        square = x * x + y * y
        return sum(w * r**2 / np.pi / (square + r**2) ** 2 for w, r in ((weight, core), (1 - weight, tail)))

    def projected(u):
        return quad(lambda y: density(u, y), -np.inf, np.inf)[0]

    parts, slopes = np.empty(3), np.empty(3)
    cell_parts(35, 37, -324.0, 9.0, centre, crossing, weight, core, tail, parts, slopes)
    for cell, part in zip((35, 36, 37), parts, strict=True):
        edge = -324 + 9 * cell
        offsets = centre + crossing * (np.array([0.069432, 0.330009, 0.669991, 0.930568]) - 0.5)
        gauss = np.array([0.173927, 0.326073, 0.326073, 0.173927])
        expected = sum(g * quad(projected, edge - c, edge + 9 - c)[0] for g, c in zip(gauss, offsets, strict=True))
        assert part == pytest.approx(expected, rel=2e-4)
    moved, unused = np.empty(3), np.empty(3)
    cell_parts(35, 37, -324.0, 9.0, centre + 1e-5, crossing, weight, core, tail, moved, unused)
    np.testing.assert_allclose(slopes, (moved - parts) / 1e-5, rtol=1e-3)


def test_line_and_its_covariance_are_those_of_matrices(rng):
    layers, depths = np.arange(8), np.linspace(5, 160, 8)
    values, variances = rng.normal(size=8), rng.uniform(0.1, 3, 8)
    intercept, slope, used = weighted_line(layers, depths, values, variances)
    design, weights = np.stack([np.ones(8), depths], axis=1), np.diag(1 / variances)
    estimator = np.linalg.solve(design.T @ weights @ design, design.T @ weights)
    np.testing.assert_allclose([intercept, slope], estimator @ values)
    assert used == 8
    common = 0.4 * np.exp(-abs(depths[:, None] / 10 - depths / 10) / 2) + 0.6 * np.eye(8)
    covariance = estimator @ (common * np.sqrt(np.outer(variances, variances))) @ estimator.T
    result = np.empty(3)
    line_covariance(layers, depths, variances, layer_correlations(depths / 10, 0.4, 2.0), result)
    np.testing.assert_allclose(result, [covariance[0, 0], covariance[1, 1], covariance[0, 1]])


@pytest.mark.parametrize("method", list_methods())
def test_an_axis_without_fluctuations_is_found_again(method, rng):
    """Within the curves of the simple methods, which are those of a vertical axis."""
    tracks = tracks_of(200, rng)
    axes = reconstruct(toys(tracks), method, calibration=MODEL)
    assert axes.good.all()
    largest = 0.01 if method in ("lateral_fit", "shower_fit_3d") else 0.6
    off = abs(differences(axes, tracks))
    assert off[:2].max() < largest
    assert off[2:].max() < largest / 80
    vertical = Tracks(*rng.uniform(-150, 150, (2, 50)), np.zeros(50), np.zeros(50))
    off = abs(differences(reconstruct(toys(vertical), method, calibration=MODEL), vertical))
    assert off[:2].max() < 0.2
    assert off[2:].max() < 0.003  # the curves are interpolated between few ages


@pytest.mark.parametrize(("method", "low", "high"), [("lateral_fit", 0.9, 1.1), ("shower_fit_3d", 0.93, 1.07)])
def test_errors_cover_the_truth_of_toys(method, low, high, rng):
    tracks = tracks_of(1500, rng)
    axes = reconstruct(toys(tracks, rng=rng), method, calibration=MODEL)
    assert axes.good.mean() > 0.995
    pulls = (differences(axes, tracks) / errors(axes))[:, axes.good]
    widths = np.quantile(abs(pulls), 0.6827, axis=1)
    assert ((widths > low) & (widths < high)).all(), widths
    assert (abs(np.mean(np.clip(pulls, -4, 4), axis=1)) < 4 / np.sqrt(1500)).all()
    # With the correlation of position and slope the two together are a chi2 of two degrees of freedom.
    first, second = pulls[0], pulls[2]
    r = axes.correlation_x[axes.good]
    square = (first**2 - 2 * r * first * second + second**2) / (1 - r**2)
    assert np.mean(square < chi2.ppf(0.6827, 2)) == pytest.approx(0.6827, abs=0.06)


def test_the_whole_fit_is_better_than_its_parts_and_finds_the_maximum(rng):
    tracks = tracks_of(800, rng)
    showers = toys(tracks, energy=10.0, maximum=6.0, rng=rng)
    widths = {}
    for method in list_methods():
        off = differences(reconstruct(showers, method, calibration=MODEL), tracks)
        widths[method] = np.quantile(np.hypot(off[2], off[3]), 0.68)
    assert widths["shower_fit_3d"] < widths["lateral_fit"] < 1.1 * widths["cell_ratios"]
    assert widths["cell_ratios"] < widths["center_of_gravity"]
    axes = reconstruct(showers, calibration=MODEL)
    assert np.median(axes.shower_max) == pytest.approx(6.0, abs=0.1)
    assert np.median(axes.deviance / axes.ndf) == pytest.approx(1, abs=0.25)


@given(st.integers(0, 10_000), st.sampled_from(list_methods()))
@settings(deadline=None, max_examples=25)
def test_mirror_images_have_mirrored_axes(seed, method):
    rng = np.random.default_rng(seed)
    showers = toys(tracks_of(3, rng), energy=20.0, rng=rng)
    # Cells of equal energy would be a matter of taste.
    showers.images = showers.images * rng.uniform(0.999, 1.001, showers.images.shape).astype(np.float32)
    axes = reconstruct(showers, method, calibration=MODEL)
    images = showers.images.copy()
    in_x = AMS.layers("x")
    images[:, in_x] = images[:, in_x, ::-1]
    mirrored = reconstruct(Showers(images, showers.table), method, calibration=MODEL)
    np.testing.assert_allclose(mirrored.x0, -axes.x0, atol=2e-3)
    np.testing.assert_allclose(mirrored.slope_x, -axes.slope_x, atol=2e-5)
    np.testing.assert_allclose(mirrored.y0, axes.y0, atol=2e-3)
    np.testing.assert_allclose(mirrored.x0_error, axes.x0_error, rtol=1e-2)


@given(st.integers(0, 10_000), st.sampled_from(list_methods()))
@settings(deadline=None, max_examples=15)
def test_exchanged_views_have_exchanged_axes(seed, method):
    rng = np.random.default_rng(seed)
    showers = toys(tracks_of(3, rng), energy=20.0, rng=rng)
    axes = reconstruct(showers, method, calibration=MODEL)
    swapped = reconstruct(Showers(showers.images, showers.table, AMS.swap_views()), method, calibration=MODEL)
    for name in ("0", "0_error"):
        np.testing.assert_allclose(getattr(swapped, f"x{name}"), getattr(axes, f"y{name}"), rtol=1e-6)
    np.testing.assert_allclose(swapped.slope_y, axes.slope_x, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", list_methods())
def test_bad_events_have_a_reason_and_leave_the_others_alone(method, rng):
    tracks = tracks_of(7, rng)
    showers = toys(tracks, rng=rng)
    alone = reconstruct(showers[[0]], method)
    images = showers.images
    images[1] = 0
    images[2, 3, 40] = np.nan
    images[3, 3, 40] = np.inf
    images[4, :9] = images[4, 10:] = 0
    images[5, AMS.layers("x")] = 0
    images[6] = 0
    images[6, 4, 20] = 1.0
    axes = reconstruct(showers, method)
    few = Quality.FEW_LAYERS
    assert axes.quality.tolist() == [0, Quality.NO_ENERGY, Quality.BAD_CELLS, Quality.BAD_CELLS, few, few, few]
    assert np.isnan(differences(axes, tracks)[:, 1:]).all()
    np.testing.assert_array_equal(axes.x0[0], alone.x0[0])
    none = reconstruct(showers[:0], method)
    assert len(none) == 0


def test_noise_has_no_exception(make_showers):
    showers = make_showers(60)
    showers.images[::3] *= 1e-6
    showers.images[1::3] *= 1e4
    for method in list_methods():
        axes = reconstruct(showers, method)
        assert np.isfinite(differences(axes, showers.tracks)[:, axes.good]).all()


def test_another_calorimeter_is_measured_in_its_own_cells(rng):
    wide = replace(AMS, name="wide", cell_pitch=18.0, n_cells=36)
    tracks = tracks_of(20, rng)
    fine = toys(tracks, rng=rng)
    showers = Showers(fine.images.reshape(20, 18, 36, 2).sum(axis=3), fine.table, wide)
    for method in list_methods():
        off = differences(reconstruct(showers, method, calibration=MODEL), tracks)
        assert np.median(abs(off[:2])) < 2.0


FLOOR = {"space": [2.6, 2.0, 1.3, 1.1], "inclination": [1.5, 1.2, 0.7, 0.55]}


def test_geant4_electrons_are_better_than_a_line_through_the_energy(sample):
    """A plain line through layer centroids gave these 68 % angles, degrees, at 5-10, 10-20, 20-50, 50-100 GeV."""
    table = sample.table
    chosen = (table["label"] == "electron") & (split_of(table["file_id"], table["entry"]) == "validation")
    showers = sample[chosen]
    axes, tracks = reconstruct(showers), showers.tracks
    assert axes.good.mean() > 0.99
    off = np.degrees(abs(axes.inclination - tracks.inclination))
    cosine = (1 + axes.slope_x * tracks.slope_x + axes.slope_y * tracks.slope_y) * (
        np.cos(axes.inclination) * np.cos(tracks.inclination)
    )
    space = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    bins = np.digitize(showers.table["momentum"], [5, 10, 20, 50, 100]) - 1
    for number in range(4):
        chosen = axes.good & (bins == number)
        if chosen.sum() >= 30:
            assert np.quantile(space[chosen], 0.68) < 0.8 * FLOOR["space"][number]
            assert np.quantile(off[chosen], 0.68) < 0.85 * FLOOR["inclination"][number]


def test_axes_as_a_table_and_as_tracks(rng):
    tracks = tracks_of(4, rng)
    axes = reconstruct(toys(tracks), calibration=MODEL)
    table = axes.to_table("fit")
    again = ShowerAxes.from_table(table, "fit")
    np.testing.assert_array_equal(again.slope_y_error, axes.slope_y_error)
    np.testing.assert_array_equal(again.quality, axes.quality)
    read = Tracks.from_table(table, "fit")
    np.testing.assert_allclose(read.slope_x, axes.slope_x)
    np.testing.assert_allclose(axes.theta, np.pi - tracks.inclination, atol=1e-4)
    np.testing.assert_allclose(axes.tracks.azimuth, axes.azimuth)
    with pytest.raises(KeyError, match="nothing_x"):
        ShowerAxes.from_table(table, "nothing")
    with pytest.raises(ValueError, match=r"y0 has shape \(2,\); expected \(3,\)"):
        ShowerAxes(np.ones(3), np.ones(2), *np.ones((6, 3)))


def test_the_error_of_the_inclination_is_that_of_the_slopes():
    rng = np.random.default_rng(5)
    x, y = rng.normal(0.2, 0.004, 100_000), rng.normal(-0.1, 0.008, 100_000)
    spread = np.arctan(np.hypot(x, y)).std()
    axes = ShowerAxes(*([value] for value in (0, 0, 0.2, -0.1, 1, 1, 0.004, 0.008)))
    assert axes.inclination_error == pytest.approx([spread], rel=0.01)


def test_unknown_names_are_refused():
    showers = Showers(np.zeros((1, 18, 72)), pd.DataFrame(index=range(1)))
    with pytest.raises(ValueError, match="no method of reconstruction is named 'best'; expected one of center"):
        reconstruct(showers, "best")
    with pytest.raises(ValueError, match="calibration of the shower axis is named 'nature'"):
        reconstruct(showers, calibration="nature")
    with pytest.raises(ValueError, match="ages are"):
        replace(MODEL, ages=np.array([1.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match=r"core_radius is .*expected 3 positive numbers"):
        replace(MODEL, core_radius=np.array([1.0, -1.0, 2.0]))

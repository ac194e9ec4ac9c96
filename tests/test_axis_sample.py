"""Axes of the events of a store by several methods; the calibration of the methods; the command."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_reconstruction import MODEL, NOISE, toys, tracks_of
from typer.testing import CliRunner

from ecalnb.cli import app
from ecalnb.reconstruction import AxisParameters, reconstruct
from ecalnb.reconstruction.calibrate import calibrate, write_parameters
from ecalnb.store import Store, from_showers
from ecalnb.training import axis_sample


def electrons(n, rng, label="electron"):
    tracks = tracks_of(n, rng)
    showers = toys(tracks, rng=rng)
    showers.table = pd.DataFrame(
        {
            "file_id": 5,
            "entry": np.arange(n),
            "label": pd.Series([label] * n, dtype=object),
            "en3d": showers.energies,
            "momentum": np.full(n, 50.0),
            "track_x": tracks.x,
            "track_y": tracks.y,
            "track_inclination": tracks.inclination,
            "track_azimuth": tracks.azimuth,
        }
    )
    return showers


@pytest.fixture
def store(tmp_path, rng):
    return from_showers(electrons(120, rng), tmp_path / "store")


def test_a_sample_has_the_chosen_events_by_all_methods(store: Store) -> None:
    sample = axis_sample(store, ["cell_ratios", "shower_fit_3d"], split="test", label="electron", calibration=MODEL)
    rows = np.flatnonzero(store.splits() == "test")
    assert sample.table["entry"].tolist() == store.table(["entry"], rows)["entry"].tolist()
    expected = reconstruct(store.showers(rows), "cell_ratios", calibration=MODEL)
    np.testing.assert_allclose(sample.axes["cell_ratios"].x0, expected.x0)
    assert (sample.energy == 50).all()
    residuals = sample.residuals("shower_fit_3d")
    np.testing.assert_allclose(residuals["x"], sample.axes["shower_fit_3d"].x0 - sample.truth.x)
    np.testing.assert_array_equal(sample.residuals("shower_fit_3d", sample.tracks), residuals)
    with pytest.raises(ValueError, match="no event of the sample 'test' of 'default' with the label 'proton'"):
        axis_sample(store, ["cell_ratios"], label="proton")


def test_the_command_writes_the_same_axes(store: Store, tmp_path) -> None:
    output = tmp_path / "axes.parquet"
    result = CliRunner().invoke(app, ["reconstruct", str(store.path), "--method", "cell_ratios", "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert "120 events, 120 with an axis" in result.output
    table = pd.read_parquet(output)
    np.testing.assert_allclose(table["axis_x"], reconstruct(store.showers(slice(None)), "cell_ratios").x0)
    assert CliRunner().invoke(app, ["reconstruct", str(store.path), "-o", "axes.csv"]).exit_code == 2


def test_a_calibration_finds_the_shape_and_the_noise_that_showers_were_made_with(tmp_path, rng) -> None:
    showers = electrons(400, rng)
    found = calibrate(showers)
    known = (found.ages > 0.3) & (found.ages < 2.3)
    for name in ("core_weight", "core_radius", "tail_radius"):
        expected = np.interp(found.ages, MODEL.ages, getattr(MODEL, name))[known]
        np.testing.assert_allclose(getattr(found, name)[known], expected, rtol=0.16)
    assert found.noise[0] == pytest.approx(NOISE[0], rel=0.35)  # 68 % of a few quanta are within less than sigma
    errors = found.methods["shower_fit_3d"]
    assert abs(errors.depth_shift[known]).max() < 1.0
    assert errors.correlation * np.exp(-0.94 / errors.length) < 0.15  # of neighbouring layers
    np.testing.assert_allclose(errors.error_scale, 1.0, atol=0.12)
    path = tmp_path / "own.toml"
    write_parameters(found, {"events": 400}, {}, path)
    again = AxisParameters.load(path)
    np.testing.assert_allclose(again.core_radius, found.core_radius, rtol=1e-3)
    assert again.origin["events"] == 400
    np.testing.assert_allclose(
        reconstruct(showers, calibration=again).slope_x, reconstruct(showers, calibration=found).slope_x, atol=2e-4
    )
    path.write_text(path.read_text().replace("length", "width", 1))
    with pytest.raises(ValueError, match="unknown key 'width'"):
        AxisParameters.load(path)
    with pytest.raises(ValueError, match="there are 20 showers; expected at least 200"):
        calibrate(showers[:20])


def test_packaged_calibrations_know_where_they_come_from() -> None:
    for name, sample in (("geant4", "fit"), ("fast", "train")):
        parameters = AxisParameters.load(name)
        assert parameters.origin["sample"] == sample
        assert sum(file["events"] for file in parameters.origin["files"]) == parameters.origin["events"] > 1000
        # Nothing is left of a shower whose core is wider than its tail.
        assert (parameters.core_radius < parameters.tail_radius).all()

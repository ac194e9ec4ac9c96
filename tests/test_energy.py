"""Reconstructed energy on profiles that are known, its extrapolation, and its parameter file."""

from __future__ import annotations

import hashlib
import tomllib

import numpy as np
import pandas as pd
import pytest
import typer
from scipy.special import gammainc
from typer.testing import CliRunner

from ecalnb import ntuples
from ecalnb._toml import DATA
from ecalnb.geometry import AMS
from ecalnb.metrics import gaussian_core
from ecalnb.showers import Showers
from ecalnb.splits import split_of
from ecalnb.variables import EnergyParameters, leakage_fractions, reconstructed_energy
from ecalnb.variables.fit_energy import fit_energy, main

PLAIN = EnergyParameters(scale=0.9, rear_linear=2.0, rear_quadratic=10.0, side=1.5, rear_max=0.2, side_max=0.1)


def showers_of(layers, inclination=0.0, cells=(36,), **columns):
    """Return events with these layer energies, shared equally among cells."""
    layers = np.atleast_2d(layers)
    images = np.zeros((len(layers), *AMS.shape))
    images[:, :, list(cells)] = layers[:, :, None] / len(cells)
    table = pd.DataFrame({f"track_{name}": np.zeros(len(layers)) for name in ("x", "y", "azimuth")})
    return Showers(images, table.assign(track_inclination=inclination, **columns))


def gamma_showers(momentum, rng):
    """Return showers with fluctuating gamma profiles, without sampling fluctuations.

    The means are linear in ln E through the values of Geant4 electrons of 10 and 100 GeV (free b), as in Grindhammer
    and Peters, hep-ex/0001020, eq. 2 and 3; spreads as 1/s linear in ln E, as there.
    """
    x = np.log10(momentum) - 1
    correlation = 0.62 - 0.11 * x
    z = rng.standard_normal((2, len(x)))
    z[1] = correlation * z[0] + np.sqrt(1 - correlation**2) * z[1]
    maximum = (6.53 + 2.55 * x) * np.exp(z[0] / (6.49 + 1.91 * x))
    shape = np.maximum((4.36 + 1.33 * x) * np.exp(z[1] / (4.78 + 1.46 * x)), 1.5)
    inclination = rng.uniform(0, 0.43, len(x))
    edges = np.linspace(0, AMS.radiation_lengths, 19) / np.cos(inclination)[:, None]
    layers = np.diff(gammainc(shape[:, None], ((shape - 1) / maximum)[:, None] * edges), axis=1)
    showers = showers_of(momentum[:, None] * layers, inclination, momentum=momentum)
    # A thousandth of the energy at the sides, which says nothing about the loss here.
    showers.images[:, :, 0] = showers.images[:, :, 36] * rng.exponential(0.001, len(x))[:, None]
    return showers


def test_energy_follows_the_formula():
    layers = np.ones(18)
    event = showers_of(layers, 0.3, cells=(36, 70))  # half of it in the outermost two cells of one side
    rear, side = leakage_fractions(event)
    per_x0 = 2 / 18 / (17 * 2 / 18 / np.cos(0.3))
    assert rear == pytest.approx([per_x0])
    assert side == pytest.approx([0.5])
    expected = 18 * 0.9 * (1 + 2 * per_x0 + 10 * per_x0**2 + 1.5 * 0.1)  # stopped at side_max
    assert reconstructed_energy(event, PLAIN) == pytest.approx([expected])


def test_correction_stops_at_what_electrons_can_have():
    late = showers_of(np.eye(18)[17])
    assert leakage_fractions(late)[0] > 0.5
    assert reconstructed_energy(late, PLAIN) == pytest.approx([0.9 * (1 + 2 * 0.2 + 10 * 0.04)])


def test_no_energy_is_zero_and_no_track_is_nan():
    event = showers_of([np.zeros(18), np.ones(18)], [0.1, np.nan])
    np.testing.assert_equal(reconstructed_energy(event, PLAIN), [0, np.nan])


def test_correction_fitted_below_100_gev_extrapolates_on_gamma_profiles(rng):
    """The form of the correction, and nothing else, carries it from the fit's 5-100 GeV to 2 TeV."""
    showers = gamma_showers(np.exp(rng.uniform(np.log(5), np.log(100), 6000)), rng)
    momentum = showers.table["momentum"].to_numpy()
    showers.images *= (1 + np.hypot(0.07 / np.sqrt(momentum), 0.005) * rng.standard_normal(len(momentum)))[
        :, None, None
    ]
    parameters = fit_energy(showers).parameters
    for energy in (5, 20, 100, 200, 500, 1000, 2000):
        point = gamma_showers(np.full(1500, float(energy)), rng)
        core = gaussian_core(reconstructed_energy(point, parameters) / energy)
        assert core.mean == pytest.approx(1, abs=0.02), energy
    # Without a correction a quarter of the energy is missing there.
    assert (point.energies / 2000).mean() < 0.8


def test_parameters_are_found_again(rng):
    """Events whose energy is that of the formula, but for the resolution."""
    n = 3000
    layers = rng.dirichlet(np.full(18, 3.0), n)
    layers[:, -2:] *= rng.uniform(0, 1.5, n)[:, None]
    showers = showers_of(layers, rng.uniform(0, 0.4, n), momentum=1.0)
    showers.images[:, :, 0] = showers.images[:, :, 36] * rng.uniform(0, 0.05, n)[:, None]
    momentum = np.exp(rng.uniform(np.log(5), np.log(500), n))
    smeared = momentum * (1 + np.hypot(0.1 / np.sqrt(momentum), 0.01) * rng.standard_normal(n))
    truth = EnergyParameters(0.95, 1.8, 4.0, 1.2, rear_max=1.0, side_max=1.0)
    showers.images *= (smeared / reconstructed_energy(showers, truth))[:, None, None]
    showers.table["momentum"] = momentum
    fit = fit_energy(showers)
    for name in ("scale", "rear_linear", "rear_quadratic", "side"):
        assert getattr(fit.parameters, name) == pytest.approx(getattr(truth, name), abs=4 * fit.errors[name]), name
        assert 0 < fit.errors[name] < 0.4 * abs(getattr(truth, name)), name
    assert fit.resolution.stochastic == pytest.approx(0.1, rel=0.15)


def test_packaged_parameters_are_linear_on_geant4_electrons(sample_files):
    showers = ntuples.read(sample_files["electron"])
    showers = showers[split_of(showers.table["file_id"], showers.table["entry"]) == "validation"]
    ratio = reconstructed_energy(showers) / showers.table["momentum"].to_numpy()
    low = showers.table["momentum"].to_numpy() < 20
    for part in (ratio[low], ratio[~low]):
        core = gaussian_core(part)
        assert core.mean == pytest.approx(1, abs=0.02)
        assert core.sigma < 0.04


def test_packaged_file_says_what_it_was_fitted_to():
    content = tomllib.loads((DATA / "energy.toml").read_text())
    assert content["fit"]["split"] == "fit"
    assert sum(file["events"] for file in content["fit"]["files"]) == content["fit"]["events"] > 200
    assert all(len(file["sha256"]) == 64 for file in content["fit"]["files"])


def test_script_fits_and_writes_a_file_that_can_be_read(sample_files, tmp_path):
    app = typer.Typer()
    app.command()(main)
    output = tmp_path / "energy.toml"
    result = CliRunner().invoke(app, [str(sample_files["electron"]), "-o", str(output)])
    assert result.exit_code == 0, result.output
    content = tomllib.loads(output.read_text())
    assert content["fit"]["files"][0]["sha256"] == hashlib.sha256(sample_files["electron"].read_bytes()).hexdigest()
    assert str(tmp_path) not in output.read_text()
    parameters = EnergyParameters.read(output)
    assert 0.9 < parameters.scale < 1.05
    # Only events of the split fit: a fifth of the file.
    total = next(iter(ntuples.count(sample_files["electron"]).values()))
    assert content["fit"]["events"] == pytest.approx(0.2 * total, rel=0.1)


def test_wrong_parameter_files_are_named(tmp_path):
    path = tmp_path / "energy.toml"
    path.write_text("[correction]\nscale = 1.0\nrear = 2.0\n")
    with pytest.raises(ValueError, match="unknown key 'rear'"):
        EnergyParameters.read(path)
    with pytest.raises(FileNotFoundError, match=r"none\.toml"):
        EnergyParameters.read(tmp_path / "none.toml")
    with pytest.raises(ValueError, match="scale of the reconstructed energy is -1"):
        EnergyParameters(-1.0, 0, 0, 0, 1, 1)


def test_too_few_events_are_no_fit(rng):
    with pytest.raises(ValueError, match="there are 50 events"):
        fit_energy(gamma_showers(np.full(50, 10.0), rng))

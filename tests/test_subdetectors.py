"""All subdetectors together: their columns, their reproducibility, and their place in simulated events."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecalnb import ntuples
from ecalnb.geometry import Tracks
from ecalnb.schema import load_schema
from ecalnb.simulation import PARTICLES, simulate, simulate_to_file
from ecalnb.simulation.particles import particle_of
from ecalnb.simulation.subdetectors import measure

CHARGED = [particle.pdg for particle in PARTICLES.values() if particle.charge]
MAY_LACK = {"rigidity_inner_l1", "rigidity_full", "beta", *(f"tracker_charge_layer_{i}" for i in range(9))}
NOT_FILLED = {"ecal_bdt", "ecal_likelihood"}


def some_tracks(n):
    x, y, inclination, azimuth = np.random.default_rng(1).random((n, 4)).T  # the first are the same for any n
    return Tracks(600 * x - 300, 600 * y - 300, 0.4 * inclination, 6 * azimuth - 3)


def run(n, pdg, momentum=50.0, seed=1):
    momenta = np.full(n, momentum)
    return measure(momenta, pdg, some_tracks(n), momenta, np.random.default_rng(seed))


class TestMeasure:
    @settings(max_examples=30, deadline=None)
    @given(st.sampled_from(CHARGED), st.floats(0.5, 50_000), st.integers(0, 1000))
    def test_charged_particles_have_a_number_in_every_column(self, pdg, momentum, seed):
        tracks, columns = run(20, pdg, momentum, seed)
        for name, values in columns.items():
            assert len(values) == 20
            if name not in MAY_LACK:
                assert np.isfinite(values).all(), name
        assert np.isfinite([tracks.x, tracks.y, tracks.inclination, tracks.azimuth]).all()
        assert (columns["n_tracks"] >= 1).all()
        assert (columns["rigidity_inner"] != 0).all()

    @pytest.mark.parametrize("pdg", [11, -11, 2212, -2212, 1000020040])
    def test_sign_and_size_of_the_rigidity_are_those_of_the_particle(self, pdg):
        charge = particle_of(pdg).charge
        _, columns = run(2000, pdg, 20.0)
        for name in ("rigidity_electron", "rigidity_proton", "rigidity_inner", "rigidity_inner_l1", "rigidity_full"):
            there = columns[name][np.isfinite(columns[name])]
            assert (np.sign(there) == np.sign(charge)).mean() > 0.99
        if abs(pdg) != 11:
            assert np.median(columns["rigidity_inner"]) == pytest.approx(20.0 / charge, rel=0.01)

    @pytest.mark.parametrize("pdg", [22, 2112])
    def test_neutral_particles_have_neither_track_nor_hits(self, pdg):
        tracks, columns = run(10, pdg)
        assert np.isnan([tracks.x, tracks.y, tracks.inclination, tracks.azimuth]).all()
        for name, values in columns.items():
            if name.startswith("true_"):
                assert np.isfinite(values).all()
            else:
                assert (np.isnan(values) if values.dtype.kind == "f" else values == 0).all(), name

    def test_event_does_not_depend_on_those_after_it(self):
        pdg = np.resize([11, 2212, 22, 1000020040], 300)
        short, long = run(17, pdg[:17]), run(300, pdg)
        for name, values in short[1].items():
            if not name.startswith("true_"):
                np.testing.assert_array_equal(values, long[1][name][:17], err_msg=name)

    def test_mixed_species_are_measured_each_as_it_is(self):
        _, columns = run(4000, np.resize([11, 2212], 4000), 30.0)
        electron = np.arange(4000) % 2 == 0
        assert (columns["rigidity_inner"][electron] < 0).mean() > 0.99
        assert (columns["rigidity_inner"][~electron] > 0).mean() > 0.99
        # where AMS selects electrons
        assert np.median(columns["trd_lik_0"][electron]) < 0.6 < np.median(columns["trd_lik_0"][~electron])

    @pytest.mark.parametrize(
        ("momentum", "pdg", "message"),
        [
            ([1.0, -2.0], 11, "momentum -2 GeV"),
            ([1.0, 2.0], 12, "PDG code 12"),
            ([1.0, 2.0], [11, 11, 11], "3 PDG codes"),
            ([1.0], 11, "do not go together"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, momentum, pdg, message):
        with pytest.raises(ValueError, match=message):
            measure(momentum, pdg, some_tracks(2), np.ones(2), np.random.default_rng(1))


class TestSimulatedEvents:
    def test_detector_adds_the_subdetectors_and_ideal_does_not(self):
        ideal = simulate("electron", 30, energy=20.0, detector="ideal", seed=2).table
        seen = simulate("electron", 30, energy=20.0, detector="nominal", seed=2).table
        assert not {"rigidity_inner", "true_x", "trd_lik_0"} & set(ideal.columns)
        for name in ("x", "y", "inclination", "azimuth"):
            np.testing.assert_array_equal(seen[f"true_{name}"], ideal[f"track_{name}"])
            assert (seen[f"track_{name}"] != seen[f"true_{name}"]).all()
        assert np.median(abs(seen["track_x"] - seen["true_x"])) < 2

    def test_shorter_run_is_the_beginning_of_a_longer_one(self):
        short, long = (simulate("proton", n, energy=(20, 200), seed=3).table for n in (20, 60))
        assert short.equals(long[:20])

    def test_photons_have_energy_without_a_track(self):
        table = simulate("photon", 50, energy=20.0, seed=4).table
        assert table["track_x"].isna().all()
        assert (table["n_tracks"] == 0).all()
        assert np.median(table["en3d"]) == pytest.approx(20, rel=0.05)

    def test_file_holds_every_branch_but_ams_own_reconstruction_of_showers(self, tmp_path):
        path = tmp_path / "electrons.root"
        simulate_to_file(path, "electron", 20, energy=20.0, seed=5)
        table = ntuples.read(path).table
        simulated = simulate("electron", 20, energy=20.0, seed=5).table
        lacking = set(load_schema().names) - set(table.columns)
        assert lacking - {"interaction_depth", "true_momentum", "true_pdg"} == NOT_FILLED | {
            name for name in load_schema().names if name.startswith("shower_")
        }
        for name in simulated.columns.drop(["label", "file_id"]):
            np.testing.assert_allclose(
                table[name].astype(float), simulated[name].astype(float), rtol=1e-5, atol=1e-5, err_msg=name
            )

"""The Geant4 engine, with real Geant4 on reduced data sets."""

import json
import logging
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import integrate

from ecalnb.geometry import AMS, Tracks
from ecalnb.simulation import simulate
from ecalnb.simulation.geant4 import Geant4Error, Geant4Settings, data_directory, run_geant4
from ecalnb.simulation.geant4 import data as data_module
from ecalnb.simulation.geant4 import run as run_module
from ecalnb.simulation.geant4.birks import SlowBin, quenching, slow_bins
from ecalnb.simulation.geant4.reduced import bremsstrahlung, write_reduced_data

pytestmark = pytest.mark.skipif(find_spec("geant4_pybind") is None, reason="needs the extra geant4")


@pytest.fixture(scope="session")
def reduced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("geant4-data")
    write_reduced_data(folder)
    return folder


@pytest.fixture
def geant4_data(reduced, monkeypatch):
    monkeypatch.setenv("GEANT4_DATA_DIR", str(reduced))
    return reduced


def straight(n, x=0.0, y=0.0, inclination=0.0, azimuth=0.0):
    return Tracks(*(np.full(n, value) for value in (x, y, inclination, azimuth)))


def seeds(n):
    return np.arange(1, 2 * n + 1).reshape(n, 2)


@pytest.mark.usefixtures("geant4_data")
class TestEngine:
    def test_cells_follow_the_track_in_both_views(self):
        tracks = straight(6, x=150.0, y=-100.0, inclination=0.4, azimuth=0.8)
        images, *_ = run_geant4(11, np.full(6, 5.0), tracks, seeds(6), Geant4Settings(homogenised=True))
        energy = images.sum(axis=0)
        centroid = (energy * AMS.cell_centers()).sum(axis=1) / energy.sum(axis=1)
        late = slice(2, 14)  # with enough energy
        np.testing.assert_allclose(centroid[late], AMS.project(tracks)[0, late], atol=6)

    def test_swapped_views_exchange_the_layers(self):
        tracks = straight(3, x=150.0)
        settings = Geant4Settings(homogenised=True)
        images, *_ = run_geant4(11, np.full(3, 5.0), tracks, seeds(3), settings, AMS.swap_views())
        peak = images.sum(axis=0).argmax(axis=1)
        at_x = [layer for layer in range(4, 12) if AMS.swap_views().views[layer] == "x"]
        assert (abs(peak[at_x] - AMS.cell_at(150.0)) <= 1).all()

    def test_fibres_and_mean_material_have_the_same_scale(self):
        n = 6
        for settings in (Geant4Settings(), Geant4Settings(homogenised=True)):
            sums = run_geant4(11, np.full(n, 10.0), straight(n), seeds(n), settings)[0].sum(axis=(1, 2))
            # 10 GeV by definition; the spread of a shower is 3 to 4 %.
            assert sums.mean() == pytest.approx(10, abs=4 * 0.4 / np.sqrt(n))

    def test_muon_leaves_a_line_of_minimum_ionisation(self):
        images, *_ = run_geant4(13, np.full(5, 2.0), straight(5, x=4.5, y=4.5), seeds(5), Geant4Settings())
        on_track = images[:, :, 36]
        # PHYSICS: about 9.2 MeV a layer on the scale of images.
        assert np.median(on_track[on_track > 0]) == pytest.approx(0.0092, rel=0.2)
        assert on_track.sum() > 0.9 * images.sum()

    def test_event_depends_on_its_own_seeds_alone(self):
        settings = Geant4Settings(homogenised=True)
        three, depths, _ = run_geant4(2212, np.full(3, 6.0), straight(3), seeds(3), settings)
        last, depth, _ = run_geant4(2212, np.full(1, 6.0), straight(1), seeds(3)[2:], settings)
        np.testing.assert_array_equal(three[2], last[0])
        np.testing.assert_array_equal(depths[2:], depth)

    def test_protons_ionise_until_they_interact(self):
        protons = simulate("proton", 16, energy=20.0, engine="geant4", homogenised=True, detector="ideal", seed=3)
        depth = protons.table["interaction_depth"].to_numpy()
        crossed = np.isnan(depth)
        assert 0 < crossed.sum() < 16
        layers = protons.layer_energies
        before = np.arange(18) < np.where(crossed, 18, depth // AMS.layer_thickness - 3)[:, np.newaxis]
        # The mean material counts deposits in lead, too; backscattering reaches three layers.
        assert np.median(layers[before]) == pytest.approx(0.009, rel=0.5)
        assert layers.sum(axis=1)[~crossed].min() > layers.sum(axis=1)[crossed].max()

    def test_nucleus_and_the_other_physics_list(self):
        helium = simulate(
            "helium4", 2, energy=40.0, engine="geant4", homogenised=True, physics="QGSP_BERT", detector="ideal"
        )
        assert helium.table["pdg"].tolist() == [1000020040] * 2
        assert helium.metadata["provenance"]["physics"] == "QGSP_BERT"
        # Twice the charge leaves four times a minimum ionising particle's energy, at least.
        assert helium.energies.min() > 3 * 18 * 0.0092

    def test_metadata_say_what_made_the_events(self):
        known = simulate("electron", 1, energy=2.0, engine="geant4", homogenised=True, seed=9).metadata["provenance"]
        assert {"geant4", "reduced data sets, written from formulas", "homogenised", 0.7, 9} <= {
            known[key] for key in ("engine", "data", "volumes", "cut_mm", "seed")
        }
        assert "11.4.1" in known["version"]

    def test_birks_law_takes_light_from_slow_protons_alone(self):
        # Two protons that stop, and one muon: the same events with and without quenching, by their seeds.
        pdg, energies = [2212, 2212, 13], [0.15, 0.15, 2.0]
        plain, quenched = (
            run_geant4(pdg, energies, straight(3, x=1.0, y=2.0), seeds(3), Geant4Settings(birks=birks))[0]
            for birks in (0.0, 0.123)
        )
        assert (quenched <= plain).all()
        light = quenched.sum(axis=(1, 2)) / plain.sum(axis=(1, 2))
        assert ((light[:2] > 0.7) & (light[:2] < 0.95)).all()
        assert 0.99 < light[2] <= 1

    def test_failure_is_told_with_the_end_of_the_output(self):
        with pytest.raises(Geant4Error, match="no particle with the PDG code 999"):
            run_geant4(999, [1.0], straight(1), seeds(1), Geant4Settings(homogenised=True))


class TestBirks:
    BIN = SlowBin("proton", 8.0, 16.0)

    def test_constant_stopping_power_gives_birks_factor(self):
        def dedx(_, energy):
            return 0.2 if energy > 1000 else 4.0

        for part in (self.BIN, SlowBin("proton", 0.0, 0.1), SlowBin("ion", 0.0, np.inf)):
            assert quenching(part, 0.1, dedx) == pytest.approx(1.02 / 1.4)

    def test_particle_that_stops_gives_the_mean_down_to_rest(self):
        def dedx(_, energy):  # MeV/mm, falling with energy, as it does
            return 40 / energy

        # Range of the middle, 1 MeV: 1/80 mm. The mean of E / (E + 4) from 0 to 1 is 1 - 4 ln(5/4), for kB = 0.1.
        stopped = quenching(SlowBin("proton", 0.5, 1.5), 0.1, dedx)
        assert stopped == pytest.approx((1 - 4 * np.log(5 / 4)) * (1 + 4 / 2500), rel=0.01)
        # From 8 to 16 MeV the range is beyond a step: 1 - 4 ln(20/12) / 8.
        assert quenching(self.BIN, 0.1, dedx) == pytest.approx((1 - np.log(20 / 12) / 2) * (1 + 4 / 2500), rel=1e-3)

    def test_bins_have_no_gaps_and_names_of_their_own(self):
        parts = list(slow_bins())
        assert len({part.name for part in parts}) == len(parts)
        protons = [part for part in parts if part.particle == "proton"]
        assert [part.low for part in protons[1:]] == [part.high for part in protons[:-1]]

    def test_it_is_said_in_the_metadata(self):
        assert Geant4Settings(birks=0.123).describe()["birks_mm_per_mev"] == 0.123
        assert "birks_mm_per_mev" not in Geant4Settings().describe()

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"birks": -0.1}, "-0.1 mm/MeV is not within 0 to 1"), ({"birks": 0.1, "homogenised": True}, "homogenised")],
    )
    def test_constant_that_makes_no_sense(self, options, message):
        with pytest.raises(ValueError, match=message):
            Geant4Settings(**options)


class TestSettings:
    def test_unknown_physics_list(self):
        with pytest.raises(ValueError, match="'QGSP_FTFP' is not one of 'FTFP_BERT', 'QGSP_BERT'"):
            Geant4Settings(physics="QGSP_FTFP")

    def test_missing_extra_is_told_with_the_command(self, monkeypatch):
        def missing(name):
            raise run_module.PackageNotFoundError(name)

        monkeypatch.setattr(run_module, "installed", missing)
        run_module.version.cache_clear()
        with pytest.raises(Geant4Error, match=r'pip install "ecalnb\[geant4\]"'):
            simulate("electron", 1, energy=5.0, engine="geant4")
        run_module.version.cache_clear()


class TestData:
    def test_directory_that_is_given_is_used(self, geant4_data):
        assert data_directory() == data_module.DataDirectory(geant4_data, "reduced")

    def test_official_data_sets_are_recognised(self, tmp_path, monkeypatch):
        for name in data_module.DATASETS:
            (tmp_path / name).mkdir()
        for name in (*data_module.USED, data_module.OFFICIAL):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        monkeypatch.setenv("GEANT4_DATA_DIR", str(tmp_path))
        assert data_directory().kind == "official"
        (tmp_path / data_module.USED[0]).unlink()
        with pytest.raises(ValueError, match=r"lacks G4EMLOW8\.8/brem_SB/br82; expected"):
            data_directory()

    def test_directory_that_is_not_there(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GEANT4_DATA_DIR", str(tmp_path / "no"))
        with pytest.raises(ValueError, match="which is no directory"):
            data_directory()

    def test_reduced_data_are_written_once_and_it_is_said(self, tmp_path, monkeypatch, caplog):
        monkeypatch.delenv("GEANT4_DATA_DIR", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        data_module._reduced.cache_clear()
        with caplog.at_level(logging.WARNING):
            first, second = data_directory(), data_directory()
        data_module._reduced.cache_clear()
        assert first == second
        assert first.kind == "reduced"
        assert json.loads((first.path / "complete.json").read_text())["version"] == data_module.REDUCED_VERSION
        assert [record.message[:30] for record in caplog.records] == ["Geant4 runs on reduced data se"]

    def test_bremsstrahlung_gives_the_radiation_length_of_lead(self):
        # Radiated energy per path is E / X0 at high energy: 6.37 g/cm2 (PDG); Tsai's formula holds to a few percent.
        fraction = np.linspace(1e-4, 1, 4001)
        mb = bremsstrahlung(82, 1e4, fraction)
        radiated = integrate.trapezoid(mb, fraction) * 82**2 * 1e-27  # cm2 per atom
        radiation_length = 207.2 / 6.02214076e23 / radiated
        assert radiation_length == pytest.approx(6.37, rel=0.05)

    def test_neutron_cross_sections_scale_with_the_nuclear_radius(self, reduced):
        def at_the_end(z):
            values = np.array((reduced / f"G4PARTICLEXS4.2/neutron/inel{z}").read_text().split(), dtype=float)
            assert (values[0], values[2]) == (1e-5, 400)
            return values[-1]

        assert at_the_end(79) / at_the_end(82) == pytest.approx((196.97 / 207.2) ** (2 / 3), rel=1e-4)

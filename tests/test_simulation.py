"""Simulation runs: what they are asked for, how they are divided, and that they survive an interrupt."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from ecalnb import ntuples
from ecalnb.geometry import AMS, Tracks
from ecalnb.rootio import RootError
from ecalnb.schema import load_schema
from ecalnb.simulation import PARTICLES, Beam, find_particle, make_run, simulate, simulate_to_file
from ecalnb.simulation import production as production_module
from ecalnb.simulation.fluxes import published_flux


def beam(**options):
    return Beam(**{"energy": (5.0, 100.0), **options})


def draw(source, n, seed, particles=("electron",)):
    return source.events(0, n, [find_particle(name) for name in particles], AMS, np.random.default_rng(seed))


class TestBeam:
    @pytest.mark.parametrize("index", [-2.7, -1.0, 0.0])
    def test_spectrum_is_a_power_law(self, index):
        energies = draw(beam(spectrum=index), 50_000, 1).energies
        edges = np.geomspace(5, 100, 9)
        counts = np.histogram(energies, edges)[0]
        antiderivative = np.log if index == -1 else lambda e: e ** (index + 1) / (index + 1)
        expected = np.diff(antiderivative(edges)) / (antiderivative(100.0) - antiderivative(5.0)) * len(energies)
        chi2 = ((counts - expected) ** 2 / expected).sum()
        assert chi2 < 24  # 7 degrees of freedom: p = 0.001

    def test_directions_are_those_of_an_isotropic_flux(self):
        # Small reach at the top only: no track is refused at the bottom, so cos^2 is uniform.
        wide = AMS.width / 2
        tracks = draw(beam(angle=0.3, reach=wide), 20_000, 2).tracks
        central = (abs(tracks.x) < 200) & (abs(tracks.y) < 200)
        cos2 = np.cos(tracks.inclination[central]) ** 2
        uniform = (cos2 - np.cos(0.3) ** 2) / np.sin(0.3) ** 2
        assert uniform.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * len(uniform)))
        assert uniform.min() >= 0

    def test_narrow_and_wide_beams_are_drawn_from_the_same_flux(self):
        # The two ways of drawing meet where twice the reach is the thickness times the tangent of the angle.
        angle = 0.7
        border = AMS.thickness * np.tan(angle) / 2
        inclinations = [
            draw(beam(angle=angle, reach=reach), 20_000, 3).tracks.inclination
            for reach in (border * 0.9999, border * 1.0001)
        ]
        assert stats.ks_2samp(*inclinations).pvalue > 0.001

    @settings(max_examples=20, deadline=None)
    @given(st.floats(0, 1.2), st.floats(1, 324), st.integers(0, 100))
    def test_tracks_enter_and_leave_within_reach(self, angle, reach, seed):
        tracks = draw(beam(angle=angle, reach=reach), 50, seed).tracks
        assert len(tracks) == 50
        assert tracks.inclination.max() <= angle + 1e-12
        for depth in (0, AMS.thickness):
            assert np.abs(tracks.at(depth)).max() <= reach * (1 + 1e-12)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"energy": (100.0, 5.0)}, "rising order"),
            ({"energy": 0.0}, "not positive"),
            ({"angle": 1.5}, "75 degrees"),
            ({"reach": -1.0}, "reach -1.0 mm"),
            ({"spectrum": np.nan}, "spectrum nan"),
            ({"spectrum": "dampe"}, "or 'ams'"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, options, message):
        with pytest.raises(ValueError, match=message):
            beam(**options)


class TestFluxes:
    # The functions that the two papers fit to the electron (equation 4) and positron (equation 4) fluxes: independent
    # of the points that are packaged.
    @staticmethod
    def electron(energy):
        shifted = energy + 0.87
        powers = 1.13e-2 * (shifted / 20) ** -4.31 + 3.96e-6 * (shifted / 300) ** -3.14
        return (energy / shifted) ** 2 / (1 + (shifted / 3.94) ** -2.14) * powers

    @staticmethod
    def positron(energy):
        shifted = energy + 1.10
        source = 6.80e-5 * (shifted / 60) ** -2.58 * np.exp(-shifted / 813)
        return (energy / shifted) ** 2 * (6.51e-2 * (shifted / 7.0) ** -4.07 + source)

    @pytest.mark.parametrize("name", ["electron", "positron"])
    def test_points_follow_the_published_functions(self, name):
        energy = np.geomspace(2, 250, 30)
        ratio = published_flux(find_particle(name))(energy) / getattr(self, name)(energy)
        assert ratio.mean() == pytest.approx(1, abs=0.01)
        assert ratio.std() < 0.03

    def test_protons_have_the_published_slopes(self):
        # The index is -2.78 to -2.83 at 50 - 100 GV, and hardens above 200 GV: PRL 114 (2015) 171103, figure 3.
        flux = published_flux(find_particle("proton"))
        slope = [np.log(flux(high) / flux(low)) / np.log(high / low) for low, high in ((50, 100), (300, 1200))]
        assert -2.84 < slope[0] < -2.77
        assert slope[0] + 0.02 < slope[1] < -2.6
        # In rigidity, at a point of the table (96.42 GV).
        energy = np.hypot(96.42, 0.938272)
        assert flux(energy - 0.938272) * 96.42 / energy == pytest.approx(4.951e-2, rel=0.01)

    @pytest.mark.parametrize("name", ["electron", "proton"])
    def test_drawn_energies_follow_the_flux(self, name):
        flux, low, high = published_flux(find_particle(name)), 45.0, 20_000.0
        energies = flux.sample((np.arange(20_000) + 0.5) / 20_000, low, high)
        assert low * (1 - 1e-12) <= energies.min() < energies.max() <= high * (1 + 1e-12)
        for middle in (60.0, 200.0, 2000.0):
            knots = flux.energy[(flux.energy > low) & (flux.energy < middle)]
            borders = np.log([low, *knots, middle])
            pieces = [quad(lambda x: float(flux(np.exp(x)) * np.exp(x)), *ends)[0] for ends in pairwise(borders)]
            expected = sum(pieces)
            assert (energies < middle).mean() == pytest.approx(expected / flux.integral(low, high), abs=2e-4)

    def test_particles_are_mixed_by_their_fluxes(self):
        names = ("electron", "positron", "proton")
        mixed = draw(beam(energy=(45.0, 1000.0), spectrum="ams"), 200_000, 5, names)
        integrals = np.array([published_flux(find_particle(name)).integral(45, 1000) for name in names])
        expected = 200_000 * integrals / integrals.sum()
        assert (abs(np.bincount(mixed.species) - expected) < 5 * np.sqrt(expected)).all()
        protons = mixed.energies[mixed.species == 2]
        alone = draw(beam(energy=(45.0, 1000.0), spectrum="ams"), 50_000, 6, ("proton",)).energies
        assert stats.ks_2samp(protons, alone).pvalue > 1e-3

    def test_particles_may_have_limits_of_their_own(self):
        limits = {"electron": (45.0, 100.0), "proton": (50.0, 1000.0)}
        mixed = draw(beam(energy=limits, spectrum="ams"), 50_000, 7, tuple(limits))
        for number, (low, high) in enumerate(limits.values()):
            energies = mixed.energies[mixed.species == number]
            assert low <= energies.min() * (1 + 1e-12)
            assert energies.max() <= high * (1 + 1e-12)
        integrals = [published_flux(find_particle(name)).integral(*ends) for name, ends in limits.items()]
        electrons, expected = (mixed.species == 0).sum(), 50_000 * integrals[0] / sum(integrals)
        assert abs(electrons - expected) < 5 * np.sqrt(expected)

    def test_mixture_looks_like_flight_data(self):
        mixture = simulate(("electron", "proton"), 1500, energy=(20, 100), spectrum="ams", detector="ideal", seed=1)
        assert mixture.table["label"].isna().all()
        assert not {"pdg", "momentum", "interaction_depth"} & set(mixture.table.columns)
        electrons = mixture.table["true_pdg"] == 11
        assert 0 < electrons.sum() < 60
        ratio = mixture.table["en3d"] / mixture.table["true_momentum"]
        assert ratio[electrons].median() == pytest.approx(1, abs=0.03)
        assert ratio[~electrons].median() < 0.3

    @pytest.mark.parametrize(
        ("particles", "options", "message"),
        [
            (("electron", "proton"), {}, "give spectrum 'ams', not -1.0"),
            (("muon",), {"spectrum": "ams"}, "no published flux of muons"),
            (("electron", "proton"), {"spectrum": "ams", "energy": {"proton": (5, 50)}}, "not for electron"),
            (("electron",), {"spectrum": "dampe"}, "'dampe' is not the power of a power law"),
        ],
    )
    def test_refuses_what_has_no_flux(self, particles, options, message):
        with pytest.raises(ValueError, match=message):
            make_run(particles, 10, **{"energy": (5, 50), **options})


class TestKeep:
    def test_events_that_do_not_meet_the_condition_are_left_out(self, tmp_path):
        options = {"energy": (5, 50), "seed": 3, "detector": "ideal"}
        every = simulate("electron", 1200, **options)
        assert simulate_to_file(tmp_path / "e.root", "electron", 1200, keep="en3d >= 40", **options) < 300
        kept = ntuples.read(tmp_path / "e.root").table
        assert kept["en3d"].min() >= 40
        assert kept["entry"].tolist() == every.table["entry"][every.table["en3d"] >= 40].tolist()

    def test_a_file_has_an_event_at_least(self, tmp_path):
        assert len(simulate("electron", 1200, energy=10, keep="en3d > 500")) == 0
        with pytest.raises(RootError, match="there are no events"):
            simulate_to_file(tmp_path / "e.root", "electron", 1200, energy=10, keep="en3d > 500")

    def test_a_run_that_fails_at_once_leaves_nothing(self, tmp_path):
        with pytest.raises(ValueError, match="needs the column 'energie'"):
            simulate_to_file(tmp_path / "e.root", "electron", 10, energy=10, keep="energie > 3")
        assert not list(tmp_path.iterdir())

    def test_refuses_what_is_no_condition(self):
        with pytest.raises(ValueError, match="en3d >"):
            make_run("electron", 10, energy=10, keep="en3d >")


class TestParticles:
    def test_codes_are_those_of_the_ntuples(self):
        known = load_schema("ams").particles
        assert {p.pdg: p.name for p in PARTICLES.values() if p.pdg in known} == {
            code: name for code, name in known.items() if name in PARTICLES
        }

    def test_nuclei_have_the_charge_and_mass_of_their_code(self):
        helium = find_particle("helium4")
        assert helium.pdg == 1000020040
        assert helium.mass == pytest.approx(3.7274, rel=1e-3)  # PDG

    def test_unknown_name_is_told_with_what_resembles_it(self):
        with pytest.raises(ValueError, match="did you mean 'electron'"):
            find_particle("elektron")


class TestSimulate:
    def test_same_seed_gives_same_events_whatever_the_jobs(self):
        one = simulate("electron", 2300, energy=(5, 50), seed=3)
        two = simulate("electron", 2300, energy=(5, 50), seed=3, jobs=2)
        np.testing.assert_array_equal(one.images, two.images)
        assert one.table.equals(two.table)
        other = simulate("electron", 10, energy=(5, 50), seed=4)
        assert not np.array_equal(one.images[:10], other.images)

    def test_shorter_run_is_the_beginning_of_a_longer_one(self):
        long, short = (simulate("electron", n, energy=(5, 50), seed=3) for n in (1100, 60))
        np.testing.assert_array_equal(long.images[:60], short.images)
        assert set(long.table["file_id"]) == set(short.table["file_id"])

    def test_given_events_keep_their_energies_and_tracks(self):
        tracks = Tracks([0, 100.0], [50.0, -50.0], [0.1, 0.2], [1.0, 2.0])
        showers = simulate("positron", energy=np.array([10.0, 20.0]), tracks=tracks, detector="ideal")
        assert showers.table["momentum"].tolist() == pytest.approx([10, 20], rel=1e-3)
        for name in ("x", "y", "inclination", "azimuth"):
            np.testing.assert_array_equal(showers.table[f"track_{name}"], getattr(tracks, name))
        assert showers.table["label"].tolist() == ["positron", "positron"]

    def test_momentum_is_relativistic(self):
        proton = simulate("proton", 1, energy=10.0).table.iloc[0]
        assert proton["momentum"] == pytest.approx(np.sqrt(10.938272**2 - 0.938272**2))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"particle": "electron", "energy": 5000.0}, "5000 GeV is out of the range"),
            ({"particle": "muon", "energy": 50.0}, "no muon"),
            ({"particle": "proton", "energy": 50.0, "engine": "geant5"}, "engine 'geant5'"),
            ({"particle": "proton", "energy": 50.0, "cut": 1.0}, "no setting cut"),
            ({"particle": "proton", "energy": 50.0, "detector": "real"}, "no detector is named 'real'"),
            ({"particle": "proton", "energy": 50.0, "reach": 400.0}, "would miss it"),
            ({"particle": "proton", "energy": 50.0, "seed": -1}, "seed -1"),
            ({"particle": "proton", "energy": 50.0, "n": None}, "n is missing"),
            ({"particle": "proton", "energy": 50.0, "n": 0}, "positive number of events"),
            ({"particle": "proton", "energy": np.array([5.0, 6.0])}, "go together"),
            ({"particle": "proton", "energy": 50.0, "n": None, "tracks": Tracks([400.0], [0], [0], [0])}, "misses"),
            ({"particle": "proton", "energy": 50.0, "n": None, "tracks": Tracks([0.0], [0], [1.4], [0])}, "75 degrees"),
            (
                {"particle": "proton", "energy": -5.0, "n": None, "tracks": Tracks([0.0], [0], [0], [0])},
                "not a positive",
            ),
        ],
    )
    def test_refuses_with_one_sentence(self, arguments, message):
        with pytest.raises(ValueError, match=message) as caught:
            simulate(**{"n": 5, **arguments})
        assert "\n" not in str(caught.value)


class TestFile:
    def test_file_holds_the_events_and_says_what_made_them(self, tmp_path):
        path = tmp_path / "electrons.root"
        assert simulate_to_file(path, "electron", 30, energy=(5, 50), seed=5) == 30
        read = ntuples.read(path)
        simulated = simulate("electron", 30, energy=(5, 50), seed=5)
        np.testing.assert_allclose(read.images, simulated.images, rtol=1e-6)
        assert read.table[["file_id", "entry"]].equals(simulated.table[["file_id", "entry"]])
        assert read.metadata["provenance"] == simulated.metadata["provenance"]
        assert read.metadata["provenance"]["engine"] == "fast"
        assert read.metadata["provenance"]["fitted_gev"] == pytest.approx([5, 100], rel=0.01)
        assert [file.name for file in tmp_path.iterdir()] == ["electrons.root"]

    def test_vertical_tracks_come_back_vertical(self, tmp_path):
        # Pi minus the inclination is more than pi as a float32.
        simulate_to_file(tmp_path / "vertical.root", "electron", 5, energy=10.0, angle=0.0, detector="ideal")
        assert ntuples.read(tmp_path / "vertical.root").tracks.inclination.tolist() == [0] * 5

    def test_goes_on_after_an_interrupt_with_the_same_events(self, tmp_path, monkeypatch):
        run = make_run("electron", 2500, energy=(5, 50), seed=6)
        path = tmp_path / "electrons.root"
        blocks = []

        def killed(self, block, _on_event=None):
            if block == 2:
                raise KeyboardInterrupt
            blocks.append(block)
            return original(self, block)

        original = type(run).simulate
        monkeypatch.setattr(type(run), "simulate", killed)
        with pytest.raises(KeyboardInterrupt):
            production_module.to_file(run, path)
        assert not path.exists()
        assert blocks == [0, 1]
        kept = {file: file.stat().st_mtime_ns for file in Path(f"{path}.parts").glob("*.root")}
        assert len(kept) == 2
        monkeypatch.setattr(type(run), "simulate", original)
        seen = []
        monkeypatch.setattr(production_module, "_each", spy(production_module._each, seen))
        production_module.to_file(run, path)
        assert seen == [[2]]
        np.testing.assert_allclose(
            ntuples.read(path).images, simulate("electron", 2500, energy=(5, 50), seed=6).images, rtol=1e-6
        )

    def test_blocks_of_another_run_are_not_mixed_in(self, tmp_path):
        path = tmp_path / "electrons.root"
        folder = Path(f"{path}.parts")
        folder.mkdir()
        other = make_run("electron", 5, energy=(5, 50), seed=1).description
        (folder / "run.json").write_text(json.dumps(other))
        with pytest.raises(RootError, match=r"other seed;.*overwrite=True"):
            simulate_to_file(path, "electron", 5, energy=(5, 50), seed=2)
        assert simulate_to_file(path, "electron", 5, energy=(5, 50), seed=2, overwrite=True) == 5

    def test_file_that_is_there_is_not_replaced(self, tmp_path):
        path = tmp_path / "electrons.root"
        path.write_text("precious")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            simulate_to_file(path, "electron", 5, energy=5.0)
        assert path.read_text() == "precious"

    def test_missing_folder_is_told_before_anything_is_simulated(self, tmp_path):
        with pytest.raises(RootError, match="there is no directory"):
            simulate_to_file(tmp_path / "no" / "electrons.root", "electron", 10**9, energy=5.0)


def spy(function, seen):
    def call(run, blocks, jobs, use):
        seen.append(list(blocks))
        return function(run, blocks, jobs, use)

    return call

"""Simulation runs: what they are asked for, how they are divided, and that they survive an interrupt."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ecalnb import ntuples
from ecalnb.geometry import AMS, Tracks
from ecalnb.rootio import RootError
from ecalnb.schema import load_schema
from ecalnb.simulation import PARTICLES, Beam, find_particle, make_run, simulate, simulate_to_file
from ecalnb.simulation import production as production_module


def beam(**options):
    return Beam(**{"energy": (5.0, 100.0), **options})


class TestBeam:
    @pytest.mark.parametrize("index", [-2.7, -1.0, 0.0])
    def test_spectrum_is_a_power_law(self, index):
        energies, _ = beam(index=index).events(0, 50_000, AMS, np.random.default_rng(1))
        edges = np.geomspace(5, 100, 9)
        counts = np.histogram(energies, edges)[0]
        antiderivative = np.log if index == -1 else lambda e: e ** (index + 1) / (index + 1)
        expected = np.diff(antiderivative(edges)) / (antiderivative(100.0) - antiderivative(5.0)) * len(energies)
        chi2 = ((counts - expected) ** 2 / expected).sum()
        assert chi2 < 24  # 7 degrees of freedom: p = 0.001

    def test_directions_are_those_of_an_isotropic_flux(self):
        # Small reach at the top only: no track is refused at the bottom, so cos^2 is uniform.
        wide = AMS.width / 2
        _, tracks = beam(angle=0.3, reach=wide).events(0, 20_000, AMS, np.random.default_rng(2))
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
            beam(angle=angle, reach=reach).events(0, 20_000, AMS, np.random.default_rng(3))[1].inclination
            for reach in (border * 0.9999, border * 1.0001)
        ]
        assert stats.ks_2samp(*inclinations).pvalue > 0.001

    @settings(max_examples=20, deadline=None)
    @given(st.floats(0, 1.2), st.floats(1, 324), st.integers(0, 100))
    def test_tracks_enter_and_leave_within_reach(self, angle, reach, seed):
        _, tracks = beam(angle=angle, reach=reach).events(0, 50, AMS, np.random.default_rng(seed))
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
            ({"index": np.nan}, "spectral index"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, options, message):
        with pytest.raises(ValueError, match=message):
            beam(**options)


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
        simulate_to_file(tmp_path / "vertical.root", "electron", 5, energy=10.0, angle=0.0)
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

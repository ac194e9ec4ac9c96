import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ecalnb import ntuples
from ecalnb.geometry import AMS, Tracks
from ecalnb.simulation.electromagnetic import add_electron, add_photon, simulate_electrons, view_codes
from ecalnb.simulation.electromagnetic_parameters import (
    PARAMETER_FILE,
    load_parameters,
    make_parameters,
    read_parameter_file,
)
from ecalnb.splits import split_of


def tracks(n, x=0.0, y=0.0, inclination=0.0, azimuth=0.0):
    return Tracks(*(np.full(n, value) for value in (x, y, inclination, azimuth)))


def expected_lateral(values, node, distance):
    """Integral of a node's mean shape from minus infinity, from the file and scipy alone."""
    scale = np.array(values["lateral_scales"]) * np.exp(values["lateral_width"][node][0])
    weights = np.array(values["lateral_weights"][node])
    wide = np.array(values["lateral_scales"]) > values["wide_scale"]
    odds = np.exp(values["wide_logit"][node][0])
    weights = np.where(wide, weights * odds / weights[wide].sum(), weights / weights[~wide].sum()) / (1 + odds)
    return stats.t.cdf(np.asarray(distance)[:, None] / scale, 4) @ weights


@pytest.fixture(scope="module")
def reference():
    showers = ntuples.read(ntuples.load_datasets()["geant4_electrons"])
    split = split_of(showers.table["file_id"], showers.table["entry"])
    return showers[np.isin(split, ("train", "validation"))]


@pytest.fixture(scope="module")
def twins(reference):
    energy = reference.table["momentum"].to_numpy(dtype=float)
    return simulate_electrons(energy, reference.tracks, generator=5)


class TestSharing:
    def test_mean_shape_at_the_maximum_is_that_of_the_file(self):
        # Only the layers of the age of one node, of quiet showers, at three distances from the borders of the cells.
        values = read_parameter_file()["parameters"]
        node = len(values["entry_nodes"]) + values["age_nodes"].index(1.0)
        quiet = dict(values)
        quiet["mode_sigma"] = (0 * np.array(values["mode_sigma"])).tolist()
        for name in ("entry_nodes", "age_nodes"):
            quiet[name] = values[name]
        for name in ("lateral_weights", "lateral_width", "wide_logit"):
            quiet[name] = [values[name][node]] * len(values[name])
        quiet["lateral_width"] = [[row[0], 0.0] for row in quiet["lateral_width"]]
        quiet["wide_power"] = [0.0] * len(values["wide_power"])
        quiet["wide_logit"] = [[row[0], 0.0] for row in quiet["wide_logit"]]
        quiet["dust_rate"] = 1e-9
        for x in (0.0, 2.0, -4.4):
            images = simulate_electrons(
                np.full(400, 50.0), tracks(400, x, x), generator=3, parameters=make_parameters(quiet, AMS)
            )
            seen = images[:, 4:14].sum(axis=(0, 1), dtype=float)
            expected = np.diff(expected_lateral(quiet, node, AMS.cell_edges() - x))
            assert seen / seen.sum() == pytest.approx(expected, rel=0.05, abs=3e-4)

    def test_energy_beyond_a_side_is_lost(self):
        energy = np.full(300, 20.0)
        inside = simulate_electrons(energy, tracks(300), generator=1).sum(dtype=float)
        edge = simulate_electrons(energy, tracks(300, x=AMS.width / 2), generator=1)
        corner = simulate_electrons(energy, tracks(300, x=AMS.width / 2, y=-AMS.width / 2), generator=1)
        assert edge.sum(dtype=float) / inside == pytest.approx(0.5, abs=0.02)
        assert corner.sum(dtype=float) / inside == pytest.approx(0.25, abs=0.02)
        # The layers that measure x lose what is beyond; those that measure y lose as much, but in no cell of theirs.
        layers = edge.sum(axis=(0, 2), dtype=float)
        x, y = AMS.layers("x"), AMS.layers("y")
        whole = simulate_electrons(energy, tracks(300), generator=2).sum(axis=(0, 2), dtype=float)
        assert layers[x].sum() / whole[x].sum() == pytest.approx(layers[y].sum() / whole[y].sum(), abs=0.03)

    @pytest.mark.parametrize("azimuth", [0.0, np.pi / 2])
    @pytest.mark.parametrize("inclination", [0.35, 1.05])
    def test_follows_the_axis(self, inclination, azimuth):
        n = 400
        start = tracks(n, x=-120 * np.cos(azimuth), y=-120 * np.sin(azimuth), inclination=inclination, azimuth=azimuth)
        unshifted = load_parameters()._replace(layer_shift=np.zeros_like(load_parameters().layer_shift))
        images = simulate_electrons(np.full(n, 30.0), start, generator=4, parameters=unshifted)
        mean = images.sum(axis=0, dtype=float)
        centre = mean @ AMS.cell_centers() / mean.sum(axis=1)
        layers = slice(3, 9)
        assert centre[layers] == pytest.approx(AMS.project(start)[0, layers], abs=1.0)

    def test_another_calorimeter(self):
        fine = replace(AMS, n_cells=144, cell_pitch=4.5, views=AMS.views[::-1])
        images = simulate_electrons(np.full(200, 30.0), tracks(200, x=50.0, y=-70.0), geometry=fine, generator=1)
        assert images.shape == (200, 18, 144)
        coarse = simulate_electrons(np.full(200, 30.0), tracks(200, x=50.0, y=-70.0), generator=1)
        assert images.sum(dtype=float) == pytest.approx(coarse.sum(dtype=float), rel=0.01)
        peak = fine.cell_centers()[images.sum(axis=0)[5:12].argmax(axis=1)]
        expected = np.where(np.array(fine.views[5:12]) == "x", 50.0, -70.0)
        assert abs(peak - expected).max() < fine.cell_pitch


class TestAgainstGeant4:
    """Unseen packaged events, and simulated ones of the same energies and tracks."""

    def test_response_and_leakage(self, reference, twins):
        energy = reference.table["momentum"].to_numpy(dtype=float)
        for low, high in ((5, 12), (12, 30), (30, 100)):
            chosen = (energy >= low) & (energy < high)
            real, fast = (images[chosen].sum(axis=(1, 2)) / energy[chosen] for images in (reference.images, twins))
            error = np.hypot(real.std(), fast.std()) / np.sqrt(chosen.sum())
            assert abs(real.mean() - fast.mean()) < 4 * error + 0.002
            assert fast.std() == pytest.approx(real.std(), rel=0.2)

    def test_profiles(self, reference, twins):
        energy = reference.table["momentum"].to_numpy(dtype=float)
        for low, high in ((5, 15), (30, 100)):
            chosen = (energy >= low) & (energy < high)
            real, fast = (images[chosen].sum(axis=2) / energy[chosen, None] for images in (reference.images, twins))
            assert fast.mean(axis=0) == pytest.approx(real.mean(axis=0), rel=0.12)
            spread = fast.std(axis=0) / real.std(axis=0)
            assert ((spread > 0.7) & (spread < 1.4)).all()
            hits = [(images[chosen] > 2e-3).sum(axis=(1, 2)).mean() for images in (reference.images, twins)]
            assert hits[1] == pytest.approx(hits[0], rel=0.04)

    def test_neighbouring_layers_fluctuate_together(self, reference, twins):
        energy = reference.table["momentum"].to_numpy(dtype=float)
        scaled = np.log(energy)

        def correlations(images):
            layers = np.log(np.maximum(images.sum(axis=2, dtype=float), 1e-3) / energy[:, None])
            rest = layers - np.stack([np.polyval(np.polyfit(scaled, layer, 2), scaled) for layer in layers.T], axis=1)
            return np.corrcoef(rest.T)

        real, fast = correlations(reference.images), correlations(twins)
        assert abs(real - fast).max() < 0.25
        assert abs(real - fast).mean() < 0.06

    def test_late_photons_leave_little_about_the_maximum(self, reference, twins):
        # Rare showers that go on late make neighbouring layers about the maximum low together.
        energy = reference.table["momentum"].to_numpy(dtype=float)
        chosen = energy > 40

        def correlation(images):
            layers = np.log(images[chosen, 7:9].sum(axis=2, dtype=float) / energy[chosen, None])
            rest = [layer - np.polyval(np.polyfit(np.log(energy[chosen]), layer, 1), np.log(energy[chosen]))
                    for layer in layers.T]  # fmt: skip
            return np.corrcoef(rest)[0, 1]

        assert correlation(twins) == pytest.approx(correlation(reference.images), abs=0.12)

    def test_layers_are_ahead_of_an_inclined_axis_and_later_behind_it(self, reference, twins):
        axis = reference.tracks
        in_x = np.array(AMS.views) == "x"
        slope = np.where(in_x, axis.slope_x[:, None], axis.slope_y[:, None])
        distance = AMS.cell_centers() - AMS.project(axis)[:, :, None]
        near = np.clip((27 - abs(distance)) / AMS.cell_pitch, 0, 1)

        def shifts(images):
            """Slope of the positions against that of the axis, and its error, mm, in four groups of layers."""
            core = images * near
            used = (core.sum(axis=2) > 0.02) & (abs(slope) > 0.05)
            position = (core * distance).sum(axis=2) / np.maximum(core.sum(axis=2), 1e-9)
            results = []
            for layers in np.array_split(np.arange(1, 17), 4):
                x, y = (array[:, layers][used[:, layers]] for array in (slope, position))
                results.append((x @ y / (x @ x), y.std() / np.sqrt(x @ x)))
            return np.array(results).T

        real, fast = shifts(reference.images), shifts(twins)
        assert (abs(real[0] - fast[0]) < 4 * np.hypot(real[1], fast[1])).all()
        for values, errors in (real, fast):
            assert values[0] > 8 * errors[0]
            assert values[3] < -8 * errors[3]


class TestStart:
    def test_late_start_leaves_nothing_above_and_leaks_more(self):
        p, views, generator = load_parameters(AMS), view_codes(AMS), np.random.default_rng(1)
        images = np.zeros((200, *AMS.shape))
        depth = 6.5 * AMS.layer_thickness
        for image in images:
            add_electron(image, 20.0, 0.0, 0.0, depth, 0.0, 0.0, views, p, generator)
        layers = images.sum(axis=(0, 2))
        from_top = simulate_electrons(np.full(200, 20.0), tracks(200), generator=1).sum(axis=(0, 2), dtype=float)
        # Tiny deposits apart, which may be anywhere behind the start.
        assert layers[:6].sum() == 0
        assert layers[7:17] == pytest.approx((from_top[:10] + from_top[1:11]) / 2, rel=0.12)
        assert layers.sum() < 0.9 * from_top.sum()

    def test_start_above_is_followed_to_the_front_face(self):
        p, views = load_parameters(AMS), view_codes(AMS)
        images = np.zeros((2, *AMS.shape))
        add_electron(images[0], 20.0, 0.0, 0.0, -100.0, 0.2, -0.1, views, p, np.random.default_rng(1))
        add_electron(images[1], 20.0, 20.0, -10.0, 0.0, 0.2, -0.1, views, p, np.random.default_rng(1))
        assert (images[0] == images[1]).all()

    def test_start_behind_leaves_nothing(self):
        image = np.zeros(AMS.shape)
        add_electron(
            image, 20.0, 0.0, 0.0, AMS.thickness, 0.0, 0.0, view_codes(AMS), load_parameters(AMS),
            np.random.default_rng(1),
        )  # fmt: skip
        assert image.sum() == 0

    def test_photons_convert_exponentially(self):
        # Without entry effects: the first layer with more than a quarter MeV is where the pair starts.
        p, views, generator = load_parameters(AMS), view_codes(AMS), np.random.default_rng(2)
        first = np.full(4000, AMS.n_layers)
        for i in range(len(first)):
            image = np.zeros(AMS.shape)
            add_photon(image, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, views, p, generator)
            hit = np.flatnonzero(image.sum(axis=1) > 2.5e-4)
            first[i] = hit[0] if len(hit) else AMS.n_layers
        path = np.interp(np.log(5.0), p.photon_log_energy, p.photon_path) * p.radiation_length
        assert path / p.radiation_length == pytest.approx(9 / 7, rel=0.08)
        edges = np.arange(6) * AMS.layer_thickness
        expected = len(first) * -np.diff(np.exp(-edges / path))
        seen = np.bincount(first, minlength=AMS.n_layers + 1)[:5]
        assert ((seen - expected) ** 2 / expected).sum() < stats.chi2.isf(1e-4, 5)

    @pytest.mark.parametrize("energy", [1e-4, 0.003, 0.02, 0.2, 0.8])
    def test_low_energies_of_a_cascade(self, energy):
        p, views, generator = load_parameters(AMS), view_codes(AMS), np.random.default_rng(3)
        image = np.zeros(AMS.shape)
        for _ in range(500):
            add_electron(image, energy, 10.0, 10.0, 40.0, 0.1, 0.0, views, p, generator)
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.sum() / 500 == pytest.approx(energy, rel=0.25)


class TestRange:
    def test_same_seed_same_events(self):
        energy = np.geomspace(2, 500, 20)
        first, second, other = (simulate_electrons(energy, tracks(20), generator=seed) for seed in (7, 7, 8))
        assert (first == second).all()
        assert (first != other).any(axis=(1, 2)).all()

    def test_extrapolation_is_finite_and_monotone(self):
        energies = np.geomspace(1, 4000, 10)
        depth, part = [], []
        for energy in energies:
            layers = simulate_electrons(np.full(400, energy), tracks(400), generator=1).sum(axis=2, dtype=float)
            assert np.isfinite(layers).all()
            assert (layers >= 0).all()
            depth.append((layers @ AMS.layer_depths).sum() / layers.sum())
            part.append(layers.sum() / 400 / energy)
        assert (np.diff(depth) > 0).all()
        assert (np.diff(part)[energies[:-1] > 5] < 0).all()
        assert part[-1] > 0.75

    def test_resolution_improves_with_energy(self):
        # By the sampling term; the fluctuation of the leakage comes on top of it.
        spread = []
        for energy in (1.0, 4.0, 16.0):
            total = simulate_electrons(np.full(1500, energy), tracks(1500), generator=1).sum(axis=(1, 2)) / energy
            spread.append(total.std())
        assert spread[0] > 1.5 * spread[1]
        assert spread[1] > 1.15 * spread[2]

    @pytest.mark.parametrize(
        ("energy", "particle", "message"),
        [(0.5, "electron", "energy 0.5 GeV"), (5000.0, "photon", "energy 5000 GeV"), (np.nan, "electron", "energy nan"),
         (10.0, "muon", "'muon'")],
    )  # fmt: skip
    def test_bad_input(self, energy, particle, message):
        with pytest.raises(ValueError, match=message):
            simulate_electrons([energy], tracks(1), particle=particle)

    def test_number_of_tracks(self):
        with pytest.raises(ValueError, match="3 tracks"):
            simulate_electrons([10.0, 20.0], tracks(3))


class TestParameterFile:
    def test_says_what_it_was_fitted_to(self):
        fitted = read_parameter_file()["fitted_to"]
        assert fitted["split"] == "fit"
        assert fitted["events"] > 500
        assert all(len(file["sha256"]) == 64 for file in fitted["files"])

    def test_other_format(self, tmp_path):
        path = tmp_path / "old.json"
        path.write_text(json.dumps({**json.loads(PARAMETER_FILE.read_text()), "format": 0}))
        with pytest.raises(ValueError, match="format 0"):
            read_parameter_file(path)

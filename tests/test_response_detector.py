"""Calibration errors, whole detectors, and detectors from TOML files."""

import dataclasses
import datetime
import json

import numpy as np
import pytest
from toy_response import response, some_images, toy

from ecalnb._toml import DATA
from ecalnb.geometry import AMS, Tracks
from ecalnb.simulation import make_run, simulate
from ecalnb.simulation.response import (
    EFFECTS,
    Calibration,
    Digitisation,
    Equalisation,
    Noise,
    PhotoStatistics,
    ShowerWidth,
    apply,
    find_detector,
    load_detectors,
    respond,
)


class TestCalibration:
    def test_gains_are_the_same_in_all_events_and_have_their_spread(self):
        seen = response(1.0, Calibration(cell_spread=0.02))
        assert (seen == seen[0]).all()
        assert seen[0].std() == pytest.approx(0.02, rel=5 / np.sqrt(2 * seen[0].size))
        images = np.ones((1, *AMS.shape), np.float32)
        other = respond(images, toy(Calibration(0.02), name="other"), AMS, np.random.default_rng(1))
        assert not np.array_equal(other[0], seen[0])

    def test_cells_of_a_photomultiplier_share_its_gain(self):
        blocks = response(1.0, Calibration(pmt_spread=0.05), n=1)[0].reshape(9, 2, 36, 2)
        assert (blocks == blocks[:, :1, :, :1]).all()
        assert blocks[:, 0, :, 0].std() == pytest.approx(0.05, rel=5 / np.sqrt(2 * 324))

    def test_equalisation_leaves_the_width_over_the_root_of_the_number(self):
        effect = Equalisation(mip_width=0.5, n_mip=400.0)
        assert effect.residual == pytest.approx(0.025)
        assert response(1.0, effect, n=1).std() == pytest.approx(0.025, rel=5 / np.sqrt(2 * 1296))

    def test_drift_is_by_photomultiplier_and_depth_by_layer(self):
        drift = response(1.0, Equalisation(0.0, 1.0, pmt_drift=0.03), n=1)[0].reshape(9, 2, 36, 2)
        assert (drift == drift[:, :1, :, :1]).all()
        assert drift[:, 0, :, 0].std() == pytest.approx(0.03, rel=5 / np.sqrt(2 * 324))
        layers = response(1.0, Equalisation(0.0, 1.0, layer_spread=0.03), n=1)[0]
        assert (layers == layers[:, :1]).all()
        assert layers[:, 0].std() == pytest.approx(0.03, rel=5 / np.sqrt(2 * 18))

    def test_equalisation_with_too_few_particles(self):
        with pytest.raises(ValueError, match=r"n_mip of equalisation is 1, which leaves an error of 0\.5"):
            Equalisation(0.5, 1)


class TestDetector:
    def test_ideal_detector_changes_nothing(self):
        images = some_images(2)
        np.testing.assert_array_equal(respond(images, find_detector("ideal"), AMS, np.random.default_rng(1)), images)

    def test_effects_act_in_the_order_of_nature(self):
        effects = Noise(0.001, 0.002), PhotoStatistics(1000.0), ShowerWidth(0.1)
        assert [effect.name for effect in toy(*effects).effects] == ["shower_width", "photo_statistics", "noise"]
        with pytest.raises(ValueError, match="'toy' has noise 2 times"):
            toy(Noise(0.001), Noise(0.002))

    @pytest.mark.parametrize("name", ["nominal", "flight"])
    def test_event_does_not_depend_on_those_after_it(self, name):
        showers = simulate("electron", 60, energy=(5.0, 100.0), detector="ideal", seed=1)
        parts = [
            respond(
                showers.images[:n],
                find_detector(name),
                AMS,
                np.random.default_rng(3),
                Tracks.from_table(showers.table[:n]),
            )
            for n in (60, 20, 1)
        ]
        np.testing.assert_array_equal(parts[0][:20], parts[1])
        np.testing.assert_array_equal(parts[0][:1], parts[2])

    def test_effect_that_is_added_changes_nothing_in_the_draws_of_others(self):
        images = some_images(5)
        one, two = (
            respond(images, toy(PhotoStatistics(500.0), *more), AMS, np.random.default_rng(1))
            for more in ((), (Calibration(0.0, 0.0), Digitisation(1e-9, 1.0, 1e9)))
        )
        np.testing.assert_allclose(one, two, atol=1e-8)

    @pytest.mark.parametrize("name", ["nominal", "flight"])
    def test_packaged_detectors_keep_the_energy_scale(self, name):
        ideal = simulate("electron", 300, energy=50.0, detector="ideal", seed=1)
        seen = apply(ideal, name, seed=2)
        ratio = seen.energies / ideal.energies
        # The mean of the gains of a few hundred cells, and two dead photomultipliers in flight.
        assert np.median(ratio) == pytest.approx(1, abs=0.02)
        assert (seen.table["en3d"] != ideal.table["en3d"]).all()
        assert seen.metadata["provenance"]["detector"] == name
        with pytest.raises(ValueError, match=f"{name!r} already"):
            apply(seen, name)

    def test_response_follows_the_seed(self):
        ideal = simulate("electron", 3, energy=50.0, detector="ideal", seed=1)
        first, second, third = (apply(ideal, "nominal", seed=seed).images for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)

    def test_correction_follows_the_measured_tracks(self):
        ideal = simulate("electron", 50, energy=50.0, angle=0.0, reach=100.0, detector="ideal", seed=1)
        true = Tracks(ideal.tracks.x + 100, ideal.tracks.y, 0.0, 0.0)
        exact, wrong = (
            respond(ideal.images, find_detector("nominal"), AMS, np.random.default_rng(1), tracks, ideal.tracks)
            for tracks in (ideal.tracks, true)
        )
        low, high = (np.arange(72) // 2 % 2 == end for end in range(2))
        layer = slice(4, 6)  # fibres along x
        ratio = [
            wrong[:, layer, cells].sum(dtype=float) / exact[:, layer, cells].sum(dtype=float) for cells in (low, high)
        ]
        assert ratio[0] < 0.97  # farther from the low end than it was taken to be
        assert ratio[1] > 1.03

    def test_applied_detector_measures_with_the_subdetectors_too(self):
        ideal = simulate("proton", 40, energy=30.0, detector="ideal", seed=1)
        seen = apply(ideal, "nominal", seed=1)
        same, other = (apply(ideal, "nominal", seed=seed) for seed in (1, 2))
        assert seen.table.equals(same.table)
        assert not seen.table["rigidity_inner"].equals(other.table["rigidity_inner"])
        for name in ("x", "y", "inclination", "azimuth"):
            np.testing.assert_array_equal(seen.table[f"true_{name}"], ideal.table[f"track_{name}"])
            assert (seen.table[f"track_{name}"] != ideal.table[f"track_{name}"]).all()
        assert set(seen.table.columns) == set(simulate("proton", 2, energy=30.0, seed=1).table.columns)
        assert "subdetectors" in seen.metadata["provenance"]
        untouched = apply(ideal, "ideal").table
        assert set(untouched.columns) == set(ideal.table.columns)
        nameless = ideal[:3]
        nameless.table = nameless.table.drop(columns="pdg")
        with pytest.raises(ValueError, match="no columns momentum and pdg"):
            apply(nameless, "nominal")

    def test_key_of_events_changes_with_the_parameters(self, tmp_path):
        path = tmp_path / "mine.toml"
        keys = set()
        for photo_electrons in (1000.0, 1001.0):
            path.write_text(
                f'[mine]\ndescription = "x"\n[mine.photo_statistics]\nphoto_electrons = {photo_electrons}\n'
            )
            run = make_run("electron", 5, energy=10.0, detector=path)
            assert run.description["detector"] == "mine"
            keys.add(run.key)
        keys.add(make_run("electron", 5, energy=10.0, detector="ideal").key)
        assert len(keys) == 3
        json.dumps(run.description)


class TestToml:
    def test_flight_differs_from_nominal_as_promised_and_both_are_dated(self):
        nominal, flight = find_detector("nominal"), find_detector("flight")
        more = {effect.name for effect in flight.effects} - {effect.name for effect in nominal.effects}
        assert more == {"shower_depth", "shower_width", "cross_talk", "saturation", "dead_channels"}
        assert nominal.date == flight.date == datetime.date(2026, 11, 23)
        # Frozen before any result of a domain adaptation: a later change is a new detector.
        assert (nominal.checksum, flight.checksum) == ("9dead31759783900", "02a1cacfb353e064")

    def test_every_packaged_value_has_its_reason(self):
        lines = (DATA / "detectors.toml").read_text().splitlines()
        values = [line for line in lines if "=" in line and not line.startswith(("#", "description", "date"))]
        assert len(values) > 40
        assert [line for line in values if "#" not in line] == []

    def test_parameters_are_documented(self):
        for effect in EFFECTS.values():
            for name in (field.name for field in dataclasses.fields(effect)):
                assert name in effect.__doc__, f"{effect.name}: {name}"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                'description = "x"\nnoice = {}',
                r"\[bad\]: unknown key 'noice'; expected description.*did you mean 'noise'",
            ),
            ('description = "x"\nnoise = {sigmas = 1.0}', r"\[bad\], noise: unknown key 'sigmas'; expected sigma"),
            ('description = "x"\nnoise = {threshold = 1.0}', r"\[bad\], noise: the key 'sigma' is missing"),
            ('description = "x"\nnoise = {sigma = -1.0}', r"\[bad\]: sigma of noise is -1.0; expected 0 to 1 GeV"),
            ('description = "x"\nnoise = {sigma = "1"}', r"sigma of noise is '1'; expected 0 to 1 GeV"),
            ('description = "x"\nnoise = {sigma = true}', r"sigma of noise is True; expected 0 to 1 GeV"),
            ('description = "x"\nnoise = {sigma = nan}', r"sigma of noise is nan; expected 0 to 1 GeV"),
            ('description = "x"\nnoise = 0.1', r"noise is 0.1; expected a table"),
            ('description = "x"\ndate = "today"', r"date is 'today'; expected a date such as"),
            ("noise = {sigma = 0.1}", r"the key 'description' is missing"),
        ],
    )
    def test_mistakes_are_told_in_one_sentence(self, content, message, tmp_path):
        path = tmp_path / "bad.toml"
        path.write_text(f"[bad]\n{content}\n")
        with pytest.raises(ValueError, match=message) as caught:
            find_detector(path)
        assert "\n" not in str(caught.value)
        assert "bad.toml" in str(caught.value)

    def test_file_of_ones_own(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text('[mine]\ndescription = "x"\n[mine.noise]\nsigma = 0.001\n')
        assert find_detector(str(path)).effects == (Noise(0.001),)
        path.write_text('[one]\ndescription = "x"\n[two]\ndescription = "x"\n')
        with pytest.raises(ValueError, match=r"describes 2 detectors \(one, two\); expected one"):
            find_detector(path)
        path.write_text("one = 1\n")
        with pytest.raises(ValueError, match=r"'one' is 1; expected a table \[one\]"):
            find_detector(path)
        with pytest.raises(FileNotFoundError, match=r"none\.toml: no such file"):
            find_detector("none.toml")

    def test_unknown_name(self):
        with pytest.raises(
            ValueError, match=r"named 'nominel'; did you mean 'nominal'\?; expected one of ideal, nominal"
        ):
            find_detector("nominel")
        assert set(load_detectors()) == {"ideal", "nominal", "flight"}

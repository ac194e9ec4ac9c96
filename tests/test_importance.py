"""Importance sampling of protons that look like electrons: the roulette, and its weights on their way."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecalnb import ntuples
from ecalnb.geometry import Tracks
from ecalnb.productions import Production
from ecalnb.simulation import simulate
from ecalnb.simulation.geant4 import Geant4Settings, run_geant4
from ecalnb.simulation.geant4.importance import (
    EARLY,
    Chance,
    Skeleton,
    probability_after_hadrons,
    probability_after_primary,
)
from ecalnb.store import convert

needs_geant4 = pytest.mark.skipif(find_spec("geant4_pybind") is None, reason="needs the extra geant4")


class TestRoulette:
    def test_weights_have_mean_one_and_the_variance_of_the_roulette(self):
        n, p = 20_000, 0.2
        chances = [Chance(f"{number}") for number in range(n)]
        went_on = np.array([chance.goes_on(p) for chance in chances])
        weights = np.array([chance.weight for chance in chances])
        assert set(weights[went_on]) == {5.0}
        assert not weights[~went_on].any()
        variance = 1 / p - 1
        assert abs(weights.mean() - 1) < 4 * math.sqrt(variance / n)
        assert weights.var() == pytest.approx(variance, rel=0.05)

    def test_two_stages_multiply(self):
        weights = []
        for number in range(20_000):
            chance = Chance(f"{number}")
            if chance.goes_on(0.5):
                chance.goes_on(0.25)
            weights.append(chance.weight)
        assert set(weights) == {0.0, 8.0}
        assert abs(np.mean(weights) - 1) < 4 * math.sqrt(7 / 20_000)

    @given(st.floats(0, 1000), st.floats(0, 1), st.floats(0, 1000))
    def test_no_event_is_impossible(self, electromagnetic, share, hadronic):
        p = probability_after_hadrons(share * electromagnetic, electromagnetic, hadronic)
        assert 0.01 < p <= 1
        assert p <= probability_after_hadrons(electromagnetic, electromagnetic, hadronic)

    def test_probabilities(self):
        assert probability_after_primary(EARLY / 2) == 1
        assert probability_after_primary(100.0) == 0.02
        assert probability_after_primary(math.nan) == 0.01
        assert probability_after_hadrons(50, 50, 1) == 1
        assert probability_after_hadrons(0.75 * 50, 50, 0) == pytest.approx(0.04**0.5)
        assert probability_after_hadrons(10, 50, 1) == probability_after_hadrons(500, 500, 1) == 0.04

    def test_core_is_what_starts_early_and_goes_along(self):
        skeleton = Skeleton(10.0, -20.0, 0.1, 0.0)
        length = math.hypot(0.1, 1)
        along = (0.1 / length, 0.0, 1 / length)
        skeleton.add(2000.0, (11.0, -20.0, 10.0), along)
        skeleton.add(1000.0, (20.0, -20.0, 100.0), along)  # late
        skeleton.add(1000.0, (11.0, -20.0, 10.0), (0.0, 0.6, 0.8))  # aside
        skeleton.add(1000.0, (11.0, -20.0, 10.0), (0.0, 0.0, -1.0))  # back
        skeleton.add(5.0, (11.0, -20.0, 10.0), along)  # slow
        assert (skeleton.core, skeleton.electromagnetic) == pytest.approx((2.0, 5.0))


class TestSettings:
    def test_unknown_kind(self):
        with pytest.raises(ValueError, match="importance 'muonlike' is not one of 'emlike'"):
            Geant4Settings(importance="muonlike")

    def test_electrons_have_none(self):
        with pytest.raises(ValueError, match="importance 'emlike' is for hadrons; got electron"):
            simulate("electron", 1, energy=5.0, engine="geant4", importance="emlike")

    def test_mixtures_have_none(self):
        with pytest.raises(ValueError, match="expected no importance sampling"):
            simulate(["electron", "proton"], 1, energy=(5, 9), spectrum="ams", engine="geant4", importance="emlike")

    def test_productions_may_have_it(self):
        entry = {"particle": "proton", "energy": [20, 400], "importance": "emlike", "engine": "geant4"}
        production = Production.from_toml({**entry, "events": {"demo": 10}, "seed": 1}, "here")
        assert production.arguments("demo-0000.root")["importance"] == "emlike"


class TestWeightsInFiles:
    @pytest.fixture
    def weighted(self):
        events = simulate("proton", 20, energy=(20, 100), detector="ideal", seed=1)
        events.table["weight"] = np.linspace(0.5, 10, 20).astype(np.float32)
        return events

    def test_file_and_store_keep_them_and_a_dataset_multiplies(self, weighted, tmp_path):
        path = tmp_path / "weighted.root"
        ntuples.write(weighted, path)
        expected = weighted.table["weight"].to_numpy()
        np.testing.assert_array_equal(ntuples.read(path).table["weight"], expected)
        np.testing.assert_array_equal(ntuples.read(path, columns=["weight"]).table["weight"], expected)
        dataset = ntuples.Dataset("toy", files=(str(path),), weight=16.0, simulation="toy")
        events = ntuples.read(dataset)
        np.testing.assert_array_equal(events.table["weight"], 16 * expected)
        store = convert(dataset, tmp_path / "store")
        np.testing.assert_array_equal(store.table(columns=["weight"])["weight"], 16 * expected)

    def test_copy_of_a_dataset_leaves_its_factor_to_the_dataset(self, weighted, tmp_path):
        path, copy = tmp_path / "weighted.root", tmp_path / "copy.root"
        ntuples.write(weighted, path)
        ntuples.write(ntuples.read(ntuples.Dataset("toy", files=(str(path),), weight=16.0, simulation="toy")), copy)
        np.testing.assert_array_equal(ntuples.read(copy).table["weight"], weighted.table["weight"])


@needs_geant4
class TestGeant4:
    def test_events_that_end_early_leave_nothing_and_are_left_out(self):
        n = 60
        protons = simulate(
            "proton", n, energy=30.0, engine="geant4", homogenised=True, importance="emlike", detector="ideal", seed=4
        )
        assert 0 < len(protons) < n
        assert protons.table["weight"].min() >= 1
        crossed = protons.table["interaction_depth"].isna()
        assert set(protons.table["weight"][crossed]) <= {np.float64(100.0)}
        assert protons.metadata["provenance"]["importance"] == "emlike"
        assert protons.table["entry"].is_monotonic_increasing

    @pytest.mark.slow
    def test_weighted_events_are_an_unbiased_sample(self):
        n = 2_500
        tracks = Tracks(*(np.full(n, value) for value in (1.0, 2.0, 0.1, 0.5)))
        seeds = np.random.default_rng(1).integers(1, 2**31, (n, 2))
        few, energy = 400, 12.0
        settings = {"homogenised": True, "cut": 2.0}
        plain = run_geant4(2212, np.full(few, energy), tracks[:few], seeds[:few], Geant4Settings(**settings))
        chosen = run_geant4(2212, np.full(n, energy), tracks, seeds, Geant4Settings(**settings, importance="emlike"))
        # The same seeds lead to the same first interaction.
        np.testing.assert_allclose(chosen.interaction_depth[:few], plain.interaction_depth)

        def measure(events, quantity):
            values = events.weight * quantity(events)
            return values.mean(), values.std() / math.sqrt(len(values))

        def share_in_core(events):
            image = events.images
            columns = np.arange(72) - image.argmax(axis=2)[..., np.newaxis]
            total = np.maximum(image.sum(axis=(1, 2)), 1e-9)
            return np.where(abs(columns) <= 1, image, 0).sum(axis=(1, 2)) / total

        quantities = (
            lambda events: np.ones(len(events.weight)),
            lambda events: events.interaction_depth < EARLY,
            lambda events: events.interaction_depth >= EARLY,
            lambda events: events.images.sum(axis=(1, 2)),
            lambda events: events.images.sum(axis=(1, 2)) > 0.5 * energy,
            lambda events: (events.images.sum(axis=(1, 2)) > 5) & (share_in_core(events) > 0.7),
        )
        for quantity in quantities:
            (a, error_a), (b, error_b) = measure(chosen, quantity), measure(plain, quantity)
            assert abs(a - b) < 3.5 * math.hypot(error_a, error_b)

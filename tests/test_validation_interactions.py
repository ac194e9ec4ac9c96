"""Where hadrons interact first."""

import numpy as np
import pandas as pd
import pytest

from ecalnb import validation
from ecalnb.geometry import AMS, Tracks
from ecalnb.showers import Showers
from ecalnb.simulation import simulate
from ecalnb.validation import Pair, interactions


def protons(seed: int, n: int = 600) -> Showers:
    return simulate("proton", n, energy=(20.0, 45.0), detector="ideal", seed=seed)


def without_truth(showers: Showers) -> Showers:
    return Showers(showers.images, showers.table.drop(columns="interaction_depth"))


def lengths(pair: Pair) -> pd.DataFrame:
    table = validation.compare_quantities(pair, [20, 46], quantities=())
    return table.set_index("quantity")


def test_the_interaction_length_is_recovered(rng: np.random.Generator) -> None:
    slant = rng.uniform(1, 1.1, 200_000)
    way = rng.exponential(255.0, 200_000)
    way[way > AMS.thickness * slant] = np.inf
    length, error = interactions.interaction_length(way, AMS.thickness * slant)
    assert length == pytest.approx(255, abs=4 * error)
    assert error == pytest.approx(255 / np.sqrt(np.isfinite(way).sum()), rel=0.05)


def test_the_error_of_the_length_is_its_spread(rng: np.random.Generator) -> None:
    way = rng.exponential(255.0, (500, 400))
    way[way > AMS.thickness] = np.inf
    found = np.array([interactions.interaction_length(row, np.full(400, AMS.thickness)) for row in way])
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.15)


def test_no_interaction_is_told_from_no_truth() -> None:
    table = pd.DataFrame({"file_id": [1, 1, 2, 2], "interaction_depth": [30.0, np.nan, np.nan, np.nan]})
    depths = interactions.interaction_depths(Showers(np.zeros((4, *AMS.shape)), table))
    np.testing.assert_array_equal(depths, [30, np.inf, np.nan, np.nan])
    nothing = Showers(np.zeros((2, *AMS.shape)), table[["file_id"]][:2])
    assert np.isnan(interactions.interaction_depths(nothing)).all()


def test_samples_of_one_engine_agree_in_the_truth() -> None:
    first, second = protons(1), protons(2)
    table = lengths(Pair(first, second, False, "proton"))
    assert list(table.index) == ["no interaction (truth)", "interaction length (truth)"]
    assert (table["pull"].abs() < 4).all()
    assert table.loc["interaction length (truth)", "p_value"] > 1e-4
    crossed = first.table["interaction_depth"].isna().mean()
    assert table.loc["no interaction (truth)", "reference"] == crossed


def test_another_cross_section_is_found() -> None:
    first, second = protons(1, 2000), protons(2, 2000)
    earlier = second.table.assign(interaction_depth=0.6 * second.table["interaction_depth"])
    table = lengths(Pair(first, Showers(second.images, earlier), False, "proton"))
    assert table.loc["interaction length (truth)", "p_value"] < 1e-6
    assert table.loc["interaction length (truth)", "pull"] < -3


def test_the_start_layer_stands_in_where_one_has_no_truth() -> None:
    first, second = protons(1), protons(2)
    table = lengths(Pair(without_truth(first), second, False, "proton"))
    assert list(table.index) == ["interaction length (start layer)"]
    row = table.iloc[0]
    truth = lengths(Pair(first, second, False, "proton")).loc["interaction length (truth)"]
    assert row["candidate"] == pytest.approx(truth["candidate"], rel=0.25)


def test_of_mixed_samples_the_events_with_truth_count() -> None:
    first = protons(1)
    old = np.arange(len(first)) < 400
    table = first.table.assign(file_id=np.where(old, 1, 2))
    table.loc[old, "interaction_depth"] = np.nan
    mixed = Showers(first.images, table)
    fast = validation.simulate_twins(mixed, seed=5)
    found = lengths(validation.match(mixed, fast))
    assert set(found["n_reference"]) == set(found["n_candidate"]) == {200}


def test_electrons_do_not_interact() -> None:
    tracks = Tracks(np.zeros(60), 0, 0, 0)
    sample = validation.naive_showers("electron", np.full(60, 10.0), tracks, seed=1)
    table = validation.compare_quantities(Pair(sample, sample, False, "electron"))
    assert not table["quantity"].str.contains("interaction").any()

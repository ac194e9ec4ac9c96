"""Judges, their features and the conditions under which they judge."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ecalnb import ntuples, validation
from ecalnb.datasets import load_datasets
from ecalnb.geometry import AMS, Tracks
from ecalnb.showers import Showers
from ecalnb.splits import split_of
from ecalnb.training import resolve_recipe
from ecalnb.validation import ValidationError, judges

MakeShowers = Callable[..., Showers]


@pytest.fixture(scope="module")
def electrons() -> Showers:
    return ntuples.read(load_datasets()["geant4_electrons"], n_max=1600)


@pytest.fixture(scope="module")
def naive(electrons: Showers) -> Showers:
    return validation.naive_like(electrons, seed=1)


def one_cell(layer: int, cell: int, energy: float = 0.1) -> Showers:
    """A vertical track through the middle of cell 30 in both views, and energy in one cell."""
    images = np.zeros((1, *AMS.shape), np.float32)
    images[0, layer, cell] = energy
    centre = AMS.cell_centers(30)
    table = pd.DataFrame({"track_x": [centre], "track_y": [centre], "track_inclination": [0.0], "track_azimuth": [0.0]})
    return Showers(images, table)


def test_features_of_one_cell() -> None:
    row = validation.shower_features(one_cell(5, 37)).iloc[0]
    assert len(row) == len(set(row.index)) == 201
    assert row["fraction_5"] == 1
    assert row["rms_5"] == pytest.approx(7)
    assert row["offset_5"] == pytest.approx(7)
    assert (row["core3_5"], row["halo5_5"], row["halo10_pair_2"]) == (0, 1, 0)
    assert (row["hits0_5"], row["hits2_pair_2"], row["hits0"]) == (1, 1, 1)
    assert row["log_total"] == pytest.approx(np.log(101), rel=1e-5)
    assert (row["max_layer"], row["mean_depth"], row["depth_rms"]) == (5, 5, 0)
    assert np.isnan(row["rms_4"])


def test_features_do_not_depend_on_the_position(electrons: Showers) -> None:
    some = electrons[(abs(electrons.table[["track_x", "track_y"]]) < 150).all(axis=1)][:50]
    moved = some.table.assign(track_x=some.table["track_x"] + 5 * AMS.cell_pitch, track_y=some.table["track_y"])
    images = some.images.copy()
    for layer in AMS.layers("x"):
        images[:, layer] = np.roll(images[:, layer], 5, axis=-1)
    kept = (some.images[:, AMS.layers("x"), -5:] == 0).all(axis=(1, 2))  # nothing came round at the side
    first, second = (validation.shower_features(s)[kept] for s in (some, Showers(images, moved)))
    assert kept.sum() > 10
    pd.testing.assert_frame_equal(first, second, rtol=1e-3, atol=1e-4)


def test_features_of_events_without_energy_or_track_are_nan(showers: Showers) -> None:
    showers.images[0] = 0
    showers.table.loc[1, "track_x"] = np.nan
    features = validation.shower_features(showers)
    assert features.iloc[:2].isna().all(axis=None)
    assert features.iloc[2:]["log_total"].notna().all()


def test_common_footing_hides_the_precision(rng: np.random.Generator) -> None:
    cells = rng.exponential(0.01, (4, *AMS.shape)).astype(np.float32)
    rounded = validation.common_footing(cells)
    assert abs(rounded / cells - 1).max() <= 2.0**-10
    assert (rounded.view(np.uint32) & np.uint32(2**14 - 1) == 0).all()
    assert (validation.common_footing(rounded) == rounded).all()
    assert not np.shares_memory(rounded, cells)


def test_common_footing_applies_thresholds() -> None:
    cells = np.array([-1e-3, 0, 5e-7, 1e-3, 3e-3], np.float32)
    assert (validation.common_footing(cells) > 0).tolist() == [False, False, False, True, True]
    assert (validation.common_footing(cells, threshold=2e-3) > 0).tolist() == [False, False, False, False, True]
    with pytest.raises(ValidationError, match="threshold is -1"):
        validation.common_footing(cells, threshold=-1)


def test_centred_puts_the_track_in_the_middle() -> None:
    window = validation.centred(one_cell(5, 37), 15)
    assert window.geometry.shape == (18, 31)
    assert np.argwhere(window.images[0]).tolist() == [[5, 15 + 7]]
    assert validation.centred(one_cell(5, 37), 6).images.sum() == 0


def test_match_gives_twins_the_same_keys(electrons: Showers, naive: Showers) -> None:
    table = naive.table.assign(file_id=1, entry=np.arange(len(naive)))
    pair = validation.match(electrons, Showers(naive.images, table))
    assert pair.twins
    assert (pair.candidate.table["entry"] == electrons.table["entry"]).all()


def test_match_refuses_other_conditions(electrons: Showers) -> None:
    half = electrons[: len(electrons) // 2]
    harder = half.table.assign(momentum=half.table["momentum"] * 2)
    with pytest.raises(ValidationError, match="distributions of momentum differ"):
        validation.match(electrons, Showers(half.images, harder))
    with pytest.raises(ValidationError, match="electron, proton; expected one species"):
        validation.match(electrons, Showers(half.images, half.table.assign(label="proton")))
    with pytest.raises(ValidationError, match="same geometry"):
        validation.match(electrons, Showers(half.images, half.table, AMS.swap_views()))
    with pytest.raises(ValidationError, match="no column momentum"):
        validation.match(electrons, Showers(half.images, half.table.drop(columns="momentum")))


def test_the_bdt_finds_the_naive_simulation(electrons: Showers, naive: Showers) -> None:
    found = validation.bdt_auc(electrons, naive)
    assert found.auc.low > 0.98
    sample = split_of(electrons.table["file_id"].to_numpy(), electrons.table["entry"].to_numpy())
    assert found.n_train == (sample == "train").sum()
    assert len(found.scores) == 2 * (sample == "test").sum()
    assert sum(found.importance.values()) == pytest.approx(1)
    assert found.in_bins([5, 20, 100])["n_reference"].sum() == (sample == "test").sum()


def test_the_bdt_cannot_tell_geant4_from_geant4(electrons: Showers) -> None:
    auc = validation.bdt_auc(electrons[::2], electrons[1::2]).auc
    assert abs(auc.value - 0.5) < 3.5 * (auc.high - auc.low) / 2


def test_developing_leaves_the_test_events_unseen(electrons: Showers, naive: Showers) -> None:
    sample = split_of(electrons.table["file_id"].to_numpy(), electrons.table["entry"].to_numpy())
    momenta = set(electrons.table["momentum"][sample == "test"])
    found = validation.bdt_auc(electrons, naive, evaluate_on="validation", n_train=100)
    assert not momenta & set(found.scores["momentum"])
    assert found.n_train == 100


def test_a_learning_curve_ends_with_the_events(electrons: Showers, naive: Showers) -> None:
    curve = validation.learning_curve("bdt", electrons, naive, [50, 100, 100_000, 200_000])
    assert curve["n_train"].tolist()[:2] == [50, 100]
    assert len(curve) == 3
    with pytest.raises(ValidationError, match="judge is 'lda'"):
        validation.learning_curve("lda", electrons, naive, [50])


def test_the_network_finds_the_naive_simulation(electrons: Showers, naive: Showers) -> None:
    found = validation.cnn_auc(electrons, naive, n_train=80, threads=1, device="cpu")
    assert found.auc.low > 0.9
    assert found.importance == {}


def test_too_few_events_are_refused(electrons: Showers, naive: Showers) -> None:
    with pytest.raises(ValidationError, match="expected 20 or more"):
        validation.bdt_auc(electrons[:40], naive[:40])
    with pytest.raises(ValidationError, match="evaluate_on is 'fit'"):
        validation.bdt_auc(electrons, naive, evaluate_on="fit")  # type: ignore[arg-type]


def test_the_judges_are_frozen() -> None:
    # Changed settings make every published AUC incomparable: add another judge instead.
    assert judges.judge_settings()["bdt"] == {
        "learning_rate": 0.05, "max_depth": 4, "min_child_weight": 5, "subsample": 0.8, "colsample_bytree": 0.3,
        "reg_lambda": 1.0, "rounds": 1000, "patience": 50,
    }  # fmt: skip
    assert judges.judge_settings()["cnn"] == {
        "model": "ecal_simple_cnn",
        "recipe": "simulation_judge",
        "half_width": 15,
    }
    recipe = resolve_recipe("simulation_judge", "ecal_simple_cnn")
    assert (recipe.batch_size, recipe.learning_rate, recipe.max_epochs, recipe.patience) == (32, 1e-3, 60, 15)
    assert (recipe.normalisation, recipe.augmentation, recipe.model_options) == ("log", ("mirror",), {})


def test_naive_electrons_have_their_energy(rng: np.random.Generator) -> None:
    tracks = Tracks(*rng.uniform(-100, 100, (2, 300)), np.zeros(300), np.zeros(300))
    made = validation.naive_showers("electron", np.full(300, 10.0), tracks, seed=3)
    assert made.energies.mean() == pytest.approx(9.6, abs=0.4)
    again = validation.naive_showers("electron", np.full(300, 10.0), tracks, seed=3)
    assert (made.images == again.images).all()
    with pytest.raises(ValidationError, match="not 'muon'"):
        validation.naive_showers("muon", 10.0, tracks, seed=3)
    with pytest.raises(ValidationError, match=r"energy is 0.5 GeV"):
        validation.naive_showers("electron", 0.5, tracks, seed=3)

"""Published values beside what engines give."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecalnb import ntuples, validation
from ecalnb.geometry import AMS, Tracks
from ecalnb.showers import Showers
from ecalnb.simulation import simulate
from ecalnb.simulation.scale import FIBRES, FIRST_PRODUCTION, HOMOGENISED, deposited_fraction
from ecalnb.validation import ValidationError, target_quantities

GEANT4 = {"engine": "geant4", "ecalnb": "0.1.0", "physics": "FTFP_BERT", "volumes": "explicit fibres"}


def toy(n: int, energy: float, provenance: dict[str, str], depths: float = np.nan) -> Showers:
    """Vertical protons that leave 1 GeV in one cell, with the true depth of their first interaction."""
    images = np.zeros((n, *AMS.shape), np.float32)
    images[:, 5, 30] = 1.0
    mass = target_quantities.MASSES["proton"]
    columns = {"file_id": 7, "label": "proton", "pdg": 2212, "en3d": 1.0,
               "momentum": np.sqrt(energy * (energy + 2 * mass)), "track_x": 0.0, "track_y": 0.0,
               "track_inclination": 0.0, "track_azimuth": 0.0}  # fmt: skip
    table = pd.DataFrame({"entry": np.arange(n), "interaction_depth": depths}).assign(**columns)
    return Showers(images, table, metadata={"provenance": provenance})


def value(table: pd.DataFrame, quantity: str, energy: float = 10.0, engine: str = "toy") -> float:
    chosen = (table["label"] == "proton") & (table["energy"] == energy) & (table["quantity"] == quantity)
    return float(table.loc[chosen, engine].iloc[0])


def test_the_tail_length_of_an_exponential() -> None:
    depth = AMS.layer_depths_x0
    assert target_quantities._tail_length(np.exp(-depth / 4.0)[None]) == pytest.approx(4)


def test_the_table_of_published_values(rng: np.random.Generator) -> None:
    tracks = Tracks(*rng.uniform(-50, 50, (2, 100)), np.zeros(100), np.zeros(100))
    sample = validation.naive_showers("electron", np.full(100, 10.0), tracks, seed=1)
    table = validation.target_table({"naive": [sample]})
    row = table[(table["label"] == "electron") & (table["energy"] == 10) & (table["quantity"] == "contained")].iloc[0]
    expected = 0.943 * sample.energies.mean() / 10
    assert row["naive"] == pytest.approx(expected, rel=1e-3)
    assert row["naive_difference"] == pytest.approx(expected / 0.943 - 1, rel=1e-2)
    assert row["naive_error"] > 0
    assert table.loc[table["label"] == "proton", "naive"].isna().all()
    assert row["published"] == "0.943"
    ranges = table["low"] < table["high"]
    assert table.loc[ranges, "published"].str.contains(" to ").all()
    assert set(table.loc[ranges, "quantity"]) == {
        "skewness_ln_t", "interaction_length", "crossing_energy", "crossing_cells", "quasi_elastic"
    }  # fmt: skip
    assert "Geant4 11.4.1" in validation.load_targets()[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"track_inclination": 0.3}, "inclined by 0.3 rad"),
        ({"momentum": 30.0}, "expected 10 or 100 GeV"),
        ({"label": "muon"}, "has muon; expected electrons or protons"),
    ],
)
def test_other_samples_are_refused(change: dict[str, object], message: str) -> None:
    tracks = Tracks(np.zeros(60), 0, 0, 0)
    sample = validation.naive_showers("electron", np.full(60, 10.0), tracks, seed=1)
    with pytest.raises(ValidationError, match=message):
        validation.target_table({"naive": [Showers(sample.images, sample.table.assign(**change))]})


def test_truth_gives_crossing_fraction_and_interaction_length() -> None:
    depths = np.r_[np.full(40, 100.0), np.full(60, np.nan)]
    table = validation.target_table({"toy": [toy(100, 10.0, GEANT4, depths)]})
    assert value(table, "crossing") == 0.6
    assert value(table, "interaction_length") == pytest.approx((40 * 100 + 60 * AMS.thickness) / 40)


def test_without_truth_the_length_follows_from_the_images() -> None:
    fast = simulate("proton", 400, energy=100.0, angle=0.0, reach=100.0, detector="ideal", seed=3)
    blind = Showers(fast.images, fast.table.drop(columns="interaction_depth"), metadata=fast.metadata)
    table = validation.target_table({"truth": [fast], "images": [blind]})
    known, seen = (value(table, "interaction_length", 100.0, engine) for engine in ("truth", "images"))
    assert seen == pytest.approx(known, rel=0.1)
    crossed = value(table, "crossing", 100.0, "images")
    assert seen == pytest.approx(-AMS.thickness / np.log(crossed))


def test_each_sample_has_its_own_scale() -> None:
    assert deposited_fraction(GEANT4) == FIBRES
    assert deposited_fraction({**GEANT4, "volumes": "homogenised"}) == HOMOGENISED
    first_production = {key: item for key, item in GEANT4.items() if key != "ecalnb"}
    assert deposited_fraction(first_production) == deposited_fraction({"engine": "fast"}) == FIRST_PRODUCTION
    table = validation.target_table({"toy": [toy(100, 10.0, GEANT4, 100.0)]})
    assert value(table, "visible_50") == pytest.approx(1e3 * FIBRES)


def test_homogenised_samples_count_for_the_deposited_fraction_alone() -> None:
    homogenised = toy(100, 10.0, {**GEANT4, "volumes": "homogenised"}, 100.0)
    table = validation.target_table({"toy": [homogenised]})
    assert value(table, "deposited_50") == pytest.approx(HOMOGENISED / 10)
    filled = table.loc[table["toy"].notna(), "quantity"]
    assert set(filled) == {"deposited_05", "deposited_50", "deposited_95"}
    fibres = validation.target_table({"toy": [toy(100, 10.0, GEANT4, 100.0)]})
    assert np.isnan(value(fibres, "deposited_50"))


def test_the_quasi_elastic_share_is_that_of_the_library() -> None:
    table = validation.target_table({"toy": [toy(100, 10.0, GEANT4)]})
    assert 0.03 < value(table, "quasi_elastic") < 0.2
    others = [toy(100, 10.0, {**GEANT4, "physics": "QGSP_BERT"}), toy(100, 10.0, {})]
    assert all(np.isnan(value(validation.target_table({"toy": [sample]}), "quasi_elastic")) for sample in others)


def test_missed_values_are_those_beyond_tolerance_and_errors() -> None:
    table = pd.DataFrame(
        {
            "label": "proton", "energy": 10.0, "quantity": list("abcd"), "low": 1.0, "high": 1.0,
            "toy": [1.2, 1.2, 1.05, np.nan], "toy_error": [0.02, 0.2, 0.01, np.nan],
            "toy_difference": [0.2, 0.2, 0.05, np.nan],
        }
    )  # fmt: skip
    missed = validation.missed_targets(table)
    assert missed[["engine", "quantity", "value", "error"]].to_numpy().tolist() == [["toy", "a", 1.2, 0.02]]


def test_samples_are_told_apart_by_species_energy_and_volumes(tmp_path: Path) -> None:
    homogenised = {**GEANT4, "volumes": "homogenised"}
    parts = [toy(60, 10.0, GEANT4, 50.0), toy(70, 100.0, GEANT4, 50.0), toy(80, 10.0, homogenised, 50.0)]
    ntuples.write(Showers.concatenate(parts[:2]), tmp_path / "a.root")
    ntuples.write(parts[2], tmp_path / "b.root")
    samples = validation.read_samples(str(tmp_path / "*.root"))
    found = sorted((len(sample), sample.metadata["provenance"]["volumes"]) for sample in samples)
    assert found == [(60, "explicit fibres"), (70, "explicit fibres"), (80, "homogenised")]
    table = validation.target_table({"toy": samples})
    assert table["toy"].notna().sum() > 10

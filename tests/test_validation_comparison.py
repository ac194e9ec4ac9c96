"""Physical quantities side by side, electromagnetic-like protons, and the command line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecalnb import ntuples, validation
from ecalnb.cli import main
from ecalnb.datasets import load_datasets
from ecalnb.showers import Showers
from ecalnb.validation import Pair, ValidationError, comparison, estimates, quantities


@pytest.fixture(scope="module")
def electrons() -> Showers:
    return ntuples.read(load_datasets()["geant4_electrons"], n_max=1500)


@pytest.fixture(scope="module")
def protons() -> Showers:
    return ntuples.read(load_datasets()["geant4_protons"], n_max=1500)


def test_a_sample_does_not_differ_from_itself(electrons: Showers) -> None:
    pair = Pair(electrons, electrons, True, "electron")
    table = validation.compare_quantities(pair)
    assert (table["difference"] == 0).all()
    points, tests = validation.compare_profiles(pair)
    assert (points["difference"] == 0).all()
    assert (tests["chi2"] == 0).all()
    assert (validation.compare_correlations(pair)["difference"] == 0).all()


def test_a_scaled_response_is_found(electrons: Showers) -> None:
    scaled = Showers(electrons.images * np.float32(1.1), electrons.table)
    table = validation.compare_quantities(Pair(electrons, scaled, True, "electron"), [20, 100])
    row = table[(table["quantity"] == "response") & (table["statistic"] == "mean")].iloc[0]
    inside = (electrons.table["momentum"] >= 20) & (electrons.table["momentum"] < 100)
    response = (electrons.energies / electrons.table["momentum"])[inside]
    assert row["n_reference"] == inside.sum()
    assert row["reference"] == pytest.approx(response.mean())
    assert row["reference_error"] == pytest.approx(response.std(ddof=1) / np.sqrt(len(response)))
    assert row["difference"] == pytest.approx(0.1 * response.mean(), rel=1e-5)
    assert row["p_value"] < 1e-6
    width = table[(table["quantity"] == "response") & (table["statistic"] == "width")].iloc[0]
    assert width["difference"] == pytest.approx(0, abs=1e-5)


def test_halves_agree_within_their_errors(electrons: Showers) -> None:
    pair = Pair(electrons[::2], electrons[1::2], False, "electron")
    pulls = validation.compare_quantities(pair)["pull"].dropna()
    assert 0.6 < np.sqrt((pulls**2).mean()) < 1.6
    _, tests = validation.compare_profiles(pair)
    assert (tests["p_value"] > 1e-4).all()
    assert set(tests.loc[tests["profile"] == "longitudinal", "ndf"]) == {18}


def test_hotelling_is_a_chi2(rng: np.random.Generator) -> None:
    mixing = rng.normal(size=(5, 5))
    values = [
        estimates.hotelling(rng.normal(size=(400, 5)) @ mixing, rng.normal(size=(400, 5)) @ mixing)["chi2"]
        for _ in range(300)
    ]
    assert np.mean(values) == pytest.approx(5, abs=0.6)


def test_lateral_shares_count_everything_once(electrons: Showers) -> None:
    shares = quantities.lateral_shares(electrons[:50])
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-3)


def test_only_bins_with_events_are_compared(electrons: Showers) -> None:
    pair = Pair(electrons, electrons, True, "electron")
    assert comparison.energy_edges(pair) == [5, 10, 25, 50, 100]
    with pytest.raises(ValidationError, match="no bin of momentum has 50"):
        comparison.energy_edges(pair, [200, 300])


def test_samples_are_selected_by_split(electrons: Showers) -> None:
    pair = Pair(electrons, electrons, True, "electron")
    test, other = (validation.select_sample(pair, name) for name in ("test", "validation"))
    assert len(test.reference) == pytest.approx(0.3 * len(electrons), rel=0.2)
    assert not set(test.reference.table["entry"]) & set(other.reference.table["entry"])
    with pytest.raises(ValidationError, match="evaluate_on is 'train'"):
        validation.select_sample(pair, "train")


def test_electrons_called_protons_survive(electrons: Showers, protons: Showers) -> None:
    fake = Showers(electrons.images, electrons.table.assign(label="proton"))
    samples = {"true": {"electron": electrons, "proton": protons}, "fake": {"electron": electrons, "proton": fake}}
    table = validation.simple_survivors(samples, [20, 100], evaluate_on="unfitted").set_index(["engine", "cut"])
    assert table.loc[("fake", "core"), "fraction"] > 0.85
    assert table.loc[("true", "core"), "fraction"] < 0.02
    assert (table["fraction_low"] <= table["fraction"]).all()
    parts = [validation.simple_survivors(samples, [20, 100], evaluate_on=name) for name in ("test", "validation")]
    assert (parts[0]["total"] + parts[1]["total"] == table["total"].to_numpy()).all()
    with pytest.raises(ValidationError, match="evaluate_on is 'fit'"):
        validation.simple_survivors(samples, [20, 100], evaluate_on="fit")


def test_the_classifier_rejects_protons(electrons: Showers, protons: Showers) -> None:
    samples = {"geant4": {"electron": electrons, "proton": protons}}
    table = validation.classifier_survivors(samples, [5, 20, 80], evaluate_on="validation")
    assert set(table["efficiency"]) == {0.9, 0.99}
    assert (table.loc[table["efficiency"] == 0.9, "fraction"] < 0.05).all()
    whole = table[(table["low"] == 5) & (table["high"] == 80)]
    assert (
        whole["total"].iloc[0]
        == table[table["high"] == 20]["total"].iloc[0] + table[table["low"] == 20]["total"].iloc[0]
    )
    with pytest.raises(ValidationError, match="has no electron"):
        validation.classifier_survivors({"geant4": {"proton": protons}})


@pytest.fixture
def files(tmp_path: Path, electrons: Showers) -> tuple[str, str]:
    paths = str(tmp_path / "reference.root"), str(tmp_path / "candidate.root")
    ntuples.write(electrons, paths[0])
    ntuples.write(validation.naive_like(electrons, seed=2), paths[1])
    return paths


def test_validate_from_the_command_line(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert main(["validate", *files, "-o", str(folder), "--judges", "bdt"]) == 0
    printed = capsys.readouterr().out
    assert "at the same energies and tracks" in printed
    content = json.loads((folder / "validation.json").read_text())
    judged = content["tables"]["judges"]
    assert [row["threshold"] for row in judged] == [0, 0.002]
    assert min(row["auc"] for row in judged) > 0.95
    assert len(pd.read_parquet(folder / "quantities.parquet")) == len(content["tables"]["quantities"])
    assert (folder / "electron_longitudinal.png").stat().st_size > 1000


def test_validate_says_what_is_wrong(
    files: tuple[str, str], tmp_path: Path, electrons: Showers, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(tmp_path / "protons.root")
    ntuples.write(Showers(electrons.images, electrons.table.assign(pdg=2212, label="proton")), other)
    assert main(["validate", files[0], other, "-o", str(tmp_path / "out"), "--judges", "none"]) == 1
    assert (
        "no species is in both samples: the reference holds electron, the candidate proton" in capsys.readouterr().err
    )
    assert main(["validate", "nothing", files[0]]) == 1
    assert "'nothing' is neither a file, a store nor a dataset" in capsys.readouterr().err
    few = str(tmp_path / "few.root")
    ntuples.write(electrons[:30], few)
    assert main(["validate", few, few, "-o", str(tmp_path / "out")]) == 1
    assert "no bin of momentum has 50 electron events" in capsys.readouterr().err

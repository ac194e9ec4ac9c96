from pathlib import Path

import numpy as np
import pytest

from ecalnb import ntuples
from ecalnb.datasets import Dataset, load_datasets
from ecalnb.splits import load_splits

FLIGHT = """
[datasets.flight]
files = ["runs/*.root", "/elsewhere/more.root"]
kind = "flight"
"""
MC = """
[datasets.mc]
files = ["mc.root"]
kind = "mc"
label = "proton"
simulation = "toy"
weight = 0.5
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "datasets.toml"
        path.write_text(text)
        return path

    return write


def test_packaged_events_are_all_there():
    datasets = load_datasets()
    counts = {part.name: sum(ntuples.count(part).values()) for part in datasets["geant4_sample"].parts()}
    assert counts == {"geant4_electrons": 6000, "geant4_protons": 24_200, "geant4_protons_high": 800}
    # Events of both proton datasets have one density in ln E: 20-400 and 400-2000 GeV.
    density = counts["geant4_protons"] / np.log(20), counts["geant4_protons_high"] / np.log(5)
    assert datasets["geant4_protons_high"].weight == pytest.approx(density[0] / density[1], rel=1e-3)
    assert len({part.name for part in datasets["geant4_vertical"].parts()}) == 3
    for part in (*datasets["geant4_sample"].parts(), *datasets["geant4_vertical"].parts()):
        assert part.kind == "mc"
        assert part.split == load_splits()["default"]
        assert "Geant4 11.4.1" in part.simulation


def test_events_have_the_weight_of_their_dataset():
    weights = ntuples.read(load_datasets()["geant4_protons_high"], n_max=3, columns=["weight"]).table["weight"]
    assert weights.tolist() == [16.25] * 3


def test_paths_are_relative_to_the_file(write, tmp_path):
    path = write(FLIGHT + MC)
    datasets = load_datasets(path)
    assert datasets["flight"].files == (str(tmp_path / "runs/*.root"), "/elsewhere/more.root")
    assert (datasets["flight"].label, datasets["flight"].kind, datasets["flight"].schema) == (None, "flight", "ams")
    assert (datasets["mc"].label, datasets["mc"].weight, datasets["mc"].simulation) == ("proton", 0.5, "toy")


def test_schema_beside_the_file(write, tmp_path):
    (tmp_path / "mine.toml").write_text('base = "ams"\n')
    assert load_datasets(write(MC + 'schema = "mine.toml"'))["mc"].schema == str(tmp_path / "mine.toml")


def test_members_of_members_in_any_order(write):
    text = '[datasets.all]\nmembers = ["both"]\n[datasets.both]\nmembers = ["mc", "more"]\n' + MC
    datasets = load_datasets(write(text + MC.replace("datasets.mc", "datasets.more").replace("proton", "electron")))
    assert [part.name for part in datasets["all"].parts()] == ["mc", "more"]
    assert (datasets["all"].label, datasets["all"].simulation) == (None, "toy")


def test_split_of_ones_own(write):
    split = '[splits.mine]\nsalt = "a"\nfit = 0\ntrain = 0.5\nvalidation = 0.2\ntest = 0.3\n'
    assert load_datasets(write(MC + 'split = "mine"\n' + split))["mc"].split.salt == "a"
    with pytest.raises(ValueError, match="the split 'default' is frozen in the package"):
        load_datasets(write(MC + split.replace("mine", "default")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MC + 'lable = "proton"', r"\[datasets.mc\]: unknown key 'lable'.*did you mean 'label'"),
        ("[dataset.mc]\n", "unknown key 'dataset'.*did you mean 'datasets'"),
        (MC.replace('kind = "mc"', 'kind = "MC"'), r"\[datasets.mc\].*kind 'MC' is not one of 'mc', 'flight'"),
        (MC.replace('simulation = "toy"', ""), "is simulated; its 'simulation' must say by what"),
        (MC.replace('files = ["mc.root"]', ""), "'mc' has no files; expected files, members or a production"),
        (MC.replace('files = ["mc.root"]', 'files = "mc.root"'), "expected a list"),
        (MC.replace('files = ["mc.root"]', "files = []"), "has no files"),
        (MC.replace("0.5", "0"), "weight 0 is not a positive number"),
        (MC + 'schema = "amz"', "no packaged schema is named 'amz'"),
        (MC + 'split = "mine"', "no split is named 'mine'; expected one of default"),
        (MC + '[datasets.all]\nmembers = ["mcc"]', r"\[datasets.all\]: no dataset is named 'mcc'; did you mean 'mc'"),
        (MC + '[datasets.all]\nmembers = ["all"]', "is a member of itself"),
        (MC + '[datasets.all]\nmembers = ["mc"]\nweight = 2', "unknown key 'weight'"),
        (MC + FLIGHT + '[datasets.all]\nmembers = ["mc", "flight"]', "different kinds"),
    ],
)
def test_mistakes_are_named(write, text, message):
    with pytest.raises(ValueError, match=rf"(?s)datasets\.toml.*{message}"):
        load_datasets(write(text))


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.toml: no such file"):
        load_datasets(tmp_path / "no.toml")


def test_dataset_made_by_hand():
    with pytest.raises(ValueError, match="dataset 'a' has no files"):
        Dataset("a")

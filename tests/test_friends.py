"""Friend trees: an entry for each entry of the source, in its order, and the scores where they belong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from test_predict import make_weights
from toy_training import toy_showers

from ecalnb import ntuples
from ecalnb.cli import main
from ecalnb.selection import Cut
from ecalnb.showers import Showers
from ecalnb.splits import split_of
from ecalnb.training import TrainingError, predict, predict_friends
from ecalnb.training.friends import branch_name, friend_files

WriteRoot = Callable[..., Path]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("weights")
    return [make_weights(folder / f"{name}.safetensors", seed) for seed, name in enumerate(("cnn_a", "cnn.b"))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    ntuples.write(toy_showers(120, seed=3), tmp_path / "toy.root")
    return tmp_path / "toy.root"


def arrays(path: Path) -> dict[str, np.ndarray]:
    with uproot.open(path) as opened:
        assert opened["scores"].classname == "TTree"
        return opened["scores"].arrays(library="np")


def test_values_are_those_of_the_scores_table(file: Path, weights: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "friends" / "scores.root"
    assert predict_friends(weights, file, output, threads=1, chunk=50) == [output]
    friend, table = arrays(output), predict(weights, file, threads=1)
    assert list(friend) == ["cnn_a", "cnn_a_score", "cnn_b", "cnn_b_score"]
    assert {values.dtype for values in friend.values()} == {np.dtype("float32")}
    for branch, model in (("cnn_a", "cnn_a"), ("cnn_b", "cnn.b")):
        np.testing.assert_allclose(friend[branch], table[model], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(friend[f"{branch}_score"], 1 / (1 + np.exp(-table[model])), rtol=1e-5)
    assert [path.name for path in output.parent.iterdir()] == ["scores.root"]


def test_entries_that_are_not_chosen_are_nan(file: Path, weights: list[Path], tmp_path: Path) -> None:
    cut, output = Cut("momentum > 50"), tmp_path / "scores.root"
    predict_friends(weights[0], file, output, split="test", selection=cut, threads=1, chunk=32)
    table = ntuples.read(file).table
    chosen = (table["momentum"] > 50).to_numpy() & (split_of(table["file_id"], table["entry"]) == "test")
    friend = arrays(output)["cnn_a"]
    assert 0 < chosen.sum() < len(table)
    np.testing.assert_array_equal(np.isfinite(friend), chosen)
    everything = predict(weights[0], file, threads=1)["cnn_a"]
    np.testing.assert_allclose(friend[chosen], everything[chosen], rtol=1e-5, atol=1e-6)
    with uproot.open(output) as opened:
        note = json.loads(str(opened["ecalnb_scores"]))
    assert note["source"] == "toy.root"
    assert note["entries"] == 120
    assert note["split"] == ["test"]
    assert note["models"]["cnn_a"]["model"] == "ecal_simple_cnn"


def test_scores_stay_at_their_entry_when_the_key_is_another_and_events_are_bad(
    weights: list[Path], tmp_path: Path
) -> None:
    """A skim keeps the keys of the files it was made of, and the reader leaves out bad events."""
    showers = toy_showers(90, seed=4)[np.random.default_rng(2).permutation(90)[:60]]
    bad = [0, 7, 8, 31, 59]
    showers.images[bad, 3, 4] = np.nan
    ntuples.write(showers, tmp_path / "skim.root")
    predict_friends(weights[0], tmp_path / "skim.root", tmp_path / "scores.root", threads=1, chunk=25)
    friend = arrays(tmp_path / "scores.root")["cnn_a"]
    good = np.setdiff1d(np.arange(60), bad)
    assert np.isnan(friend[bad]).all()
    np.testing.assert_allclose(
        friend[good], predict(weights[0], showers[good], threads=1)["cnn_a"], rtol=1e-5, atol=1e-6
    )


def test_the_friend_is_of_the_last_cycle_of_the_tree(weights: list[Path], tmp_path: Path) -> None:
    path, showers = tmp_path / "cycles.root", toy_showers(40, seed=6)
    with uproot.recreate(path) as out:
        for n in (40, 30):
            tree = out.mktree("t1", {"edep_cell": np.dtype((np.float32, (1296,))), "en3d": np.float32})
            tree.extend(
                {
                    "edep_cell": showers.images[:n].reshape(n, -1),
                    "en3d": showers.table["en3d"].to_numpy()[:n].astype(np.float32),
                }
            )
        out["t2"] = {"x": np.arange(5)}
    with uproot.open(path) as opened:
        assert {"t1;1", "t1;2"} <= set(opened.keys())
    predict_friends(weights[0], path, tmp_path / "scores.root", threads=1)
    friend = arrays(tmp_path / "scores.root")["cnn_a"]
    np.testing.assert_allclose(friend, predict(weights[0], path, threads=1)["cnn_a"], rtol=1e-5, atol=1e-6)
    assert len(friend) == ntuples.count(path)[path] == 30


def test_a_tree_without_entries_has_a_friend_without_entries(
    weights: list[Path], tmp_path: Path, write_root: WriteRoot
) -> None:
    path = write_root({"edep_cell": np.empty((0, 1296), np.float32), "en3d": np.empty(0, np.float32)})
    predict_friends(weights[0], path, tmp_path / "scores.root", threads=1)
    assert len(arrays(tmp_path / "scores.root")["cnn_a"]) == 0


def test_several_files_have_a_friend_each(weights: list[Path], tmp_path: Path) -> None:
    for number, n in enumerate((20, 30)):
        ntuples.write(toy_showers(n, file_id=number), tmp_path / f"run{number}.root")
    pattern, output = str(tmp_path / "run*.root"), tmp_path / "out" / "scores.root"
    made = predict_friends(weights[0], pattern, output, threads=1)
    assert [path.name for path in made] == ["run0.scores.root", "run1.scores.root"]
    assert [len(arrays(path)["cnn_a"]) for path in made] == [20, 30]
    (tmp_path / "b").mkdir()
    (tmp_path / "run0.root").rename(tmp_path / "b" / "run1.root")
    with pytest.raises(TrainingError, match=r"would both have the friend file .*run1\.scores\.root"):
        friend_files(str(tmp_path / "**" / "run1.root"), output)


def test_only_a_friend_tree_is_replaced(file: Path, weights: list[Path], tmp_path: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(TrainingError, match=r"toy\.root exists and holds no friend tree of scores"):
        predict_friends(weights[0], file, file)
    assert file.read_bytes() == before
    (tmp_path / "scores.root").write_text("something else")
    with pytest.raises(TrainingError, match="holds no friend tree"):
        predict_friends(weights[0], file, tmp_path / "scores.root")
    with pytest.raises(TrainingError, match=r"no \.root file; expected scores\.root"):
        predict_friends(weights[0], file, tmp_path / "scores.parquet")
    output = tmp_path / "friend.root"
    for model in weights:
        predict_friends(model, file, output, threads=1)
    assert list(arrays(output)) == ["cnn_b", "cnn_b_score"]


def test_nothing_is_left_of_a_file_that_cannot_be_read_to_its_end(
    file: Path, weights: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: Any, **__: Any) -> Any:
        yield from ()
        raise ntuples.RootError("the file is damaged")

    monkeypatch.setattr("ecalnb.training.friends.ntuples.iterate", damaged)
    with pytest.raises(ntuples.RootError, match="damaged"):
        predict_friends(weights[0], file, tmp_path / "scores.root", threads=1)
    assert [path.name for path in tmp_path.iterdir()] == ["toy.root"]


@pytest.mark.parametrize(
    ("name", "branch"), [("cnn", "cnn"), ("ecal_cvt.geant4", "ecal_cvt_geant4"), ("3d-net", "_3d_net"), ("é", "_")]
)
def test_branches_have_names_that_root_takes(name: str, branch: str) -> None:
    assert branch_name(name) == branch


def test_two_models_do_not_share_a_branch(file: Path, weights: list[Path], tmp_path: Path) -> None:
    for names in (("a.b", "a_b"), ("a", "a_score")):
        with pytest.raises(TrainingError, match="two models would have the branch"):
            predict_friends(dict(zip(names, weights, strict=True)), file, tmp_path / "scores.root")


def test_memory_does_not_grow_with_the_file(weights: list[Path], tmp_path: Path) -> None:
    """The arrays of a chunk are all that is written at a time."""
    import tracemalloc

    peaks = []
    for n in (400, 1600):
        showers = toy_showers(400)
        many = Showers.concatenate([showers] * (n // 400))
        many.table["entry"] = np.arange(n)
        ntuples.write(many, tmp_path / f"{n}.root")
        predict_friends(weights[0], tmp_path / f"{n}.root", tmp_path / "first.root", threads=1, chunk=100)
        tracemalloc.start()
        predict_friends(weights[0], tmp_path / f"{n}.root", tmp_path / "second.root", threads=1, chunk=100)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        (tmp_path / "first.root").unlink(), (tmp_path / "second.root").unlink()
    assert peaks[1] < peaks[0] + 1200 * 1296 * 4 / 2  # bytes of half of the cells that there are more


def test_command(file: Path, weights: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "scores.root"
    words = ["predict", str(weights[0]), str(file), "-o", str(output), "--select", "momentum > 50", "--threads", "1"]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(output)
    np.testing.assert_array_equal(
        np.isfinite(arrays(output)["cnn_a"]), ntuples.read(file).table["momentum"].to_numpy() > 50
    )

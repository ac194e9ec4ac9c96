"""Prediction: the same scores from any source, and tables that stay together by the event key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import uproot
from toy_training import toy_showers

from ecalnb import models, ntuples
from ecalnb.cli import main
from ecalnb.geometry import AMS, Calorimeter
from ecalnb.showers import Showers
from ecalnb.splits import split_of
from ecalnb.store import Store, from_showers
from ecalnb.training import Classifier, TrainingError, load_weights, predict, read_scores, save_weights
from ecalnb.training.weight_files import geometry_to_dict


@pytest.fixture(scope="module")
def showers() -> Showers:
    return toy_showers(300, seed=9)


@pytest.fixture(scope="module")
def store(showers: Showers, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return from_showers(showers, tmp_path_factory.mktemp("data") / "store")


def make_weights(path: Path, seed: int, normalisation: str = "log", geometry: Calorimeter = AMS) -> Path:
    """Random weights in a file of their own."""
    torch.manual_seed(seed)
    model = models.create("ecal_simple_cnn", input_size=(1, *geometry.shape))
    info = {
        "model": "ecal_simple_cnn",
        "model_options": {},
        "inputs": {"name": "merged", "normalisation": normalisation},
        "geometry": geometry_to_dict(geometry),
    }
    save_weights(path, model.state_dict(), info)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {name: make_weights(folder / f"{name}.safetensors", seed) for seed, name in enumerate(("cnn_a", "cnn_b"))}


def bare_logits(path: Path, images: np.ndarray) -> np.ndarray:
    """What the model says without the package's machinery."""
    classifier = load_weights(path)
    x = np.log1p(images.astype(np.float64) * 1000) / np.log(1001)
    with torch.inference_mode():
        return classifier.model(torch.tensor(x, dtype=torch.float32)[:, None]).numpy()[:, 0]


def test_table_has_keys_and_logits(showers: Showers, weights: dict[str, Path]) -> None:
    scores = predict(weights["cnn_a"], showers, threads=1, batch_size=77)
    assert list(scores.columns) == ["file_id", "entry", "en3d", "label", "split", "cnn_a"]
    for name in ("file_id", "entry", "en3d"):
        np.testing.assert_array_equal(scores[name], showers.table[name])
    assert scores["label"].tolist() == showers.table["label"].tolist()
    assert scores["split"].tolist() == split_of(showers.table["file_id"], showers.table["entry"]).tolist()
    np.testing.assert_allclose(scores["cnn_a"], bare_logits(weights["cnn_a"], showers.images), rtol=1e-4, atol=1e-5)
    assert scores.attrs["models"]["cnn_a"]["model"] == "ecal_simple_cnn"


def test_every_source_gives_the_same_scores(
    showers: Showers, store: Store, weights: dict[str, Path], tmp_path: Path
) -> None:
    expected = predict(list(weights.values()), showers, threads=1)
    ntuples.write(showers, tmp_path / "toy.root")
    for source, reading in (
        (store, {}),
        (store.path, {}),
        (str(tmp_path / "toy.root"), {"chunk": 64}),
        ([tmp_path / "toy.root"], {"chunk": 1000}),
    ):
        scores = predict(list(weights.values()), source, threads=1, columns=(), **reading)
        ordered = scores.set_index("entry").loc[expected["entry"]].reset_index()
        if source is store:
            assert scores["label"].tolist() == expected["label"].tolist()
        for name in ("file_id", "entry", "split"):
            assert ordered[name].tolist() == expected[name].tolist()
        for name in ("en3d", *weights):
            np.testing.assert_allclose(ordered[name], expected[name], rtol=1e-5, atol=1e-5)


def test_label_for_files_is_what_the_caller_says(showers: Showers, weights: dict[str, Path], tmp_path: Path) -> None:
    ntuples.write(showers, tmp_path / "toy.root")
    scores = predict(weights["cnn_a"], tmp_path / "toy.root", label="positron", threads=1)
    assert set(scores["label"]) == {"positron"}


def test_samples_selection_and_columns(store: Store, weights: dict[str, Path]) -> None:
    everything = predict(weights["cnn_a"], store, threads=1)
    test = predict(weights["cnn_a"], store, split="test", threads=1)
    assert 0 < len(test) < len(everything)
    pd.testing.assert_frame_equal(test, everything[everything["split"] == "test"].reset_index(drop=True))
    chosen = predict(
        weights["cnn_a"],
        store,
        split=["test", "validation"],
        selection=lambda table: table["momentum"] > 50,
        columns=("momentum",),
        threads=1,
    )
    assert set(chosen["split"]) == {"test", "validation"}
    assert (chosen["momentum"] > 50).all()
    assert (
        len(chosen)
        == (
            everything["split"].isin(["test", "validation"]).to_numpy() & (store.table()["momentum"] > 50).to_numpy()
        ).sum()
    )


def test_written_table_reads_back(store: Store, weights: dict[str, Path], tmp_path: Path) -> None:
    scores = predict(weights, store, output=tmp_path / "sub" / "scores.parquet", threads=1)
    back = read_scores(tmp_path / "sub" / "scores.parquet")
    pd.testing.assert_frame_equal(back, scores)
    assert back.attrs["models"].keys() == weights.keys()
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["scores.parquet"]


def test_further_models_join_by_the_event_key(
    showers: Showers, store: Store, weights: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "scores.parquet"
    together = predict(weights, store, threads=1)
    predict(weights["cnn_a"], store, output=output, threads=1)
    shuffled = showers[np.random.default_rng(1).permutation(len(showers))]
    joined = predict(weights["cnn_b"], shuffled, output=output, threads=1)
    pd.testing.assert_frame_equal(joined, together, rtol=1e-5, atol=1e-5)
    pd.testing.assert_frame_equal(read_scores(output), joined)
    assert joined.attrs["models"].keys() == weights.keys()


def test_column_of_the_same_name_is_replaced(store: Store, weights: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    predict({"best": weights["cnn_a"]}, store, output=output, threads=1)
    scores = predict({"best": weights["cnn_b"]}, store, output=output, threads=1)
    assert list(scores.columns).count("best") == 1
    np.testing.assert_array_equal(scores["best"], predict(weights["cnn_b"], store, threads=1)["cnn_b"])


@pytest.mark.parametrize("others", [{"split": "test"}, {"selection": lambda table: table["entry"] > 5}])
def test_other_events_do_not_join(
    store: Store, weights: dict[str, Path], tmp_path: Path, others: dict[str, object]
) -> None:
    output = tmp_path / "scores.parquet"
    predict(weights["cnn_a"], store, output=output, threads=1)
    before = output.read_bytes()
    with pytest.raises(TrainingError, match=r"scores.parquet holds 300 events and the new scores \d+, of which 0"):
        predict(weights["cnn_b"], store, output=output, threads=1, **others)  # type: ignore[arg-type]
    assert output.read_bytes() == before
    foreign = toy_showers(300, file_id=12)
    with pytest.raises(TrainingError, match="the new scores 300, of which 300 are not among them"):
        predict(weights["cnn_b"], foreign, output=output, threads=1)


def test_what_is_not_a_scores_table(store: Store, weights: dict[str, Path], tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(TrainingError, match=r"other.parquet is not a scores table; it has no column file_id"):
        predict(weights["cnn_a"], store, output=tmp_path / "other.parquet", threads=1)
    with pytest.raises(TrainingError, match=r"text.parquet is not a readable Parquet file"):
        read_scores(tmp_path / "text.parquet")
    with pytest.raises(TrainingError, match=r"scores.csv is no .parquet file; expected"):
        predict(weights["cnn_a"], store, output=tmp_path / "scores.csv", threads=1)
    with pytest.raises(TrainingError, match=r"is a folder; expected scores\.parquet"):
        predict(weights["cnn_a"], store, output=tmp_path, threads=1)
    with pytest.raises(TrainingError, match="does not exist"):
        read_scores(tmp_path / "none.parquet")


def test_names_of_models(store: Store, weights: dict[str, Path]) -> None:
    with pytest.raises(TrainingError, match="two models are called cnn_a"):
        predict([weights["cnn_a"], weights["cnn_a"]], store)
    with pytest.raises(TrainingError, match="a model cannot be called en3d"):
        predict({"en3d": weights["cnn_a"]}, store)
    with pytest.raises(TrainingError, match="no models were given"):
        predict([], store)
    scores = predict({"x": load_weights(weights["cnn_a"]), "y": weights["cnn_b"]}, store, split="test", threads=1)
    assert list(scores.columns[-2:]) == ["x", "y"]


def test_events_that_cannot_be_scored(showers: Showers, store: Store, weights: dict[str, Path]) -> None:
    path = weights["cnn_a"]
    with pytest.raises(TrainingError, match=r"has no event in fit, .* after the selection; nothing to score"):
        predict(path, store, selection=lambda table: table["en3d"] < 0)
    with pytest.raises(TrainingError, match="the source has no event in test"):
        predict(path, showers[:0], split="test")
    with pytest.raises(TrainingError, match="split is 'testing'; expected some of fit, train, validation, test"):
        predict(path, store, split="testing")
    twice = Showers.concatenate([showers, showers[:3]])
    with pytest.raises(TrainingError, match=r"3 events occur more than once \(file_id 11, entry 0\)"):
        predict(path, twice)
    keyless = Showers(showers.images, showers.table.drop(columns="entry"))
    with pytest.raises(TrainingError, match="has no column entry"):
        predict(path, keyless)
    with pytest.raises(TrainingError, match="chunk can be given for ROOT files only"):
        predict(path, store, chunk=5)


def test_events_without_label(showers: Showers, weights: dict[str, Path]) -> None:
    unlabelled = Showers(showers.images, showers.table.drop(columns="label"))
    assert predict(weights["cnn_a"], unlabelled, threads=1)["label"].isna().all()


def test_another_calorimeter_is_refused(weights: dict[str, Path], showers: Showers, tmp_path: Path) -> None:
    small = Calorimeter("toy", tuple("xyxyxyxyxyxyxyxyxyxyxyxyxy"), 40, 10.0, 10.0, 20.0, 1.0)
    with pytest.raises(TrainingError, match=r"AMS-02 ECAL \(18 x 72 cells\), not of toy \(26 x 40\)"):
        predict(weights["cnn_a"], toy_showers(20, geometry=small))
    swapped = Showers(showers.images, showers.table, AMS.swap_views())
    with pytest.raises(TrainingError, match="order of views"):
        predict(weights["cnn_a"], swapped)
    own = make_weights(tmp_path / "small.safetensors", 3, geometry=small)
    assert len(predict(own, toy_showers(20, geometry=small), threads=1)) == 20


def test_inputs_come_with_the_weights(showers: Showers, tmp_path: Path) -> None:
    log = make_weights(tmp_path / "log.safetensors", 4)
    raw = make_weights(tmp_path / "raw.safetensors", 4, "raw")
    scores = predict([log, raw], showers[:50], threads=1)
    with torch.inference_mode():
        expected = load_weights(raw).model(torch.from_numpy(showers.images[:50])[:, None]).numpy()[:, 0]
    np.testing.assert_allclose(scores["raw"], expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(scores["log"], scores["raw"])


def test_loaded_classifier_scores_a_batch(showers: Showers, weights: dict[str, Path]) -> None:
    classifier = load_weights(weights["cnn_b"])
    assert isinstance(classifier, Classifier)
    logits = classifier.logits({"cells": torch.from_numpy(showers.images[:9])})
    np.testing.assert_allclose(logits, bare_logits(weights["cnn_b"], showers.images[:9]), rtol=1e-4, atol=1e-5)


def in_split(path: Path, split: str) -> Classifier:
    """Classifier of a training on a split."""
    classifier = load_weights(path)
    assert isinstance(classifier, Classifier)
    return replace(classifier, name=split, info={**classifier.info, "recipe": {"name": "own", "split": split}})


def test_samples_are_those_of_the_training(showers: Showers, weights: dict[str, Path]) -> None:
    halves, default = in_split(weights["cnn_a"], "halves"), in_split(weights["cnn_b"], "default")
    key = showers.table["file_id"], showers.table["entry"]
    for model in (halves, default):
        scores = predict(model, showers, split="test", threads=1)
        assert scores["entry"].tolist() == showers.table["entry"][split_of(*key, model.name) == "test"].tolist()
    with pytest.raises(TrainingError, match=r"different splits \(default, halves\), and test events of one"):
        predict([halves, default], showers, split="test")
    both = predict([halves, default], showers, split="test", division="halves", threads=1)
    assert set(split_of(both["file_id"], both["entry"], "halves")) == {"test"}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["{store}", "{run}", "-o", "s.parquet"], 2, "is a training run; the events, a store or ROOT files, come last"),
        (["{run}", "-o", "s.parquet"], 2, "is a training run; the events, a store or ROOT files, come last"),
        (["{run}", "none.root", "-o", "s.parquet"], 1, "none.root: no such file"),
        (["{run}", "none", "-o", "s.parquet"], 1, "none: no such file"),
        (["none", "{store}", "-o", "s.parquet"], 1, "none"),
        (["{store}", "{store}", "-o", "s.parquet"], 1, "is not a run directory; expected config.json"),
        (["{run}", "{other}", "-o", "s.parquet"], 1, "has no tree 't1'; it has 'events'"),
        (["{run}", "{other}", "-o", "s.root"], 1, "has no tree 't1'; it has 'events'"),
        (["{run}", "{table}", "-o", "s.parquet"], 1, "table.parquet does not hold events; expected a store or ROOT"),
        (
            ["{run}", "{store}", "-o", "s.csv"],
            2,
            "s.csv is neither a scores table (.parquet) nor a friend",
        ),
        (["{run}", "{store}", "-o", "s.root"], 2, "is no ROOT file; friend trees go with ROOT files"),
        (["{run}", "{store}", "-o", "{table}"], 1, "table.parquet is not a scores table; it has no column file_id"),
        (["{run}", "{store}", "-o", "s.parquet", "--select", "en4d > 2"], 1, "en4d"),
        (["{run}", "{store}", "-o", "s.parquet", "--backend", "tflite"], 2, "'tflite' is not one of"),
        (["{run}", "{store}", "-o", "s.parquet", "--threads", "0"], 2, "--threads"),
        (["{run}", "{store}", "-o", "s.parquet", "--schema", "ams"], 1, "schema can be given for ROOT files only"),
    ],
)
def test_a_command_that_cannot_be_done_is_one_sentence(
    words: list[str],
    code: int,
    sentence: str,
    store: Store,
    weights: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with uproot.recreate("other.root") as file:
        file.mktree("events", {"x": np.float32}).extend({"x": np.arange(3, dtype=np.float32)})
    pd.DataFrame({"a": [1]}).to_parquet("table.parquet")
    places = {"store": store.path, "run": weights["cnn_a"], "other": "other.root", "table": "table.parquet"}
    assert main(["predict", *(word.format(**places) for word in words)]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert len([line for line in said.err.splitlines() if line.startswith("ecalnb: ")]) == 1
    assert sentence in said.err
    assert "this is not expected" not in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.root", "table.parquet"]


def test_command_with_a_cut(
    store: Store, weights: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.parquet"
    words = ["predict", *map(str, weights.values()), str(store.path), "-o", str(output), "--select", "momentum > 50"]
    assert main([*words, "--threads", "1"]) == 0
    scores = read_scores(output)
    assert capsys.readouterr().out == f"{output}: {len(scores)} events\n"
    assert sorted(scores["entry"]) == sorted(store.table()["entry"][store.table()["momentum"] > 50])
    assert list(weights) == list(scores.columns[-2:])

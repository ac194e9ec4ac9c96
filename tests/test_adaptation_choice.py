"""Choosing a training for a target: what is computed without labels, and by labels of a part of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import entr, expit
from toy_training import SETTINGS, toy_showers

from ecalnb.store import Store, from_showers
from ecalnb.training import (
    DomainShift,
    TrainingError,
    TrainingRun,
    load_network,
    score_runs,
    train,
    train_adaptations,
    train_shift,
)
from ecalnb.training.adaptation import CRITERIA, choose_run, score_choices

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    folder = tmp_path_factory.mktemp("data")
    return from_showers(toy_showers(), folder / "source"), from_showers(toy_showers(400, seed=6), folder / "target")


@pytest.fixture(scope="module")
def runs(stores: tuple[Store, Store], tmp_path_factory: pytest.TempPathFactory) -> list[TrainingRun]:
    """A training that has hardly begun, and a whole one."""
    folder = tmp_path_factory.mktemp("runs")
    source, target = stores
    return [
        train(source, output=folder / "short", **{**SETTINGS, "max_epochs": 1}),
        train(source, output=folder / "long", target=target, adaptation={"name": "mmd"}, **SETTINGS),
    ]


def test_table_has_what_each_criterion_says(stores: tuple[Store, Store], runs: list[TrainingRun]) -> None:
    source, target = stores
    table = score_choices(runs, source, target, labelled=target)
    assert table["run"].tolist() == ["short", "long"]
    assert table["adaptation"].tolist() == ["none", "mmd"]
    assert set(CRITERIA) <= set(table)
    network = load_network(runs[1].path)
    rows = np.flatnonzero(target.splits() == "validation")
    logits = network.logits({"cells": torch.from_numpy(target.dense(rows))}).double().numpy()
    p = expit(logits)
    assert table["entropy"][1] == pytest.approx(np.mean(entr(p) + entr(1 - p)), rel=1e-4)
    signal = target.table(["label"])["label"].to_numpy()[rows] == "electron"
    share = signal.mean()
    losses = np.where(signal, np.log1p(np.exp(-logits)) / share, np.log1p(np.exp(logits)) / (1 - share)) / 2
    assert table["labelled_loss"][1] == pytest.approx(losses.mean(), rel=1e-4)
    assert table[["labelled_signal", "labelled_background"]].iloc[1].tolist() == [signal.sum(), (~signal).sum()]
    # Both domains are alike here.
    assert table["domain_accuracy"].between(0.2, 0.8).all()
    assert table["target_share"][1] == pytest.approx(share, abs=4 * table["target_share_error"][1])
    for criterion in ("source_loss", "entropy", "labelled_loss"):
        assert choose_run(table, criterion) == "long"
    assert not {"labelled_loss", "labelled_background_90"} & set(score_choices(runs[:1], source, target))


def test_what_runs_cannot_be_chosen_by(tmp_path: Path) -> None:
    table = pd.DataFrame({"run": ["a", "b"], "entropy": [np.nan, 0.1], "source_loss": [np.nan, np.nan]})
    assert choose_run(table, "entropy") == "b"
    with pytest.raises(TrainingError, match="by 'labelled_loss'; expected one of source_loss, entropy"):
        choose_run(table, "labelled_loss")
    with pytest.raises(TrainingError, match="no run has a source_loss"):
        choose_run(table, "source_loss")
    with pytest.raises(TrainingError, match="is not a run directory"):
        score_choices([tmp_path], None, None)  # type: ignore[arg-type]


def test_study_goes_on_where_it_was(stores: tuple[Store, Store], tmp_path: Path) -> None:
    source, target = stores
    settings = {**SETTINGS, "max_epochs": 1}
    settings.pop("model")
    methods = {"plain": {"name": "none"}, "half": {"name": "coral", "weight": 0.5}}
    runs = train_adaptations(source, target, "ecal_simple_cnn", tmp_path, methods, seeds=[1, 2], **settings)
    assert runs["run"].tolist() == [f"ecal_simple_cnn.{m}.seed{s}" for s in (1, 2) for m in ("plain", "half")]
    assert (runs["events"] == runs["events"][0]).all()
    assert runs["target_share"].between(0, 1).all()
    written = (tmp_path / runs["run"][0] / "weights.safetensors").stat().st_mtime_ns
    again = train_adaptations(source, target, "ecal_simple_cnn", tmp_path, methods, seeds=[1, 2], **settings)
    pd.testing.assert_frame_equal(again, runs)
    assert (tmp_path / runs["run"][0] / "weights.safetensors").stat().st_mtime_ns == written
    scores = score_runs(runs, target, tmp_path / "scores.parquet")
    assert set(runs["run"]) <= set(scores)
    with pytest.raises(TrainingError, match="expected settings of one or more adaptations"):
        train_adaptations(source, target, "ecal_simple_cnn", tmp_path, {})
    with pytest.raises(TrainingError, match=r"seeds are \[1, 1\]"):
        train_adaptations(source, target, "ecal_simple_cnn", tmp_path, methods, seeds=[1, 1])


def test_a_shift_has_all_trainings_and_the_prior_that_one_without_adaptation_estimates(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    source, target = stores
    settings = {key: value for key, value in SETTINGS.items() if key not in ("model", "max_epochs")}
    shift = DomainShift(source, target, target, (0.1, 100.0))
    runs = train_shift(shift, "ecal_simple_cnn", tmp_path, ["coral_prior"], max_epochs=2, seeds=[1], **settings)
    assert runs["method"].tolist() == ["source_only", "coral_prior", "oracle"]
    estimate = float(np.clip(runs["target_share"][0], 0.002, 0.998))
    assert runs["prior"].to_numpy() == pytest.approx(estimate, abs=1e-4)
    none, coral, oracle = (TrainingRun.load(path).info for path in runs["path"])
    assert coral["adaptation"]["prior"] == runs["prior"][0]
    assert coral["adaptation"]["ramp_epochs"] == 2
    assert none["adaptation"]["window"] == [0.1, 100.0]
    assert none["data"]["store"] == coral["data"]["store"] == source.fingerprint()
    assert oracle["data"]["store"] == target.fingerprint()
    for name in ("coran", "mcc_prior", "response_prior"):
        with pytest.raises(TrainingError, match=f"there is no method {name}"):
            train_shift(shift, "ecal_simple_cnn", tmp_path, [name], max_epochs=1)

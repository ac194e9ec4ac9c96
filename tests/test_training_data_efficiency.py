"""The study of how many events a model needs: nested events, equal steps, and nothing done twice."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_training import toy_showers

from ecalnb import models
from ecalnb.store import Store, from_showers
from ecalnb.training import TrainingError, measured_efficiency, nested_sizes, predict, score_runs, train_on_subsets
from ecalnb.training.data_efficiency import RUN_COLUMNS

SETTINGS: dict[str, Any] = {
    "recipe": "geant4_sample",
    "energy_min": None,
    "energy_max": None,
    "batch_size": 16,
    "max_epochs": 1,
    "threads": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return from_showers(toy_showers(600), tmp_path_factory.mktemp("efficiency") / "store")


@given(st.integers(1, 10**7), st.integers(1, 6), st.integers(2, 5))
def test_sizes_grow_by_the_ratio_up_to_the_largest(largest: int, points: int, ratio: int) -> None:
    if largest < 2 * ratio ** (points - 1):
        with pytest.raises(TrainingError, match="expected fewer points"):
            nested_sizes(largest, points, ratio)
        return
    sizes = nested_sizes(largest, points, ratio)
    assert len(sizes) == points
    assert all(after == ratio * before for before, after in pairwise(sizes))
    assert largest - ratio ** (points - 1) < sizes[-1] <= largest


def test_a_study_trains_each_size_with_each_seed_for_the_same_number_of_steps(store: Store, tmp_path: Path) -> None:
    runs = train_on_subsets(store, "ecal_linear", tmp_path, [32, 96], seeds=[1, 2], **SETTINGS)
    assert list(runs) == list(RUN_COLUMNS)
    assert [*zip(runs["events"], runs["seed"], strict=True)] == [(32, 1), (96, 1), (32, 2), (96, 2)]
    assert set(runs["steps"]) == {6}
    assert [*runs["passes"]] == [3, 1, 3, 1]
    assert runs["val_auc"].between(0, 1).all()


def test_a_stopped_study_goes_on_and_a_finished_one_is_not_repeated(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecalnb.training import data_efficiency

    train, trained = data_efficiency.train, []

    def stop_at_the_third(*arguments: Any, **settings: Any) -> Any:
        trained.append(arguments[2].name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train(*arguments, **settings)

    arguments: Any = (store, "ecal_linear", tmp_path, [32, 96])
    monkeypatch.setattr(data_efficiency, "train", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        train_on_subsets(*arguments, seeds=[1, 2], **SETTINGS)
    monkeypatch.setattr(data_efficiency, "train", train)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/weights.json")}
    assert len(times) == 2
    runs = train_on_subsets(*arguments, seeds=[1, 2], **SETTINGS)
    assert len(runs) == 4
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_runs_are_scored_once_and_again_when_they_have_changed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecalnb.training import data_efficiency

    scored: list[str] = []

    def noted(models: dict[str, str], *arguments: Any, **settings: Any) -> Any:
        scored.extend(models)
        return predict(models, *arguments, **settings)

    monkeypatch.setattr(data_efficiency, "predict", noted)
    runs = train_on_subsets(store, "ecal_linear", tmp_path, [32, 96], seeds=[1], **SETTINGS)
    file = tmp_path / "scores.parquet"
    first = score_runs(runs.iloc[:1], store, file, split="validation")
    both = score_runs(runs, store, file, split="validation")
    assert scored == [*runs["run"]]
    name = runs["run"][0]
    np.testing.assert_array_equal(first[name], both[name])
    score_runs(runs, store, file, split="validation")
    assert len(scored) == 2
    more = {**SETTINGS, "max_epochs": 3}
    changed = train_on_subsets(store, "ecal_linear", tmp_path, [32], seeds=[1], epoch_events=96, **more)
    again = score_runs(changed, store, file, split="validation")
    assert scored[2:] == [name]
    assert not np.array_equal(again[name], both[name])


def test_trees_take_each_event_once(store: Store, tmp_path: Path) -> None:
    recorded = {"energy_min": None, "energy_max": None, "recipe": "geant4_sample"}
    with pytest.raises(TrainingError, match="column"):  # the toy has no tracks, which the variables need
        train_on_subsets(store, "shower_bdt", tmp_path, [32], seeds=[1], **recorded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": []}, r"sizes are \[\]"),
        ({"seeds": [1, 1]}, r"seeds are \[1, 1\]"),
        ({"train_events": 3}, "train_events is set by the study"),
        ({"sizes": [10_000]}, "train_events is 10000"),
    ],
)
def test_impossible_studies_are_refused(store: Store, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        train_on_subsets(store, "ecal_linear", tmp_path, **{"sizes": [32], **SETTINGS, **change})


def test_what_comes_with_the_package_is_a_study_with_its_conditions() -> None:
    study, conditions = measured_efficiency()
    assert {"events", "sample", "settings", "code"} <= set(conditions)
    known = {model.name for model in models.list_models()}
    assert set(study.runs["model"]) == set(study.points["model"])
    assert {model.partition(".")[0] for model in study.runs["model"]} <= known
    for row in study.points.to_dict("records"):
        own = study.runs[(study.runs["model"] == row["model"]) & (study.runs["events"] == row["events"])]
        assert len(own) == row["seeds"]
        assert row["rejection"] == pytest.approx(1 / (1 / own["rejection"]).mean())
        assert row["low"] < row["rejection"] <= row["high"]


def test_a_file_that_is_no_study_is_refused(tmp_path: Path) -> None:
    for content in ("[1]", '{"runs": []}', "nothing"):
        (tmp_path / "study.json").write_text(content)
        with pytest.raises(TrainingError, match=r"study\.json does not hold a study"):
            measured_efficiency(tmp_path / "study.json")

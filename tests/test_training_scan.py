"""The search for the learning rate, and the commands that leave curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from toy_training import toy_showers

from ecalnb import plots
from ecalnb.cli import main
from ecalnb.showers import Showers
from ecalnb.store import Store, from_showers
from ecalnb.training import Recipe, TrainingError, TrainingRun, scan_learning_rate, train

QUICK: dict[str, Any] = {"recipe": Recipe(batch_size=32), "threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    showers = toy_showers(300)
    n = len(showers)
    rng = np.random.default_rng(3)
    tracks = {"track_x": rng.normal(0, 20, n), "track_y": rng.normal(0, 20, n)}
    tracks |= {"track_inclination": rng.uniform(0, 0.2, n), "track_azimuth": rng.uniform(-3, 3, n)}
    table = showers.table.assign(**tracks)
    return from_showers(Showers(showers.images, table), tmp_path_factory.mktemp("data") / "store")


def test_the_best_rate_is_that_of_the_lowest_validation_loss(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scan = scan_learning_rate(store, output=tmp_path / "scan", low=1e-6, high=1e-2, points=3, epochs=2, **QUICK)
    assert scan.table["learning_rate"].tolist() == [1e-6, 1e-4, 1e-2]
    for row in scan.table.itertuples():
        alone = train(
            store,
            output=tmp_path / "alone" / row.run,
            learning_rate=row.learning_rate,
            max_epochs=2,
            patience=2,
            **QUICK,
        )
        assert row.val_loss == alone.history["val_loss"].min()
        assert row.epoch == alone.best["epoch"]
    assert scan.best == scan.table.loc[scan.table["val_loss"].idxmin(), "learning_rate"] != 1e-6
    assert ("end of the grid" in caplog.text) == (scan.best == 1e-2)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "scan" / "learning_rates.csv", dtype={"run": str, "epoch": "Int64"}), scan.table,
        check_dtype=False,
    )  # fmt: skip


def test_a_search_goes_on_where_it_was(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: dict[str, Any] = {"low": 1e-4, "high": 1e-2, "points": 3, "epochs": 1, **QUICK}
    whole = scan_learning_rate(store, output=tmp_path / "whole", **arguments)
    done: list[float] = []

    def stopping(*positional: Any, **settings: Any) -> TrainingRun:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(settings["learning_rate"])
        return train(*positional, **settings)

    with monkeypatch.context() as patch:
        patch.setattr("ecalnb.training.scan.train", stopping)
        with pytest.raises(KeyboardInterrupt):
            scan_learning_rate(store, output=tmp_path / "scan", **arguments)
    assert not (tmp_path / "scan" / "learning_rates.csv").exists()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "scan").rglob("*.safetensors")}
    assert len(before) == 2
    again = scan_learning_rate(store, output=tmp_path / "scan", **arguments)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    pd.testing.assert_frame_equal(again.table, whole.table)


def test_a_rate_that_diverges_is_not_the_best(store: Store, tmp_path: Path) -> None:
    scan = scan_learning_rate(store, output=tmp_path / "scan", low=1e-3, high=1e30, points=2, epochs=1, **QUICK)
    assert scan.best == 1e-3
    assert np.isinf(scan.table["val_loss"].iloc[1])
    with pytest.raises(TrainingError, match=r"every training from 1e\+29 to 1e\+30 diverged"):
        scan_learning_rate(store, output=tmp_path / "all", low=1e29, high=1e30, points=2, epochs=1, **QUICK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 0.0}, "rates from 0 to 0.01 are no range"),
        ({"low": 1.0, "high": 0.1}, "rates from 1 to 0.1 are no range"),
        ({"points": 1}, "points is 1; expected 2 or more"),
        ({"epochs": 0}, "epochs is 0; expected 1 or more"),
        ({"patience": 3}, "patience is set by the search"),
    ],
)
def test_searches_that_cannot_be(store: Store, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        scan_learning_rate(store, output=tmp_path / "scan", **changes)
    assert not (tmp_path / "scan").exists()


def test_figure_marks_the_best_and_what_diverged() -> None:
    table = pd.DataFrame({"learning_rate": [1e-5, 1e-4, 1e-3, 1e-2], "val_loss": [0.6, 0.2, 0.3, np.inf]})
    ax = Figure().subplots()
    line, best, diverged = plots.learning_rates(ax, table)
    np.testing.assert_array_equal(line.get_xdata(), [1e-5, 1e-4, 1e-3])
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (1e-4, 0.2)
    np.testing.assert_array_equal(diverged.get_xdata(), [1e-2])
    with pytest.raises(KeyError, match="no column val_loss"):
        plots.learning_rates(ax, table[["learning_rate"]])
    with pytest.raises(ValueError, match="none of the 4 trainings has a finite validation loss"):
        plots.learning_rates(ax, table.assign(val_loss=np.inf))


# --- commands --------------------------------------------------------------------------------------------------------

SETTINGS = "--device cpu --set batch_size=32 --set energy_min=0 --set energy_max=1e9"


def test_command_searches_for_any_model(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also one on the track window, with a loss of its own."""
    words = f"scan-learning-rate {store.path} -o {tmp_path / 'scan'} --model ecal_linear --from 1e-3 --to 1e-1"
    words += f" --points 3 --epochs 2 --set inputs=track_window --set loss=hinge {SETTINGS}"
    assert main(words.split()) == 0
    said = capsys.readouterr().out
    assert "the best learning rate is" in said
    assert said.count("best") == 2
    names = {path.name for path in (tmp_path / "scan").iterdir()}
    assert names == {"0.001", "0.01", "0.1", "learning_rates.csv", "learning_rates.png", "learning_rates.svg"}
    info = TrainingRun.load(tmp_path / "scan" / "0.01").info
    assert info["inputs"]["name"] == "track_window"
    assert info["loss"]["name"] == "hinge"


def test_learning_curves_come_with_a_run(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"train {store.path} -o {tmp_path / 'svm'} --model ecal_svm --set max_epochs=2 --tensorboard {SETTINGS}"
    assert main(words.split()) == 0
    assert "svm: 2 epochs" in capsys.readouterr().out
    run = TrainingRun.load(tmp_path / "svm")
    assert (run.path / "learning_curves.png").stat().st_size > 10_000
    assert "weighted hinge loss" in (run.path / "learning_curves.svg").read_text()
    assert main([*words.split(), "--no-resume", "--set", "max_epochs=1"]) == 0
    assert not (run.path / "learning_curves.png").exists()  # no line through one point


def test_tensorboard_has_what_the_table_has(store: Store, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = train(store, output=tmp_path / "run", max_epochs=2, tensorboard=True, **QUICK)
    events = accumulator.EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    for name in ("train_loss", "val_loss", "val_auc"):
        values = [event.value for event in events.Scalars(name)]
        np.testing.assert_allclose(values, run.history[name], rtol=1e-6)


def test_missing_tensorboard_names_the_extra(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tensorboard" else object())
    with pytest.raises(TrainingError, match=r'pip install "ecalnb\[tensorboard\]"'):
        train(store, output=tmp_path / "run", tensorboard=True, **QUICK)
    assert not (tmp_path / "run").exists()

"""Training: recipes, inputs, loss, batches, and what a run leaves behind."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import nn
from toy_training import toy_showers

from ecalnb import models
from ecalnb.showers import Showers
from ecalnb.store import Store, from_showers
from ecalnb.training import (
    BatchLoader,
    EcalDataModule,
    MergedInputs,
    Outputs,
    Recipe,
    TrainingError,
    TrainingRun,
    _runtime,
    load_weights,
    make_loss,
    predict,
    train,
)
from ecalnb.training.callbacks import AtomicCheckpointIO
from ecalnb.training.task import EcalTask

QUICK: dict[str, Any] = {
    "recipe": Recipe(),
    "batch_size": 32,
    "learning_rate": 1e-3,
    "threads": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def showers() -> Showers:
    return toy_showers(400)


@pytest.fixture(scope="module")
def store(showers: Showers, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return from_showers(showers, tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """A small finished training."""
    return train(store, output=tmp_path_factory.mktemp("runs") / "toy_cnn", max_epochs=6, **QUICK)


# --- batches ---------------------------------------------------------------------------------------------------------


class Cells:
    """Just enough of a store: the cells of event i are all i."""

    def dense(self, rows: np.ndarray) -> np.ndarray:
        return np.broadcast_to(rows[:, None, None], (len(rows), 2, 3)).astype(np.float32)


def events(loader: BatchLoader) -> list[list[int]]:
    return [batch["cells"][:, 0, 0].int().tolist() for batch in loader]


def make_loader(n: int, batch_size: int, seed: int | None = 1) -> BatchLoader:
    return BatchLoader(Cells(), np.arange(n) * 2, {"target": np.arange(n)}, batch_size, seed)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 200), st.integers(1, 64), st.data())
def test_loader_goes_on_where_it_was(n: int, batch_size: int, data: st.DataObject) -> None:
    loader = make_loader(n, batch_size)
    first, second = events(loader), events(loader)
    assert len(first) == len(loader) == -(-n // batch_size)
    sizes = [len(batch) for batch in first]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    for epoch in (first, second):
        assert sorted(chain.from_iterable(epoch)) == [2 * i for i in range(n)]
    done = data.draw(st.integers(0, len(first)))
    stopped = make_loader(n, batch_size)
    batches = iter(stopped)
    for _ in range(done):
        next(batches)
    resumed = make_loader(n, batch_size)
    resumed.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
    rest = events(resumed)
    if done < len(first):
        assert rest == first[done:]
        rest = events(resumed)
    assert rest == second


def test_order_differs_between_epochs_and_seeds() -> None:
    loader = make_loader(100, 10)
    first, second = events(loader), events(loader)
    assert first != second
    assert events(make_loader(100, 10, seed=2)) != first
    assert events(make_loader(100, 10)) == first
    assert list(chain.from_iterable(events(make_loader(100, 10, seed=None)))) == list(range(0, 200, 2))


def test_target_goes_with_its_event() -> None:
    for batch in make_loader(50, 7):
        np.testing.assert_array_equal(batch["target"] * 2, batch["cells"][:, 0, 0])
        assert batch["target"].dtype == torch.float32


def test_samples_are_those_of_the_split(store: Store) -> None:
    data = EcalDataModule(store, Recipe(batch_size=50))
    sample, labels = store.splits(), store.table()["label"].to_numpy()
    for name in ("train", "validation"):
        np.testing.assert_array_equal(data.rows[name], np.flatnonzero(sample == name))
        assert data.counts(name) == (
            int((labels[data.rows[name]] == "electron").sum()),
            int((labels[data.rows[name]] == "proton").sum()),
        )
    batch = next(iter(data.train_dataloader()))
    rows = {tuple(image.ravel()): label for image, label in zip(store.dense(slice(None)), labels, strict=True)}
    for image, target in zip(batch["cells"].numpy(), batch["target"], strict=True):
        assert rows[tuple(image.ravel())] == ("electron" if target else "proton")


def test_window_and_selection(store: Store) -> None:
    table = store.table()
    low, high = np.quantile(table["en3d"], [0.2, 0.8])
    recipe = Recipe(energy_min=float(low), energy_max=float(high))
    data = EcalDataModule(store, recipe, selection=lambda t: t["momentum"] > 30)
    rows = data.rows["train"]
    expected = (table["en3d"] >= low) & (table["en3d"] < high) & (table["momentum"] > 30)
    np.testing.assert_array_equal(rows, np.flatnonzero(expected.to_numpy() & (store.splits() == "train")))


def test_selection_that_names_its_columns_gets_only_those(store: Store) -> None:
    seen: list[str] = []

    class Cut:
        columns = ("momentum",)

        def __call__(self, table: pd.DataFrame) -> pd.Series:
            seen.extend(table.columns)
            return table["momentum"] > 30

        def to_dict(self) -> dict[str, str]:
            return {"cut": "momentum > 30"}

    data = EcalDataModule(store, selection=Cut())
    assert "momentum" in seen
    assert "en3d" not in seen
    assert data.describe()["selection"] == {"cut": "momentum > 30"}


def test_record_of_the_samples_changes_with_the_events(store: Store) -> None:
    whole = EcalDataModule(store)
    assert whole.describe() == EcalDataModule(store).describe()
    assert whole.describe()["store"] == store.fingerprint()
    last = store.table()["entry"].to_numpy()[whole.rows["train"][-1]]
    fewer = EcalDataModule(store, selection=lambda t: t["entry"] != last).describe()
    other = EcalDataModule(store, Recipe(train_sample="test")).describe()
    assert len({whole.describe()["events_hash"], fewer["events_hash"], other["events_hash"]}) == 3


def test_events_with_other_labels_are_told(showers: Showers, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = showers.table.assign(label=showers.table["label"].where(showers.table["entry"] >= 7))
    table.loc[7:9, "label"] = "helium"
    other = from_showers(Showers(showers.images, table), tmp_path / "store")
    with caplog.at_level(logging.INFO, "ecalnb"):
        EcalDataModule(other)
    assert "10 events are neither signal nor background (helium, no label)" in caplog.text


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            {"energy_min": 1e6},
            r"no event of the sample 'train' is left .*\(400 events in the store\).*from 1e\+06 to inf",
        ),
        ({"validation_sample": "tset"}, "no event of the sample 'tset' is left for validation"),
        ({"signal": ("positron",)}, "events for train are all background; events with the label positron are needed"),
        ({"background": ("helium",)}, "events for train are all signal; events with the label helium are needed"),
    ],
)
def test_samples_that_cannot_be_trained_on(store: Store, recipe: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        EcalDataModule(store, Recipe(**recipe))


def test_selection_of_the_wrong_shape(store: Store) -> None:
    with pytest.raises(TrainingError, match=r"an array of shape \(1,\) for 400 events"):
        EcalDataModule(store, selection=lambda _: np.array([True]))


# --- a whole training ------------------------------------------------------------------------------------------------


def test_training_learns_and_leaves_everything(run: TrainingRun, store: Store) -> None:
    names = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert names == {
        ".ecalnb.lock",
        "config.json",
        "metrics.csv",
        "weights.safetensors",
        "weights.json",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
    }
    assert run.history["epoch"].tolist() == list(range(6))
    assert run.history["val_auc"].iloc[-1] > 0.95
    assert run.history["train_loss"].iloc[-1] < run.history["train_loss"].iloc[0]
    info = json.loads((run.path / "weights.json").read_text())
    assert info["model"] == "ecal_simple_cnn"
    assert info["parameters"] == 106_317
    assert info["inputs"] == {"name": "merged", "normalisation": "log", "scalars": []}
    assert info["data"]["store"] == store.fingerprint()
    signal, background = info["data"]["events"]["train"].values()
    assert info["loss"]["signal_weight"] / info["loss"]["background_weight"] == pytest.approx(background / signal)
    assert info["seed"] == 1
    assert info["recipe"]["learning_rate"] == 1e-3
    assert info["environment"]["threads"] == 1
    assert (run.name, run.best) == ("toy_cnn", info["validation"])


def test_numbers_of_the_validation_are_those_of_its_scores(run: TrainingRun, store: Store) -> None:
    scores = predict(run.path, store, split="validation", threads=1, device="cpu")
    electron, logits = scores["label"] == "electron", scores[run.name]
    assert run.best["val_auc"] == pytest.approx(roc_auc_score(electron, logits), abs=1e-6)
    threshold = max(t for t in logits[electron] if np.mean(logits[electron] >= t) >= 0.9)
    assert run.best["val_background_90"] == pytest.approx(np.mean(logits[~electron] >= threshold), abs=1e-6)


def test_kept_weights_are_the_best(run: TrainingRun, store: Store) -> None:
    best = run.history.loc[run.history["val_loss"].idxmin()]
    assert run.best["epoch"] == best["epoch"]
    data = EcalDataModule(store, Recipe())
    rows = data.rows["validation"]
    target = data.target[rows]
    logits = load_weights(run.path).logits({"cells": torch.from_numpy(store.dense(rows))}).double().numpy()
    signal, background = data.counts("train")
    weight = np.where(target == 1, 0.5 / signal, 0.5 / background) * (signal + background)
    loss = np.mean(weight * np.logaddexp(0, np.where(target == 1, -logits, logits)))
    assert loss == pytest.approx(run.best["val_loss"], rel=1e-4)
    assert roc_auc_score(target, logits) == pytest.approx(run.best["val_auc"], abs=1e-6)


def test_finished_training_is_not_repeated(run: TrainingRun, store: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    again = train(store, output=run.path, max_epochs=6, **QUICK)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    assert again.info == run.info


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "ecal_resnet10"}, "holds a training with model = 'ecal_simple_cnn', not 'ecal_resnet10'"),
        ({"normalisation": "raw"}, "inputs.normalisation = 'log', not 'raw'"),
        ({"learning_rate": 1e-2}, "recipe.learning_rate = 0.001, not 0.01"),
        ({"seed": 4}, "seed = 1, not 4"),
        ({"max_epochs": 5}, "recipe.max_epochs = 6, not 5"),
        ({"selection": lambda table: table["entry"] != 17}, "holds a training with data"),
    ],
)
def test_another_training_is_not_resumed(run: TrainingRun, store: Store, changes: dict[str, Any], message: str) -> None:
    before = (run.path / "config.json").read_bytes()
    with pytest.raises(TrainingError, match=message):
        train(store, output=run.path, **{"max_epochs": 6, **QUICK, **changes})
    assert (run.path / "config.json").read_bytes() == before


def test_other_data_is_not_resumed(run: TrainingRun, tmp_path: Path) -> None:
    other = from_showers(toy_showers(400, seed=6), tmp_path / "other")
    with pytest.raises(TrainingError, match=r"holds a training with data\."):
        train(other, output=run.path, max_epochs=6, **QUICK)


def test_beginning_anew_replaces_the_run(store: Store, tmp_path: Path) -> None:
    train(store, output=tmp_path / "run", max_epochs=2, **QUICK)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    anew = train(store.path, output=tmp_path / "run", max_epochs=1, resume=False, **{**QUICK, "learning_rate": 1e-2})
    assert len(anew.history) == 1
    assert anew.info["recipe"]["learning_rate"] == 1e-2
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_early_stopping_counts_epochs_without_progress(store: Store, tmp_path: Path) -> None:
    run = train(store, output=tmp_path / "run", max_epochs=50, patience=2, tolerance=10.0, **QUICK)
    assert len(run.history) == 3  # the first sets the mark, two do not beat it by 10
    longer = train(store, output=tmp_path / "run", max_epochs=60, patience=2, tolerance=10.0, **QUICK)
    assert len(longer.history) == 3


def test_weights_are_exported_after_a_kill_at_the_very_end(store: Store, tmp_path: Path) -> None:
    arguments = {"max_epochs": 50, "patience": 1, "tolerance": 10.0, **QUICK}
    run = train(store, output=tmp_path / "run", **arguments)
    weights = run.weights.read_bytes()
    for path in (run.weights, run.path / "weights.json"):
        path.unlink()
    with pytest.raises(TrainingError, match="has not ended"):
        TrainingRun.load(run.path)
    again = train(store, output=tmp_path / "run", **arguments)
    assert again.weights.read_bytes() == weights
    assert len(again.history) == 2


def test_loss_that_is_not_a_number_stops_at_once(store: Store, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"the loss is (nan|inf) at (step|the validation).*learning rate \(1e\+30\)"
    ):
        train(store, output=tmp_path / "run", max_epochs=3, **{**QUICK, "learning_rate": 1e30})
    assert not (tmp_path / "run" / "weights.json").exists()


def test_folders_that_are_no_runs(store: Store, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("text")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="thesis is not empty and not a run directory"):
        train(store, output=tmp_path / "thesis", **QUICK)
    with pytest.raises(TrainingError, match="file is a file; expected a run directory"):
        train(store, output=tmp_path / "file", **QUICK)
    with pytest.raises(TrainingError, match=r"thesis is not a run directory; expected config.json"):
        TrainingRun.load(tmp_path / "thesis")


def test_a_second_training_in_the_same_folder_is_refused(store: Store, tmp_path: Path) -> None:
    import pytorch_lightning as lightning

    messages: list[str] = []

    class Second(lightning.Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            with pytest.raises(TrainingError) as caught:
                train(store, output=tmp_path / "run", max_epochs=2, **QUICK)
            messages.append(str(caught.value))

    train(store, output=tmp_path / "run", max_epochs=1, callbacks=[Second()], **QUICK)
    assert messages == [
        f"another training (process {os.getpid()}) is at work in {tmp_path / 'run'}; "
        "wait for it to end or choose another output"
    ]
    assert len(train(store, output=tmp_path / "run", max_epochs=2, **QUICK).history) == 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a checkpoint", None])
def test_broken_checkpoint_is_told(store: Store, tmp_path: Path, content: bytes | None) -> None:
    path = train(store, output=tmp_path / "run", max_epochs=1, **QUICK).path / "checkpoints" / "last.ckpt"
    if content is None:
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"last.ckpt is (not a readable checkpoint|a file of torch, but not)"):
        train(store, output=tmp_path / "run", max_epochs=2, **QUICK)


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_checkpoint_of_another_model_is_named(store: Store, tmp_path: Path, name: str) -> None:
    run = train(store, output=tmp_path / "run", max_epochs=1, **QUICK)
    path = run.path / "checkpoints" / name
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"] = {"model.fc.weight": torch.zeros(3)}
    torch.save(checkpoint, path)
    (run.path / "weights.json").unlink()
    with pytest.raises(TrainingError, match=f"{name} does not fit .*it lacks head.bias"):
        train(store, output=run.path, max_epochs=2 if name == "last.ckpt" else 1, **QUICK)


def test_process_is_left_as_it_was(store: Store, tmp_path: Path) -> None:
    before = torch.random.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    level = logging.getLogger("pytorch_lightning").level
    train(store, output=tmp_path / "run", max_epochs=1, **{**QUICK, "threads": 2})
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[1:]
    assert logging.getLogger("pytorch_lightning").level == level


def test_lightning_says_nothing(store: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(store, output=tmp_path / "run", max_epochs=1, **QUICK)
    assert capfd.readouterr() == ("", "")


def test_wrong_arguments(store: Store, tmp_path: Path) -> None:
    for changes, message in (
        ({"device": "tpu"}, "device is 'tpu'; expected one of auto, cpu, cuda, mps"),
        ({"threads": 0}, "threads is 0"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"optimiser": "sgdd"}, "optimiser is 'sgdd'; expected one of adam, adamw"),
        ({"model": "ecal_simple_rnn"}, "no model is called 'ecal_simple_rnn'"),
        ({"model_options": {"width": 3}}, "ecal_simple_cnn has no option width"),
        ({"paitence": 3}, "unknown key 'paitence'.*did you mean 'patience'"),
    ):
        with pytest.raises(ValueError, match=message):
            train(store, output=tmp_path / "run", **{**QUICK, **changes})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_absent_device_is_told(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert _runtime.pick_device("auto") == "cpu"
    with pytest.raises(TrainingError, match=f"device {device} is not available here; expected one of auto, cpu"):
        _runtime.pick_device(device)


def test_interrupt_stays_an_interrupt(store: Store, tmp_path: Path) -> None:
    import signal

    import pytorch_lightning as lightning

    class Interrupt(lightning.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 7:
                raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(store, output=tmp_path / "run", max_epochs=3, callbacks=[Interrupt()], **QUICK)
    assert signal.getsignal(signal.SIGINT) is handler
    assert len(train(store, output=tmp_path / "run", max_epochs=3, **QUICK).history) == 3


# --- what later work plugs in ----------------------------------------------------------------------------------------


def fitted(store: Store, path: Path, **changes: Any) -> TrainingRun:
    return train(store, output=path, max_epochs=2, **{**QUICK, **changes})


def test_constant_penalty_adds_to_the_training_loss_alone(store: Store, tmp_path: Path) -> None:
    def penalty(outputs: Outputs, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        assert outputs.logits.shape == batch["target"].shape
        assert outputs.features.shape == (len(outputs.logits), 200)
        return torch.tensor(3.0)

    plain, penalised = fitted(store, tmp_path / "plain"), fitted(store, tmp_path / "penalised", penalty=penalty)
    np.testing.assert_allclose(penalised.history["train_loss"], plain.history["train_loss"] + 3, rtol=1e-5)
    np.testing.assert_allclose(penalised.history["val_loss"], plain.history["val_loss"], rtol=1e-4)
    assert "penalty" in str(penalised.config["penalty"])


def test_penalty_with_weights_is_trained_and_not_exported(store: Store, tmp_path: Path) -> None:
    class Domain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(200, 1)

        def forward(self, outputs: Outputs, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # noqa: ARG002
            return self.layer(outputs.features).square().mean()

    penalty = Domain()
    before = penalty.layer.weight.detach().clone()
    run = fitted(store, tmp_path / "run", penalty=penalty)
    assert not torch.equal(penalty.layer.weight, before)
    assert load_file(run.weights).keys() == models.create("ecal_simple_cnn").state_dict().keys()


def test_columns_of_the_inputs_reach_the_model(showers: Showers, store: Store) -> None:
    class Momentum(MergedInputs):
        own_columns = ("momentum",)

        def image(self, cells: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return super().image(cells, batch) * batch["momentum"][:, None, None, None]

    inputs = Momentum("raw")
    data = EcalDataModule(store, Recipe(batch_size=16), inputs=inputs)
    task = EcalTask(models.create("ecal_simple_cnn").eval(), inputs, make_loss("weighted_bce", 1, 1))
    batch = next(iter(data.val_dataloader()))
    rows = data.rows["validation"][: len(batch["target"])]
    momentum = showers.table["momentum"].to_numpy(dtype=np.float32)[rows]
    expected = task.model(torch.from_numpy(store.dense(rows) * momentum[:, None, None])[:, None]).squeeze(-1)
    torch.testing.assert_close(task(batch), expected, rtol=1e-4, atol=1e-5)


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(run: TrainingRun, tmp_path: Path) -> Path:
    """A copy of the weights to spoil."""
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"model{suffix}").write_bytes(run.weights.with_suffix(suffix).read_bytes())
    return tmp_path / "model.safetensors"


def forget_checksum(path: Path) -> None:
    side = path.with_suffix(".json")
    info = json.loads(side.read_text())
    side.write_text(json.dumps({name: value for name, value in info.items() if name != "sha256"}))


def spoil(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    """Other tensors, written by somebody who leaves the checksum out."""

    def apply(path: Path) -> None:
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)
        forget_checksum(path)

    return apply


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (spoil(lambda t: t.pop("head.bias")), "does not fit ecal_simple_cnn: it lacks head.bias"),
        (spoil(lambda t: t.update(extra=torch.zeros(2))), "does not fit ecal_simple_cnn: it has besides extra"),
        (
            spoil(lambda t: t.update({"head.bias": torch.zeros(2)})),
            r"head.bias has shape \(2,\); the model needs \(1,\)",
        ),
        (cut, "is damaged, or not the file that model.json was written for"),
        (lambda path: (cut(path), forget_checksum(path)), "is not a readable safetensors file"),
        (lambda path: path.with_suffix(".json").write_text("{"), "model.json is not valid JSON"),
        (lambda path: path.with_suffix(".json").write_text('{"format": 9}'), "has format 9; this version reads 1"),
        (lambda path: path.with_suffix(".json").write_text('{"format": 1}'), "lacks model, model_options, inputs"),
        (lambda path: path.with_suffix(".json").unlink(), "has no model.json beside it"),
        (lambda path: path.unlink(), "does not exist"),
    ],
)
def test_spoilt_weights_are_told(copied: Path, apply: Callable[[Path], None], message: str) -> None:
    assert load_weights(copied).name == "model"
    apply(copied)
    with pytest.raises(TrainingError, match=message):
        load_weights(copied)


def test_half_precision_weights_load(copied: Path, store: Store) -> None:
    full = load_weights(copied)
    spoil(lambda t: t.update({name: tensor.half() for name, tensor in t.items()}))(copied)
    half = load_weights(copied)
    assert next(half.model.parameters()).dtype == torch.float32
    batch = {"cells": torch.from_numpy(store.dense(slice(0, 20)))}
    np.testing.assert_allclose(half.logits(batch), full.logits(batch), atol=0.05)


def test_what_is_not_weights(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.pt").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"empty is not a run directory; expected config.json and weights"):
        load_weights(tmp_path / "empty")
    with pytest.raises(TrainingError, match=r"model.pt is not a .safetensors file"):
        load_weights(tmp_path / "model.pt")


def test_other_data_than_trained_on_is_warned_about(
    run: TrainingRun, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_weights(run.path, store=store)
    assert not caplog.records
    other = from_showers(toy_showers(30, seed=8), tmp_path / "other")
    load_weights(run.path, store=other)
    assert f"was trained on other data ({store.fingerprint()}) than this store ({other.fingerprint()})" in caplog.text


def test_full_disk_leaves_what_was_there(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = train(store, output=tmp_path / "run", max_epochs=1, **QUICK).path / "checkpoints" / "last.ckpt"
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AtomicCheckpointIO.save_checkpoint.__globals__["torch"], "save", full)
    with pytest.raises(TrainingError, match=r"ckpt cannot be written: No space left on device"):
        train(store, output=tmp_path / "run", max_epochs=2, **QUICK)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert len(train(store, output=tmp_path / "run", max_epochs=2, **QUICK).history) == 2

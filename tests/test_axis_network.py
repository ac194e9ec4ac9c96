"""Networks for the axis of showers: models, targets, losses, training, prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_training import run_until_killed
from typer.testing import CliRunner

from ecalnb import models
from ecalnb.cli import app
from ecalnb.geometry import AMS, Tracks
from ecalnb.metrics import space_angles
from ecalnb.models import ModelError
from ecalnb.reconstruction import Quality, ShowerAxes
from ecalnb.showers import Showers
from ecalnb.store import Store, from_showers
from ecalnb.training import (
    EcalDataModule,
    Recipe,
    TrainingError,
    TrainingRun,
    list_targets,
    load_track_predictor,
    load_weights,
    make_regression_loss,
    make_target,
    predict_axes,
    predict_tracks,
    resolve_recipe,
    train,
)
from ecalnb.training.augment import make_augmentation
from ecalnb.training.regression import fitted_resolution
from ecalnb.variables import shower_axis

pytestmark = pytest.mark.filterwarnings("error")

SMALL: dict[str, Any] = {"channels": [4, 4, 8, 8], "half_width": 3, "hidden": 16}
SETTINGS: dict[str, Any] = {
    "model": "ecal_axis_joint",
    "recipe": "axis_electrons",
    "max_epochs": 3,
    "batch_size": 32,
    "model_options": SMALL,
    "learning_rate": 1e-3,
    "augmentation": ["noise", "mirror", "shift"],
    "checkpoint_every": 3,
    "threads": 1,
    "device": "cpu",
}


def drawn_tracks(n: int, rng: np.random.Generator) -> Tracks:
    inclination = np.arcsin(np.sin(np.radians(25)) * np.sqrt(rng.random(n)))
    return Tracks(*rng.uniform(-200, 200, (2, n)), inclination, rng.uniform(-np.pi, np.pi, n))


def straight_showers(n: int, seed: int = 1) -> Showers:
    """Showers along straight tracks: exponential energies in cells at normal distances from the axis."""
    rng = np.random.default_rng(seed)
    tracks = drawn_tracks(n, rng)
    energy = 10 ** rng.uniform(0.5, 2.5, n)
    depth = AMS.layer_depths_x0
    profile = depth**3 * np.exp(-0.5 * depth)
    share = profile / profile.sum()
    images = np.zeros((n, *AMS.shape))
    spots = 60
    at = AMS.project(tracks)
    for _ in range(spots):
        cell = AMS.cell_at(at + rng.normal(0, 8.0, at.shape))
        event, layer = np.nonzero(np.isfinite(cell))
        size = rng.exponential(1 / spots, (n, AMS.n_layers)) * share * energy[:, None]
        np.add.at(images, (event, layer, cell[event, layer].astype(int)), size[event, layer])
    table = pd.DataFrame(
        {
            "file_id": np.full(n, 21),
            "entry": np.arange(n),
            "label": pd.Series(np.full(n, "electron"), dtype=object),
            "en3d": images.sum(axis=(1, 2)),
            **{f"true_{part}": getattr(tracks, part) for part in ("x", "y", "inclination", "azimuth")},
        }
    )
    return Showers(images.astype(np.float32), table, AMS)


@pytest.fixture(scope="module")
def showers() -> Showers:
    return straight_showers(700)


@pytest.fixture(scope="module")
def store(showers: Showers, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return from_showers(showers, tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return train(store, output=tmp_path_factory.mktemp("runs") / "toy", **SETTINGS)


def network(**options: Any) -> torch.nn.Module:
    """A small network whose last layer is not zero."""
    torch.manual_seed(3)
    model = models.create("ecal_axis_joint", **{**SMALL, **options})
    torch.nn.init.normal_(model.head.weight, std=0.3)
    return model.eval()


# --- Models


def test_first_line_is_that_of_the_shower_variables(showers: Showers) -> None:
    line = network().first_line(torch.from_numpy(showers.images)).numpy()
    expected = shower_axis(showers)
    pitch = AMS.cell_pitch
    np.testing.assert_allclose(line[:, 0, 0] * pitch, expected.x, atol=0.02)
    np.testing.assert_allclose(line[:, 1, 0] * pitch, expected.y, atol=0.02)
    np.testing.assert_allclose(line[:, 0, 1] * pitch / AMS.thickness, expected.slope_x, atol=3e-4)
    np.testing.assert_allclose(line[:, 1, 1] * pitch / AMS.thickness, expected.slope_y, atol=3e-4)


def test_a_fresh_network_gives_the_first_line(showers: Showers) -> None:
    model = models.create("ecal_axis_joint").eval()
    cells = torch.from_numpy(showers.images[:8])
    with torch.inference_mode():
        axis = model(cells[:, None])
        torch.testing.assert_close(axis[:, :4], model.first_line(cells).transpose(1, 2).flatten(1))
    assert axis.shape == (8, 8)
    assert (axis[:, 4:] == 0).all()


@pytest.mark.parametrize("view", ["x", "y"])
def test_the_mirror_image_of_a_shower_has_the_mirror_image_of_its_axis(showers: Showers, view: str) -> None:
    model, cells = network(), torch.from_numpy(showers.images[:64].copy())
    mirrored = cells.clone()
    layers = torch.as_tensor(AMS.layers(view))  # type: ignore[arg-type]
    mirrored[:, layers] = mirrored[:, layers].flip(-1)
    signs = torch.ones(8)
    signs[[0, 2] if view == "x" else [1, 3]] = -1
    with torch.inference_mode():
        torch.testing.assert_close(model(mirrored[:, None]), model(cells[:, None]) * signs, rtol=1e-4, atol=2e-4)


def test_a_shower_moved_by_cells_has_its_axis_moved(showers: Showers) -> None:
    model, cells = network(), torch.from_numpy(showers.images[:64].copy())
    moved = cells.roll(5, dims=2)  # nothing is within five cells of the sides
    shift = torch.tensor([5.0, 5, 0, 0, 0, 0, 0, 0])
    with torch.inference_mode():
        torch.testing.assert_close(model(moved[:, None]), model(cells[:, None]) + shift, rtol=1e-4, atol=5e-4)


def test_showers_without_energy_have_a_finite_axis() -> None:
    images = torch.zeros(3, 1, 18, 72)
    images[1, 0, 4, 30] = 1.0
    images[2] = -0.01
    with torch.inference_mode():
        assert torch.isfinite(network()(images)).all()


@pytest.mark.parametrize(
    "arguments",
    [{"input_size": (2, 18, 72)}, {"num_classes": 1}, {"input_size": (1, 16, 72)}, {"channels": (4, 4)}],
)
def test_axis_networks_that_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"expected|not those of four"):
        models.create("ecal_axis_joint", **arguments)


def test_resnet_of_the_study_has_17_convolutions_and_a_dense_layer_that_sees_the_energy() -> None:
    model = models.create("ecal_axis_resnet18", input_size=(2, 18, 72), num_classes=1).eval()
    convolutions = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Conv2d) and "downsample" not in name
    ]
    assert len(convolutions) == 17
    assert model.fc.in_features == 513
    image = torch.rand(2, 2, 18, 72)
    image[:, 1] = torch.tensor([0.3, 0.9])[:, None, None]
    other = image.clone()
    other[:, 1] += 0.5
    with torch.inference_mode():
        difference = model(other) - model(image)
    expected = model.fc.weight[0, 512].item() * 0.5
    np.testing.assert_allclose(difference.numpy(), expected, rtol=1e-3)


# --- Targets


def test_units_of_the_targets() -> None:
    track = Tracks(90.0, -45.0, np.radians(20.0), np.radians(90.0))
    np.testing.assert_allclose(make_target("theta").values(track), [[160 / 180]])  # type: ignore[union-attr]
    np.testing.assert_allclose(make_target("position").values(track), [[90 / 324, -45 / 324]])  # type: ignore[union-attr]
    slope = np.tan(np.radians(20.0)) * 18 * 9.25 / 9
    np.testing.assert_allclose(make_target("axis").values(track), [[10, -5, 0, slope]], atol=1e-12)  # type: ignore[union-attr]
    assert list_targets() == ["class", "theta", "position", "axis"]
    with pytest.raises(TrainingError, match=r"quantity is 'axes'; expected one of class, .*did you mean 'axis'"):
        make_target("axes")


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_space_angle_is_that_between_the_directions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (drawn_tracks(20, rng) for _ in "ab")
    directions = [
        np.stack(
            [
                np.sin(t.inclination) * np.cos(t.azimuth),
                np.sin(t.inclination) * np.sin(t.azimuth),
                np.cos(t.inclination),
            ]
        )
        for t in (a, b)
    ]
    np.testing.assert_allclose(
        space_angles(a.slope_x, a.slope_y, b.slope_x, b.slope_y),
        np.arccos(np.clip((directions[0] * directions[1]).sum(axis=0), -1, 1)),
        atol=1e-7,
    )


@pytest.mark.parametrize("name", ["theta", "position", "axis"])
def test_augmentation_takes_the_target_with_the_shower(showers: Showers, name: str) -> None:
    """The line through the changed cells and the changed target stay as far apart as they were."""
    target = make_target(name)
    assert not isinstance(target, type(make_target("class")))
    augment = make_augmentation(["mirror", "shift"], AMS, target=target)
    assert augment is not None
    values = target.values(shower_axis(showers)).astype(np.float32)
    torch.manual_seed(2)
    batch = augment({"cells": torch.from_numpy(showers.images.copy()), "target": torch.from_numpy(values)})
    again = Showers(batch["cells"].numpy(), showers.table, AMS)
    expected = target.values(shower_axis(again))
    whole = np.isclose(again.images.sum(axis=(1, 2)), showers.images.sum(axis=(1, 2)), rtol=1e-4)  # none lost at a side
    assert whole.mean() > 0.8
    np.testing.assert_allclose(batch["target"].numpy()[whole], expected[whole], atol=2e-3)
    assert (abs(batch["target"].numpy() - values) > 1e-4).any() == (name != "theta")


def test_noise_is_one_percent_of_each_cell() -> None:
    augment = make_augmentation(["noise"], AMS)
    assert augment is not None
    cells = torch.rand(40, 18, 72)
    cells[:, 0] = 0
    torch.manual_seed(1)
    noisy = augment({"cells": cells})["cells"]
    assert (noisy[:, 0] == 0).all()
    ratio = (noisy[:, 1:] / cells[:, 1:] - 1).numpy()
    assert ratio.std() == pytest.approx(0.01, rel=0.02)
    assert abs(ratio.mean()) < 2e-4


# --- Losses


def test_losses_against_numpy() -> None:
    rng = np.random.default_rng(4)
    target, mean, log_variance = rng.normal(size=(3, 50, 2))
    energy = 10 ** rng.uniform(0.4, 3.6, 50)
    batch = {"target": torch.from_numpy(target), "en3d": torch.from_numpy(energy)}

    nll = make_regression_loss("gaussian_nll", 2, 5)
    outputs = torch.from_numpy(np.concatenate([mean, log_variance], axis=1))
    expected = (log_variance + (target - mean) ** 2 / np.exp(log_variance)) / 2
    assert nll(outputs, batch).item() == pytest.approx(expected.mean(), rel=1e-6)
    assert (nll.outputs(2), make_regression_loss("resolution_weighted", 2, 5).outputs(2)) == (4, 2)

    weighted = make_regression_loss("resolution_weighted", 2, 5)
    assert weighted(torch.from_numpy(mean), batch).item() == pytest.approx(((mean - target) ** 2).sum(axis=1).mean())
    weighted.stochastic[:] = torch.tensor([0.5, 2.0])  # type: ignore[union-attr]
    weighted.constant[:] = torch.tensor([0.1, 0.3])  # type: ignore[union-attr]
    variance = np.array([0.5, 2.0]) ** 2 / energy[:, None] + np.array([0.1, 0.3]) ** 2
    expected = ((mean - target) ** 2 / variance + np.log(variance)).sum(axis=1)
    assert weighted(torch.from_numpy(mean), batch).item() == pytest.approx(expected.mean(), rel=1e-5)
    with pytest.raises(TrainingError, match="loss is 'mse'; expected one of resolution_weighted, gaussian_nll"):
        make_regression_loss("mse", 2, 5)


def test_gradient_of_the_weighted_loss_is_that_of_the_published_one() -> None:
    loss = make_regression_loss("resolution_weighted", 1, 5)
    loss.stochastic[:] = 0.4  # type: ignore[union-attr]
    loss.constant[:] = 0.05  # type: ignore[union-attr]
    energy, target = torch.tensor([3.0, 300.0]), torch.tensor([[0.2], [0.4]])
    outputs = torch.tensor([[0.3], [0.3]], requires_grad=True)
    loss(outputs, {"target": target, "en3d": energy}).backward()
    variance = 0.4**2 / energy + 0.05**2
    expected = 2 * (outputs.detach() - target)[:, 0] / variance / 2  # two events
    torch.testing.assert_close(outputs.grad[:, 0], expected)  # type: ignore[index]


def test_iteration_finds_the_resolution_that_residuals_have(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(6)
    energy = 2.5 * (4000 / 2.5) ** rng.random(20_000)
    true = np.array([[3.0, 0.2], [1.0, 0.5]])
    target = np.zeros((len(energy), 2))
    outputs = rng.normal(size=target.shape) * np.sqrt(true[:, 0] ** 2 / energy[:, None] + true[:, 1] ** 2)
    a, b = fitted_resolution(outputs[:, 0], energy)
    assert (a, b) == (pytest.approx(3.0, rel=0.04), pytest.approx(0.2, rel=0.04))

    loss = make_regression_loss("resolution_weighted", 2, 3)
    for epoch in (0, 1):
        loss.end_epoch(epoch, outputs, target, energy)
        assert loss.stochastic.tolist() == [0, 0]  # type: ignore[union-attr]
    loss.end_epoch(2, outputs, target, energy)
    np.testing.assert_allclose(loss.stochastic, true[:, 0], rtol=0.1)  # type: ignore[union-attr]
    np.testing.assert_allclose(loss.constant, true[:, 1], rtol=0.04)  # type: ignore[union-attr]
    # With the right resolution the first part of the loss is 1 a component.
    variance = loss.variance(torch.from_numpy(energy)).numpy()  # type: ignore[union-attr]
    assert (outputs**2 / variance).mean() == pytest.approx(1, abs=0.03)

    loss.end_epoch(5, outputs[:60], target[:60], energy[:60])
    assert "is not fitted after epoch 5: there are 60 events; expected at least 100" in caplog.text
    np.testing.assert_allclose(loss.constant, true[:, 1], rtol=0.04)  # type: ignore[union-attr]


# --- Training and prediction


def test_recipe_has_the_hyper_parameters_of_the_study() -> None:
    recipe = resolve_recipe("axis_electrons", "ecal_axis_resnet18")
    assert (recipe.optimiser, recipe.learning_rate, recipe.batch_size, recipe.max_epochs) == ("adam", 1e-3, 128, 80)
    assert (recipe.quantity, recipe.loss, recipe.augmentation) == ("theta", "resolution_weighted", ("noise",))
    assert recipe.scalars == ("total_energy",)
    joint = resolve_recipe("axis_electrons", "ecal_axis_joint")
    assert (joint.quantity, joint.loss, joint.scalars) == ("axis", "gaussian_nll", ())


def test_training_measures_the_axis_and_leaves_everything(run: TrainingRun, store: Store, showers: Showers) -> None:
    assert (run.info["outputs"], run.info["recipe"]["quantity"]) == (8, "axis")
    data = EcalDataModule(store, Recipe(**run.info["recipe"]))
    assert run.info["data"]["events"] == {name: {"events": len(rows)} for name, rows in data.rows.items()}
    assert run.history.columns[3:8].tolist() == [
        "val_loss", "val_space_angle_68", "val_inclination_68", "val_x_68", "val_y_68",
    ]  # fmt: skip
    assert run.history["val_loss"].iloc[-1] < run.history["val_loss"].iloc[0]
    best = run.best
    assert best["val_loss"] == run.history["val_loss"].min()

    axes = predict_axes(run.path, store, split="validation", threads=1)
    rows = data.rows["validation"]
    true = Tracks.from_table(showers.table.iloc[rows], "true")
    assert np.quantile(abs(axes.x0 - true.x), 0.68) == pytest.approx(best["val_x_68"], rel=1e-4)
    angle = space_angles(axes.slope_x, axes.slope_y, true.slope_x, true.slope_y)
    assert np.degrees(np.quantile(angle, 0.68)) == pytest.approx(best["val_space_angle_68"], rel=1e-4)


def test_pulls_of_validation_events_are_calibrated(run: TrainingRun, store: Store, showers: Showers) -> None:
    axes = predict_axes(run.path, store, split="validation", threads=1)
    rows = EcalDataModule(store, Recipe(**run.info["recipe"])).rows["validation"]
    true = Tracks.from_table(showers.table.iloc[rows], "true")
    for name, truth in (("x0", true.x), ("y0", true.y), ("slope_x", true.slope_x), ("slope_y", true.slope_y)):
        pull = (getattr(axes, name) - truth) / getattr(axes, f"{name}_error")
        assert np.quantile(abs(pull), 0.68) == pytest.approx(1, abs=1e-3)


def test_prediction_is_keyed_by_event_and_of_one_source_as_of_another(
    run: TrainingRun, store: Store, showers: Showers, tmp_path: Path
) -> None:
    table = predict_tracks(run.path, store, output=tmp_path / "axes.parquet", columns=("true_x",), threads=1)
    assert table["entry"].tolist() == list(range(700))
    assert set(table["split"]) == {"train", "validation", "test"}
    np.testing.assert_array_equal(table["true_x"], showers.table["true_x"])
    axes = predict_axes(run.path, showers, threads=1)
    np.testing.assert_allclose(axes.x0, table["axis_x"], atol=1e-3)
    again = ShowerAxes.from_table(pd.read_parquet(tmp_path / "axes.parquet"))
    np.testing.assert_array_equal(again.slope_y, table["axis_slope_y"])
    done = CliRunner().invoke(app, ["predict", str(run.path), str(store.path), "-o", str(tmp_path / "b.parquet")])
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(pd.read_parquet(tmp_path / "b.parquet")["axis_y"], table["axis_y"], atol=1e-3)


def test_events_without_an_axis_say_why(run: TrainingRun, showers: Showers) -> None:
    images = showers.images[:5].copy()
    images[0] = 0
    images[1, 3, 3] = np.nan
    images[2, 2:] = 0  # two layers of y alone
    axes = predict_axes(run.path, Showers(images, showers.table.iloc[:5], AMS), threads=1)
    assert axes.quality.tolist() == [Quality.NO_ENERGY, Quality.BAD_CELLS, Quality.FEW_LAYERS, 0, 0]  # type: ignore[union-attr]
    assert np.isnan(axes.x0[:3]).all()
    assert np.isfinite(axes.slope_x_error[3:]).all()


@pytest.mark.slow
def test_killed_training_ends_in_the_same_bits(run: TrainingRun, store: Store, tmp_path: Path) -> None:
    """With noise, a schedule of the learning rate and batch normalisation."""
    run_until_killed(store, tmp_path / "toy", "in mid-epoch", SETTINGS)
    assert not (tmp_path / "toy" / "weights.json").exists()
    resumed = train(store, output=tmp_path / "toy", **SETTINGS)
    assert resumed.weights.read_bytes() == run.weights.read_bytes()
    assert (resumed.path / "metrics.csv").read_bytes() == (run.path / "metrics.csv").read_bytes()


def test_iterated_resolution_survives_a_kill(store: Store, tmp_path: Path) -> None:
    changes = {
        **SETTINGS,
        "loss": "resolution_weighted",
        "quantity": "axis",
        "resolution_epochs": 1,
        "validation_sample": "test",
    }
    whole = train(store, output=tmp_path / "whole" / "toy", **changes)
    run_until_killed(store, tmp_path / "toy", "between epochs", changes)
    state = torch.load(tmp_path / "toy" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert (state["loss.constant"] < 1).all()
    resumed = train(store, output=tmp_path / "toy", **changes)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
    np.testing.assert_array_equal(resumed.history, whole.history)
    assert "val_pull_x0" not in whole.history
    assert np.isnan(predict_axes(whole.path, store, threads=1).x0_error).all()


def test_theta_and_position_have_tables_of_their_own(store: Store, tmp_path: Path) -> None:
    common = {"recipe": "axis_electrons", "max_epochs": 1, "threads": 1, "device": "cpu", "train_events": 64}
    for target, columns in (("theta", ["theta"]), ("position", ["x0", "y0"])):
        found = train(store, "ecal_simple_cnn", tmp_path / target, quantity=target, **common)
        table = predict_tracks(found.path, store, threads=1)
        assert set(columns) <= set(table.columns)
        with pytest.raises(TrainingError, match=f"predicts the {target}; expected a network for the axis"):
            predict_axes(found.path, store)
        assert found.weights.stat().st_size > 0
    assert table["x0"].between(-1000, 1000).all()


def test_exported_graph_gives_the_axes_of_torch(run: TrainingRun, store: Store, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    done = CliRunner().invoke(app, ["export", str(run.path), "-o", str(tmp_path / "axis.onnx")])
    assert done.exit_code == 0, done.output
    session = onnxruntime.InferenceSession(str(tmp_path / "axis.onnx"), providers=["CPUExecutionProvider"])
    cells = store.dense(np.arange(30))
    track, error = session.run(["track", "error"], {"cells": cells})
    expected = predict_axes(run.path, store, threads=1)[:30]
    np.testing.assert_allclose(track[:, 0], expected.x0, atol=1e-2)
    np.testing.assert_allclose(track[:, 3], expected.slope_y, atol=1e-4)
    np.testing.assert_allclose(error[:, 2], expected.slope_x_error, rtol=1e-3)


def test_training_begins_with_other_weights(run: TrainingRun, store: Store, tmp_path: Path) -> None:
    changes = {**SETTINGS, "start_from": str(run.path), "max_epochs": 1, "learning_rate": 1e-9}
    again = train(store, output=tmp_path / "again", **changes)
    before, after = (load_track_predictor(path).model.state_dict() for path in (run.path, again.path))
    torch.testing.assert_close(after["head.weight"], before["head.weight"], rtol=0, atol=1e-6)
    assert again.best["val_x_68"] < 1.2 * run.best["val_x_68"]
    assert again.info["start"]["store"] == store.fingerprint()
    with pytest.raises(TrainingError, match="does not fit the model of this training"):
        train(store, output=tmp_path / "no", **{**changes, "model_options": {**SMALL, "hidden": 8}})


def test_what_does_not_go_together(run: TrainingRun, store: Store, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="predicts the axis of a shower, not its class"):
        load_weights(run.path)
    for changes, message in (
        ({"quantity": "angle"}, "quantity is 'angle'"),
        ({"monitor": "val_auc"}, "monitor is 'val_auc'; expected one of val_loss, val_space_angle_68"),
        ({"planing": True}, "planing is for the quantity 'class', not 'axis'"),
        ({"loss": "hinge"}, "loss is 'hinge'; expected one of resolution_weighted"),
        ({"schedule": "linear"}, "schedule is 'linear'; expected one of constant, cosine"),
        ({"reference": "tracker"}, "reference is 'tracker'"),
        ({"reference": "track"}, "has no column track_azimuth"),
        ({"signal": ["photon"]}, "needed are the labels photon"),
    ):
        with pytest.raises(TrainingError, match=message):
            train(store, output=tmp_path / "no", **{**SETTINGS, **changes})
    info = json.loads((run.path / "weights.json").read_text())
    assert load_track_predictor(run.path).info == info

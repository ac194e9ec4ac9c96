"""Inputs, their scales, losses, and augmentation."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import hinge_loss, log_loss
from toy_training import toy_showers

from ecalnb import models
from ecalnb.geometry import AMS, Calorimeter, Tracks
from ecalnb.showers import Showers
from ecalnb.store import from_showers
from ecalnb.training import (
    NORMALISATIONS,
    SCALARS,
    EcalDataModule,
    MergedInputs,
    Recipe,
    TrackWindowInputs,
    TrainingError,
    ViewInputs,
    inputs_from,
    list_inputs,
    make_loss,
)
from ecalnb.training.augment import make_augmentation
from ecalnb.training.track import TRACK_COLUMNS, depth_crossed, track_coordinates

SMALL = Calorimeter("small", ("x", "x", "y", "x", "y"), 30, 7.0, 11.0, 9.0, 0.4)


@pytest.fixture(scope="module")
def showers() -> Showers:
    return toy_showers(400)


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-6, 1e6), st.integers(0, 2**32 - 1))
def test_normalisations_against_numpy(scale: float, seed: int) -> None:
    cells = (np.random.default_rng(seed).exponential(size=(3, 18, 72)) * scale).astype(np.float32)
    made = {name: MergedInputs(name)({"cells": torch.from_numpy(cells)}).numpy() for name in NORMALISATIONS}
    assert all(image.shape == (3, 1, 18, 72) for image in made.values())
    np.testing.assert_array_equal(made["raw"][:, 0], cells)
    np.testing.assert_allclose(made["log"][:, 0], np.log1p(cells * 1e3) / np.log1p(1e3), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(made["fraction"].sum(axis=(1, 2, 3)), 100, rtol=1e-4)
    np.testing.assert_allclose(made["fraction"][:, 0] * cells.sum(axis=(1, 2))[:, None, None] / 100, cells, rtol=1e-4)


def test_log_scale_at_its_ends() -> None:
    cells = torch.zeros(1, 18, 72)
    cells[0, 0, :4] = torch.tensor([1e-13, 1.0, 20.0, -0.001])
    image = MergedInputs("log")({"cells": cells})[0, 0, 0]
    assert 0 < image[0] < 1e-9  # numerical dust stays dust
    assert image[1] == pytest.approx(1)
    assert image[2] == pytest.approx(1.4336, abs=1e-3)
    assert image[3] == pytest.approx(-np.log(2) / np.log(1001))


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_empty_image_is_zero(name: str) -> None:
    assert not MergedInputs(name)({"cells": torch.zeros(2, 18, 72)}).any()


@pytest.mark.parametrize("name", list_inputs())
def test_inputs_are_made_again_from_their_record(name: str) -> None:
    inputs = inputs_from({"name": name, "normalisation": "fraction", "scalars": ["en3d", "total_energy"]}, SMALL)
    again = inputs_from(json.loads(json.dumps(inputs.to_dict())), SMALL)
    assert again == inputs
    assert again.shape == inputs.shape
    assert inputs != inputs_from(inputs.to_dict(), AMS)
    assert inputs_from({"name": name}).to_dict() == {"name": name, "normalisation": "log", "scalars": []}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"name": "mergd"}, "inputs are 'mergd'; expected one of merged, by_view, track_window; did you mean 'merged'"),
        ({"name": "merged", "normalisation": "sqrt"}, "normalisation is 'sqrt'; expected one of raw, log, fraction"),
        ({"name": "merged", "scalars": ["mass"]}, "no scalar 'mass' exists; expected some of total_energy, en3d"),
        ({"name": "merged", "scalars": ["en3d", "en3d"]}, "no scalar 'en3d' is wanted once"),
        ({"name": "merged", "width": 3}, r"inputs 'merged' cannot have the settings \{'width': 3\}"),
    ],
)
def test_inputs_that_cannot_be(record: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        inputs_from(record)


def test_shapes_and_columns() -> None:
    assert (MergedInputs().shape, MergedInputs().columns) == ((1, 18, 72), ())
    assert (ViewInputs().shape, ViewInputs().columns) == ((2, 18, 72), ())
    assert (TrackWindowInputs().shape, TrackWindowInputs().columns) == ((2, 18, 21), TRACK_COLUMNS)
    with_energy = TrackWindowInputs("raw", ("en3d",), SMALL)
    assert (with_energy.shape, with_energy.columns) == ((3, 5, 21), (*TRACK_COLUMNS, "en3d"))
    assert MergedInputs(scalars=("total_energy",)).shape == (2, 18, 72)


@pytest.mark.parametrize("geometry", [AMS, AMS.swap_views(), SMALL])
def test_views_are_apart(geometry: Calorimeter) -> None:
    cells = torch.rand(4, *geometry.shape) + 1
    image = ViewInputs("raw", geometry=geometry)({"cells": cells})
    assert image.shape == (4, 2, *geometry.shape)
    for layer, view in enumerate(geometry.views):
        channel, other = (0, 1) if view == "x" else (1, 0)
        torch.testing.assert_close(image[:, channel, layer], cells[:, layer])
        assert not image[:, other, layer].any()


def test_scalars_fill_channels_of_their_own() -> None:
    energy = torch.tensor([0.0, 10.0, 1000.0])
    cells = torch.zeros(3, 18, 72)
    cells[:, 4, 7] = energy / 4
    cells[:, 9, 70] = energy * 3 / 4
    inputs = MergedInputs("fraction", ("total_energy", "en3d"))
    image = inputs({"cells": cells, "en3d": 2 * energy})
    torch.testing.assert_close(image[:, :1], MergedInputs("fraction")({"cells": cells}))
    for channel, expected in ((1, energy), (2, 2 * energy)):
        values = np.log1p(expected.numpy()) / np.log1p(1000)
        np.testing.assert_allclose(
            image[:, channel], np.broadcast_to(values[:, None, None], (3, 18, 72)), rtol=1e-5, atol=1e-7
        )
    assert set(SCALARS) == {"total_energy", "en3d"}


# --- track window ----------------------------------------------------------------------------------------------------


def track_batch(tracks: Tracks, cells: np.ndarray) -> dict[str, torch.Tensor]:
    values = (tracks.x, tracks.y, tracks.inclination, tracks.azimuth)
    batch = {name: torch.tensor(value, dtype=torch.float32) for name, value in zip(TRACK_COLUMNS, values, strict=True)}
    return {**batch, "cells": torch.from_numpy(cells.astype(np.float32))}


def slow_window(cells: np.ndarray, tracks: Tracks, geometry: Calorimeter) -> np.ndarray:
    """The window, one cell after the other, by the definition: the layer's middle is at (layer + 1/2) thicknesses."""
    window = np.zeros((len(cells), geometry.n_layers, 21))
    for event in range(len(cells)):
        for layer, view in enumerate(geometry.views):
            depth = (layer + 0.5) * geometry.layer_thickness
            along = depth * np.tan(tracks.inclination[event])
            if view == "x":
                position = tracks.x[event] + along * np.cos(tracks.azimuth[event])
            else:
                position = tracks.y[event] + along * np.sin(tracks.azimuth[event])
            centers = (np.arange(-200, geometry.n_cells + 200) + 0.5) * geometry.cell_pitch
            nearest = int(np.argmin(abs(centers - geometry.n_cells * geometry.cell_pitch / 2 - position))) - 200
            for column in range(21):
                cell = nearest - 10 + column
                if 0 <= cell < geometry.n_cells:
                    window[event, layer, column] = cells[event, layer, cell]
    return window


def away_from_borders(tracks: Tracks, geometry: Calorimeter) -> bool:
    """Whether no track is so near to the border between two cells that rounding decides."""
    place = (geometry.project(tracks) + geometry.width / 2) / geometry.cell_pitch
    return bool((abs(place - np.round(place)) > 1e-4).all())


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([AMS, AMS.swap_views(), SMALL]),
    st.floats(-450, 450),
    st.floats(-450, 450),
    st.floats(0, 1.2),
    st.floats(-np.pi, np.pi),
    st.integers(0, 2**32 - 1),
)
def test_track_window_against_a_loop(
    geometry: Calorimeter, x: float, y: float, inclination: float, azimuth: float, seed: int
) -> None:
    """Also for tracks beyond the sides, or that leave through one."""
    tracks = Tracks(np.array([x, -y]), np.array([y, x]), np.array([inclination, 0.3]), np.array([azimuth, 2.0]))
    assume(away_from_borders(tracks, geometry))
    cells = np.random.default_rng(seed).uniform(1, 2, (2, *geometry.shape)).astype(np.float32)
    batch = track_batch(tracks, cells)
    np.testing.assert_allclose(track_coordinates(batch, geometry), geometry.project(tracks), rtol=1e-5, atol=1e-3)
    image = TrackWindowInputs("raw", geometry=geometry)(batch).numpy()
    assert image.shape == (2, 2, geometry.n_layers, 21)
    np.testing.assert_array_equal(image[:, 0], slow_window(cells, tracks, geometry).astype(np.float32))
    cells_at = geometry.cell_at(geometry.project(tracks))
    event, layer = np.nonzero(~np.isnan(cells_at))
    np.testing.assert_array_equal(image[event, 0, layer, 10], cells[event, layer, cells_at[event, layer].astype(int)])


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1.2), st.floats(-np.pi, np.pi))
def test_depth_is_the_distance_along_the_track(inclination: float, azimuth: float) -> None:
    """The paths inside the layers, which geometry works out from the entry and exit points, add up to it."""
    tracks = Tracks(np.zeros(1), np.zeros(1), np.array([inclination]), np.array([azimuth]))
    wide = Calorimeter("wide", AMS.views, 200, 9.0, 9.25, 17.0, 0.63)  # nothing leaves it through a side
    batch = track_batch(tracks, np.zeros((1, *wide.shape)))
    inside = wide.path_length(tracks)
    np.testing.assert_allclose(depth_crossed(batch, wide), np.cumsum(inside, axis=1) - inside / 2, rtol=1e-4)
    image = TrackWindowInputs(geometry=wide)(batch)[0, 1]
    assert (image == image[:, :1]).all()
    np.testing.assert_allclose(image[:, 0], (np.arange(18) + 0.5) / 18 / np.cos(inclination), rtol=1e-4)


def test_window_shares_are_those_of_the_whole_calorimeter() -> None:
    tracks = Tracks(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1))
    cells = np.ones((1, 18, 72))
    image = TrackWindowInputs("fraction")(track_batch(tracks, cells))
    np.testing.assert_allclose(image[0, 0], 100 / (18 * 72), rtol=1e-5)


@pytest.mark.parametrize("column", TRACK_COLUMNS)
def test_events_without_a_track(showers: Showers, column: str, tmp_path: Any) -> None:
    """Scored they are not a number, and they cannot be trained on."""
    rng = np.random.default_rng(1)
    n = len(showers)
    names = dict(
        zip(
            TRACK_COLUMNS, (*rng.uniform(-300, 300, (2, n)), rng.uniform(0, 0.5, n), rng.uniform(-3, 3, n)), strict=True
        )
    )
    table = showers.table.assign(**names)
    table.loc[table["entry"] < 50, column] = np.nan
    batch = {name: torch.tensor(table[name].to_numpy(), dtype=torch.float32) for name in TRACK_COLUMNS}
    image = TrackWindowInputs()({**batch, "cells": torch.from_numpy(showers.images)})
    lost = torch.isnan(image).flatten(1).any(1)
    np.testing.assert_array_equal(lost, table["entry"] < 50)
    store = from_showers(Showers(showers.images, table), tmp_path / "store")
    recipe = Recipe(inputs="track_window")
    number = int((store.splits()[:50] == "train").sum())
    with pytest.raises(
        TrainingError, match=rf"{number} of the \d+ events for train have no {column}, which .* track_window"
    ):
        EcalDataModule(store, recipe)
    data = EcalDataModule(store, recipe, selection=lambda t: t[column].notna())
    assert next(iter(data.train_dataloader())).keys() == {"cells", "target", *TRACK_COLUMNS}


@pytest.mark.parametrize("name", list_inputs())
def test_inputs_export_to_onnx(name: str, tmp_path: Any) -> None:
    """For any number of events."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")

    inputs = inputs_from({"name": name, "normalisation": "raw", "scalars": ["total_energy"]})
    columns = list(inputs.columns)

    class Module(torch.nn.Module):
        def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return inputs(batch)

    def example(n: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng(n)
        ranges = {"track_x": 330, "track_y": 330, "track_inclination": 0.9, "track_azimuth": 3}
        values = {c: rng.uniform(0 if "inclination" in c else -ranges[c], ranges[c], n) for c in columns}
        return {
            name: torch.tensor(v, dtype=torch.float32)
            for name, v in {"cells": rng.random((n, 18, 72)), **values}.items()
        }

    names = ["cells", *columns]
    n = torch.export.Dim("n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        shapes = {"batch": {name: {0: n} for name in names}}
        program = torch.export.export(Module(), (), {"batch": example(3)}, dynamic_shapes=shapes, strict=False)
        exported = torch.onnx.export(program, input_names=names, verbose=False)
    assert exported is not None
    exported.save(tmp_path / "inputs.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "inputs.onnx")
    batch = example(40)
    (image,) = session.run(None, {name: batch[name].numpy() for name in names})
    np.testing.assert_allclose(image, Module()(batch), rtol=1e-5, atol=1e-6)


def test_a_model_that_the_inputs_do_not_fit_says_so() -> None:
    with pytest.raises(models.ModelError):
        models.create("ecal_cvt", input_size=TrackWindowInputs(geometry=SMALL).shape)


# --- losses ----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_weighted_loss_against_sklearn(n_signal: int, n_background: int, seed: int) -> None:
    loss = make_loss("weighted_bce", n_signal, n_background)
    target = np.r_[np.ones(n_signal), np.zeros(n_background)]
    logits = np.random.default_rng(seed).normal(scale=3, size=len(target))
    weight = np.where(target == 1, 1 / n_signal, 1 / n_background)
    expected = log_loss(target, 1 / (1 + np.exp(-logits)), sample_weight=weight, labels=[0, 1])
    batch = {"target": torch.tensor(target, dtype=torch.float32)}
    assert float(loss(torch.tensor(logits, dtype=torch.float32), batch)) == pytest.approx(expected, rel=1e-4)
    assert float(loss(torch.zeros(len(target)), batch)) == pytest.approx(np.log(2), rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_hinge_loss_against_sklearn(n_signal: int, n_background: int, seed: int) -> None:
    loss = make_loss("hinge", n_signal, n_background)
    target = np.r_[np.ones(n_signal), np.zeros(n_background)]
    logits = np.random.default_rng(seed).normal(scale=2, size=len(target))
    weight = np.where(target == 1, 1 / n_signal, 1 / n_background)
    expected = hinge_loss(target, logits, sample_weight=weight, labels=[0, 1])
    batch = {"target": torch.tensor(target, dtype=torch.float32)}
    assert float(loss(torch.tensor(logits, dtype=torch.float32), batch)) == pytest.approx(expected, rel=1e-4)
    assert float(loss(torch.zeros(len(target)), batch)) == pytest.approx(1, rel=1e-5)
    assert loss.to_dict()["name"] == "hinge"


def test_losses_that_cannot_be() -> None:
    with pytest.raises(TrainingError, match="loss is 'bce'; expected one of weighted_bce, hinge"):
        make_loss("bce", 1, 1)
    with pytest.raises(TrainingError, match="there are 0 signal and 5 background"):
        make_loss("weighted_bce", 0, 5)


# --- augmentation ----------------------------------------------------------------------------------------------------


def test_mirror_turns_whole_views(showers: Showers) -> None:
    torch.manual_seed(3)
    cells = torch.from_numpy(showers.images)
    mirror = make_augmentation(["mirror"], AMS)
    assert mirror is not None
    mirrored = mirror({"cells": cells})["cells"].numpy()
    turned = {}
    for view in ("x", "y"):
        layers = AMS.layers(view)
        same = (mirrored[:, layers] == showers.images[:, layers]).all(axis=(1, 2))
        flipped = (mirrored[:, layers] == showers.images[:, layers, ::-1]).all(axis=(1, 2))
        assert (same ^ flipped).all()
        turned[view] = flipped
        assert 0.4 < flipped.mean() < 0.6
    assert 0.15 < (turned["x"] & turned["y"]).mean() < 0.35  # independent of each other
    np.testing.assert_array_equal(cells.numpy(), showers.images)


def test_shift_moves_whole_views() -> None:
    torch.manual_seed(4)
    cells = torch.zeros(300, 18, 72)
    cells[:, :, 30] = torch.arange(1, 19.0)
    shift = make_augmentation(["shift"], AMS)
    assert shift is not None
    moved = shift({"cells": cells})["cells"].numpy()
    np.testing.assert_array_equal(moved.sum(axis=2), cells.sum(2))  # nothing is lost in the middle
    column = moved.argmax(axis=2) - 30
    for view in ("x", "y"):
        steps = column[:, AMS.layers(view)]
        assert (steps == steps[:, :1]).all()
        assert set(steps[:, 0]) == set(range(-8, 9))
    assert not (column[:, AMS.layers("x")[0]] == column[:, AMS.layers("y")[0]]).all()


def test_shift_loses_what_leaves_the_side() -> None:
    torch.manual_seed(5)
    cells = torch.zeros(200, 18, 72)
    cells[:, :, 70] = 1
    shift = make_augmentation(["shift"], AMS)
    assert shift is not None
    moved = shift({"cells": cells})["cells"]
    inside = moved.sum(2).numpy()
    assert set(np.unique(inside)) == {0.0, 1.0}
    assert not moved[:, :, : 70 - 8].any()  # and does not come back on the other


def test_augmentations_that_cannot_be() -> None:
    assert make_augmentation([], AMS) is None
    with pytest.raises(TrainingError, match=r"augmentation 'miror' does not exist.*did you mean 'mirror'"):
        make_augmentation(["miror"], AMS)
    with pytest.raises(TrainingError, match="how augmentation changes momentum, which the inputs use, is not known"):
        make_augmentation(["mirror"], AMS, ("track_x", "momentum"))


@settings(deadline=None, max_examples=12)
@given(
    st.sampled_from([AMS, AMS.swap_views()]),
    st.floats(-300, 300), st.floats(-300, 300), st.floats(0, 0.8), st.floats(-np.pi, np.pi), st.integers(0, 2**31),
)  # fmt: skip
def test_the_window_of_a_mirrored_event_is_the_mirrored_window(
    geometry: Calorimeter, x: float, y: float, inclination: float, azimuth: float, seed: int
) -> None:
    tracks = Tracks(*(np.full(24, value) for value in (x, y, inclination, azimuth)))
    assume(away_from_borders(tracks, geometry))
    batch = track_batch(tracks, np.random.default_rng(seed).random((24, *geometry.shape)))
    torch.manual_seed(seed)
    mirror = make_augmentation(["mirror"], geometry, TRACK_COLUMNS)
    assert mirror is not None
    mirrored = mirror(batch)
    inputs = TrackWindowInputs("raw", geometry=geometry)
    before, after = inputs(batch), inputs(mirrored)
    for view in ("x", "y"):
        layers = geometry.layers(view)
        turned = (mirrored["cells"][:, layers] != batch["cells"][:, layers]).flatten(1).any(1)
        expected = torch.where(turned[:, None, None], before[:, 0, layers].flip(-1), before[:, 0, layers])
        assert torch.equal(after[:, 0, layers], expected)
        assert 0 < turned.sum() < 24
    assert torch.equal(after[:, 1], before[:, 1])
    new = Tracks(*(mirrored[name].double().numpy() for name in TRACK_COLUMNS))
    assert (abs(abs(geometry.project(new)) - abs(geometry.project(tracks))) < 1e-3).all()


def test_the_window_moves_with_a_shifted_shower() -> None:
    tracks = Tracks(np.full(50, 3.0), np.full(50, -7.0), np.full(50, 0.3), np.full(50, 0.4))
    batch = track_batch(tracks, np.random.default_rng(3).random((50, *AMS.shape)))
    torch.manual_seed(6)
    shift = make_augmentation(["shift"], AMS, TRACK_COLUMNS)
    assert shift is not None
    moved = shift(batch)
    assert (moved["track_x"] != batch["track_x"]).any()
    assert torch.equal(TrackWindowInputs()(moved), TrackWindowInputs()(batch))  # it stays inside: nothing is lost
    assert batch["track_x"].unique().tolist() == [3.0]

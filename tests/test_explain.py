"""Looking inside: attributions that add up, and attention that comes from where it was put."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import Normalize
from torch import nn

from ecalnb import display, models
from ecalnb.geometry import AMS
from ecalnb.showers import Showers
from ecalnb.training import Classifier, TrainingError, default_inputs, inputs_from
from ecalnb.training.explain import integrated_gradients
from ecalnb.training.rollout import attention_rollout

MakeShowers = Callable[..., Showers]


def classifier(model: str | nn.Module, **inputs: Any) -> Classifier:
    """Network with random weights that has no file."""
    name = model if isinstance(model, str) else "linear"
    described = {"name": default_inputs(name) if isinstance(model, str) else "merged", **inputs}
    made = inputs_from(described, AMS)
    torch.manual_seed(2)
    network = models.create(model, input_size=made.shape) if isinstance(model, str) else model
    return Classifier("run", network.eval(), made, AMS, {"model": name}, Path("weights.safetensors"))


class Weighted(nn.Module):
    """Weighted sum of all cells: its attributions are known."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(AMS.shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, 0] * self.weights).sum(dim=(1, 2), keepdim=True)[:, :, 0]


@pytest.mark.parametrize("normalisation", ["raw", "log"])
def test_attributions_of_a_weighted_sum_are_its_terms(normalisation: str, make_showers: MakeShowers) -> None:
    showers, network = make_showers(5), classifier(Weighted(), normalisation=normalisation)
    found = integrated_gradients(network, showers, steps=32)
    scaled = network.inputs({"cells": torch.from_numpy(showers.images)})[:, 0]
    expected = (scaled * network.model.weights).detach().numpy()
    np.testing.assert_allclose(found.values, expected, atol=1e-4 * abs(expected).max())
    np.testing.assert_allclose(found.baseline, 0, atol=1e-6)
    np.testing.assert_allclose(found.logits, expected.sum(axis=(1, 2)), rtol=1e-4)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        ("ecal_simple_cnn", {}),
        ("ecal_simple_mlp", {"name": "by_view"}),
        ("ecal_simple_mlp", {"name": "track_window", "scalars": ["total_energy", "en3d"]}),
        ("ecal_simple_mlp", {"normalisation": "fraction"}),
    ],
)
def test_attributions_add_up_to_the_difference_of_the_logits(
    model: str, inputs: dict[str, Any], make_showers: MakeShowers
) -> None:
    showers, network = make_showers(4), classifier(model, **inputs)
    found = integrated_gradients(network, showers, steps=256)
    assert found.values.shape == (4, 18, 72)
    assert not found.values[showers.images == 0].any() or inputs.get("normalisation") == "fraction"
    batch = {name: torch.tensor(showers.table[name].to_numpy(np.float32)) for name in network.inputs.columns}
    batch["cells"] = torch.from_numpy(showers.images)
    np.testing.assert_allclose(found.logits, network.logits(batch).numpy(), rtol=1e-4, atol=1e-5)
    size = abs(found.values).sum(axis=(1, 2))
    assert (abs(found.error) < 0.01 * size).all()
    assert (size > 1e-3).all()


def test_only_cells_in_the_window_have_a_part(make_showers: MakeShowers) -> None:
    showers = make_showers(3)
    showers.images[:] = 0.01
    found = integrated_gradients(classifier("ecal_simple_mlp", name="track_window"), showers, steps=16)
    distance = abs(AMS.cell_at(AMS.project(showers.tracks))[:, :, None] - np.arange(72))
    assert not found.values[distance > 10].any()
    assert np.count_nonzero(found.values[distance <= 10]) > 0.9 * np.count_nonzero(distance <= 10)


def test_attention_comes_from_the_place_that_is_looked_at(make_showers: MakeShowers) -> None:
    """All attention of the last blocks on one key, and none elsewhere but equal: the shares lie about that place."""
    network, showers = classifier("ecal_cvt"), make_showers(2)
    last = network.model.stages[-1]

    def stare(_module: nn.Module, _inputs: object, weights: torch.Tensor) -> torch.Tensor:
        looked = torch.zeros_like(weights)
        looked[..., 1 + 3 * 7 + 5] = 1  # row 3, column 5 of the 7 x 7 keys, after the one of the class token
        return looked

    for block in last.blocks:
        block.attention.weights.register_forward_hook(stare)
    share = attention_rollout(network, showers)
    np.testing.assert_allclose(share.sum(axis=(1, 2)), 1, rtol=1e-5)
    # Key (3, 5) is about place (6, 10) of 13 x 14, made of strides 1, 1, 1 of layers and 2, 2, 1 of cells, with kernels
    # of 2, 3, 3 layers and of 6, 4, 3 cells.
    layer, cell = np.unravel_index(share[0].argmax(), (18, 72))
    assert 5 <= layer <= 12
    assert 36 <= cell <= 60
    # In each of the two earlier stages half stays where it is and half is about equal in all cells.
    assert share[0, 5:12, 36:60].sum() == pytest.approx(0.25 + 0.75 * 7 * 24 / 1296, abs=0.03)


def test_attention_without_preference_is_spread_over_all_cells(make_showers: MakeShowers) -> None:
    network = classifier("ecal_cvt")
    for module in network.model.modules():
        if hasattr(module, "heads"):
            for parameter in (module.query.linear.weight, module.query.linear.bias):
                nn.init.zeros_(parameter)
    share = attention_rollout(network, make_showers(2))
    np.testing.assert_allclose(share.sum(axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(share[0], share[1], rtol=1e-4)
    inner = share[0, 4:14, 12:60]
    assert inner.max() < 2 * inner.min()


def test_attention_of_a_window_is_about_the_track(make_showers: MakeShowers) -> None:
    showers = make_showers(3)
    share = attention_rollout(classifier("ecal_phys_cvt"), showers)
    distance = abs(AMS.cell_at(AMS.project(showers.tracks))[:, :, None] - np.arange(72))
    assert not share[~(distance <= 10)].any()
    assert (share.sum(axis=(1, 2)) <= 1 + 1e-5).all()
    assert (share >= 0).all()


def test_what_cannot_be_looked_inside_is_one_sentence(
    make_showers: MakeShowers, monkeypatch: pytest.MonkeyPatch
) -> None:
    showers, network = make_showers(2), classifier("ecal_simple_cnn")
    with pytest.raises(TrainingError, match="is a ecal_simple_cnn, which has no class token"):
        attention_rollout(network, showers)
    with pytest.raises(TrainingError, match="there is no event to look at"):
        integrated_gradients(network, showers[:0])
    with pytest.raises(TrainingError, match="no neural network; only those can be looked inside"):
        integrated_gradients(type("Method", (), {"path": "w.ubj", "info": {"model": "shower_bdt"}})(), showers)
    showers.table.loc[1, "track_x"] = np.nan
    with pytest.raises(TrainingError, match="1 of 2 events have no track_x, which run needs"):
        integrated_gradients(classifier("ecal_simple_mlp", name="track_window"), showers)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "ecalnb\[explain\]"'):
        integrated_gradients(network, showers)


def test_figure_has_signed_colours_about_zero(make_showers: MakeShowers, rng: np.random.Generator) -> None:
    showers = make_showers(2)
    values = np.where(showers.images[1] > 0, rng.normal(size=AMS.shape), 0)
    fig = display.draw_attribution(showers, 1, values)
    energies, parts = fig.axes[0].collections[0], fig.axes[1].collections[0]
    assert parts.norm.vmin == -parts.norm.vmax == -abs(values).max()
    assert parts.norm(0) == pytest.approx(0.5)
    layers = AMS.layers("x")
    np.testing.assert_allclose(np.sort(parts.get_array()), np.sort(values[layers][values[layers] != 0]))
    assert len(energies.get_paths()) == len(parts.get_paths())
    assert fig.axes[0].get_xlim() == fig.axes[1].get_xlim()
    plt.close(fig)
    unsigned = display.attribution_scale(abs(values))
    assert (type(unsigned), unsigned.vmin) == (Normalize, 0)
    with pytest.raises(IndexError, match="event 2 does not exist"):
        display.draw_attribution(showers, 2, values)
    with pytest.raises(ValueError, match=r"\(18, 71\); AMS-02 ECAL needs \(18, 72\)"):
        display.draw_attribution(showers, 0, values[:, 1:])

"""Architectures: published sizes, what they compute, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from scipy.signal import correlate

import ecalnb.models
from ecalnb.models import ModelError, count_parameters, create, list_models, options_of

PUBLISHED = {"ecal_simple_cnn": 106_317, "ecal_resnet10": 4_900_033}  # Table 2 of the paper, 1 x 18 x 72 and one output


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name: str) -> None:
    assert count_parameters(create(name)) == PUBLISHED[name]
    assert count_parameters(timm.create_model(name)) == PUBLISHED[name]


def test_list_has_names_sizes_and_a_description_each() -> None:
    listed = {model.name: model for model in list_models()}
    assert {name: listed[name].parameters for name in PUBLISHED} == PUBLISHED
    assert all(len(model.description) > 20 for model in listed.values())
    assert len({model.description for model in listed.values()}) == len(listed)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(("size", "outputs"), [((1, 18, 72), 1), ((2, 18, 21), 1), ((3, 24, 40), 5)])
def test_other_inputs_and_outputs(name: str, size: tuple[int, int, int], outputs: int) -> None:
    model = create(name, input_size=size, num_classes=outputs).eval()
    with torch.inference_mode():
        assert model(torch.rand(4, *size)).shape == (4, outputs)


@pytest.mark.parametrize("name", PUBLISHED)
def test_features_and_last_layer_make_the_output(name: str) -> None:
    model = create(name).eval()
    image = torch.rand(3, 1, 18, 72)
    with torch.inference_mode():
        features = model.forward_head(model.forward_features(image), pre_logits=True)
        assert features.shape == (3, model.num_features)
        torch.testing.assert_close(model.get_classifier()(features), model(image))


def test_simple_cnn_against_scipy() -> None:
    """The network by hand: cross-correlations, largest of 2 x 2, matrix products."""
    torch.manual_seed(1)
    model = create("ecal_simple_cnn").eval()
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    image = np.random.default_rng(2).normal(size=(1, 18, 72))
    maps = image
    for stage, pooled in (("stage1.0", True), ("stage2.0", True), ("stage3.0", False)):
        kernels, bias = weights[f"{stage}.weight"], weights[f"{stage}.bias"]
        maps = np.stack(
            [sum(correlate(m, k, "valid") for m, k in zip(maps, kernel, strict=True)) for kernel in kernels]
        )
        maps = np.maximum(maps + bias[:, None, None], 0)
        if pooled:
            rows, columns = maps.shape[1] // 2 * 2, maps.shape[2] // 2 * 2
            maps = maps[:, :rows, :columns].reshape(len(maps), rows // 2, 2, columns // 2, 2).max(axis=(2, 4))
    hidden = np.maximum(weights["pre_logits.2.weight"] @ maps.ravel() + weights["pre_logits.2.bias"], 0)
    logit = weights["head.weight"] @ hidden + weights["head.bias"]
    with torch.inference_mode():
        np.testing.assert_allclose(model(torch.tensor(image[None]).float()).numpy()[0], logit, rtol=1e-4, atol=1e-6)


def test_dropout_acts_in_training_only() -> None:
    model = create("ecal_simple_cnn", drop_rate=0.5)
    image = torch.rand(2, 1, 18, 72)
    assert not torch.equal(model(image), model(image))
    model.eval()
    assert torch.equal(model(image), model(image))


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="no model is called 'ecal_simple_cn'; did you mean ecal_simple_cnn"):
        create("ecal_simple_cn")
    with pytest.raises(ModelError, match=r"no model is called 'resnet18'; did you mean ecal_resnet18"):
        create("resnet18")  # timm's own has three channels


@pytest.mark.parametrize("make", [create, timm.create_model])
def test_options_that_nobody_reads_are_refused(make: object) -> None:
    for name in PUBLISHED:
        with pytest.raises(ModelError, match=f"{name} has no option drop_out; its options are .*drop_rate"):
            make(name, drop_out=0.5)  # type: ignore[operator]


def test_options_of_a_model() -> None:
    assert options_of("ecal_simple_cnn") == {"channels": (10, 12, 36), "hidden": 200, "drop_rate": 0.0}
    assert "pretrained" not in options_of("ecal_resnet10")


def test_inputs_that_cannot_be() -> None:
    with pytest.raises(ModelError, match="images of 8 x 72 cells are too small"):
        create("ecal_simple_cnn", input_size=(1, 8, 72))
    with pytest.raises(ModelError, match=r"input size \(18, 72\) .* is not \(channels, layers, cells\)"):
        create("ecal_simple_cnn", input_size=(18, 72))
    with pytest.raises(ModelError, match="are not the three of its convolutions"):
        create("ecal_simple_cnn", channels=(4, 8))


@pytest.mark.parametrize("name", PUBLISHED)
def test_weights_through_timm_fit_exactly_or_not_at_all(name: str, tmp_path: Path) -> None:
    model = create(name)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    source = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(tmp_path / "weights.safetensors")}}
    loaded = timm.create_model(name, **source)
    for key, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor)
    with pytest.raises(ModelError, match="have 1 input channels, not 2"):
        timm.create_model(name, in_chans=2, **source)
    with pytest.raises(ModelError, match="have 1 outputs, not 3"):
        timm.create_model(name, num_classes=3, **source)


def test_documented_names_exist() -> None:
    assert all(hasattr(ecalnb.models, name) for name in ecalnb.models.__all__)

"""Architectures: published sizes, what they compute, and what they refuse."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save, save_file
from scipy.signal import correlate

import ecalnb.models
from ecalnb.models import ModelError, count_parameters, create, list_models, options_of

# R. Hashmani et al., table 2: trainable parameters with one output, at 1 x 18 x 72 (ecal_phys_cvt: 2 x 18 x 21).
PUBLISHED = {
    "ecal_simple_mlp": 192_001,
    "ecal_simple_cnn": 106_317,
    "ecal_resnet10": 4_900_033,
    "ecal_resnet18": 11_170_753,
    "ecal_cvt": 4_895_873,
    "ecal_phys_cvt": 4_896_641,
}
ALL = {model.name: model.input_size for model in list_models()}
# 660 MB, and the same code as ecal_coatnet0; and one that predicts an axis from one image (test_axis_network).
NAMES = [name for name in ALL if name not in ("ecal_coatnet3", "ecal_axis_joint")]


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name: str) -> None:
    assert count_parameters(create(name)) == PUBLISHED[name]
    assert count_parameters(timm.create_model(name)) == PUBLISHED[name]


def test_list_has_names_sizes_and_a_description_each() -> None:
    listed = {model.name: model for model in list_models()}
    assert {name: listed[name].parameters for name in PUBLISHED} == PUBLISHED
    assert listed["ecal_phys_cvt"].input_size == (2, 18, 21)
    assert all(len(model.description) > 20 for model in listed.values())
    assert len({model.description for model in listed.values()}) == len(listed)


def test_coatnets_have_the_depths_and_widths_of_their_paper() -> None:
    """Dai et al., table 3; what table 4 counts, 25 and 168 million, is with 3 channels, 1000 outputs and 224 x 224."""
    for name, depths, widths, millions in (
        ("ecal_coatnet0", [2, 3, 5, 2], [96, 192, 384, 768], 25),
        ("ecal_coatnet3", [2, 6, 14, 2], [192, 384, 768, 1536], 168),
    ):
        with torch.device("meta"):
            model = create(name)
            assert model(torch.empty(2, 1, 18, 72)).shape == (2, 1)
            assert model.forward_features(torch.empty(2, 1, 18, 72)).shape == (2, widths[-1], 1, 3)
        assert [len(stage.blocks) for stage in model.network.stages] == depths
        assert [info["num_chs"] for info in model.network.feature_info[1:]] == widths
        assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=0.05)


@given(widths=st.lists(st.integers(1, 50), min_size=1, max_size=5), outputs=st.integers(1, 3))
def test_perceptron_has_a_weight_a_pair_and_a_bias_a_node(widths: list[int], outputs: int) -> None:
    model = create("ecal_simple_mlp", input_size=(2, 3, 4), num_classes=outputs, widths=widths)
    sizes = [24, *widths, outputs]
    assert count_parameters(model) == sum((a + 1) * b for a, b in pairwise(sizes))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "outputs"), [((1, 18, 72), 1), ((2, 18, 72), 1), ((2, 18, 21), 1), ((3, 18, 40), 5)])
def test_inputs_and_outputs(name: str, size: tuple[int, int, int], outputs: int) -> None:
    """All layers in one image, one channel a view, the track window, and extra channels."""
    model = create(name, input_size=size, num_classes=outputs).eval()
    with torch.inference_mode():
        assert model(torch.rand(4, *size)).shape == (4, outputs)


@pytest.mark.parametrize("name", NAMES)
def test_features_and_last_layer_make_the_output(name: str) -> None:
    model = create(name).eval()
    image = torch.rand(3, *ALL[name])
    with torch.inference_mode():
        features = model.forward_head(model.forward_features(image), pre_logits=True)
        assert features.shape == (3, model.num_features)
        torch.testing.assert_close(model.get_classifier()(features), model(image))


@pytest.mark.parametrize("name", NAMES)
def test_saved_weights_and_order_of_the_memory_change_nothing(name: str) -> None:
    torch.manual_seed(1)
    model, image = create(name).eval(), torch.rand(3, *ALL[name])
    other = create(name).eval()
    with torch.inference_mode():
        expected = model(image)
        assert not torch.equal(other(image), expected)
        other.load_state_dict(load(save(model.state_dict())))
        assert torch.equal(other(image), expected)
        other.to(memory_format=torch.channels_last)
        channels_last = image.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(other(channels_last), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_does_not_see_the_others_of_its_batch(name: str) -> None:
    model, images = create(name).eval(), torch.rand(4, *ALL[name])
    images[0] = 0
    with torch.inference_mode():
        together = model(images)
        assert torch.isfinite(together).all()
        torch.testing.assert_close(torch.cat([model(image[None]) for image in images]), together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_weights_and_gradients(name: str) -> None:
    """With deterministic algorithms, and with events without energy in the batch."""
    gradients = []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            torch.manual_seed(4)
            model = create(name)
            images = torch.rand(4, *ALL[name])
            images[:2] = 0
            model(images).square().sum().backward()
            gradients.append({key: parameter.grad for key, parameter in model.named_parameters()})
    finally:
        torch.use_deterministic_algorithms(False)
    for key, gradient in gradients[0].items():
        assert gradient is not None, key
        assert torch.isfinite(gradient).all(), key
        assert torch.equal(gradient, gradients[1][key]), key
    assert sum(float(gradient.abs().sum()) for gradient in gradients[0].values()) > 0


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


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_only(name: str) -> None:
    model = create(name, drop_rate=0.5)
    image = torch.rand(2, *ALL[name])
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
    for name in ALL:
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
    with pytest.raises(ModelError, match=r"widths \(\) of ecal_simple_mlp"):
        create("ecal_simple_mlp", widths=())


@pytest.mark.parametrize("name", ["ecal_simple_cnn", "ecal_resnet10", "ecal_svm"])
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

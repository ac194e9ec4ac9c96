"""timm's own models behind the padding adapter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch.nn import functional
from toy_training import toy_showers

from ecalnb.models import TIMM_MODELS, ModelError, PaddedModel, create, options_of
from ecalnb.models.padding import padded_size
from ecalnb.store import from_showers
from ecalnb.training import load_weights, train

SLOW = {
    "coatnet_nano_rw_224",
    "densenet121",
    "fastvit_t8",
    "hrnet_w18_small",
    "maxvit_rmlp_pico_rw_256",
    "poolformer_s12",
}
SLOW |= {"swin_tiny_patch4_window7_224", "vit_small_patch14_dinov2", "xcit_nano_12_p16_224"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n.removeprefix("timm:") in SLOW else n for n in TIMM_MODELS],
)
def test_listed_models_train(name: str) -> None:
    """One step of the optimiser: a finite loss, a gradient in the first and the last layer, another output after it."""
    torch.manual_seed(1)
    model = create(name, input_size=(1, 18, 72))
    torch.nn.init.normal_(model.get_classifier().weight, std=0.1)  # the mixer's is 0, which stops the gradient
    images, target = torch.rand(4, 1, 18, 72), torch.tensor([0.0, 1.0, 1.0, 0.0])
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.use_deterministic_algorithms(True)
    try:
        loss = functional.binary_cross_entropy_with_logits(model(images).squeeze(1), target)
        loss.backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.isfinite(loss)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert gradients[0].abs().sum() > 0
    assert model.get_classifier().weight.grad.abs().sum() > 0
    model.eval()
    with torch.no_grad():
        before = model(images)
        optimiser.step()
        after = model(images)
        assert after.shape == (4, 1)
        assert not torch.equal(before, after)
        features = model.forward_head(model.forward_features(images), pre_logits=True)
        assert features.shape == (4, model.head_hidden_size)
        torch.testing.assert_close(model.get_classifier()(features), after)


def test_list_names_ten_families_or_more() -> None:
    assert len(set(TIMM_MODELS.values())) == len(TIMM_MODELS) >= 10


def test_zeros_are_behind_the_image() -> None:
    """The same network without the adapter on an image padded by hand."""
    torch.manual_seed(2)
    model = create("timm:convnext_atto", input_size=(2, 18, 72), num_classes=3).eval()
    bare = timm.create_model("convnext_atto", in_chans=2, num_classes=3).eval()
    bare.load_state_dict(model.network.state_dict())
    image = torch.rand(2, 2, 18, 72)
    framed = torch.zeros(2, 2, 32, 96)
    framed[:, :, :18, :72] = image
    with torch.inference_mode():
        torch.testing.assert_close(model(image), bare(framed))


@given(height=st.integers(1, 300), width=st.integers(1, 300), step=st.sampled_from([14, 32, 64]))
def test_padded_size_is_the_next_multiple(height: int, width: int, step: int) -> None:
    for side, padded in zip((height, width), padded_size((height, width), step), strict=True):
        assert padded % step == 0
        assert side <= padded < side + step


@settings(deadline=None, max_examples=8)
@given(height=st.integers(1, 40), width=st.integers(1, 80), channels=st.integers(1, 3))
def test_any_size_goes_through(height: int, width: int, channels: int) -> None:
    model = create("timm:resnet10t", input_size=(channels, height, width)).eval()
    with torch.inference_mode():
        assert model(torch.rand(2, channels, height, width)).shape == (2, 1)


def test_models_of_other_patches_get_another_frame() -> None:
    with torch.device("meta"):
        model = create("timm:vit_small_patch14_dinov2")
    left, right, top, bottom = model.frame
    assert (18 + top + bottom, 72 + left + right) == (28, 84)


def test_default_input_and_weights_from_the_seed() -> None:
    torch.manual_seed(7)
    first = create("timm:ghostnet_050")
    torch.manual_seed(7)
    second = create("timm:ghostnet_050", input_size=(1, 18, 72))
    assert isinstance(first, PaddedModel)
    third = create("timm:ghostnet_050")
    assert not torch.equal(third.get_classifier().weight, first.get_classifier().weight)
    third.load_state_dict(load(save(first.state_dict())))
    for model in (second, third):
        for key, tensor in first.state_dict().items():
            assert torch.equal(model.state_dict()[key], tensor), key


def test_from_training_to_scores(tmp_path: Path) -> None:
    store = from_showers(toy_showers(120), tmp_path / "store")
    settings = {"recipe": "geant4_sample", "max_epochs": 1, "threads": 1, "device": "cpu", "energy_min": None}
    run = train(
        store,
        "timm:resnet10t",
        tmp_path / "run",
        model_options={"drop_path_rate": 0.1},
        energy_max=None,
        **settings,
    )
    classifier = load_weights(run.path)
    assert isinstance(classifier.model, PaddedModel)
    logits = classifier.logits({"cells": torch.from_numpy(store.dense(np.arange(5)))})
    assert logits.shape == (5,)
    assert torch.isfinite(logits).all()
    with pytest.raises(ModelError, match="has no option drop_out; its options are drop_rate, drop_path_rate"):
        train(store, "timm:resnet10t", tmp_path / "other", model_options={"drop_out": 0.1}, **settings)


def test_options() -> None:
    assert options_of("timm:convnext_atto") == {"drop_rate": 0.0, "drop_path_rate": 0.0}
    assert set(options_of("timm:ghostnet_050")) >= {"drop_rate"}
    assert set(options_of("timm:fastvit_t8")) >= {"drop_rate", "drop_path_rate"}  # timm does not say what it returns
    model = create("timm:convnext_atto", drop_rate=0.5)
    images = torch.rand(2, 1, 18, 72)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("timm:convnext_ato", {}, "timm has no model 'convnext_ato'; did you mean convnext_atto"),
        ("timm:ecal_cvt", {}, "timm has no model 'ecal_cvt'"),
        ("timm:convnext_atto.d2_in1k", {}, "timm has no model 'convnext_atto.d2_in1k'"),
        ("timm:", {}, "timm has no model ''"),
        ("timm:convnext_atto", {"dropout": 0.1}, "has no option dropout; its options are drop_rate, drop_path_rate"),
        ("timm:convnext_atto", {"in_chans": 3}, "has no option in_chans"),
        ("timm:ghostnet_050", {"drop_path_rate": 0.1}, "has no option drop_path_rate; its options are drop_rate"),
        ("timm:nest_tiny", {}, r"does not work on 18 x 72 cells padded to 32 x 96: .*square"),
        ("timm:inception_v3", {}, "does not work on 18 x 72 cells padded to 32 x 96: .*Kernel size"),
        ("timm:levit_128s", {}, "its last layer cannot be told from the rest"),
        (
            "timm:convnext_atto",
            {"input_size": (18, 72)},
            r"input size \(18, 72\) .* is not \(channels, layers, cells\)",
        ),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(name: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message) as raised:
        create(name, **arguments)
    assert "\n" not in str(raised.value)

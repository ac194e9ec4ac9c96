"""The convolutional vision transformer against the implementation in Hugging Face's transformers."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from ecalnb.models import ModelError, count_parameters, create, options_of
from ecalnb.models.cvt import CvT

# Names of theirs, in the order in which they are replaced, and what they are called here.
NAMES = {
    r"^cvt\.encoder\.": "",
    r"^layernorm\.": "norm.",
    r"^classifier\.": "head.",
    r"\.cls_token$": ".class_token",
    r"\.convolution_embeddings\.": ".",
    r"\.layers\.": ".blocks.",
    r"\.attention\.attention\.convolution_projection_(\w+)\.convolution_projection\.": r".attention.\1.",
    r"\.attention\.attention\.projection_(\w+)\.": r".attention.\1.linear.",
    r"\.attention\.output\.dense\.": ".attention.projection.",
    r"\.convolution\.": ".depthwise.",
    r"\.normalization\.": ".norm.",
    r"\.intermediate\.dense\.": ".mlp.0.",
    r"\.output\.dense\.": ".mlp.2.",
    r"\.layernorm_before\.": ".norm1.",
    r"\.layernorm_after\.": ".norm2.",
}


def renamed(name: str) -> str:
    for theirs, ours in NAMES.items():
        name = re.sub(theirs, ours, name)
    return name


@pytest.fixture(scope="module")
def pair() -> tuple[nn.Module, CvT]:
    """Their model with its published configuration (CvT-13) and random weights, and ours with the same weights."""
    from transformers import CvtConfig, CvtForImageClassification

    torch.manual_seed(3)
    config = CvtConfig(num_labels=5, drop_path_rate=[0.0, 0.0, 0.0])
    theirs = CvtForImageClassification(config)
    for module in theirs.modules():  # normalisations that do something
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    ours = CvT(
        in_chans=config.num_channels,
        num_classes=5,
        img_size=(64, 48),
        widths=config.embed_dim,
        depths=config.depth,
        heads=config.num_heads,
        kernels=[(size, size) for size in config.patch_sizes],
        strides=[(stride, stride) for stride in config.patch_stride],
        paddings=[(padding, padding) for padding in config.patch_padding],
        depthwise_bias=False,
    )
    ours.load_state_dict({renamed(name): tensor for name, tensor in theirs.state_dict().items()})
    return theirs, ours


@pytest.mark.parametrize("training", [False, True])  # batch normalisation by its stored and by the batch's mean
def test_same_weights_same_output(pair: tuple[nn.Module, CvT], training: bool) -> None:
    theirs, ours = (model.train(training) for model in pair)
    assert count_parameters(ours) == count_parameters(theirs)
    image = torch.randn(3, 3, 64, 48)
    with torch.no_grad():
        expected = theirs(image, output_hidden_states=True)
        maps = ours.stages[0](image)
        torch.testing.assert_close(maps, expected.hidden_states[0], rtol=0, atol=1e-5)
        maps = ours.stages[1](maps)
        torch.testing.assert_close(maps, expected.hidden_states[1], rtol=0, atol=1e-5)
        tokens = ours.stages[2](maps)
        places = tokens[:, 1:].transpose(1, 2).reshape(expected.hidden_states[2].shape)
        torch.testing.assert_close(places, expected.hidden_states[2], rtol=0, atol=1e-5)
        logits = ours.forward_head(ours.norm(tokens))
        torch.testing.assert_close(logits, expected.logits, rtol=0, atol=1e-5)
        assert logits.std() > 0.01
        if not training:  # in training the first call has moved the stored means
            torch.testing.assert_close(ours(image), logits)


@pytest.mark.parametrize("class_token", [False, True])
def test_same_block_same_gradient(pair: tuple[nn.Module, CvT], class_token: bool) -> None:
    """One block on a map of uneven sides, with and without a class token."""
    theirs, ours = (model.eval() for model in pair)
    stage = 2 if class_token else 1
    their_block, our_block = theirs.cvt.encoder.stages[stage].layers[1], ours.stages[stage].blocks[1]
    tokens = torch.randn(2, 5 * 7 + class_token, 384 if class_token else 192)
    gradients = []
    for block in (lambda x: their_block(x, 5, 7), lambda x: our_block(x, (5, 7))):
        x = tokens.clone().requires_grad_()
        y = block(x)
        y.square().mean().backward()
        gradients.append((y.detach(), x.grad))
    torch.testing.assert_close(gradients[1][0], gradients[0][0], rtol=0, atol=1e-5)
    torch.testing.assert_close(gradients[1][1], gradients[0][1], rtol=0, atol=1e-7)


def test_original_projections_have_no_bias() -> None:
    """3 projections in 4 blocks: 3 x (64 + 192 + 2 x 384) biases that the published number of parameters contains."""
    with torch.device("meta"):
        with_bias, without = create("ecal_cvt"), create("ecal_cvt", depthwise_bias=False)
    assert count_parameters(with_bias) - count_parameters(without) == 3 * (64 + 192 + 2 * 384)
    assert options_of("ecal_cvt")["depthwise_bias"] is True


def test_maps_of_the_ams_variant() -> None:
    """18 x 72 cells, kernels 2x6, 3x4, 3x3 and strides 1x2, 1x2, 1x1 without padding."""
    model = create("ecal_cvt").eval()
    with torch.inference_mode():
        first = model.stages[0](torch.rand(1, 1, 18, 72))
        second = model.stages[1](first)
        assert first.shape == (1, 64, 17, 34)
        assert second.shape == (1, 192, 15, 16)
        assert model.stages[2](second).shape == (1, 1 + 13 * 14, 384)


def test_stages_that_cannot_be() -> None:
    with pytest.raises(ModelError, match="images of 4 x 72 cells are too small for the kernels of this CvT"):
        create("ecal_cvt", input_size=(1, 4, 72))
    with pytest.raises(ModelError, match="paddings of a CvT need one entry for each stage"):
        CvT(paddings=((0, 0),))
    with pytest.raises(ModelError, match="width 100 of a CvT stage is not a multiple of its 3 heads"):
        CvT(widths=(64, 100, 384))

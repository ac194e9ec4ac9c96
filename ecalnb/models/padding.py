"""timm's own models on images of a calorimeter, which are too small for them: most halve an image five times.

:class:`PaddedModel` fills an image up with zeros, 18 x 72 cells to 32 x 96, and hands it to the network.
``create("timm:convnext_atto")`` makes any of timm's models so; those of :data:`TIMM_MODELS` are tested to train.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
from timm.layers import PatchEmbed
from timm.models import get_pretrained_cfg_value, model_entrypoint
from torch import nn
from torch.nn import functional

from .errors import ModelError, forbid_unknown, suggest

__all__ = ["PREFIX", "TIMM_MODELS", "PaddedModel", "create_padded", "padded_options", "padded_size"]

PREFIX = "timm:"
"""What stands before the name of one of timm's models."""

TIMM_MODELS: dict[str, str] = {
    "timm:coatnet_nano_rw_224": "CoAtNet",
    "timm:convnext_atto": "ConvNeXt",
    "timm:densenet121": "DenseNet",
    "timm:edgenext_xx_small": "EdgeNeXt",
    "timm:efficientnet_lite0": "EfficientNet-Lite",
    "timm:fastvit_t8": "FastViT",
    "timm:ghostnet_050": "GhostNet",
    "timm:hrnet_w18_small": "HRNet",
    "timm:maxvit_rmlp_pico_rw_256": "MaxViT",
    "timm:mixer_s32_224": "MLP-Mixer",
    "timm:mobilenetv3_small_050": "MobileNetV3",
    "timm:mobilevit_xxs": "MobileViT",
    "timm:poolformer_s12": "PoolFormer",
    "timm:pvt_v2_b0": "Pyramid Vision Transformer v2",
    "timm:regnetx_002": "RegNet",
    "timm:repvgg_a0": "RepVGG",
    "timm:resnet10t": "ResNet",
    "timm:rexnet_100": "ReXNet",
    "timm:swin_tiny_patch4_window7_224": "Swin Transformer",
    "timm:vit_small_patch14_dinov2": "Vision Transformer with patches of 14 pixels",
    "timm:vit_tiny_patch16_224": "Vision Transformer",
    "timm:xcit_nano_12_p16_224": "XCiT",
}
"""Models of timm that are tested to train on AMS images: a small one of each family."""

# Sides that timm's models take are multiples of one of these: five halvings, patches of 14 pixels, six halvings.
_STEPS = (32, 14, 64)


class PaddedModel(nn.Module):
    """A model of timm, with zeros behind the last layer and the last cell of the image.

    Parameters
    ----------
    architecture : str
        Name in timm's registry.
    in_chans, num_classes : int
        Channels of the image, and outputs.
    img_size : sequence of 2 int
        Layers and cells of the image.
    step : int
        Sides are padded to the next multiple of this number.
    **options
        Options of the architecture.
    """

    def __init__(
        self,
        architecture: str,
        in_chans: int = 1,
        num_classes: int = 1,
        img_size: Sequence[int] = (18, 72),
        step: int = _STEPS[0],
        **options: Any,
    ) -> None:
        super().__init__()
        size = padded_size(img_size, step)
        # Only models whose parameters depend on the size are told it.
        fixed = {"img_size": size} if get_pretrained_cfg_value(architecture, "fixed_input_size") else {}
        self.network = timm.create_model(architecture, in_chans=in_chans, num_classes=num_classes, **fixed, **options)
        self.num_classes = num_classes
        self.num_features = self.network.num_features
        self.head_hidden_size = getattr(self.network, "head_hidden_size", self.num_features)
        # Behind the image only: a shortcut of stride 2 keeps the first of two pixels, and after five of them in a
        # network that begins as its shortcuts, a frame in front of the image would be all that is left of it.
        self.frame = (0, size[1] - img_size[1], 0, size[0] - img_size[0])

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps, or tokens, of (n, channels, layers, cells) images."""
        return self.network.forward_features(functional.pad(x, self.frame))

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Turn feature maps into outputs, or with `pre_logits` into the features before the last layer."""
        return self.network.forward_head(x, pre_logits=pre_logits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, num_classes) of (n, channels, layers, cells) images."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.network.get_classifier()


def padded_size(img_size: Sequence[int], step: int = _STEPS[0]) -> tuple[int, ...]:
    """Sides of an image after padding to the next multiple of `step`."""
    return tuple(-(-side // step) * step for side in img_size)


def padded_options(name: str) -> dict[str, Any]:
    """Rates of dropout and stochastic depth that one of timm's models takes, with the defaults of its class.

    Parameters
    ----------
    name : str
        With the prefix, ``"timm:convnext_atto"``.

    Raises
    ------
    ModelError
        If timm has no such model, or it is one of this package.
    """
    # timm's entry points take any argument; the constructor of the class that they return tells which are read.
    architecture = _architecture(name)
    model_class = inspect.signature(model_entrypoint(architecture)).return_annotation
    if model_class is inspect.Signature.empty:
        with torch.device("meta"):
            model_class = type(timm.create_model(architecture))
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(model_class).parameters.values()
        if "drop" in parameter.name and parameter.name.endswith("_rate")
    }


def create_padded(
    name: str, channels: int, img_size: Sequence[int], num_classes: int, options: Mapping[str, Any]
) -> PaddedModel:
    """Make one of timm's models for images of any size; see :func:`ecalnb.models.create`.

    The image is padded to the next multiple of 32; where the model refuses that, of 14 or of 64.

    Raises
    ------
    ModelError
        If timm has no such model or option, or the model takes none of these sizes.
    """
    architecture = _architecture(name)
    forbid_unknown(name, options, padded_options(name))
    arguments = {"in_chans": channels, "num_classes": num_classes, "img_size": tuple(img_size), **options}
    reasons = []
    for step in _STEPS:
        reason = _what_fails({"architecture": architecture, "step": step, **arguments})
        if reason is None:
            return PaddedModel(architecture, step=step, **arguments)
        reasons.append(reason)
    size = " x ".join(map(str, padded_size(img_size)))
    raise ModelError(f"{name} does not work on {img_size[0]} x {img_size[1]} cells padded to {size}: {reasons[0]}")


def _what_fails(arguments: Mapping[str, Any]) -> str | None:
    """Try a model without memory and random numbers; None if it works, else the reason in a line."""
    channels, outputs = arguments["in_chans"], arguments["num_classes"]
    try:
        with torch.device("meta"), torch.no_grad():
            model = PaddedModel(**arguments).eval()
            patch = _patch_size(model.network)
            if any(arguments["step"] % side for side in patch):
                return f"its patches of {patch[0]} x {patch[1]} pixels do not fill it"
            maps = model.forward_features(torch.empty(2, channels, *arguments["img_size"]))
            output = model.forward_head(maps)
    except Exception as error:  # timm's models fail in many ways
        return str(error).partition("\n")[0] or type(error).__name__
    if output.shape != (2, outputs):
        return f"its output has shape {tuple(output.shape)}, not {(2, outputs)}"
    try:
        with torch.device("meta"), torch.no_grad():
            model.get_classifier()(model.forward_head(maps, pre_logits=True))
    except Exception as error:
        return f"its last layer cannot be told from the rest ({str(error).partition(chr(10))[0]})"
    return None


def _patch_size(network: nn.Module) -> tuple[int, int]:
    """Sides of the patches that a vision transformer cuts an image into; single pixels for other models."""
    embedding = getattr(network, "patch_embed", None)
    return embedding.patch_size if isinstance(embedding, PatchEmbed) else (1, 1)


def _architecture(name: str) -> str:
    """Name in timm's registry of a model that is timm's own."""
    architecture = name.removeprefix(PREFIX)
    names = [known for known in timm.list_models() if not known.startswith("ecal_")]
    if architecture not in names:
        raise ModelError(
            f"timm has no model {architecture!r}; {suggest(architecture, names, 'see timm.list_models()')}"
        )
    return architecture

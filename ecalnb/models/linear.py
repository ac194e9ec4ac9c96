"""Linear classifiers: logistic regression, and a support-vector machine with a Gaussian kernel.

Both end in one linear layer, over the cells themselves or over random features of them. What makes the one a logistic
regression and the other a support-vector machine is the loss that they are trained with, cross-entropy or hinge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from torch import nn

from .registry import ModelError, build, default_cfg

__all__ = ["FourierFeatures", "LinearModel"]

default_cfgs = generate_default_cfgs({name: default_cfg(classifier="head") for name in ("ecal_linear", "ecal_svm")})


class FourierFeatures(nn.Module):
    r"""Random features whose scalar product approximates a Gaussian kernel.

    For frequencies w drawn from a normal distribution of width 1 / length_scale, the mean of cos(w (x - y)) is
    exp(-\|x - y\|^2 / (2 length_scale^2)) (A. Rahimi and B. Recht, Random Features for Large-Scale Kernel Machines,
    NIPS 2007, theorem 1 and algorithm 1). The features are cosine and sine of the same frequencies, which leaves less
    noise than cosines with random phases (D. Sutherland and J. Schneider, On the Error of Random Fourier Features,
    UAI 2015). Frequencies come from torch's generator, are not trained, and are saved with the weights.

    Parameters
    ----------
    inputs, outputs : int
        Numbers of inputs and of features; half as many frequencies are drawn.
    length_scale : float
        Distance, in units of the inputs, at which the kernel has fallen to exp(-1/2).
    """

    frequencies: torch.Tensor

    def __init__(self, inputs: int, outputs: int, length_scale: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(inputs, outputs // 2) / length_scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, outputs) of (n, inputs); the squares of an event's features sum to 1."""
        # In single precision always: a phase of many turns has no fraction left in bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            phase = x.float() @ self.frequencies
            return torch.cat([phase.cos(), phase.sin()], dim=1) / math.sqrt(self.frequencies.shape[1])


class LinearModel(nn.Module):
    """One linear layer over all cells, or over features of them.

    Parameters
    ----------
    in_chans, num_classes : int
        Channels of the image, and outputs.
    img_size : sequence of 2 int
        Layers and cells of the image.
    features : int
        Number of random features; 0 for the cells themselves.
    length_scale : float
        Of the Gaussian kernel, in units of the inputs.
    drop_rate : float
        Dropout before the linear layer.

    Raises
    ------
    ModelError
        If the number of features is negative or odd, or the length scale not positive.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 1,
        img_size: Sequence[int] = (18, 72),
        features: int = 0,
        length_scale: float = 1.0,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if features < 0 or features % 2:
            raise ModelError(f"the number of features is {features}; expected an even number, half of them frequencies")
        if not length_scale > 0:
            raise ModelError(f"length_scale is {length_scale}; expected a positive number")
        cells = in_chans * math.prod(img_size)
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = features or cells
        self.features = FourierFeatures(cells, features, length_scale) if features else nn.Identity()
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(self.num_features, num_classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (n, channels, layers, cells) images into what the linear layer gets, (n, features)."""
        return self.features(x.flatten(1))

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Turn features into outputs, or with `pre_logits` apply the dropout alone."""
        x = self.head_drop(x)
        return x if pre_logits else self.head(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, num_classes) of (n, channels, layers, cells) images."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.head


@register_model
def ecal_linear(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 72),
    drop_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """One linear layer on all cells: logistic regression."""
    return build(
        LinearModel,
        "ecal_linear",
        pretrained,
        timm_arguments,
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        drop_rate=drop_rate,
    )


@register_model
def ecal_svm(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 72),
    features: int = 8192,
    length_scale: float = 6.0,
    drop_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Support-vector machine: random features of a Gaussian kernel, one linear layer; for the hinge loss."""
    if not features:
        raise ModelError("ecal_svm needs random features; ecal_linear has none")
    return build(
        LinearModel,
        "ecal_svm",
        pretrained,
        timm_arguments,
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        features=features,
        length_scale=length_scale,
        drop_rate=drop_rate,
    )

"""A small convolutional network: three convolutions, two poolings, two linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.models import register_model
from torch import nn

from .registry import ModelError, build, default_cfg, packaged_cfgs

__all__ = ["SimpleCNN"]

default_cfgs = packaged_cfgs({"ecal_simple_cnn": default_cfg(first_conv="stage1.0", classifier="head")})


class SimpleCNN(nn.Module):
    """Three 3 x 3 convolutions without padding, max-pooling after the first two, one hidden linear layer.

    Parameters
    ----------
    in_chans : int
        Channels of the image.
    num_classes : int
        Number of outputs.
    img_size : sequence of 2 int
        Layers and cells of the image.
    channels : sequence of 3 int
        Channels after each convolution. The default, with `hidden`, gives the 106,317 parameters of the paper.
    hidden : int
        Width of the hidden linear layer.
    drop_rate : float
        Dropout before the hidden and the last linear layer.

    Raises
    ------
    ModelError
        If the image is too small for the convolutions.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 1,
        img_size: Sequence[int] = (18, 72),
        channels: Sequence[int] = (10, 12, 36),
        hidden: int = 200,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if len(channels) != 3:
            raise ModelError(f"channels {tuple(channels)} of ecal_simple_cnn are not the three of its convolutions")
        size = tuple(((side - 2) // 2 - 2) // 2 - 2 for side in img_size)
        if min(size) < 1:
            raise ModelError(
                f"images of {img_size[0]} x {img_size[1]} cells are too small for ecal_simple_cnn (18 x 18)"
            )
        first, second, third = channels
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = hidden
        self.stage1 = nn.Sequential(nn.Conv2d(in_chans, first, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(nn.Conv2d(first, second, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.stage3 = nn.Sequential(nn.Conv2d(second, third, 3), nn.ReLU())
        self.pre_logits = nn.Sequential(
            nn.Flatten(), nn.Dropout(drop_rate), nn.Linear(third * size[0] * size[1], hidden), nn.ReLU()
        )
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(hidden, num_classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps of (n, channels, layers, cells) images."""
        return self.stage3(self.stage2(self.stage1(x)))

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Turn feature maps into outputs, or with `pre_logits` into the (n, hidden) features before the last layer."""
        x = self.head_drop(self.pre_logits(x))
        return x if pre_logits else self.head(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, num_classes) of (n, channels, layers, cells) images."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.head


@register_model
def ecal_simple_cnn(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 72),
    channels: Sequence[int] = (10, 12, 36),
    hidden: int = 200,
    drop_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Convolutional network: 3 convolutions, 2 max-poolings, 2 linear layers."""
    return build(
        SimpleCNN,
        "ecal_simple_cnn",
        pretrained,
        timm_arguments,
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        channels=tuple(channels),
        hidden=hidden,
        drop_rate=drop_rate,
    )

"""A multilayer perceptron: every cell an input of the first of four hidden layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from torch import nn

from .registry import ModelError, build, default_cfg

__all__ = ["SimpleMLP"]

default_cfgs = generate_default_cfgs({"ecal_simple_mlp": default_cfg(first_conv="hidden.0", classifier="head")})


class SimpleMLP(nn.Module):
    """Linear layers with rectifiers between them.

    Parameters
    ----------
    in_chans : int
        Channels of the image.
    num_classes : int
        Number of outputs.
    img_size : sequence of 2 int
        Layers and cells of the image.
    widths : sequence of int
        Widths of the hidden layers. The default is one that gives the 192,001 parameters of R. Hashmani et al.
    drop_rate : float
        Dropout after each hidden layer.

    Raises
    ------
    ModelError
        If there is no hidden layer.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 1,
        img_size: Sequence[int] = (18, 72),
        widths: Sequence[int] = (120, 120, 120, 60),
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ModelError(f"widths {tuple(widths)} of ecal_simple_mlp are not those of one or more hidden layers")
        layers: list[nn.Module] = []
        for before, after in pairwise((in_chans * math.prod(img_size), *widths)):
            if layers:
                layers.append(nn.Dropout(drop_rate))
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = widths[-1]
        self.hidden = nn.Sequential(*layers)
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(widths[-1], num_classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Last hidden layer, (n, width), of (n, channels, layers, cells) images."""
        return self.hidden(x.flatten(1))

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Turn the last hidden layer into outputs, or with `pre_logits` apply the dropout alone."""
        x = self.head_drop(x)
        return x if pre_logits else self.head(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, num_classes) of (n, channels, layers, cells) images."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.head


@register_model
def ecal_simple_mlp(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 72),
    widths: Sequence[int] = (120, 120, 120, 60),
    drop_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Multilayer perceptron: 4 hidden layers on all cells."""
    return build(
        SimpleMLP,
        "ecal_simple_mlp",
        pretrained,
        timm_arguments,
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        widths=tuple(widths),
        drop_rate=drop_rate,
    )

"""A network that sees a shower as the calorimeter does: as two projections that it puts together by depth.

In one image of all layers, rows of both coordinates follow one another two by two, so that a convolution mixes cells
that have nothing to do with one another. Here each view is an image of its own, 8 and 10 layers of 72 cells in AMS, and
the same three convolutions go over both: a shower is alike in x and in y. The last joins the two layers of a
superlayer. Maximum and mean over the cells of a superlayer leave how strong each feature is, wherever the shower is.
The superlayers of both views, now in the order of depth, are what a convolution along the shower axis gets.

Parallel convolutions over the projections of an event, joined late, are an idea of neutrino experiments (A. Aurisano
et al., A Convolutional Neural Network Neutrino Event Classifier, JINST 11 (2016) P09001). Sharing the weights, pooling
over cells and joining by depth are choices of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from torch import nn

from ..geometry import AMS
from .registry import ModelError, build, default_cfg

__all__ = ["TwoViewNet"]

default_cfgs = generate_default_cfgs({"ecal_two_view": default_cfg(first_conv="tower.0", classifier="head")})

_VIEWS = "".join(AMS.views)


class TwoViewNet(nn.Module):
    """Shared convolutions over the two views, joined by depth.

    Parameters
    ----------
    in_chans, num_classes : int
        Channels of the image, and outputs.
    img_size : sequence of 2 int
        Layers and cells of the image.
    views : str
        What each layer measures, ``x`` or ``y``, first layer first; those of AMS by default.
    channels : sequence of 3 int
        Channels after each convolution of a view.
    hidden : int
        Width of the hidden linear layer.
    drop_rate : float
        Dropout before the hidden and the last linear layer.

    Raises
    ------
    ModelError
        If the views are not those of pairs of layers, or the image has another number of layers.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 1,
        img_size: Sequence[int] = (18, 72),
        views: str = _VIEWS,
        channels: Sequence[int] = (16, 32, 64),
        hidden: int = 64,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if set(views) != {"x", "y"} or views[::2] != views[1::2]:
            raise ModelError(f"views are {views!r}; expected an x or y for each layer, two layers of each alike")
        if len(views) != img_size[0]:
            raise ModelError(f"images of {img_size[0]} layers do not fit ecal_two_view with {len(views)} views")
        if len(channels) != 3:
            raise ModelError(f"channels {tuple(channels)} of ecal_two_view are not the three of its convolutions")
        layers = {view: [layer for layer, of in enumerate(views) if of == view] for view in "xy"}
        first = [layer for view in "xy" for layer in layers[view][::2]]
        for name, values in {**layers, "order": sorted(range(len(first)), key=first.__getitem__)}.items():
            self.register_buffer(f"_{name}", torch.tensor(values), persistent=False)
        one, two, three = channels
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = hidden
        self.tower = nn.Sequential(
            *_convolution(in_chans, one, (3, 5), (1, 2), (1, 2)),
            *_convolution(one, two, (3, 3), (1, 2), (1, 1)),
            *_convolution(two, three, (2, 3), (2, 1), (0, 1)),
        )
        self.along_depth = nn.Sequential(nn.Conv1d(2 * three, three, 3, padding=1), nn.ReLU())
        self.pre_logits = nn.Sequential(
            nn.Flatten(), nn.Dropout(drop_rate), nn.Linear(three * len(first), hidden), nn.ReLU()
        )
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(hidden, num_classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Features of each superlayer, (n, features, superlayers), of (n, channels, layers, cells) images."""
        views = []
        for layers in (self.get_buffer("_x"), self.get_buffer("_y")):
            maps = self.tower(x.index_select(2, layers))
            views.append(torch.cat([maps.amax(-1), maps.mean(-1)], dim=1))
        superlayers = torch.cat(views, dim=2).index_select(2, self.get_buffer("_order"))
        return self.along_depth(superlayers)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Turn superlayers into outputs, or with `pre_logits` into the (n, hidden) features before the last layer."""
        x = self.head_drop(self.pre_logits(x))
        return x if pre_logits else self.head(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, num_classes) of (n, channels, layers, cells) images."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.head


def _convolution(
    channels: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> list[nn.Module]:
    """Convolution, batch normalisation and rectifier."""
    return [nn.Conv2d(channels, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


@register_model
def ecal_two_view(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 72),
    views: str = _VIEWS,
    channels: Sequence[int] = (16, 32, 64),
    hidden: int = 64,
    drop_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Two-view network: the same convolutions over the x and the y layers, joined superlayer by superlayer."""
    return build(
        TwoViewNet,
        "ecal_two_view",
        pretrained,
        timm_arguments,
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        views=views,
        channels=tuple(channels),
        hidden=hidden,
        drop_rate=drop_rate,
    )

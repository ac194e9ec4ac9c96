"""Residual networks (K. He et al., Deep Residual Learning for Image Recognition, CVPR 2016).

timm's ResNet with as many channels in the stem as the image has, and one output.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from .registry import build, default_cfg, packaged_cfgs

__all__: list[str] = []

default_cfgs = packaged_cfgs(
    {name: default_cfg(first_conv="conv1", classifier="fc") for name in ("ecal_resnet10", "ecal_resnet18")}
)


@register_model
def ecal_resnet10(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Residual network of one basic block in each of four stages, 7 x 7 stem."""
    return build(
        ResNet,
        "ecal_resnet10",
        pretrained,
        timm_arguments,
        block=BasicBlock,
        layers=(1, 1, 1, 1),
        in_chans=in_chans,
        num_classes=num_classes,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )


@register_model
def ecal_resnet18(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Residual network of two basic blocks in each of four stages, 7 x 7 stem."""
    return build(
        ResNet,
        "ecal_resnet18",
        pretrained,
        timm_arguments,
        block=BasicBlock,
        layers=(2, 2, 2, 2),
        in_chans=in_chans,
        num_classes=num_classes,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )

"""CoAtNet (Z. Dai et al., CoAtNet: Marrying Convolution and Attention for All Data Sizes, NeurIPS 2021), timm's.

Two stages of convolutions and two of attention with learned relative positions, each of which halves the image, as the
stem does: 18 x 72 cells are padded to 32 x 96, of which 1 x 3 is left. Depths and widths are those of the paper's
table 3. timm puts one hidden layer before the output; the paper has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models import generate_default_cfgs, register_model
from torch import nn

from .padding import PaddedModel
from .registry import build, default_cfg

__all__: list[str] = []

default_cfgs = generate_default_cfgs(
    {
        name: default_cfg(first_conv="network.stem.conv1", classifier="network.head.fc")
        for name in ("ecal_coatnet0", "ecal_coatnet3")
    }
)


@register_model
def ecal_coatnet0(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 72),
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """CoAtNet-0: 2, 3 convolutional and 5, 2 attention blocks of widths 96 to 768, padded to 32 x 96."""
    return build(
        PaddedModel,
        "ecal_coatnet0",
        pretrained,
        timm_arguments,
        architecture="coatnet_0_224",
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )


@register_model
def ecal_coatnet3(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 72),
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """CoAtNet-3: 2, 6 convolutional and 14, 2 attention blocks of widths 192 to 1536, padded to 32 x 96."""
    return build(
        PaddedModel,
        "ecal_coatnet3",
        pretrained,
        timm_arguments,
        architecture="coatnet_3_224",
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )

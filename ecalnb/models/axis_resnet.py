"""The residual network for the shower axis of Y. Xiong and H. Chen: ResNet18 that knows the total energy.

The image passes through 17 convolutions; its features and the total deposited energy through a dense layer, as in their
talk (Quantum Computing and Machine Learning Workshop, Qingdao, 2025). The talk does not say more of how the energy goes
in: here it is one more input of the dense layer. (Three more convolutions of 1 x 1 match the shortcuts, as in all such
networks.)
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from .registry import ModelError, build, default_cfg, packaged_cfgs

__all__ = ["AxisResNet"]

default_cfgs = packaged_cfgs({"ecal_axis_resnet18": default_cfg(first_conv="conv1", classifier="fc")})


class AxisResNet(ResNet):
    """timm's ResNet whose dense layer has numbers of the event beside the features.

    Parameters
    ----------
    in_chans : int
        The first channel is the image; each other one holds a number of the event in all its cells, as the scalars of
        :class:`ecalnb.training.CellInputs` do.
    num_classes : int
        Outputs: 1 for theta, 2 for x and y.
    **options
        Of timm's ResNet.

    Raises
    ------
    ModelError
        If there is no channel.
    """

    def __init__(self, in_chans: int = 1, num_classes: int = 1, **options: Any) -> None:
        if in_chans < 1:
            raise ModelError(f"in_chans of ecal_axis_resnet18 is {in_chans}; expected 1 for the image and more")
        super().__init__(in_chans=1, num_classes=num_classes, **options)
        self.fc = nn.Linear(self.num_features + in_chans - 1, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict (n, num_classes) numbers from (n, channels, layers, cells) images."""
        features = self.forward_head(self.forward_features(x[:, :1]), pre_logits=True)
        return self.fc(torch.cat([features, x[:, 1:, 0, 0]], dim=1))


@register_model
def ecal_axis_resnet18(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Residual network of two basic blocks in each of four stages, for the axis; its dense layer gets the energy."""
    return build(
        AxisResNet,
        "ecal_axis_resnet18",
        pretrained,
        timm_arguments,
        block=BasicBlock,
        layers=(2, 2, 2, 2),
        in_chans=in_chans,
        num_classes=num_classes,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )

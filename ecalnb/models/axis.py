"""A network for the axis of a shower: position at the front face and direction, with their uncertainty.

The network does not see where in the calorimeter a shower is. It sees the cells about a first line through the shower,
and corrects that line. So it need not learn that a shower at another place, or at another angle, is the same shower
elsewhere, and what it has to predict is of the size of the resolution, not of the calorimeter. The line is that of
:func:`ecalnb.variables.shower_axis`; the window about it is the one of the physics-based input of R. Hashmani, E. Akbaş
and M. B. Demirköz, with the shower's own axis in place of the track. Each view is mirrored where its line leans to the
other side, so that the calorimeter's mirror symmetry holds exactly. The residual blocks are those of K. He et al. (CVPR
2016). Putting these together for an axis is a choice of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.models import register_model
from torch import nn
from torch.nn import functional

from ..geometry import AMS
from .registry import ModelError, build, default_cfg, packaged_cfgs

__all__ = ["ShowerAxisNet"]

default_cfgs = packaged_cfgs({"ecal_axis_joint": default_cfg(num_classes=8, first_conv="stem", classifier="head")})

_VIEWS = "".join(AMS.views)
_MEV = 1e-3  # GeV
_PASSES, _NEAR = 3, 3.5  # of the first line: fits, and cells on either side that the next one uses
_CLOSE = 1.5  # cells on either side of the line, for the second of the two centres of gravity


class ShowerAxisNet(nn.Module):
    """Residual network on the cells about a first line through the shower.

    Lengths are in cells, depths in units of the calorimeter's: a slope of 1 is one cell from the front face to the
    back.

    Parameters
    ----------
    in_chans : int
        Has to be 1: the cells in GeV.
    num_classes : int
        4: x and y at the front face and the slopes in x and y; or 8: the logarithms of their variances too.
    img_size : sequence of 2 int
        Layers and cells of the image.
    views : str
        What each layer measures, ``x`` or ``y``, first layer first; those of AMS by default.
    channels : sequence of 4 int
        Channels of the four stages.
    half_width : int
        Cells on either side of the line that the network sees.
    hidden : int
        Width of the hidden linear layer.
    drop_rate : float
        Dropout before the last linear layer.

    Raises
    ------
    ModelError
        If the image or the number of outputs is another.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 8,
        img_size: Sequence[int] = (18, 72),
        views: str = _VIEWS,
        channels: Sequence[int] = (16, 32, 64, 128),
        half_width: int = 7,
        hidden: int = 192,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if in_chans != 1 or num_classes not in (4, 8):
            raise ModelError(
                f"ecal_axis_joint has {in_chans} input channels and {num_classes} outputs; "
                "expected 1 (the cells in GeV) and 4 or 8 (with uncertainties)"
            )
        if len(views) != img_size[0] or set(views) != {"x", "y"}:
            raise ModelError(f"views are {views!r}; expected an x or y for each of {img_size[0]} layers, both of them")
        if len(channels) != 4:
            raise ModelError(f"channels {tuple(channels)} of ecal_axis_joint are not those of four stages")
        n_layers, n_cells = img_size
        self.num_classes, self.half_width = num_classes, half_width
        self.num_features = self.head_hidden_size = hidden
        constants = {
            "_depth": (torch.arange(n_layers) + 0.5) / n_layers,
            "_cell": torch.arange(n_cells) + 0.5 - n_cells / 2,
            "_views": torch.tensor([[of == view for of in views] for view in "xy"]).float(),
            "_window": torch.arange(-half_width, half_width + 1),
        }
        for name, values in constants.items():
            self.register_buffer(name, values, persistent=False)
        one, two, three, four = channels
        self.stem = nn.Conv2d(6, one, 3, padding=1)
        self.stages = nn.Sequential(
            _Block(one, one, (1, 1)), _Block(one, two, (1, 2)), _Block(two, three, (2, 2)), _Block(three, four, (1, 2))
        )
        columns = half_width * 2 + 1
        for _ in range(3):
            columns = (columns + 1) // 2
        rows = (n_layers + 1) // 2
        self.squeeze = nn.Conv2d(four, four // 4, 1)
        features = four // 4 * rows * columns + 4 * n_layers + 3
        self.hidden = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(hidden, num_classes)
        nn.init.zeros_(self.head.weight)  # the training starts from the first line
        nn.init.zeros_(self.head.bias)

    def first_line(self, cells: torch.Tensor) -> torch.Tensor:
        """Fit lines through the highest cells, then twice to the cells near the line before, each with its energy.

        Parameters
        ----------
        cells : tensor, shape (n, layers, cells)
            Energies; negative ones count as 0.

        Returns
        -------
        tensor, shape (n, 2, 2)
            For each view position at the front face and slope; a view with too little energy is vertical.
        """
        line = self._fitted(cells, self.get_buffer("_cell")[cells.argmax(dim=2)])
        for _ in range(_PASSES - 1):
            line = self._fitted(cells, self._at_layers(line))
        return line

    def _fitted(self, cells: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
        """Lines (n, 2, 2) through the cells near some place of each layer (n, layers)."""
        depth, cell, views = (self.get_buffer(name) for name in ("_depth", "_cell", "_views"))
        near = cells * ((cell - middle.unsqueeze(2)).abs() <= _NEAR)
        weight, moment = near.sum(2), near @ cell
        total = (weight @ views.T).clamp_min(1e-9)
        mean_depth = (weight * depth) @ views.T / total
        mean = moment @ views.T / total
        lever = depth - mean_depth @ views  # of each layer from the mean depth of its view
        spread = (weight * lever**2) @ views.T / total
        slope = (moment * lever) @ views.T / total / spread.clamp_min(1e-4)
        slope = torch.where(spread > 1e-4, slope, 0.0)
        return torch.stack([mean - slope * mean_depth, slope], dim=2)

    def _at_layers(self, line: torch.Tensor) -> torch.Tensor:
        """Where lines (n, 2, 2) cross the layers, (n, layers), each in its view."""
        views = self.get_buffer("_views")
        return line[..., 0] @ views + line[..., 1] @ views * self.get_buffer("_depth")

    def _prepare(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Window (n, 6, layers, columns), numbers (n, features), the line and the sign of each view (n, 2)."""
        cell, views, window = (self.get_buffer(name) for name in ("_cell", "_views", "_window"))
        cells = x[:, 0].clamp_min(0)
        line = self.first_line(cells)
        sign = torch.where(line[..., 1] < 0, -1.0, 1.0)
        flip = (sign @ views).unsqueeze(2)  # of each layer
        crossing = self._at_layers(line)
        centre = torch.floor(crossing - cell[0] + 0.5)  # the cell that holds it
        index = centre.long().unsqueeze(2) + window * flip.long()
        inside = (index >= 0) & (index < len(cell))
        near = cells.gather(2, index.clamp(0, len(cell) - 1)) * inside
        distance = (centre + cell[0] - crossing).unsqueeze(2) * flip + window  # from the line, mirrored with the cells
        total = cells.sum(dim=(1, 2)).clamp_min(_MEV)
        layer = near.sum(2)
        share = near / layer.clamp_min(_MEV).unsqueeze(2)
        close = near * (distance.abs() <= _CLOSE)
        whole = torch.ones_like(near)
        lean = (line[..., 1].abs() / 10) @ views
        log_total = torch.log(total) / 5
        image = torch.stack(
            [
                torch.log1p(near / _MEV) / 7,
                share,
                distance / self.half_width,
                whole * (views[0] - views[1])[:, None],
                whole * lean.unsqueeze(2),
                whole * log_total[:, None, None],
            ],
            dim=1,
        )
        numbers = [
            (share * distance).sum(2),
            (close * distance).sum(2) / close.sum(2).clamp_min(_MEV),
            torch.log1p(layer / _MEV) / 7,
            layer / total.unsqueeze(1) * 10,
            log_total.unsqueeze(1),
            line[..., 1].abs() / 10,
        ]
        return image, torch.cat(numbers, dim=1), line, sign

    def _features(self, image: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        maps = self.squeeze(self.stages(self.stem(image.contiguous(memory_format=torch.channels_last))))
        return self.hidden(torch.cat([maps.flatten(1), numbers], dim=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Axes of showers.

        Parameters
        ----------
        x : tensor, shape (n, 1, layers, cells)
            Cell energies, GeV.

        Returns
        -------
        tensor, shape (n, 4) or (n, 8)
            x, y, slope in x and slope in y, in the units of the class; and the logarithm of the variance of each.
        """
        image, numbers, line, sign = self._prepare(x)
        outputs = self.head(self.head_drop(self._features(image, numbers)))
        correction = outputs[:, :4] * sign.repeat(1, 2)
        axis = line.transpose(1, 2).flatten(1) + correction
        return torch.cat([axis, outputs[:, 4:]], dim=1)

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.head


class _Block(nn.Module):
    """Two convolutions with a shortcut, normalised before each."""

    def __init__(self, channels: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(channels, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        same = channels == outputs and stride == (1, 1)
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Make the maps of the next stage."""
        normal = functional.relu(self.norm1(x))
        return self.shortcut(x) + self.conv2(functional.relu(self.norm2(self.conv1(normal))))


@register_model
def ecal_axis_joint(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 8,
    img_size: Sequence[int] = (18, 72),
    views: str = _VIEWS,
    channels: Sequence[int] = (16, 32, 64, 128),
    half_width: int = 7,
    hidden: int = 192,
    drop_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Residual network about a first line through the shower: its axis, with uncertainties."""
    return build(
        ShowerAxisNet,
        "ecal_axis_joint",
        pretrained,
        timm_arguments,
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        views=views,
        channels=tuple(channels),
        half_width=half_width,
        hidden=hidden,
        drop_rate=drop_rate,
    )

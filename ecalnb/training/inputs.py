"""What a model sees of an event: the inputs, recorded with the weights.

Inputs are made from a batch of raw cell energies, and of the columns of the event table that they name, on the device
of the model, so that a model in use needs no other preparation. A new input is a class with the members of
:class:`Inputs`, most easily one derived from :class:`CellInputs`, added to ``_INPUTS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from timm.models import get_pretrained_cfg

from .. import models  # noqa: F401  (registers the architectures, with the size of what they are made for)
from .._toml import near
from ..geometry import AMS, Calorimeter
from .errors import TrainingError
from .scales import NORMALISATIONS, SCALARS, Batch
from .track import TRACK_COLUMNS, depth_crossed, track_window

__all__ = [
    "Batch",
    "CellInputs",
    "Inputs",
    "MergedInputs",
    "NeedsColumns",
    "TrackWindowInputs",
    "ViewInputs",
    "default_inputs",
    "inputs_from",
    "list_inputs",
]


class NeedsColumns(Protocol):
    """What needs columns of the event table beside the cells, whatever it makes of them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""

    def to_dict(self) -> dict[str, Any]:
        """Name and settings, for the record."""


class Inputs(NeedsColumns, Protocol):
    """What an input of a network has to have."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of what the model gets."""

    def to_dict(self) -> dict[str, Any]:
        """Name and settings, from which `inputs_from` makes it again for the same calorimeter."""

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Make what the model gets, float32 (n, channels, rows, columns)."""


@dataclass(frozen=True)
class CellInputs(ABC):
    """Inputs made of normalised cells, with some numbers of the event as further, constant channels.

    Parameters
    ----------
    normalisation : str
        Scale of the cells, one of :data:`~ecalnb.training.scales.NORMALISATIONS`.
    scalars : tuple of str
        Some of :data:`~ecalnb.training.scales.SCALARS`, one channel each after those of the cells.
    geometry : Calorimeter
        The calorimeter of the cells.

    Raises
    ------
    TrainingError
        If there is no such normalisation or scalar.
    """

    normalisation: str = "log"
    scalars: tuple[str, ...] = ()
    geometry: Calorimeter = AMS

    name: ClassVar[str]
    own_columns: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scalars", tuple(self.scalars))
        if self.normalisation not in NORMALISATIONS:
            raise TrainingError(f"normalisation is {self.normalisation!r}; expected one of {', '.join(NORMALISATIONS)}")
        for index, name in enumerate(self.scalars):
            if name not in SCALARS or name in self.scalars[:index]:
                what = "exists" if name not in SCALARS else "is wanted once"
                raise TrainingError(f"no scalar {name!r} {what}; expected some of {', '.join(SCALARS)}, each once")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the event table that are needed beside the cells."""
        return tuple(dict.fromkeys([*self.own_columns, *(c for name in self.scalars for c in SCALARS[name].columns)]))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of what the model gets."""
        channels, rows, columns = self.image_shape
        return channels + len(self.scalars), rows, columns

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns without the scalars."""

    @abstractmethod
    def image(self, cells: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Arrange normalised cells (n, layers, cells) as the model gets them, without the scalars."""

    def to_dict(self) -> dict[str, Any]:
        """Name and settings; the calorimeter is recorded apart."""
        return {"name": self.name, "normalisation": self.normalisation, "scalars": list(self.scalars)}

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Make what the model gets, (n, channels, rows, columns)."""
        image = self.image(NORMALISATIONS[self.normalisation](batch["cells"]), batch)
        if not self.scalars:
            return image
        numbers = torch.stack([SCALARS[name].of(batch) for name in self.scalars], dim=1)
        constant = numbers[:, :, None, None].expand(-1, -1, image.shape[2], image.shape[3])
        return torch.cat([image, constant], dim=1)


class MergedInputs(CellInputs):
    """All layers in one image of one channel, 1 x 18 x 72: neighbouring rows may measure different coordinates."""

    name = "merged"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """One channel of (layers, cells)."""
        return (1, *self.geometry.shape)

    def image(self, cells: torch.Tensor, batch: Batch) -> torch.Tensor:  # noqa: ARG002
        """Make one channel of the cells."""
        return cells.unsqueeze(1)


class ViewInputs(CellInputs):
    """A channel for each view, 2 x 18 x 72: the layers that measure x, then those that measure y, zero elsewhere."""

    name = "by_view"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Two channels of (layers, cells)."""
        return (2, *self.geometry.shape)

    def image(self, cells: torch.Tensor, batch: Batch) -> torch.Tensor:  # noqa: ARG002
        """Put the cells into the channel of their view."""
        mask = torch.tensor([[view == channel for view in self.geometry.views] for channel in ("x", "y")])
        return torch.where(mask.to(cells.device)[None, :, :, None], cells.unsqueeze(1), 0.0)


class TrackWindowInputs(CellInputs):
    """The 21 cells about the extrapolated track in each layer, and the depth crossed by the particle, 2 x 18 x 21.

    The physics-based input of R. Hashmani, E. Akbaş and M. B. Demirköz (section 5.1): the tracker's track is followed
    through the calorimeter; of each layer the cell that holds it and ten on either side are taken, and those beyond the
    side are 0. The second channel is the distance from the front face to the middle of the layer along the track, depth
    over abs(cos theta), the same in all cells of a layer. Its unit is the depth of the calorimeter (17 radiation
    lengths), so that it runs from 0 to about 1. Shares of the energy (`normalisation` ``fraction``) are those of the
    whole calorimeter.
    """

    name = "track_window"
    own_columns = TRACK_COLUMNS
    half_width: ClassVar[int] = 10

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Window and depth, (layers, 21 cells) each."""
        return 2, self.geometry.n_layers, 2 * self.half_width + 1

    def image(self, cells: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Window and depth as channels."""
        window = track_window(cells, batch, self.geometry, self.half_width)
        depth = depth_crossed(batch, self.geometry) / self.geometry.thickness
        return torch.stack([window, depth.unsqueeze(-1).expand_as(window)], dim=1)


_INPUTS: dict[str, Callable[..., Inputs]] = {
    inputs.name: inputs for inputs in (MergedInputs, ViewInputs, TrackWindowInputs)
}


def list_inputs() -> list[str]:
    """Names of the inputs."""
    return list(_INPUTS)


def default_inputs(model: str) -> str:
    """Name of the inputs that a model is made for: those whose size it is registered with, else ``merged``.

    So ``ecal_phys_cvt``, registered with 2 x 18 x 21, gets ``track_window``.
    """
    registered = get_pretrained_cfg(model)
    size = None if registered is None else registered.input_size
    return next((name for name, make in _INPUTS.items() if make().shape == size), MergedInputs.name)


def inputs_from(description: Mapping[str, Any], geometry: Calorimeter = AMS) -> Inputs:
    """Make inputs from their name and settings, as a recipe or the file beside the weights gives them.

    Raises
    ------
    TrainingError
        If there is no such input, or it has no such setting.
    """
    settings = dict(description)
    name = settings.pop("name", None)
    if name not in _INPUTS:
        raise TrainingError(f"inputs are {name!r}; expected one of {', '.join(_INPUTS)}{near(str(name), _INPUTS)}")
    try:
        return _INPUTS[name](**settings, geometry=geometry)
    except TypeError as error:
        raise TrainingError(f"inputs {name!r} cannot have the settings {settings}: {error}") from None

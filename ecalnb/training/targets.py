"""What a network is trained to say of an event: its class, or numbers of its track.

A target turns what a recipe asks for into numbers of each event, says how they change with the calorimeter's mirror
images, and measures on validation events how well a network knows them. A new one is a class derived from
:class:`TrackTarget`, added to ``_TARGETS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch

from .._toml import near
from ..geometry import AMS, Calorimeter, Tracks, View
from ..metrics import rejection_curve, roc_auc, space_angles
from .errors import TrainingError

__all__ = ["AxisTarget", "ClassTarget", "PositionTarget", "Target", "ThetaTarget", "TrackTarget", "list_targets"]
__all__ += ["make_target", "monitors"]

FloatArray = npt.NDArray[np.float64]

CONTAINED = 0.68
"""Fraction of the events within the resolutions that validation measures, as the field quotes them."""


class Target(Protocol):
    """What the training task needs of a target."""

    @property
    def name(self) -> str:
        """Name in a recipe."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of what `metrics` returns, in order."""

    def read(self, outputs: torch.Tensor) -> torch.Tensor:
        """Shape the outputs of a network (n, k) as losses take them."""

    def metrics(self, outputs: FloatArray, target: FloatArray) -> dict[str, float]:
        """Numbers of merit of the validation events, from outputs and target as losses take them."""


class ClassTarget:
    """Signal or background: one logit."""

    name = "class"
    metric_names = ("val_auc", "val_background_90")

    def read(self, outputs: torch.Tensor) -> torch.Tensor:
        """Logits, (n,)."""
        return outputs.squeeze(-1)

    def metrics(self, outputs: FloatArray, target: FloatArray) -> dict[str, float]:
        """Area under the ROC curve, and the background that passes at 90 % signal efficiency."""
        signal = target > 0.5
        background = 1 / rejection_curve(outputs[signal], outputs[~signal], [0.9])["rejection"][0]
        return {"val_auc": roc_auc(outputs[signal], outputs[~signal]).value, "val_background_90": background}


@dataclass(frozen=True)
class TrackTarget(ABC):
    """Numbers of the track, each in a unit of its own that suits a network.

    Parameters
    ----------
    geometry : Calorimeter
        The calorimeter of the showers.
    uncertain : bool
        Whether networks predict the logarithm of the variance of each component too.
    """

    geometry: Calorimeter = AMS
    uncertain: bool = False

    name: ClassVar[str]
    components: ClassVar[tuple[str, ...]]
    resolution_names: ClassVar[tuple[str, ...]]
    mirrored: ClassVar[dict[View, tuple[int, ...]]] = {"x": (), "y": ()}
    """Components that change sign in the mirror image of a view."""
    moved: ClassVar[dict[View, tuple[int, ...]]] = {"x": (), "y": ()}
    """Components that move with a shower that is shifted in a view."""

    @property
    @abstractmethod
    def units(self) -> FloatArray:
        """What 1 of each component is in mm, rad, or for slopes 1, shape (k,)."""

    @abstractmethod
    def of(self, tracks: Tracks) -> FloatArray:
        """Components of tracks in mm, rad or 1, (n, k)."""

    def values(self, tracks: Tracks) -> FloatArray:
        """Components of tracks in the network's units, (n, k)."""
        return self.of(tracks) / self.units

    def read(self, outputs: torch.Tensor) -> torch.Tensor:
        """Leave outputs as they are, (n, k) or with logarithms of variances (n, 2k)."""
        return outputs

    def mirror(self, target: torch.Tensor, view: View, chosen: torch.Tensor) -> torch.Tensor:
        """Target (n, k) of events of which those chosen (n,) are mirrored in a view."""
        signs = target.new_ones(target.shape[1])
        signs[list(self.mirrored[view])] = -1
        return torch.where(chosen[:, None], target * signs, target)

    def shift(self, target: torch.Tensor, view: View, distance: torch.Tensor) -> torch.Tensor:
        """Target (n, k) of events that are moved by some distance (n,) in mm in a view."""
        steps = torch.zeros_like(target)
        for component in self.moved[view]:
            steps[:, component] = distance / self.units[component]
        return target + steps

    def metrics(self, outputs: FloatArray, target: FloatArray) -> dict[str, float]:
        """Find what holds 68 % of the differences (degrees, mm), and of the pulls where there are uncertainties."""
        k = len(self.components)
        differences = self._resolutions(outputs[:, :k] * self.units, target * self.units)
        if self.uncertain:
            pulls = (outputs[:, :k] - target) / np.exp(outputs[:, k:] / 2)
            differences.update(zip(self.pull_names, pulls.T, strict=True))
        return {name: float(np.quantile(np.abs(differences[name]), CONTAINED)) for name in self.metric_names}

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the resolutions, and of the pulls of networks with uncertainties."""
        return self.resolution_names + (self.pull_names if self.uncertain else ())

    @property
    def pull_names(self) -> tuple[str, ...]:
        """Name of the half-width of the pulls of each component."""
        return tuple(f"val_pull_{name}" for name in self.components)

    @abstractmethod
    def _resolutions(self, found: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
        """Differences of each event, (n,) each, by the name of their metric; degrees or mm."""


class ThetaTarget(TrackTarget):
    """AMS's polar angle theta over 180 degrees, the target of Y. Xiong and H. Chen; 180 degrees is straight down."""

    name = "theta"
    components = ("theta",)
    resolution_names = ("val_inclination_68",)

    @property
    def units(self) -> FloatArray:
        """180 degrees."""
        return np.array([np.pi])

    def of(self, tracks: Tracks) -> FloatArray:
        """Polar angle, rad."""
        return (np.pi - tracks.inclination)[:, None]

    def _resolutions(self, found: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
        return {"val_inclination_68": np.degrees(found - true)[:, 0]}


class PositionTarget(TrackTarget):
    """Where the track enters: x and y at the front face, over half of the calorimeter's width."""

    name = "position"
    components = ("x0", "y0")
    resolution_names = ("val_x_68", "val_y_68")
    mirrored: ClassVar[dict[View, tuple[int, ...]]] = {"x": (0,), "y": (1,)}
    moved: ClassVar[dict[View, tuple[int, ...]]] = {"x": (0,), "y": (1,)}

    @property
    def units(self) -> FloatArray:
        """Half of the width, mm."""
        return np.full(2, self.geometry.width / 2)

    def of(self, tracks: Tracks) -> FloatArray:
        """Position at the front face, mm."""
        return np.stack([tracks.x, tracks.y], axis=1)

    def _resolutions(self, found: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
        return dict(zip(self.resolution_names, (found - true).T, strict=True))


class AxisTarget(TrackTarget):
    """Where the track enters, and its slopes: the whole axis.

    Positions are in cells, slopes in cells from the front face to the back: both have errors of a fraction of 1. Unlike
    theta, slopes have no end of their range at vertical tracks.
    """

    name = "axis"
    components = ("x0", "y0", "slope_x", "slope_y")
    resolution_names = ("val_space_angle_68", "val_inclination_68", "val_x_68", "val_y_68")
    mirrored: ClassVar[dict[View, tuple[int, ...]]] = {"x": (0, 2), "y": (1, 3)}
    moved: ClassVar[dict[View, tuple[int, ...]]] = {"x": (0,), "y": (1,)}

    @property
    def units(self) -> FloatArray:
        """Width of a cell, mm, and that over the depth of the calorimeter."""
        pitch = self.geometry.cell_pitch
        return np.repeat([pitch, pitch / self.geometry.thickness], 2)

    def of(self, tracks: Tracks) -> FloatArray:
        """Position at the front face, mm, and slopes."""
        return np.stack([tracks.x, tracks.y, tracks.slope_x, tracks.slope_y], axis=1)

    def _resolutions(self, found: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
        inclination = [np.arctan(np.hypot(axis[:, 2], axis[:, 3])) for axis in (found, true)]
        return {
            "val_space_angle_68": np.degrees(space_angles(*found[:, 2:].T, *true[:, 2:].T)),
            "val_inclination_68": np.degrees(inclination[0] - inclination[1]),
            "val_x_68": found[:, 0] - true[:, 0],
            "val_y_68": found[:, 1] - true[:, 1],
        }


_TARGETS: dict[str, type[TrackTarget]] = {target.name: target for target in (ThetaTarget, PositionTarget, AxisTarget)}


def list_targets() -> list[str]:
    """Names of the targets."""
    return [ClassTarget.name, *_TARGETS]


def monitors(name: str) -> tuple[str, ...]:
    """Names of the numbers that can choose the best epoch of a training with the target of that name."""
    if name == ClassTarget.name:
        return ("val_loss", *ClassTarget.metric_names)
    return ("val_loss", *_track_target(name).resolution_names)


def make_target(name: str, geometry: Calorimeter = AMS, *, uncertain: bool = False) -> ClassTarget | TrackTarget:
    """Make a target.

    Parameters
    ----------
    name : str
        One of :func:`list_targets`.
    geometry : Calorimeter
        The calorimeter of the showers.
    uncertain : bool
        Whether networks predict variances of the numbers of a track.

    Raises
    ------
    TrainingError
        If there is no such target.
    """
    return ClassTarget() if name == ClassTarget.name else _track_target(name)(geometry, uncertain)


def _track_target(name: str) -> type[TrackTarget]:
    if name not in _TARGETS:
        raise TrainingError(
            f"quantity is {name!r}; expected one of {', '.join(list_targets())}{near(name, list_targets())}"
        )
    return _TARGETS[name]

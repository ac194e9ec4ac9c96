"""Losses of networks that predict numbers of the track.

A loss is called with the outputs (n, k) or (n, 2k) and the batch, whose ``target`` is (n, k), and returns the mean over
the events.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from .._toml import near
from ..metrics import fit_energy_resolution, quantile_resolution
from .errors import TrainingError
from .scales import Batch

__all__ = ["GaussianNLL", "RegressionLoss", "ResolutionWeighted", "list_regression_losses", "make_regression_loss"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

_LOWEST_ENERGY = 0.1  # GeV: what the resolution of events without a reconstructed energy is taken at
_BINS, _FEWEST = 12, 50  # of the energy for the fit of the resolution, and events in each


class RegressionLoss(Protocol):
    """What a loss of a regression has to have beside what every loss has."""

    def to_dict(self) -> dict[str, Any]:
        """Name and settings, for the record."""

    def __call__(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean loss of the events, a scalar."""

    def outputs(self, components: int) -> int:
        """Count the outputs that a network needs for a target of so many components."""

    def end_epoch(self, epoch: int, outputs: FloatArray, target: FloatArray, energy: FloatArray) -> None:
        """Learn from the validation events of an epoch."""


class GaussianNLL(nn.Module):
    """Negative logarithm of a normal distribution whose mean and variance the network predicts.

    ``(ln v + (t - m)^2 / v) / 2``, the mean over events and components (D. A. Nix and A. S. Weigend, Estimating the
    mean and variance of the target probability distribution, ICNN 1994; torch.nn.GaussianNLLLoss). The second half of
    the outputs holds ln v.
    """

    name = "gaussian_nll"

    def to_dict(self) -> dict[str, Any]:
        """Name."""
        return {"name": self.name}

    def outputs(self, components: int) -> int:
        """Count a mean and a variance of each component."""
        return 2 * components

    def forward(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean over events and components."""
        mean, log_variance = outputs.chunk(2, dim=1)
        return functional.gaussian_nll_loss(mean, batch["target"], log_variance.exp())

    def end_epoch(self, epoch: int, outputs: FloatArray, target: FloatArray, energy: FloatArray) -> None:
        """Nothing to learn: the network predicts the resolution."""


class ResolutionWeighted(nn.Module):
    """Squared residuals over the square of the resolution at the energy of the event, which is found by iteration.

    The loss of Y. Xiong and H. Chen is the mean of ``sum_k (p_k - t_k)^2 / sigma_k^2(E)``, where sigma is the
    resolution at the energy, "obtained by iteration". Here every few epochs ``sigma_k(E) = sqrt(a_k^2 / E + b_k^2)`` is
    fitted to what holds 68.27 % of the residuals of the validation events, in bins of ``en3d``. Until the first fit it
    is 1. To the loss ``ln sigma_k^2(E)`` is added: it has no gradient, so that the training is that of the published
    loss, and it makes the loss a likelihood, so that epochs with another sigma can be compared.

    Parameters
    ----------
    components : int
        Of the target.
    every : int
        Epochs between the fits.
    """

    name = "resolution_weighted"
    stochastic: torch.Tensor
    constant: torch.Tensor

    def __init__(self, components: int, every: int) -> None:
        super().__init__()
        self.every = every
        # Part of the checkpoint, so that a resumed training goes on with the same resolution.
        self.register_buffer("stochastic", torch.zeros(components))
        self.register_buffer("constant", torch.ones(components))

    def to_dict(self) -> dict[str, Any]:
        """Name, and epochs between fits of the resolution."""
        return {"name": self.name, "every": self.every}

    def outputs(self, components: int) -> int:
        """Count one of each component."""
        return components

    def variance(self, energy: torch.Tensor) -> torch.Tensor:
        """Square of the resolution of each component, (n, k), at energies (n,) in GeV."""
        return self.stochastic**2 / energy.clamp_min(_LOWEST_ENERGY)[:, None] + self.constant**2

    def forward(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean over the events of the sum over components."""
        variance = self.variance(batch["en3d"])
        return ((outputs - batch["target"]) ** 2 / variance + variance.log()).sum(dim=1).mean()

    def end_epoch(self, epoch: int, outputs: FloatArray, target: FloatArray, energy: FloatArray) -> None:
        """Fit the resolution anew, where it is time; one that cannot be fitted stays as it was."""
        if (epoch + 1) % self.every:
            return
        for component, residuals in enumerate((outputs - target).T):
            try:
                a, b = fitted_resolution(residuals, energy)
            except ValueError as error:
                log.warning("the resolution of component %d is not fitted after epoch %d: %s", component, epoch, error)
                continue
            self.stochastic[component], self.constant[component] = a, b
            log.info("after epoch %d sigma(E) of component %d is sqrt(%.4g^2/E + %.4g^2)", epoch, component, a, b)


def fitted_resolution(residuals: FloatArray, energy: FloatArray) -> tuple[float, float]:
    """Fit ``sqrt(a^2 / E + b^2)`` to half of the width that holds 68.27 % of residuals, in bins of the energy.

    Parameters
    ----------
    residuals : array, shape (n,)
        In any unit, which is that of the result.
    energy : array, shape (n,)
        GeV.

    Returns
    -------
    float, float
        a in the unit times sqrt(GeV), and b.

    Raises
    ------
    ValueError
        If there are too few events, or the fit does not converge.
    """
    known = np.isfinite(residuals) & (energy > _LOWEST_ENERGY)
    bins = min(_BINS, int(known.sum()) // _FEWEST)
    if bins < 2:
        raise ValueError(f"there are {known.sum()} events; expected at least {2 * _FEWEST}")
    order = np.argsort(energy[known], kind="stable")
    points = []
    for part in np.array_split(np.flatnonzero(known)[order], bins):
        width = quantile_resolution(residuals[part])
        # Where 1/E has its mean, which is where a^2/E has it.
        points.append((1 / np.mean(1 / energy[part]), width.half_width, width.error))
    fit = fit_energy_resolution(*np.array(points).T)
    return fit.stochastic, fit.constant


def list_regression_losses() -> list[str]:
    """Names of the losses of regressions."""
    return [ResolutionWeighted.name, GaussianNLL.name]


def make_regression_loss(name: str, components: int, every: int) -> GaussianNLL | ResolutionWeighted:
    """Make a loss for a target of some components.

    Parameters
    ----------
    name : str
        One of :func:`list_regression_losses`.
    components : int
        Of the target.
    every : int
        Epochs between fits of the resolution, where the loss has one.

    Raises
    ------
    TrainingError
        If there is no such loss.
    """
    if name == ResolutionWeighted.name:
        return ResolutionWeighted(components, every)
    if name == GaussianNLL.name:
        return GaussianNLL()
    names = list_regression_losses()
    raise TrainingError(
        f"loss is {name!r}; expected one of {', '.join(names)}, which are for numbers of the track{near(name, names)}"
    )

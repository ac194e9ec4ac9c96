"""Distances between the features of two domains, and the reversal of gradients.

They are a few lines each and so written here; the tests hold them to other implementations and closed forms. Events of
either domain may have weights, for where the classes are not mixed alike.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

__all__ = ["class_confusion", "coral_distance", "maximum_mean_discrepancy", "reverse_gradient"]

_BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the kernels of the discrepancy, relative to the mean squared distance of events."""


class _Reversal(torch.autograd.Function):
    """Identity, whose gradient is multiplied by a negative number."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.factor * gradients[0], None


def reverse_gradient(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Return the tensor as it is; its gradient will be multiplied by ``-factor``.

    The gradient reversal layer of Y. Ganin and V. Lempitsky (ICML 2015, arXiv:1409.7495, eq. 16).
    """
    return _Reversal.apply(x, factor)


def coral_distance(source: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Distance of the covariances of two samples, as in deep CORAL.

    B. Sun and K. Saenko, ECCV 2016 workshops (arXiv:1607.01719), eq. 1: the sum of squared differences of all elements
    over ``4 d**2``.

    Parameters
    ----------
    source, target : tensor, shape (n, d) and (m, d)
        Features.
    weights : tensor, shape (n,), optional
        Of the source events.
    """
    ones = torch.ones(len(target), dtype=target.dtype, device=target.device)
    difference = _covariance(source, _shares(source, weights)) - _covariance(target, ones / len(target))
    return (difference**2).sum() / (4 * source.shape[1] ** 2)


def maximum_mean_discrepancy(
    source: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Squared maximum mean discrepancy of two samples, without bias.

    A. Gretton et al., J. Mach. Learn. Res. 13 (2012) 723, eq. 3, with the mean of five Gaussian kernels as in deep
    adaptation networks (M. Long et al., arXiv:1502.02791): exp(-r² / (f R²)) with R² the mean squared distance of
    all events of both samples and f from 1/4 to 4. Samples of one distribution are at 0 on average, some below.

    Parameters
    ----------
    source, target : tensor, shape (n, d) and (m, d)
        Features; at least two events each.
    weights : tensor, shape (n,), optional
        Of the source events.
    """
    both = torch.cat([source, target])
    both = both - both.mean(dim=0).detach()  # the products below lose digits far from the origin
    norms = (both**2).sum(dim=1)
    squared = (norms[:, None] + norms[None] - 2 * both @ both.T).clamp_min(0)
    n = len(both)
    scale = (squared.detach().sum() / (n * (n - 1))).clamp_min(1e-12)
    kernel = torch.stack([torch.exp(-squared / (factor * scale)) for factor in _BANDWIDTHS]).mean(dim=0)
    cut = len(source)
    w = _shares(source, weights)
    v = torch.full((len(target),), 1 / len(target), dtype=target.dtype, device=target.device)
    within = _pairs(kernel[:cut, :cut], w) + _pairs(kernel[cut:, cut:], v)
    return within - 2 * w @ kernel[:cut, cut:] @ v


def class_confusion(logits: torch.Tensor, temperature: float = 2.5) -> torch.Tensor:
    """Minimum class confusion of events without labels.

    Y. Jin, X. Wang, M. Long and J. Wang, ECCV 2020 (arXiv:1912.03699), eq. 2-6, for two classes: predictions softened
    by a temperature, events weighted by how certain they are, and the share of the class correlation that is between
    the classes, 0 to 1/2.

    Parameters
    ----------
    logits : tensor, shape (n,)
        Above 0: more like signal.
    temperature : float
        What logits are divided by.
    """
    scaled = torch.stack([logits, torch.zeros_like(logits)], dim=1) / temperature
    probability = scaled.softmax(dim=1)
    entropy = -(probability * functional.log_softmax(scaled, dim=1)).sum(dim=1)
    certainty = 1 + torch.exp(-entropy)
    weight = (len(logits) * certainty / certainty.sum()).detach()
    correlation = probability.T @ (weight[:, None] * probability)
    confusion = correlation / correlation.sum(dim=1, keepdim=True)
    return (confusion.sum() - confusion.trace()) / 2


def _shares(sample: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Weights that add up to 1, equal ones if there are none."""
    if weights is None:
        weights = torch.ones(len(sample), dtype=sample.dtype, device=sample.device)
    return weights / weights.sum()


def _covariance(sample: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    centred = sample - shares @ sample
    return (centred.T * shares) @ centred / (1 - (shares**2).sum()).clamp_min(1e-12)


def _pairs(kernel: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Mean of a kernel over the pairs of different events."""
    squares = shares**2
    return (shares @ kernel @ shares - squares @ kernel.diagonal()) / (1 - squares.sum()).clamp_min(1e-12)

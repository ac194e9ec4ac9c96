"""Natural abundances of cosmic-ray nuclei.

They are those of the Global Spline Fit (H. Dembinski et al., PoS(ICRC2017) 533; the package `globalsplinefit`), a fit
to the measurements of AMS and others, with the solar modulation of cycle 24.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .sample import NucleiSample

__all__ = ["natural_fluxes", "natural_weights"]


@cache
def _model() -> Any:
    from globalsplinefit import GSFRigidity

    return GSFRigidity()


def natural_fluxes(charge: int, rigidity: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Flux of an element at the Earth, particles/(m2 s sr GV).

    Parameters
    ----------
    charge : int
        Of the element, 1 to 28.
    rigidity : array_like
        GV.
    """
    return np.asarray(_model().flux(np.asarray(rigidity, dtype=float), int(charge)), dtype=float)


def natural_weights(sample: NucleiSample, bins: int = 60) -> npt.NDArray[np.float64]:
    """Weights that give simulated events natural abundance and spectra, whatever they were drawn from; their mean is 1.

    Parameters
    ----------
    sample : NucleiSample
        Events with truth.
    bins : int
        Logarithmic bins of the true rigidity, over the range of the sample. In each, the weights of a species add up to
        its flux.
    """
    charge, _, rigidity = sample.truth
    edges = np.geomspace(rigidity.min(), rigidity.max() * (1 + 1e-9), bins + 1)
    middle = np.sqrt(edges[1:] * edges[:-1])
    bin_of = np.clip(np.searchsorted(edges, rigidity, side="right") - 1, 0, bins - 1)
    weights = np.empty(len(sample))
    for each in np.unique(charge):
        own = charge == each
        counts = np.bincount(bin_of[own], minlength=bins)
        expected = natural_fluxes(int(each), middle) * np.diff(edges)
        weights[own] = (expected / np.maximum(counts, 1))[bin_of[own]]
    return np.asarray(weights / weights.mean())

"""Natural abundances of cosmic-ray nuclei.

They are those of the Global Spline Fit: H. Dembinski et al., PoS(ICRC2017) 533 and A. Fedynitch et al., the package
`globalsplinefit`, a fit to the measurements of AMS and others, with the solar modulation of cycle 24.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .sample import NucleiSample
    from .simulate import Beam

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


def natural_weights(sample: NucleiSample, beam: Beam) -> npt.NDArray[np.float64]:
    """Weights that give simulated events of equal abundance the natural one; their mean is 1.

    Parameters
    ----------
    sample : NucleiSample
        The events.
    beam : Beam
        What they were drawn from.

    Raises
    ------
    ValueError
        If the beam was natural already, or the sample has species that the beam has not.
    """
    if beam.abundance != "equal":
        raise ValueError(f"the beam has {beam.abundance} abundance; expected equal, to be weighted")
    charge, _, rigidity = sample.truth
    weights = np.zeros(len(sample))
    for each in beam.species:
        own = charge == each.charge
        weights[own] = natural_fluxes(each.charge, rigidity[own]) / beam.density(rigidity[own])
    if not weights.all():
        strange = sorted(set(charge[weights == 0].tolist()))
        raise ValueError(f"the sample has charges {strange} that the beam has not; expected the beam it was drawn from")
    return weights / weights.mean()

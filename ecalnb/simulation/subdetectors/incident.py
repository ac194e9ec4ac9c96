"""The particles that the subdetectors measure: truth of each event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..particles import particle_of

__all__ = ["Incident"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Incident:
    """True momentum, charge and mass of each particle.

    Parameters
    ----------
    momentum : array, shape (n,)
        GeV.
    charge : array, shape (n,)
        In elementary charges, with its sign; 0 for a neutral particle.
    mass : array, shape (n,)
        GeV.
    light : array of bool, shape (n,)
        Electrons and positrons, which radiate.
    """

    momentum: FloatArray
    charge: FloatArray
    mass: FloatArray
    light: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.momentum)

    @classmethod
    def of(cls, momentum: npt.ArrayLike, pdg: npt.ArrayLike) -> Incident:
        """Particles of these momenta, GeV, and PDG codes, one for all or one each.

        Raises
        ------
        ValueError
            If a momentum is not positive, a code is unknown, or they differ in number.
        """
        momenta = np.atleast_1d(np.asarray(momentum, dtype=float))
        if not (momenta > 0).all():
            raise ValueError(f"momentum {momenta[~(momenta > 0)][0]:g} GeV is not positive")
        codes, which = np.unique(np.asarray(pdg), return_inverse=True)
        if which.size not in (1, len(momenta)):
            raise ValueError(f"{which.size} PDG codes do not go with {len(momenta)} momenta; expected one, or one each")
        known = [particle_of(int(code)) for code in codes]
        index = np.broadcast_to(which.ravel(), len(momenta))
        return cls(
            momenta,
            np.array([particle.charge for particle in known], dtype=float)[index],
            np.array([particle.mass for particle in known])[index],
            (abs(codes) == 11)[index],
        )

    @property
    def charged(self) -> npt.NDArray[np.bool_]:
        """Whether it has a charge, shape (n,)."""
        return self.charge != 0

    @property
    def gamma(self) -> FloatArray:
        """Lorentz factor, shape (n,); infinite without mass."""
        with np.errstate(divide="ignore"):
            return np.hypot(1, self.momentum / self.mass)

    @property
    def beta(self) -> FloatArray:
        """Velocity, shape (n,)."""
        return self.momentum / np.hypot(self.momentum, self.mass)

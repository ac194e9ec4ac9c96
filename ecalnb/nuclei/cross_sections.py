"""Charge-changing cross-sections of nuclei, total and partial.

The total one is the overlap formula of Bradt and Peters. The partial ones are the isotopic cross-sections of EPAX,
summed over the isotopes of each element; what they leave of the total goes to break-ups whose heaviest fragment is
helium or hydrogen. Limits: no dependence on energy (nearly true above 1 GeV a nucleon), no pick-up of charge; EPAX was
made for projectiles of mass 40 and more, and has no preference for fragments of even charge, which light nuclei show.

References
----------
H. L. Bradt and B. Peters, Phys. Rev. 77 (1950) 54; G. D. Westfall et al., Phys. Rev. C 19 (1979) 1309.
K. Sümmerer, Phys. Rev. C 86 (2012) 014601, with the erratum C 87 (2013) 039903: EPAX 3.1.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .parameters import SPECIES, Fragmentation, Material, Nucleus

__all__ = ["MAX_CHARGE", "Interactions", "charge_changing", "element_yields", "epax", "interactions"]

FloatArray = npt.NDArray[np.float64]

MAX_CHARGE = max(each.charge for each in SPECIES.values())
"""Largest charge that is simulated."""

_AVOGADRO = 6.02214076e23
_MILLIBARN = 1e-27  # cm2


def charge_changing(projectile_mass: float, target_mass: float, fragmentation: Fragmentation) -> float:
    """Total charge-changing cross-section of two nuclei, mb.

    Bradt and Peters (1950): ``pi r0^2 (Ap^(1/3) + At^(1/3) - b)^2``, with r0 and b of Westfall et al. (1979).

    Parameters
    ----------
    projectile_mass, target_mass : float
        Mass numbers.
    fragmentation : Fragmentation
        Radius in fm and overlap.
    """
    reach = np.cbrt(projectile_mass) + np.cbrt(target_mass) - fragmentation.overlap
    return float(10 * np.pi * (fragmentation.radius * max(reach, 0.0)) ** 2)  # 1 fm2 is 10 mb


def epax(projectile: Nucleus, target_mass: int, mass: npt.ArrayLike, charge: npt.ArrayLike) -> FloatArray:
    """Cross-sections of fragments by EPAX 3.1, mb.

    Equations and constants of Sümmerer (2012), sections III and IV. "Proton-rich" and "neutron-rich" are meant relative
    to the valley of stability.

    Parameters
    ----------
    projectile : Nucleus
        The projectile.
    target_mass : int
        Mass number of the target.
    mass, charge : array_like
        Mass number and charge of the fragments.
    """
    a, z = np.broadcast_arrays(np.asarray(mass, dtype=float), np.asarray(charge, dtype=float))
    ap, x = projectile.mass_number, a / projectile.mass_number
    slope = np.exp(-1.731 - 0.01399 * ap)
    yields = 270.0 * slope * (np.cbrt(ap) + np.cbrt(target_mass) - 1.80) * np.exp(-slope * (ap - a))
    yields *= np.where(x > 0.75, np.exp(0.10 * ap * (x - 0.75) ** 2), 1.0)
    excess = float(projectile.charge - _stable_charge(ap))
    most_probable = _most_probable_charge(a, x, excess)
    width = 2.78 * np.exp((0.0412 if excess < 0 else 0.124) * excess - 0.015 * a + 3.2e-5 * a**2)
    width *= np.where(x > 0.85, np.exp(30 * np.sqrt(ap) * np.maximum(x - 0.85, 0) ** 3), 1.0)
    share = _charge_share(z - most_probable, a, width)
    far = _stable_charge(a) - z - (excess + 2.4)  # very neutron-rich fragments of neutron-rich projectiles
    if excess < 0:
        share = share * 10 ** (2.3e-3 * excess * np.maximum(far + 2 * (excess + 2.4), 0) ** 3 * (far > 0))
    return np.asarray(yields * share)


def _stable_charge(mass: npt.ArrayLike) -> FloatArray:
    """Charge in the valley of stability."""
    a = np.asarray(mass, dtype=float)
    return np.asarray(a / (1.98 + 0.0155 * a ** (2 / 3)))


def _most_probable_charge(a: FloatArray, x: FloatArray, excess: float) -> FloatArray:
    """Centre of the distribution of charges at a mass, with what it remembers of the projectile."""
    shift = np.where(a > 71.35, -1.0870 + 3.0470e-2 * a, 2.1353e-4 * a**2)
    shift = shift * np.where(x > 0.80, 1 - 25.0 * (x - 0.80) ** 2, 1.0)
    memory = np.exp(10.25 * (x - 1)) if excess > 0 else x * (0.400 * x + 0.600 * x**3)
    return np.asarray(_stable_charge(a) + shift + memory * excess + 0.0020 * a)


def _charge_share(distance: FloatArray, a: FloatArray, width: FloatArray) -> FloatArray:
    """Share of a charge at a mass: a Gaussian of its own power on either side, then an exponential."""
    decline = 1.20 + 0.647 * (a / 2) ** 0.3
    begin = decline * np.log(10) / (2 * width)
    core = np.exp(-width * np.abs(distance) ** np.where(distance < 0, 1.65, 2.10))
    tail = np.exp(-width * begin**2.10) * 10 ** (-decline * (distance - begin))
    return np.asarray(np.sqrt(width / np.pi) * np.where(distance > begin, tail, core))


def element_yields(projectile: Nucleus, target_mass: int) -> FloatArray:
    """Cross-sections of the elements by EPAX, mb, by charge from 0 to that of the projectile less one.

    Those of hydrogen and helium, of which EPAX knows nothing, are 0.
    """
    charge = np.arange(3, projectile.charge)
    mass = np.arange(4, projectile.mass_number)
    sums = epax(projectile, target_mass, mass[None, :], charge[:, None])
    sums = np.where(mass[None, :] > charge[:, None], sums, 0.0).sum(axis=1)
    return np.concatenate([np.zeros(min(3, projectile.charge)), sums])


class Interactions(NamedTuple):
    """What material does to nuclei.

    Parameters
    ----------
    rate : array, shape (MAX_CHARGE + 1,)
        Break-ups per g/cm2, by charge.
    cumulative : array, shape (MAX_CHARGE + 1, MAX_CHARGE + 1)
        Probability that the heaviest fragment of a nucleus (row) has at most a charge (column).
    """

    rate: FloatArray
    cumulative: FloatArray


@cache
def _isotopes() -> tuple[Nucleus, ...]:
    """Give an isotope for every charge: that of the species, or of the fragments between them."""
    known = {each.charge: each for each in SPECIES.values()}
    masses = {z: round(2 * z * (1 + 0.0037 * z)) for z in range(1, MAX_CHARGE + 1)}  # the valley of stability
    return tuple(known.get(z, Nucleus(f"Z{z}", z, masses[z])) for z in range(1, MAX_CHARGE + 1))


@cache
def interactions(material: Material, fragmentation: Fragmentation) -> Interactions:
    """Tabulate rates and fragments of all charges up to `MAX_CHARGE` in a mixture of elements.

    Hydrogen interacts too, and what goes on has charge 1.
    """
    size = MAX_CHARGE + 1
    rate, shares = np.zeros(size), np.zeros((size, size))
    atoms = np.asarray(material.shares) / material.mass_numbers * _AVOGADRO * _MILLIBARN
    for projectile in _isotopes():
        z = projectile.charge
        totals = [charge_changing(projectile.mass_number, mass, fragmentation) for mass in material.mass_numbers]
        rate[z] = np.dot(atoms, totals)
        partial = np.zeros(max(z, 2))
        for density, total, mass in zip(atoms, totals, material.mass_numbers, strict=True):
            own = element_yields(projectile, mass)
            own = own * min(1.0, total / own.sum()) if own.sum() else own
            partial[: len(own)] += density * own
            helium = fragmentation.helium_share if z > 2 else 0.0
            partial[1:3] += density * (total - own.sum()) * np.array([1 - helium, helium])[: len(partial) - 1]
        shares[z, : len(partial)] = partial / partial.sum()
    return Interactions(rate, np.cumsum(shares, axis=1))

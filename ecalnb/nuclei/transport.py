"""Nuclei on their way through the instrument: where they break up, and what goes on. Compiled loops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from .parameters import Parameters

__all__ = ["COMPANIONS", "FIRST_INNER", "FIRST_TOF", "L9", "PLANES", "Instrument", "break_up", "instrument"]

TRD_LAYERS = 20
FIRST_TOF, FIRST_INNER = 1 + TRD_LAYERS, 3 + TRD_LAYERS
LAST_INNER = FIRST_INNER + 6
L9 = LAST_INNER + 3
PLANES = L9 + 1
"""Measuring planes from above: L1, TRD, upper TOF, L2 to L8, lower TOF, L9."""

_SUPPORT = 40.0  # mm above a plane, in which its material is

COMPANIONS = 32
"""Most light fragments that are followed beside the heaviest."""


class Instrument(NamedTuple):
    """Measuring planes from above, and the material before each.

    Parameters
    ----------
    z : array, shape (PLANES,)
        Heights, mm.
    material : array, shape (PLANES,)
        g/cm2 that a vertical particle crosses before each plane and after the one above.
    """

    z: npt.NDArray[np.float64]
    material: npt.NDArray[np.float64]


def instrument(given: Parameters) -> Instrument:
    """Put planes and material in order."""
    z, material = np.empty(PLANES), np.zeros(PLANES)
    layers, m = given.tracker.layer_z, given.material
    z[0], z[FIRST_INNER : LAST_INNER + 1], z[L9] = layers[0], layers[1:8], layers[8]
    z[1:FIRST_TOF] = np.linspace(given.trd.top_z, given.trd.bottom_z, TRD_LAYERS)
    z[FIRST_TOF:FIRST_INNER], z[LAST_INNER + 1 : L9] = given.tof.plane_z[:2], given.tof.plane_z[2:]
    material[0] = m.above_l1
    material[1:FIRST_TOF] = m.trd / TRD_LAYERS
    material[1] += m.l1_support
    material[FIRST_TOF:FIRST_INNER] = m.upper_tof / 2
    material[FIRST_INNER] = m.l2
    material[FIRST_INNER + 1 : LAST_INNER + 1] = m.inner / 6
    material[LAST_INNER + 1 : L9] = m.lower_tof / 2
    material[L9] = m.rich_l9
    return Instrument(z, material)


@jit
def _light_fragment(light, count, charge, mass, height, momentum, goldhaber, generator):  # type: ignore[no-untyped-def]
    """Add a light fragment: its charge, where it began, its angle to the heaviest, and its rigidity."""
    if count >= light.shape[0]:
        return count
    own = 1.0 if charge == 1.0 else 4.0
    spread = goldhaber * np.sqrt(own * max(mass - own, 0.5) / max(mass - 1, 1.0))
    light[count, 0] = charge
    light[count, 1] = height
    light[count, 2] = spread / (own * momentum) * np.sqrt(-2 * np.log(1 - generator.random()))
    light[count, 3] = momentum * own / charge
    return count + 1


@jit
def break_up(  # type: ignore[no-untyped-def]
    charge, mass, momentum, path, planes, rate, cumulative, goldhaber, charges, kicks, light, generator
):
    """Follow a nucleus through all planes.

    Parameters
    ----------
    charge, mass, momentum : float
        Charge, mass number, and momentum a nucleon in GeV/c.
    path : float
        Length of the path over that of a vertical one.
    planes : Instrument
        The planes.
    rate, cumulative : array
        See :class:`ecalnb.nuclei.cross_sections.Interactions`.
    goldhaber : float
        Width of the momentum of a fragment, GeV/c a root nucleon.
    charges : array, shape (PLANES,)
        Filled with the charge of the heaviest fragment at each plane.
    kicks : array, shape (PLANES,)
        Filled with the angle in the bending plane, rad, by which the heaviest fragment turned before each plane.
    light : array, shape (COMPANIONS, 4)
        Filled with charge, height (mm), angle (rad) and rigidity (GV) of the light fragments.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    int, int, float
        Plane before which it first broke up (`PLANES` if it did not), number of light fragments, and rigidity of the
        heaviest at the middle of the magnet.
    """
    first, count = PLANES, 0
    rigidity = momentum * mass / charge
    depth = -np.log(1 - generator.random())
    for plane in range(PLANES):
        kicks[plane] = 0.0
        left = planes.material[plane] * path
        while charge > 1 and left * rate[int(charge)] > depth:
            left -= depth / rate[int(charge)]
            depth = -np.log(1 - generator.random())
            draw, heaviest = generator.random(), 1
            while cumulative[int(charge), heaviest] < draw and heaviest < charge - 1:
                heaviest += 1
            first = min(first, plane)
            rest = charge - heaviest
            helium = int(generator.random() * (rest // 2 + 1))
            gap = _SUPPORT if plane == 0 else min(planes.z[plane - 1] - planes.z[plane], _SUPPORT)
            height = planes.z[plane] + gap * generator.random()
            for _ in range(helium):
                count = _light_fragment(light, count, 2.0, mass, height, momentum, goldhaber, generator)
            for _ in range(int(rest) - 2 * helium):
                count = _light_fragment(light, count, 1.0, mass, height, momentum, goldhaber, generator)
            own = 1.0 if heaviest == 1 else max(np.round(mass * heaviest / charge), 3.0)
            spread = goldhaber * np.sqrt(own * max(mass - own, 0.5) / max(mass - 1, 1.0)) / (own * momentum)
            kicks[plane] += spread * generator.standard_normal()
            charge, mass = float(heaviest), own
        depth -= left * rate[int(charge)]
        charges[plane] = charge
        if plane == FIRST_INNER:
            rigidity = momentum * mass / charge
    return first, count, rigidity

"""Two- and three-body decays by phase space, of particles that Geant4 hands over undecayed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._compiled import jit

__all__ = ["MASS", "boosted_pair", "decay_to_stable", "phase_space"]

FloatArray = npt.NDArray[np.float64]

ETA, ETA_PRIME, OMEGA, SIGMA0, ANTI_SIGMA0 = 221, 331, 223, 3212, -3212
PI0, PI_PLUS, PI_MINUS, PHOTON, LAMBDA = 111, 211, -211, 22, 3122

MASS = {ETA: 0.547862, ETA_PRIME: 0.95778, OMEGA: 0.78266, SIGMA0: 1.192642, ANTI_SIGMA0: 1.192642}
MASS |= {PI0: 0.134977, PI_PLUS: 0.13957, PI_MINUS: 0.13957, PHOTON: 0.0, LAMBDA: 1.115683, -LAMBDA: 1.115683}

# branching fractions: Particle Data Group 2024, the channels above 2 %
_CHANNELS: dict[int, list[tuple[float, tuple[int, ...]]]] = {
    ETA: [
        (0.394, (PHOTON, PHOTON)),
        (0.327, (PI0, PI0, PI0)),
        (0.230, (PI_PLUS, PI_MINUS, PI0)),
        (0.049, (PI_PLUS, PI_MINUS, PHOTON)),
    ],
    ETA_PRIME: [
        (0.425, (PI_PLUS, PI_MINUS, ETA)),
        (0.295, (PI_PLUS, PI_MINUS, PHOTON)),
        (0.224, (PI0, PI0, ETA)),
        (0.033, (OMEGA, PHOTON)),
        (0.023, (PHOTON, PHOTON)),
    ],
    OMEGA: [(0.914, (PI_PLUS, PI_MINUS, PI0)), (0.086, (PI0, PHOTON))],
    SIGMA0: [(1.0, (LAMBDA, PHOTON))],
    ANTI_SIGMA0: [(1.0, (-LAMBDA, PHOTON))],
}


def _momentum(mass: float, first: float, second: float) -> float:
    """Momentum of the two products of a decay at rest."""
    square = (mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)
    return float(np.sqrt(max(square, 0.0)) / (2 * mass))


def _isotropic(momentum: float, generator: np.random.Generator) -> FloatArray:
    cosine, azimuth = generator.uniform(-1, 1), generator.uniform(0, 2 * np.pi)
    sine = np.sqrt(1 - cosine**2)
    return momentum * np.array([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])


def _boost(vector: FloatArray, frame: FloatArray) -> FloatArray:
    """Four-vector (E, px, py, pz) given in the rest frame of ``frame``, seen where ``frame`` is given."""
    mass = np.sqrt(max(frame[0] ** 2 - frame[1:] @ frame[1:], 0.0))
    along = frame[1:] @ vector[1:]
    energy = (frame[0] * vector[0] + along) / mass
    return np.concatenate([[energy], vector[1:] + frame[1:] * (vector[0] + energy) / (frame[0] + mass)])


def phase_space(parent: FloatArray, masses: tuple[float, ...], generator: np.random.Generator) -> FloatArray:
    """Momenta of the products of a decay into two or three particles, uniform in phase space.

    Parameters
    ----------
    parent : array, shape (4,)
        Energy and momentum of the parent, GeV.
    masses : tuple of float
        Masses of the products, GeV.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array, shape (n, 4)
        Energies and momenta, GeV.

    Raises
    ------
    ValueError
        If the products are heavier than the parent, or neither two nor three.
    """
    mass = float(np.sqrt(max(parent[0] ** 2 - parent[1:] @ parent[1:], 0.0)))
    if len(masses) not in (2, 3):
        raise ValueError(f"a decay into {len(masses)} products; expected 2 or 3")
    if sum(masses) > mass:
        raise ValueError(f"products of {sum(masses):.6g} GeV do not come from a parent of {mass:.6g} GeV")
    if len(masses) == 2:
        momentum = _isotropic(_momentum(mass, *masses), generator)
        first = np.concatenate([[np.hypot(np.linalg.norm(momentum), masses[0])], momentum])
        second = np.concatenate([[np.hypot(np.linalg.norm(momentum), masses[1])], -momentum])
        return np.stack([_boost(first, parent), _boost(second, parent)])
    low, high = masses[0] + masses[1], mass - masses[2]
    bound = _momentum(mass, low, masses[2]) * _momentum(high, masses[0], masses[1])
    while True:  # the density of the pair's mass is the product of the two momenta
        pair = generator.uniform(low, high)
        if generator.uniform(0, bound) <= _momentum(mass, pair, masses[2]) * _momentum(pair, masses[0], masses[1]):
            break
    both, third = phase_space(parent, (pair, masses[2]), generator)
    return np.concatenate([phase_space(both, masses[:2], generator), third[None]])


def decay_to_stable(pdg: int, parent: FloatArray, generator: np.random.Generator) -> list[tuple[int, FloatArray]]:
    """Decay eta, eta', omega and Sigma0 down to pions, photons and Lambdas.

    Parameters
    ----------
    pdg : int
        Particle number of the parent.
    parent : array, shape (4,)
        Energy and momentum, GeV.

    Returns
    -------
    list of (int, array of shape (4,))
        Particle numbers and four-momenta of what is left; the parent itself if it is none of these.
    """
    if pdg not in _CHANNELS:
        return [(pdg, parent)]
    channels = _CHANNELS[pdg]
    weights = np.array([share for share, _ in channels])
    products = channels[generator.choice(len(channels), p=weights / weights.sum())][1]
    momenta = phase_space(parent, tuple(MASS[product] for product in products), generator)
    return [
        stable
        for product, momentum in zip(products, momenta, strict=True)
        for stable in decay_to_stable(product, momentum, generator)
    ]


@jit
def boosted_pair(
    mass: float,
    first: float,
    second: float,
    kinetic: float,
    ux: float,
    uy: float,
    uz: float,
    generator: np.random.Generator,
) -> tuple[float, float, float, float, float, float, float, float]:  # pragma: no cover - compiled
    """Two-body decay, isotropic at rest, of a particle with a direction.

    Parameters
    ----------
    mass, first, second : float
        Masses of the parent and of the products, GeV.
    kinetic : float
        Kinetic energy of the parent, GeV.
    ux, uy, uz : float
        Its direction.

    Returns
    -------
    tuple of 8 float
        Kinetic energy (GeV) and direction of the first product, then of the second.
    """
    momentum = np.sqrt((mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)) / (2 * mass)
    cosine = 2 * generator.random() - 1
    azimuth = 2 * np.pi * generator.random()
    sine = np.sqrt(1 - cosine * cosine)
    qx, qy, qz = momentum * sine * np.cos(azimuth), momentum * sine * np.sin(azimuth), momentum * cosine
    energy = kinetic + mass
    total = np.sqrt(kinetic * (kinetic + 2 * mass))
    px, py, pz = total * ux, total * uy, total * uz
    rest = np.sqrt(momentum**2 + first**2)
    along = px * qx + py * qy + pz * qz
    energy_1 = (energy * rest + along) / mass
    factor = (rest + energy_1) / (energy + mass)
    ax, ay, az = qx + px * factor, qy + py * factor, qz + pz * factor
    bx, by, bz = px - ax, py - ay, pz - az
    length_1 = max(np.sqrt(ax * ax + ay * ay + az * az), 1e-12)
    length_2 = max(np.sqrt(bx * bx + by * by + bz * bz), 1e-12)
    kinetic_1 = max(energy_1 - first, 0.0)
    kinetic_2 = max(energy - energy_1 - second, 0.0)
    return (
        *(kinetic_1, ax / length_1, ay / length_1, az / length_1),
        *(kinetic_2, bx / length_2, by / length_2, bz / length_2),
    )

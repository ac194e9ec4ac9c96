"""Particles that the engines know: name, PDG code, mass."""

from __future__ import annotations

from dataclasses import dataclass

from .._toml import near

__all__ = ["PARTICLES", "Particle", "find_particle", "particle_of"]

NUCLEON_MASS = 0.93149  # GeV: atomic mass unit; binding makes nuclei differ from multiples of it by less than a percent
_CHARGES = {11: -1, 13: -1, 22: 0, 211: 1, 321: 1, 2112: 0, 2212: 1}  # of the particles, by PDG code


@dataclass(frozen=True)
class Particle:
    """A particle.

    Parameters
    ----------
    name : str
        Its label in event tables.
    pdg : int
        PDG code; a nucleus has 100ZZZAAA0.
    mass : float
        GeV.
    """

    name: str
    pdg: int
    mass: float

    @property
    def electromagnetic(self) -> bool:
        """Whether it makes a purely electromagnetic shower."""
        return abs(self.pdg) in (11, 22)

    @property
    def charge(self) -> int:
        """Electric charge in elementary charges, with its sign."""
        code = abs(self.pdg)
        value = code // 10_000 % 1000 if code >= 1_000_000_000 else _CHARGES[code]
        return value if self.pdg > 0 else -value


def _nucleus(name: str, z: int, a: int) -> Particle:
    return Particle(name, 1_000_000_000 + 10_000 * z + 10 * a, a * NUCLEON_MASS)


# Masses: Particle Data Group, Phys. Rev. D 110 (2024) 030001.
PARTICLES = {
    particle.name: particle
    for particle in (
        Particle("electron", 11, 0.000511),
        Particle("positron", -11, 0.000511),
        Particle("photon", 22, 0.0),
        Particle("muon", 13, 0.105658),
        Particle("antimuon", -13, 0.105658),
        Particle("pion+", 211, 0.139570),
        Particle("pion-", -211, 0.139570),
        Particle("kaon+", 321, 0.493677),
        Particle("kaon-", -321, 0.493677),
        Particle("proton", 2212, 0.938272),
        Particle("antiproton", -2212, 0.938272),
        Particle("neutron", 2112, 0.939565),
        _nucleus("deuteron", 1, 2),
        _nucleus("helium3", 2, 3),
        _nucleus("helium4", 2, 4),
        _nucleus("carbon12", 6, 12),
        _nucleus("oxygen16", 8, 16),
        _nucleus("fluorine19", 9, 19),
        _nucleus("neon20", 10, 20),
        _nucleus("magnesium24", 12, 24),
        _nucleus("silicon28", 14, 28),
        _nucleus("iron56", 26, 56),
    )
}
"""Particles by name."""


def find_particle(name: str) -> Particle:
    """Particle of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in PARTICLES:
        known = ", ".join(PARTICLES)
        raise ValueError(f"no particle is named {name!r}{near(name, PARTICLES)}; expected one of {known}")
    return PARTICLES[name]


def particle_of(pdg: int) -> Particle:
    """Particle of a PDG code.

    Raises
    ------
    ValueError
        If there is none.
    """
    for particle in PARTICLES.values():
        if particle.pdg == pdg:
            return particle
    known = ", ".join(f"{particle.pdg} ({particle.name})" for particle in PARTICLES.values())
    raise ValueError(f"no particle has the PDG code {pdg}; expected one of {known}")

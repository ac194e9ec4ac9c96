"""What comes from above: energies, positions and directions of the particles to simulate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..geometry import Calorimeter, Tracks
from .fluxes import published_flux
from .particles import Particle

__all__ = ["Beam", "GivenEvents", "Primaries"]

FloatArray = npt.NDArray[np.float64]
LARGEST_ANGLE = float(np.radians(75.0))


@dataclass(frozen=True)
class Primaries:
    """Particles to simulate.

    Parameters
    ----------
    species : array of int, shape (n,)
        Number of each among the particles of the run.
    energies : array, shape (n,)
        Kinetic energies, GeV.
    tracks : Tracks
        Where and in which direction they pass the front face.
    """

    species: npt.NDArray[np.intp]
    energies: FloatArray
    tracks: Tracks

    def __len__(self) -> int:
        return len(self.energies)

    def __getitem__(self, which: slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Primaries:
        return Primaries(self.species[which], self.energies[which], self.tracks[which])


@dataclass(frozen=True)
class Beam:
    """Particles through the front face, within limits, as an isotropic flux brings them.

    Parameters
    ----------
    energy : float, tuple of float or mapping of str to tuple
        Kinetic energy, GeV, or its limits; of a mixture also the limits for each particle by its name.
    spectrum : float or "ams"
        Spectrum between the limits: dN/dE proportional to E to this power; or the flux that AMS has published of each
        particle, in which proportion several are mixed.
    angle : float
        Largest inclination, rad. Directions are those of an isotropic flux through a plane, dN proportional to
        cos(i) d cos(i); 0 is a vertical beam.
    reach : float
        Tracks enter through the front face and leave through the rear face within ``-reach`` to ``reach`` in x and y,
        mm; with a vertical beam both are the same.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    energy: float | tuple[float, float] | Mapping[str, tuple[float, float]]
    spectrum: float | Literal["ams"] = -1.0
    angle: float = float(np.radians(25.0))
    reach: float = 300.0

    def __post_init__(self) -> None:
        for low, high in map(_limits, self.energy.values() if isinstance(self.energy, Mapping) else [self.energy]):
            if not 0 < low <= high < np.inf:
                raise ValueError(f"energy {self.energy!r} GeV is not positive, or its limits are not in rising order")
        if not 0 <= self.angle <= LARGEST_ANGLE:
            raise ValueError(
                f"angle {self.angle:.4g} rad is not within 0 to {LARGEST_ANGLE:.3g} rad (75 degrees) from the vertical"
            )
        if not self.reach > 0:
            raise ValueError(f"reach {self.reach!r} mm is not a positive number")
        if self.spectrum != "ams" and not (isinstance(self.spectrum, int | float) and np.isfinite(self.spectrum)):
            raise ValueError(f"spectrum {self.spectrum!r} is not the power of a power law, such as -1, or 'ams'")

    def limits(self, particle: Particle) -> tuple[float, float]:
        """Lowest and highest kinetic energy of a particle, GeV.

        Raises
        ------
        ValueError
            If energies are given by particle, and not for this one.
        """
        if not isinstance(self.energy, Mapping):
            return _limits(self.energy)
        if particle.name not in self.energy:
            raise ValueError(f"energy is given for {', '.join(self.energy)}, and not for {particle.name}")
        return _limits(self.energy[particle.name])

    def check(self, particles: Sequence[Particle], geometry: Calorimeter) -> None:
        """Refuse a beam that misses the calorimeter, or whose spectrum is not known.

        Raises
        ------
        ValueError
            If the reach is beyond the calorimeter's sides, there is no published flux of a particle, or nothing says
            in which proportion several are mixed.
        """
        if self.spectrum == "ams":
            for particle in particles:
                published_flux(particle)
        elif len(particles) > 1:
            names = ", ".join(particle.name for particle in particles)
            raise ValueError(f"{names} are mixed by their fluxes: give spectrum 'ams', not {self.spectrum!r}")
        if self.reach > geometry.width / 2:
            raise ValueError(
                f"reach {self.reach:g} mm goes beyond the sides of {geometry.name} at {geometry.width / 2:g} mm: "
                "such tracks would miss it"
            )

    def events(
        self,
        start: int,
        stop: int,
        particles: Sequence[Particle],
        geometry: Calorimeter,
        generator: np.random.Generator,
    ) -> Primaries:
        """Draw the events from ``start`` to before ``stop``."""
        n = stop - start
        uniform, tracks = generator.random(n), self._tracks(n, geometry, generator)
        limits = [self.limits(particle) for particle in particles]
        if self.spectrum != "ams":
            return Primaries(np.zeros(n, dtype=np.intp), _power_law(uniform, self.spectrum, *limits[0]), tracks)
        fluxes = [published_flux(particle) for particle in particles]
        shares = np.array([flux.integral(*ends) for flux, ends in zip(fluxes, limits, strict=True)])
        species = generator.choice(len(fluxes), n, p=shares / shares.sum())
        energies = np.empty(n)
        for number, flux in enumerate(fluxes):
            energies[species == number] = flux.sample(uniform[species == number], *limits[number])
        return Primaries(species, energies, tracks)

    def describe(self) -> dict[str, Any]:
        """For metadata."""
        return {
            "energy_gev": self.energy if isinstance(self.energy, Mapping) else list(_limits(self.energy)),
            "spectrum" if self.spectrum == "ams" else "spectral_index": self.spectrum,
            "angle_rad": float(self.angle),
            "reach_mm": self.reach,
        }

    def _tracks(self, n: int, geometry: Calorimeter, generator: np.random.Generator) -> Tracks:
        thickness = geometry.thickness
        # A narrow beam is drawn by its two ends, a wide one by its directions: either way many tracks are kept.
        narrow = 2 * self.reach < thickness * np.tan(self.angle)
        kept: list[FloatArray] = []
        while sum(len(part) for part in kept) < n:
            x, y = generator.uniform(-self.reach, self.reach, (2, n))
            if narrow:
                dx, dy = generator.uniform(-self.reach, self.reach, (2, n)) - (x, y)
                inclination, azimuth = np.arctan(np.hypot(dx, dy) / thickness), np.arctan2(dy, dx)
                # Between areas on two planes an isotropic flux is proportional to the fourth power of the cosine.
                inside = (inclination <= self.angle) & (generator.random(n) < np.cos(inclination) ** 4)
            else:
                inclination = np.arcsin(np.sin(self.angle) * np.sqrt(generator.random(n)))
                azimuth = generator.uniform(0, 2 * np.pi, n)
                leaves = np.stack(Tracks(x, y, inclination, azimuth).at(thickness))[:, :, 0]
                inside = (abs(leaves) <= self.reach).all(axis=0)
            kept.append(np.stack([x, y, inclination, azimuth], axis=1)[inside])
        return Tracks(*np.concatenate(kept)[:n].T)


def _limits(energy: float | tuple[float, float]) -> tuple[float, float]:
    low, high = energy if isinstance(energy, tuple | list) else (energy, energy)
    return float(low), float(high)


def _power_law(uniform: FloatArray, index: float, low: float, high: float) -> FloatArray:
    power = index + 1
    if abs(power) < 1e-9:
        return low * (high / low) ** uniform
    return (low**power + uniform * (high**power - low**power)) ** (1 / power)


@dataclass(frozen=True)
class GivenEvents:
    """Energies and tracks that are given one by one, for example those of other events.

    Parameters
    ----------
    energies : array, shape (n,)
        Kinetic energies, GeV.
    tracks : Tracks
        Tracks, of the same number.

    Raises
    ------
    ValueError
        If they differ in number, or an energy is not positive.
    """

    energies: FloatArray
    tracks: Tracks

    def __post_init__(self) -> None:
        object.__setattr__(self, "energies", np.atleast_1d(np.asarray(self.energies, dtype=float)))
        if len(self.energies) != len(self.tracks):
            raise ValueError(f"{len(self.energies)} energies do not go with {len(self.tracks)} tracks")
        if not (np.isfinite(self.energies) & (self.energies > 0)).all():
            wrong = self.energies[~(np.isfinite(self.energies) & (self.energies > 0))][0]
            raise ValueError(f"energy {wrong!r} GeV is not a positive number")

    def limits(self, particle: Particle) -> tuple[float, float]:
        """Lowest and highest kinetic energy, GeV."""
        del particle  # of which there is one
        return float(self.energies.min()), float(self.energies.max())

    def check(self, particles: Sequence[Particle], geometry: Calorimeter) -> None:
        """Refuse tracks that miss the calorimeter.

        Raises
        ------
        ValueError
            If one does, or is too inclined, or there are several kinds of particles.
        """
        if len(particles) > 1:
            raise ValueError("energies and tracks of single events are those of one particle, not of a mixture")
        tracks = self.tracks
        misses = ~((abs(tracks.x) < geometry.width / 2) & (abs(tracks.y) < geometry.width / 2))
        if misses.any():
            x, y = tracks.x[misses][0], tracks.y[misses][0]
            raise ValueError(
                f"the track at x = {x:g} mm, y = {y:g} mm misses the front face of {geometry.name}, which reaches to "
                f"{geometry.width / 2:g} mm on all sides"
            )
        if (steep := tracks.inclination > LARGEST_ANGLE).any():
            raise ValueError(
                f"inclination {tracks.inclination[steep][0]:.4g} rad is not within 0 to {LARGEST_ANGLE:.3g} rad "
                "(75 degrees)"
            )

    def events(
        self,
        start: int,
        stop: int,
        particles: Sequence[Particle],
        geometry: Calorimeter,
        generator: np.random.Generator,
    ) -> Primaries:
        """Take the events from ``start`` to before ``stop``."""
        del particles, geometry, generator  # nothing to draw
        energies = self.energies[start:stop]
        return Primaries(np.zeros(len(energies), dtype=np.intp), energies, self.tracks[start:stop])

    def describe(self) -> dict[str, Any]:
        """For metadata: a checksum of the events."""
        values = np.stack([self.energies, self.tracks.x, self.tracks.y, self.tracks.inclination, self.tracks.azimuth])
        return {"given_events": hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()}

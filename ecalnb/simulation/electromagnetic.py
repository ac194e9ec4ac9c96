"""The fast electromagnetic engine: showers of electrons, positrons and photons.

Longitudinal and lateral shape come from fits to Geant4 events of the same calorimeter; ``docs/fast-simulation.md``
gives the model, what was fitted and where it extrapolates.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from ..geometry import AMS, Calorimeter, Tracks
from .electromagnetic_parameters import ElectromagneticParameters, load_parameters
from .lateral import N_MODES, share_layer
from .longitudinal import LATE_DEPTH, LATE_PART, LATE_PART_MEAN, LATE_RATE, draw_profile

__all__ = ["ENERGY_RANGE", "Particle", "add_electron", "add_photon", "simulate_electrons", "view_codes"]

Particle = Literal["electron", "positron", "photon"]

ENERGY_RANGE = (1.0, 4000.0)
"""Energies in GeV that `simulate_electrons` takes; the fit covers 5-100 GeV, the rest is extrapolated."""

ELECTRON_MASS = 0.000511
LOCAL_ENERGY = 0.005
DUST_POWER_ABOVE = 0.5

LATE_ENERGY = 0.5
"""Electrons of less energy, GeV, have no photons that convert late: they are a cascade's."""

PAIR_PATH = 9 / 7
"""Mean path of an energetic photon, radiation lengths."""

LARGEST_LATE_PART = 0.95
"""A photon of more than this part counts as one of this part."""


def view_codes(geometry: Calorimeter) -> npt.NDArray[np.int8]:
    """Return the views as the kernels read them: 0 for a layer that measures x, 1 for y."""
    return np.array([view == "y" for view in geometry.views], dtype=np.int8)


@jit
def add_electron(image, energy, x, y, depth, slope_x, slope_y, views, parameters, generator):  # type: ignore[no-untyped-def]
    """Add the shower of one electron or positron to an image.

    Parameters
    ----------
    image : array of float64, shape (n_layers, n_cells)
        GeV, added to in place.
    energy : float
        Total energy, GeV; any positive one.
    x, y, depth : float
        Where the electron starts, mm; ``depth`` from the front face (negative: above it).
    slope_x, slope_y : float
        dx/ddepth and dy/ddepth of its direction, which is downwards.
    views : array of int8, shape (n_layers,)
        See `view_codes`.
    parameters : ElectromagneticParameters
        From `load_parameters`.
    generator : numpy.random.Generator
        Random numbers.
    """
    p = parameters
    if depth < 0:
        x, y, depth = x - slope_x * depth, y - slope_y * depth, 0.0
    if depth >= image.shape[0] * p.thickness or energy <= 0:
        return
    if energy > LATE_ENERGY and generator.random() < LATE_RATE:
        part = min(LATE_PART + LATE_PART_MEAN * generator.standard_exponential(), LARGEST_LATE_PART)
        secant = math.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
        path = LATE_DEPTH + PAIR_PATH * generator.standard_exponential()
        down = path * p.radiation_length / secant
        share = _pair_share(generator)
        for member in (share * part * energy, (1 - share) * part * energy):
            _add_shower(image, max(member, ELECTRON_MASS), x + slope_x * down, y + slope_y * down, depth + down,
                        slope_x, slope_y, views, p, generator)  # fmt: skip
        energy *= 1 - part
    _add_shower(image, energy, x, y, depth, slope_x, slope_y, views, p, generator)


@jit
def _add_shower(image, energy, x, y, depth, slope_x, slope_y, views, p, generator):  # type: ignore[no-untyped-def]
    """Add a shower without energetic photons that convert late; it starts inside or behind the calorimeter."""
    n_layers = image.shape[0]
    if depth >= n_layers * p.thickness:
        return
    if energy < LOCAL_ENERGY:
        _deposit(image, energy, x, y, depth, views, p)
        return
    secant = math.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    layer_energy = np.empty(n_layers)
    layer_depth = np.empty(n_layers)
    centre = draw_profile(energy, depth, secant, n_layers, p, generator, layer_energy, layer_depth)
    scaled = math.log(energy / p.reference_energy)
    deposits = np.empty(image.shape[1])
    profile = np.empty(p.lateral_table.shape[2])
    modes = np.empty(N_MODES)
    for i in range(N_MODES):
        modes[i] = generator.standard_normal()
    for layer in range(int(depth / p.thickness), n_layers):
        for i in range(N_MODES):
            memory = p.mode_memory[max(i - 1, 0)]
            modes[i] = memory * modes[i] + math.sqrt(1 - memory * memory) * generator.standard_normal()
        top = max(layer * p.thickness, depth)
        bottom = (layer + 1) * p.thickness
        path = 0.5 * (top + bottom) - depth
        at_x, at_y = x + slope_x * path, y + slope_y * path
        view = views[layer]
        measured, slope, other = (at_x, slope_x, at_y) if view == 0 else (at_y, slope_y, at_x)
        track = p.entry_density * (bottom - top) * secant / p.radiation_length
        age = layer_depth[layer] / centre
        share_layer(image, deposits, profile, layer, layer_energy[layer], measured, other, slope,
                    bottom - top, layer_depth[layer], age, track, scaled, modes, view, p, generator)  # fmt: skip
    _add_dust(image, scaled, x, y, depth, slope_x, slope_y, views, p, generator)


@jit
def _add_dust(image, scaled, x, y, depth, slope_x, slope_y, views, p, generator):  # type: ignore[no-untyped-def]
    """Add tiny deposits far around the axis: low-energy photons and neutrons, in clusters, with log-flat energies."""
    clipped = min(scaled, p.energy_clip[1])
    rate = p.dust_rate * math.exp(p.dust_power * clipped + DUST_POWER_ABOVE * (scaled - clipped)) / p.dust_cluster
    count = generator.poisson(generator.standard_gamma(rate) * p.dust_cluster)
    for _ in range(count):
        down = generator.random() * p.dust_depth
        layer = int((depth + down) / p.thickness)
        log_energy = p.dust_log_energy[0] + (p.dust_log_energy[1] - p.dust_log_energy[0]) * generator.random()
        aside = p.dust_width * generator.standard_normal()
        if layer < image.shape[0]:
            along, across = x + slope_x * down, y + slope_y * down
            if views[layer] == 0:
                along += aside
            else:
                across += aside
            _deposit(image, math.exp(log_energy), along, across, depth + down, views, p)


@jit
def _deposit(image, energy, x, y, depth, views, p):  # type: ignore[no-untyped-def]
    """Put energy where it is."""
    layer = int(depth / p.thickness)
    measured, other = (x, y) if views[layer] == 0 else (y, x)
    cell = math.floor((measured + p.half_width) / p.pitch)
    if 0 <= cell < image.shape[1] and abs(other) < p.half_width:
        image[layer, cell] += energy


@jit
def add_photon(image, energy, x, y, depth, slope_x, slope_y, views, parameters, generator):  # type: ignore[no-untyped-def]
    """Add the shower of one photon to an image: its path to the conversion, then that of each member of the pair.

    Parameters are those of `add_electron`.
    """
    p = parameters
    if depth < 0:
        x, y, depth = x - slope_x * depth, y - slope_y * depth, 0.0
    if energy <= 0:
        return
    secant = math.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    free_path = np.interp(math.log(energy), p.photon_log_energy, p.photon_path) * p.radiation_length
    down = free_path * generator.standard_exponential() / secant
    x, y, depth = x + slope_x * down, y + slope_y * down, depth + down
    if depth >= image.shape[0] * p.thickness or abs(x) > p.half_width or abs(y) > p.half_width:
        return
    if energy < 2 * LOCAL_ENERGY:
        _deposit(image, energy, x, y, depth, views, p)
        return
    share = _pair_share(generator)
    for part in (share, 1 - share):
        member = max(part * energy, ELECTRON_MASS)
        add_electron(image, member, x, y, depth, slope_x, slope_y, views, p, generator)


@jit
def _pair_share(generator):  # type: ignore[no-untyped-def]
    """Part of a photon's energy that one member of the pair gets.

    Bethe and Heitler, complete screening: PDG, Passage of particles through matter, eq. 34.32.
    """
    share = generator.random()
    while generator.random() > 1 - 4 / 3 * share * (1 - share):
        share = generator.random()
    return share


@jit
def _simulate(images, photon, energies, x, y, slope_x, slope_y, views, parameters, generator):  # type: ignore[no-untyped-def]
    image = np.empty(images.shape[1:])
    for i in range(len(images)):
        image[:] = 0.0
        if photon:
            add_photon(image, energies[i], x[i], y[i], 0.0, slope_x[i], slope_y[i], views, parameters, generator)
        else:
            add_electron(image, energies[i], x[i], y[i], 0.0, slope_x[i], slope_y[i], views, parameters, generator)
        images[i] = image


def simulate_electrons(
    energies: npt.ArrayLike,
    tracks: Tracks,
    geometry: Calorimeter = AMS,
    generator: np.random.Generator | int | None = None,
    particle: Particle = "electron",
    parameters: ElectromagneticParameters | None = None,
) -> npt.NDArray[np.float32]:
    """Simulate showers of electrons, positrons or photons.

    Parameters
    ----------
    energies : array_like, shape (n,)
        Energy of each particle, GeV, within `ENERGY_RANGE`.
    tracks : Tracks
        Their tracks at the front face.
    geometry : Calorimeter
        Its cells, layers and views; the material is that of the fitted calorimeter.
    generator : numpy.random.Generator or int, optional
        Random numbers, or a seed.
    particle : {"electron", "positron", "photon"}
        What they are. A positron's shower is simulated as an electron's.
    parameters : ElectromagneticParameters, optional
        Those of `load_parameters` unless told.

    Returns
    -------
    array of float32, shape (n, n_layers, n_cells)
        Cell energies in GeV, on the scale of the packaged Geant4 events.

    Raises
    ------
    ValueError
        If a particle is unknown, an energy is out of range, or energies and tracks differ in number.
    """
    energies = np.atleast_1d(np.asarray(energies, dtype=np.float64))
    if particle not in get_args(Particle):
        raise ValueError(f"particle {particle!r} is not one of {', '.join(map(repr, get_args(Particle)))}")
    if energies.shape != (len(tracks),):
        raise ValueError(f"energies of shape {energies.shape} do not go with {len(tracks)} tracks")
    low, high = ENERGY_RANGE
    outside = ~((energies >= low) & (energies <= high))
    if outside.any():
        raise ValueError(f"energy {energies[outside][0]:.4g} GeV is out of range; expected {low:g} to {high:g} GeV")
    images = np.empty((len(energies), *geometry.shape), dtype=np.float32)
    chosen = load_parameters(geometry) if parameters is None else parameters
    _simulate(
        images,
        particle == "photon",
        energies,
        tracks.x,
        tracks.y,
        tracks.slope_x,
        tracks.slope_y,
        view_codes(geometry),
        chosen,
        np.random.default_rng(generator),
    )
    return images

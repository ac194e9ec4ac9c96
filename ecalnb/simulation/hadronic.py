"""The fast hadronic engine: protons, neutrons, pions and kaons.

A small cascade. Hadrons are followed through the rows of fibres, interact after exponential paths, and their final
states come from a packaged library of Geant4 interactions (:mod:`.interactions`); photons go to the electromagnetic
engine, slow neutrons and the rest of the haze to a library of Geant4 responses (:mod:`.responses`). A few numbers are
fitted (:mod:`.fit_hadronic`). ``docs/fast-simulation.md`` gives the model and what it is good for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from .._toml import DATA, check_keys, read_toml
from ..geometry import AMS, Calorimeter, Tracks
from .cascade import STACK_COLUMNS, add_hadron
from .electromagnetic import view_codes
from .electromagnetic_parameters import load_parameters
from .interactions import KINDS, load_interactions
from .ionisation import load_ionisation
from .responses import load_responses
from .scale import FIRST_PRODUCTION
from .tracking import HadronicParameters

__all__ = ["HADRON_ENERGY_RANGE", "PARAMETER_FILE", "Hadron", "load_hadronic", "simulate_hadrons"]

Hadron = Literal["proton", "antiproton", "neutron", "pion+", "pion-", "kaon+", "kaon-"]

HADRON_ENERGY_RANGE = (1.0, 50_000.0)
"""Kinetic energies in GeV that `simulate_hadrons` takes: those of the library for protons."""

IMAGE_SCALE = 1 / FIRST_PRODUCTION
"""Image energy for an energy left in fibres: the scale on which vertical electrons of 10 GeV have a sum of 10 GeV."""

_KIND = {"proton": "p", "antiproton": "pbar", "neutron": "n"}
_KIND |= {"pion+": "pi+", "pion-": "pi-", "kaon+": "K+", "kaon-": "K-"}
PARAMETER_FILE = DATA / "simulation" / "hadronic.toml"
"""Fitted numbers, with what they were fitted to; written by :mod:`ecalnb.simulation.fit_hadronic`."""


@cache
def load_hadronic(path: Path = PARAMETER_FILE) -> HadronicParameters:
    """Fitted numbers of the hadronic engine.

    Raises
    ------
    ValueError
        If a number is missing or unknown.
    """
    values = read_toml(path)["parameters"]
    check_keys(values, HadronicParameters._fields, f"[parameters] of {path}", HadronicParameters._fields)
    return HadronicParameters(**{name: float(value) for name, value in values.items()})


@jit
def _simulate(  # type: ignore[no-untyped-def]
    images,
    depths,
    kind,
    energies,
    x,
    y,
    slope_x,
    slope_y,
    views,
    mirror_views,
    g,
    library,
    responses,
    em,
    table,
    parameters,
    scale,
    generator,
):
    image, mirror = np.empty(images.shape[1:]), np.empty(images.shape[1:])
    stack = np.empty((4096, STACK_COLUMNS))
    last = images.shape[1] - 1
    for i in range(len(images)):
        image[:] = 0.0
        mirror[:] = 0.0
        stack, depths[i] = add_hadron(
            image,
            mirror,
            stack,
            kind,
            energies[i],
            x[i],
            y[i],
            slope_x[i],
            slope_y[i],
            views,
            mirror_views,
            g,
            library,
            responses,
            em,
            table,
            parameters,
            scale,
            generator,
        )
        for layer in range(last + 1):
            for cell in range(images.shape[2]):
                images[i, layer, cell] = image[layer, cell] + mirror[last - layer, cell]


@overload
def simulate_hadrons(
    particle: Hadron,
    kinetic_energies: npt.ArrayLike,
    tracks: Tracks,
    geometry: Calorimeter = ...,
    generator: np.random.Generator | int | None = ...,
    *,
    return_truth: Literal[False] = ...,
    parameters: HadronicParameters | None = ...,
) -> npt.NDArray[np.float32]: ...
@overload
def simulate_hadrons(
    particle: Hadron,
    kinetic_energies: npt.ArrayLike,
    tracks: Tracks,
    geometry: Calorimeter = ...,
    generator: np.random.Generator | int | None = ...,
    *,
    return_truth: Literal[True],
    parameters: HadronicParameters | None = ...,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]: ...
def simulate_hadrons(
    particle: Hadron,
    kinetic_energies: npt.ArrayLike,
    tracks: Tracks,
    geometry: Calorimeter = AMS,
    generator: np.random.Generator | int | None = None,
    *,
    return_truth: bool = False,
    parameters: HadronicParameters | None = None,
) -> npt.NDArray[np.float32] | tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Simulate hadrons that enter through the front face.

    Parameters
    ----------
    particle : {"proton", "antiproton", "neutron", "pion+", "pion-", "kaon+", "kaon-"}
        What they are.
    kinetic_energies : array_like, shape (n,)
        Kinetic energy of each, GeV, within `HADRON_ENERGY_RANGE`.
    tracks : Tracks
        Their tracks at the front face.
    geometry : Calorimeter
        Its cells, layers and views; the material is that of the simulated calorimeter.
    generator : numpy.random.Generator or int, optional
        Random numbers, or a seed.
    return_truth : bool
        Whether to return the first interaction too.
    parameters : HadronicParameters, optional
        Those of `load_hadronic` unless told.

    Returns
    -------
    images : array of float32, shape (n, n_layers, n_cells)
        Cell energies in GeV, on the scale of the packaged Geant4 events.
    depths : array of float64, shape (n,)
        Only with ``return_truth``: depth of the first inelastic interaction, mm; NaN if the hadron had none.

    Raises
    ------
    ValueError
        If the particle is unknown, an energy is out of range, or energies and tracks differ in number.
    """
    energies = np.atleast_1d(np.asarray(kinetic_energies, dtype=np.float64))
    if particle not in get_args(Hadron):
        raise ValueError(f"particle {particle!r} is not one of {', '.join(map(repr, get_args(Hadron)))}")
    if energies.shape != (len(tracks),):
        raise ValueError(f"kinetic energies of shape {energies.shape} do not go with {len(tracks)} tracks")
    low, high = HADRON_ENERGY_RANGE
    outside = ~((energies >= low) & (energies <= high))
    if outside.any():
        value = energies[outside][0]
        raise ValueError(f"kinetic energy {value:.4g} GeV is out of range; expected {low:g} to {high:g} GeV")
    chosen = load_hadronic() if parameters is None else parameters
    images = np.empty((len(energies), *geometry.shape), dtype=np.float32)
    depths = np.empty(len(energies))
    views = view_codes(geometry)
    _simulate(
        images,
        depths,
        KINDS.index(_KIND[particle]),
        energies,
        tracks.x,
        tracks.y,
        tracks.slope_x,
        tracks.slope_y,
        views,
        views[::-1].copy(),
        (geometry.cell_pitch, geometry.layer_thickness),
        load_interactions(),
        load_responses(),
        load_parameters(geometry),
        load_ionisation(chosen.landau_max),
        chosen,
        IMAGE_SCALE,
        np.random.default_rng(generator),
    )
    return (images, depths) if return_truth else images

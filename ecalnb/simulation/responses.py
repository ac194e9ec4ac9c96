"""What slow particles and soft photons leave in the cells: a packaged library of Geant4 responses.

A hadronic interaction in lead frees some 25 neutrons, a dozen photons of a few MeV, slow protons and nuclei. What they
leave is neither a track nor a shower but a haze of cells, each by itself: recoils of hydrogen in the fibres,
Compton electrons, photons of capture. It is drawn from responses recorded in the explicit fibre lattice
(:mod:`ecalnb.simulation.geant4.responses`): a response is a list of cells relative to the starting cell, with their
energies. Photons below about 1 GeV, whose showers are a few electrons each, are drawn from such responses too.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from .._toml import DATA

__all__ = [
    "N_BINS",
    "SPECIES",
    "Responses",
    "add_directed",
    "add_isotropic",
    "load_responses",
    "responses_provenance",
]

SPECIES = (
    "neutron",
    "gamma",
    "proton",
    "deuteron",
    "alpha",
    "proton_fibre",
    "deuteron_fibre",
    "alpha_fibre",
    "pi-_at_rest",
    "pi+_at_rest",
    "gamma_down",
    "electron_down",
)
"""What responses are of: isotropic sources outside the fibres, or in them (``_fibre``), photons going down, and
electrons knocked out of lead by a particle that goes down."""

N_BINS = 16
"""Most energies of a species."""

PATH = Path(DATA) / "simulation" / "responses_ftfp_bert.npz"
SHEARED = 0.9
"""Cosine of the angle to the vertical above which a response is sheared, not turned."""
ENERGY_STEP = 0.02
ENERGY_FLOOR = 1e-9


class Responses(NamedTuple):
    """Responses by species, energy and zone of the start.

    Responses to isotropic sources were recorded in the calorimeter itself: how many neutrons come back depends on how
    near its faces are. Their zone is the layer. What goes down was recorded in a deeper calorimeter; its zone is 0 for
    a start in the first layer of a pair of one view, 1 in the second.

    Parameters
    ----------
    energies : array, shape (n_species, N_BINS)
        Kinetic energy of the source, GeV; those beyond ``n_energies`` mean nothing.
    n_energies : array, shape (n_species,)
        Number of energies.
    zones : array, shape (n_species,)
        Number of zones: that of the layers, or 2.
    first, number : array, shape (n_species, N_BINS, n_layers)
        Where the responses of a source begin in ``hit_first``, and how many there are.
    hit_first : array, shape (n_responses + 1,)
        Where the cells of a response begin.
    layer, cell : array, shape (n_hits,)
        Layer and cell of a hit relative to the start. Responses are mirrored so that all start in the lower half of
        their cell, in both views.
    energy : array, shape (n_hits,)
        GeV, on the scale of images.
    """

    energies: npt.NDArray[np.float64]
    n_energies: npt.NDArray[np.int64]
    zones: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    hit_first: npt.NDArray[np.int64]
    layer: npt.NDArray[np.int8]
    cell: npt.NDArray[np.int8]
    energy: npt.NDArray[np.float64]


@jit
def _draw(
    responses: Responses, species: int, bin_: int, layer: int, generator: np.random.Generator
) -> tuple[int, int]:  # pragma: no cover - compiled
    zone = layer if responses.zones[species] > 2 else layer % 2
    count = responses.number[species, bin_, zone]
    if count == 0:
        return 0, 0
    chosen = responses.first[species, bin_, zone] + int(generator.random() * count)
    return responses.hit_first[chosen], responses.hit_first[chosen + 1]


@jit
def add_isotropic(
    image: npt.NDArray[np.float64],
    species: int,
    bin_: int,
    x: float,
    y: float,
    depth: float,
    views: npt.NDArray[np.int8],
    pitch: float,
    thickness: float,
    responses: Responses,
    generator: np.random.Generator,
) -> None:  # pragma: no cover - compiled
    """Add the response to a slow particle of any direction that starts at (x, y, depth) in mm.

    Parameters
    ----------
    image : array, shape (n_layers, n_cells)
        GeV, added to in place.
    species, bin_ : int
        Index in `SPECIES`, and which of its energies.
    views : array of int8, shape (n_layers,)
        0 for a layer that measures x, 1 for y.
    pitch, thickness : float
        Width of a cell and height of a layer, mm.
    """
    n_layers, n_cells = image.shape
    start = int(np.floor(depth / thickness))
    if start < 0 or start >= n_layers:
        return
    begin, end = _draw(responses, species, bin_, start, generator)
    if begin == end:
        return
    cell_x = x / pitch + n_cells / 2
    cell_y = y / pitch + n_cells / 2
    start_x, start_y = int(np.floor(cell_x)), int(np.floor(cell_y))
    sign_x = 1 if cell_x - start_x < 0.5 else -1
    sign_y = 1 if cell_y - start_y < 0.5 else -1
    for hit in range(begin, end):
        layer = start + responses.layer[hit]
        if layer < 0 or layer >= n_layers:
            continue
        begins, sign = (start_x, sign_x) if views[layer] == 0 else (start_y, sign_y)
        cell = begins + sign * responses.cell[hit]
        if 0 <= cell < n_cells:
            image[layer, cell] += responses.energy[hit]


@jit
def add_directed(
    image: npt.NDArray[np.float64],
    species: int,
    energy: float,
    x: float,
    y: float,
    depth: float,
    ux: float,
    uy: float,
    uz: float,
    views: npt.NDArray[np.int8],
    pitch: float,
    thickness: float,
    responses: Responses,
    generator: np.random.Generator,
) -> None:  # pragma: no cover - compiled
    """Add a soft photon's or electron's response, recorded along the vertical, turned to the direction (ux, uy, uz).

    One of the two energies beside ``energy`` (GeV) is drawn and its cells are scaled. Near the vertical the response is
    sheared, so that its layers stay layers; else it is turned as a whole.
    """
    n_layers, n_cells = image.shape
    start = int(np.floor(depth / thickness))
    if start < 0 or start >= n_layers or energy <= 0:
        return
    energies = responses.energies[species]
    n = responses.n_energies[species]
    bin_ = 0
    while bin_ < n - 1 and energies[bin_ + 1] < energy:
        bin_ += 1
    if bin_ < n - 1 and energy > energies[bin_]:
        share = np.log(energy / energies[bin_]) / np.log(energies[bin_ + 1] / energies[bin_])
        if generator.random() < share:
            bin_ += 1
    down = uz > 0
    begin, end = _draw(responses, species, bin_, start if down else start + 1, generator)
    if begin == end:
        return
    scale = energy / energies[bin_]
    shear = abs(uz) > SHEARED
    direction = 1.0 if uz > 0 else -1.0
    cell_x, cell_y = x / pitch + n_cells / 2, y / pitch + n_cells / 2
    sign_x = 1 if cell_x - np.floor(cell_x) < 0.5 else -1
    sign_y = 1 if cell_y - np.floor(cell_y) < 0.5 else -1
    for hit in range(begin, end):
        along = responses.layer[hit] * thickness  # the response was recorded along the vertical
        if shear:
            layer = start + int(direction) * responses.layer[hit]
            along /= abs(uz)
        else:
            # Turned: a cell away from the axis is at another depth, too; what side it is on is not known across views.
            away = responses.cell[hit] * pitch
            tilt = ux if generator.random() < 0.5 else uy
            layer = int(np.floor((depth + along * uz + away * tilt) / thickness))
        if layer < 0 or layer >= n_layers:
            continue
        if views[layer] == 0:
            cell = int(np.floor(cell_x + sign_x * responses.cell[hit] * np.sqrt(1 - ux * ux) + along * ux / pitch))
        else:
            cell = int(np.floor(cell_y + sign_y * responses.cell[hit] * np.sqrt(1 - uy * uy) + along * uy / pitch))
        if 0 <= cell < n_cells:
            image[layer, cell] += scale * responses.energy[hit]


def responses_provenance(path: str | Path = PATH) -> dict[str, Any]:
    """How the library of responses was made: Geant4 version, physics list, data, geometry, cuts, seeds, counts."""
    with np.load(path) as data:
        return dict(json.loads(str(data["provenance"])))


@lru_cache(maxsize=2)
def load_responses(path: str | Path = PATH) -> Responses:
    """Read a library of responses."""
    with np.load(path) as data:
        count = data["count"]
        code = (data["energy_high"].astype(np.uint16) << 8) + data["energy_low"]
        return Responses(
            energies=data["energies"],
            n_energies=data["n_energies"],
            zones=data["zones"],
            first=(np.cumsum(count) - count.ravel()).reshape(count.shape),
            number=count,
            hit_first=np.concatenate([[0], np.cumsum(data["lengths"], dtype=np.int64)]),
            layer=data["layer"],
            cell=data["cell"],
            energy=ENERGY_FLOOR * np.exp(ENERGY_STEP * code),
        )

"""Writing the library of :mod:`ecalnb.simulation.responses`, and taking it apart to add to it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .responses import ENERGY_FLOOR, ENERGY_STEP, N_BINS, SPECIES, load_responses

__all__ = ["Sources", "read_sources", "write_responses"]

Sources = dict[tuple[str, float], list[list[npt.NDArray[np.float64]]]]
"""For each (species, kinetic energy in GeV) the responses by zone."""


def write_responses(
    path: str | Path,
    sources: Sources,
    provenance: dict[str, Any],
) -> None:
    """Write a library of responses.

    Parameters
    ----------
    path : path
        File to write, ``.npz``.
    sources : dict
        For each (species, kinetic energy in GeV) the responses by zone: each an array of shape (n_hits, 3) with the
        relative layer, the relative cell and the energy in GeV.
    provenance : dict
        How they were made; it must be JSON.

    Raises
    ------
    ValueError
        If a species is unknown or has more than `N_BINS` energies.
    """
    energies = np.zeros((len(SPECIES), N_BINS))
    n_energies = np.zeros(len(SPECIES), dtype=np.int64)
    zones = np.zeros(len(SPECIES), dtype=np.int64)
    count = np.zeros((len(SPECIES), N_BINS, max(map(len, sources.values()))), dtype=np.int64)
    hits: list[npt.NDArray[np.float64]] = []
    for name in sorted({name for name, _ in sources}):
        if name not in SPECIES:
            raise ValueError(f"species {name!r} of the responses is not one of {', '.join(SPECIES)}")
    for index, name in enumerate(SPECIES):
        of_species = sorted(energy for species, energy in sources if species == name)
        if len(of_species) > N_BINS:
            raise ValueError(f"{len(of_species)} energies of {name!r}; at most {N_BINS} fit")
        n_energies[index] = len(of_species)
        energies[index, : len(of_species)] = of_species
        for bin_, energy in enumerate(of_species):
            zones[index] = len(sources[name, energy])
            for zone, responses in enumerate(sources[name, energy]):
                count[index, bin_, zone] = len(responses)
                hits.extend(responses)
    lengths = np.array([len(response) for response in hits], dtype=np.uint16)
    flat = np.concatenate(hits) if hits else np.empty((0, 3))
    kept = (abs(flat[:, 0]) < 127) & (abs(flat[:, 1]) < 127)
    if not kept.all():
        raise ValueError(f"{(~kept).sum()} cells of the responses are 127 or more layers or cells away")
    code = np.rint(np.log(np.maximum(flat[:, 2], ENERGY_FLOOR) / ENERGY_FLOOR) / ENERGY_STEP).astype(np.uint16)
    np.savez_compressed(
        path,
        energies=energies,
        n_energies=n_energies,
        zones=zones,
        count=count,
        lengths=lengths,
        layer=flat[:, 0].astype(np.int8),
        cell=flat[:, 1].astype(np.int8),
        energy_high=(code >> 8).astype(np.uint8),
        energy_low=(code & 255).astype(np.uint8),
        provenance=np.array(json.dumps(provenance)),
    )


def read_sources(path: str | Path) -> Sources:
    """Responses as `write_responses` takes them."""
    library = load_responses(path)
    sources: Sources = {}
    for index, name in enumerate(SPECIES):
        for bin_ in range(library.n_energies[index]):
            zones = []
            for zone in range(library.zones[index]):
                first = library.first[index, bin_, zone]
                borders = library.hit_first[first : first + library.number[index, bin_, zone] + 1]
                hits = [slice(begin, end) for begin, end in pairwise(borders)]
                zones.append(
                    [np.column_stack([library.layer[hit], library.cell[hit], library.energy[hit]]) for hit in hits]
                )
            sources[name, float(library.energies[index, bin_])] = zones
    return sources

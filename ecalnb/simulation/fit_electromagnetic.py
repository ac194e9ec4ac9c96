"""Fit of the fast electromagnetic simulation to Geant4 electrons: ``python -m ecalnb.simulation.fit_electromagnetic``.

Only events of the split ``fit`` take part. The result is the packaged file of parameters, which says what it was fitted
to; run it again whenever the Geant4 sample or the model changes.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .. import ntuples
from .._atomic import write_json
from ..geometry import AMS, Calorimeter, Tracks
from ..showers import Showers
from ..splits import split_of
from .electromagnetic import simulate_electrons
from .electromagnetic_parameters import FORMAT, PARAMETER_FILE, make_parameters
from .fit_lateral import LateralSample, calibrate, start_lateral
from .fit_longitudinal import fit_longitudinal
from .fit_spots import fit_spots

__all__ = ["fit", "main"]

log = logging.getLogger(__name__)

RADIATION_LENGTH = 9.56
"""mm, of the Geant4 material: lead, fibre and glue as 1 : 0.57 : 0.15 by volume."""

REFERENCE_ENERGY = 22.0
"""GeV, near the middle of the fitted range in its logarithm."""

COPIES = 4
"""Simulated events for each real one in a round of the calibration."""

DIGITS = 6
"""Significant digits in the file."""

# Mass attenuation of lead: J. Hubbell and S. Seltzer, NISTIR 5632, up to 20 MeV; above, a smooth approach to the limit
# of pair production in complete screening, good to about 5 %.
PHOTON_ENERGY = (1, 2, 3, 5, 10, 20, 50, 100, 300, 1000, 10_000, 100_000)  # MeV
LEAD_ATTENUATION = (
    0.0710,
    0.0461,
    0.0423,
    0.0427,
    0.0497,
    0.0621,
    0.0790,
    0.0929,
    0.106,
    0.115,
    0.121,
    0.1222,
)  # cm2/g


def fit(showers: Showers, seed: int = 1, rounds: int = 10) -> dict[str, Any]:
    """Fit the parameters to electrons.

    Parameters
    ----------
    showers : Showers
        Geant4 electrons with tracks and momenta, of the split ``fit`` alone.
    seed : int
        Seed of the simulated events that the calibration compares with.
    rounds : int
        Rounds of the calibration.

    Returns
    -------
    dict
        Content of ``parameters`` in the parameter file, as arrays.
    """
    geometry, tracks = showers.geometry, showers.tracks
    energy = showers.table["momentum"].to_numpy(dtype=float)
    images = showers.images.astype(float)
    scaled = np.log(energy / REFERENCE_ENERGY)
    spacing = geometry.layer_thickness / RADIATION_LENGTH
    layers = images.sum(axis=2)
    values: dict[str, Any] = {
        "radiation_length": RADIATION_LENGTH,
        "reference_energy": REFERENCE_ENERGY,
        "energy_clip": np.array([scaled.min(), scaled.max()]),
        **fit_longitudinal(energy, layers, spacing / np.cos(tracks.inclination), spacing, REFERENCE_ENERGY),
        "entry_density": 0.009,
        "dust_rate": 10.0,
        "dust_power": 0.78,
        "dust_cluster": 16.0,
        "dust_width": 98.0,
        "dust_depth": geometry.thickness,
        "dust_log_energy": np.log([10**-8.5, 1e-4]),
        "photon_log_energy": np.log(np.array(PHOTON_ENERGY) * 1e-3),
        "photon_path": 9 / 7 * LEAD_ATTENUATION[-1] / np.array(LEAD_ATTENUATION),
    }
    sample = LateralSample.of(images, energy, REFERENCE_ENERGY, tracks, geometry, RADIATION_LENGTH)
    values.update(start_lateral(sample))
    values["entry_nodes"] = values["entry_nodes"] * spacing
    values.update(fit_spots(sample))
    again = np.tile(np.arange(len(energy)), COPIES)

    repeated = Tracks(*(getattr(tracks, name)[again] for name in ("x", "y", "inclination", "azimuth")))

    def simulate(trial: dict[str, Any]) -> LateralSample:
        parameters = make_parameters(trial, geometry)
        images = simulate_electrons(energy[again], repeated, geometry, seed, parameters=parameters).astype(float)
        return LateralSample.of(images, energy[again], REFERENCE_ENERGY, repeated, geometry, RADIATION_LENGTH)

    return calibrate(values, sample, simulate, geometry, rounds)


def _rounded(value: Any) -> Any:
    """Numbers as they are written: a few significant digits are more than the fit knows."""
    if np.ndim(value):
        return [_rounded(item) for item in value]
    return float(f"{float(value):.{DIGITS}g}")


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, and write the parameter file."""
    parser = argparse.ArgumentParser(prog="python -m ecalnb.simulation.fit_electromagnetic", description=__doc__)
    parser.add_argument("files", nargs="*", help="ROOT files of Geant4 electrons; the packaged ones unless told")
    parser.add_argument("--output", type=Path, default=PARAMETER_FILE, help="parameter file to write")
    parser.add_argument("--seed", type=int, default=1, help="seed of the calibration")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = chosen.files or ntuples.load_datasets()["geant4_electrons"]
    showers = ntuples.read(files, label="electron")
    log.info("%d electrons", len(showers))
    showers = showers[split_of(showers.table["file_id"], showers.table["entry"]) == "fit"]
    log.info("%d of the split fit", len(showers))
    values = fit(showers, chosen.seed)
    momentum, inclination = showers.table["momentum"], showers.table["track_inclination"]
    content = {
        "format": FORMAT,
        "model": "docs/fast-simulation.md, electromagnetic showers",
        "fitted_to": {
            "files": [{"name": path.name, "sha256": _checksum(path)} for path in sorted(ntuples.count(files))],
            "split": "fit",
            "events": len(showers),
            "momentum_gev": [_rounded(momentum.min()), _rounded(momentum.max())],
            "inclination_rad": [_rounded(inclination.min()), _rounded(inclination.max())],
        },
        "calorimeter": _geometry(showers.geometry),
        "ecalnb": version("ecalnb"),
        "seed": chosen.seed,
        "parameters": {name: _rounded(value) for name, value in values.items()},
    }
    write_json(chosen.output, content)
    log.info("wrote %s", chosen.output)


def _geometry(geometry: Calorimeter) -> dict[str, Any]:
    return {"name": geometry.name, "layers": geometry.n_layers, "cells": geometry.n_cells, "default": geometry == AMS}


if __name__ == "__main__":
    main()

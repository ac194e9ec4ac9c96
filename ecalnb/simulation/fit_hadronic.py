"""Fit of the fast hadronic simulation to Geant4 protons: ``python -m ecalnb.simulation.fit_hadronic``.

Only events of the split ``fit`` take part. Nearly everything in the hadronic engine comes from its libraries; what is
fitted is what a crossing proton leaves (the scale of ionisation, where Landau's distribution is cut off, the rate of
knocked-on electrons) and the share of slow neutrons. The result is the packaged file of parameters, which says what it
was fitted to; run it again whenever the Geant4 sample or a library changes.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from .. import ntuples
from ..showers import Showers
from ..splits import split_of
from ..variables import mip_like
from .hadronic import PARAMETER_FILE, simulate_hadrons
from .tracking import HadronicParameters

__all__ = ["crossing_summary", "fit", "haze_cells", "main"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

PROTON_MASS = 0.938272
START = HadronicParameters(fibre_scale=1.03, landau_max=27.0, knock_on_scale=1.1, slow_share=1.0, length_scale=1.0)
NEVER = 1e9  # as length_scale: no interaction
PROBABILITIES = (0.05, 0.16, 0.3, 0.5, 0.7, 0.84, 0.95, 0.99)
COPIES = 3
CELL_MIN = 1e-6  # GeV
NEAR, FAR = 13.6, 45.0  # mm


def kinetic_energies(showers: Showers) -> FloatArray:
    """Kinetic energies of protons, GeV, from their momenta."""
    momentum = showers.table["momentum"].to_numpy(dtype=float)
    return np.hypot(momentum, PROTON_MASS) - PROTON_MASS


def _distance(showers: Showers) -> FloatArray:
    track = showers.geometry.project(showers.tracks)
    return np.abs(showers.geometry.cell_centers() - track[:, :, None])


def crossing_summary(showers: Showers) -> FloatArray:
    """Summarise what crossing protons leave: quantiles of a layer's energy, and cells off the track, as logarithms.

    Parameters
    ----------
    showers : Showers
        Protons, of which the crossing ones are chosen by their images.

    Returns
    -------
    array, shape (len(PROBABILITIES) + 1,)
        ln of the quantiles of layer energy for a vertical path, GeV, and of the mean number of cells above 1 keV that
        are more than one and a half cells away from the track.
    """
    crossing = showers[mip_like(showers)]
    energy = crossing.layer_energies * np.cos(crossing.tracks.inclination)[:, None]
    off = (_distance(crossing) > NEAR) & (crossing.images > CELL_MIN)
    return np.log(np.append(np.quantile(energy, PROBABILITIES), off.sum() / len(crossing)))


def haze_cells(showers: Showers) -> tuple[float, float]:
    """Mean number of cells further than 45 mm from the track, of protons that interact, and its error."""
    interacting = showers[~mip_like(showers)]
    number = ((_distance(interacting) > FAR) & (interacting.images > CELL_MIN)).sum(axis=(1, 2))
    return float(number.mean()), float(number.std() / np.sqrt(len(number)))


def _twins(showers: Showers, parameters: HadronicParameters, seed: int) -> Showers:
    copies = Showers.concatenate([showers] * COPIES)
    images = simulate_hadrons(
        "proton", kinetic_energies(copies), copies.tracks, showers.geometry, seed, parameters=parameters
    )
    return Showers(images, copies.table, showers.geometry)


def fit(showers: Showers, seed: int = 1) -> tuple[HadronicParameters, dict[str, float]]:
    """Fit the parameters to protons.

    Parameters
    ----------
    showers : Showers
        Geant4 protons with tracks and momenta, of the split ``fit`` alone.
    seed : int
        Seed of the simulated events.

    Returns
    -------
    parameters : HadronicParameters
        Fitted numbers.
    quality : dict
        Chi-square and number of terms of the fit to crossing protons; cells of the haze and their error.
    """
    crossing = showers[mip_like(showers)]
    target = crossing_summary(crossing)
    generator = np.random.default_rng(seed)
    samples = [crossing_summary(crossing[generator.integers(0, len(crossing), len(crossing))]) for _ in range(50)]
    # The simulation, too, has errors, and quantiles are not expected to agree better than to a percent.
    error = np.sqrt(np.var(samples, axis=0) * (1 + 1 / COPIES) + 0.01**2)

    def chi_square(values: FloatArray) -> float:
        trial = START._replace(
            fibre_scale=values[0], landau_max=100 * values[1], knock_on_scale=values[2], length_scale=NEVER
        )
        result = float((((crossing_summary(_twins(crossing, trial, seed)) - target) / error) ** 2).sum())
        log.info("fibre %.3f, cut-off %.1f, knocked on %.3f: chi-square %.1f", *(values * (1, 100, 1)), result)
        return result

    start = np.array([START.fibre_scale, START.landau_max / 100, START.knock_on_scale])
    bounds = [(0.9, 1.2), (0.05, 3.0), (0.3, 1.5)]
    # Simulated events make it rough, so that a simplex gets stuck: each goes on from the last one's best.
    for step in np.diag([0.04, 0.1, -0.15]), np.diag([-0.02, 0.05, 0.1]), np.diag([-0.02, -0.05, -0.1]):
        options = {"initial_simplex": np.vstack([start, start + step]), "maxfev": 30, "xatol": 0.004, "fatol": 0.5}
        best = minimize(chi_square, start, method="Nelder-Mead", bounds=bounds, options=options)
        start = best.x
    fitted = START._replace(fibre_scale=best.x[0], landau_max=100 * best.x[1], knock_on_scale=best.x[2])

    # The haze grows linearly with the share of slow neutrons.
    wanted, wanted_error = haze_cells(showers)
    low, high = (haze_cells(_twins(showers, fitted._replace(slow_share=share), seed))[0] for share in (0.7, 1.0))
    share = float(np.clip(0.7 + 0.3 * (wanted - low) / (high - low), 0.5, 1.0))
    quality = {"crossing_chi_square": float(best.fun), "crossing_terms": float(len(target))}
    quality |= {"haze_cells": wanted, "haze_cells_error": wanted_error}
    quality |= {"haze_cells_all_neutrons": high}
    return fitted._replace(slow_share=share), quality


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit to the packaged Geant4 protons, or to others, and write the parameters."""
    parser = argparse.ArgumentParser(prog="python -m ecalnb.simulation.fit_hadronic", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="ROOT files of protons; the packaged ones unless given")
    parser.add_argument("-o", "--output", type=Path, default=PARAMETER_FILE, help="file to write")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulated events")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = options.files or ntuples.load_datasets()["geant4_protons"]
    showers = ntuples.read(files)
    sample = showers[np.asarray(split_of(showers.table["file_id"], showers.table["entry"])) == "fit"]
    parameters, quality = fit(sample, options.seed)
    energies = kinetic_energies(sample)
    lines = [
        "# Numbers of the hadronic engine, written by python -m ecalnb.simulation.fit_hadronic.",
        "[fitted_to]",
        f"files = {[path.name for path in sorted(ntuples.count(files))]}",
        'split = "fit"',
        f"protons = {len(sample)}",
        f"kinetic_energy = [{energies.min():.1f}, {energies.max():.1f}]  # GeV",
        f"seed = {options.seed}",
        *(f"{name} = {value:.4g}" for name, value in quality.items()),
        "",
        "[parameters]",
        *(f"{name} = {value:.4g}" for name, value in parameters._asdict().items()),
    ]
    options.output.write_text("\n".join(lines).replace("'", '"') + "\n")


if __name__ == "__main__":
    main()

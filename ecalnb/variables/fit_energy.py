"""Fit the parameters of the reconstructed energy to simulated electrons, and write them with what they come from.

    python -m ecalnb.variables.fit_energy electrons.root more_electrons.root -o energy.toml

Only events of the split ``fit`` count, so that linearity and resolution can be measured on others. Each event should
give its true momentum back. Its error is the resolution, which is measured on the same events after a first fit, and
what the correction itself leaves open: how fast a shower still falls behind the last layers differs from shower to
shower. Without this term the few late showers of low energy decide on the correction of all. Showers that lose energy
in another way (a photon that escapes, a nuclear reaction) are outliers: the loss function is linear far away (soft L1).
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from iminuit import Minuit
from iminuit.cost import LeastSquares

from .. import ntuples
from .._atomic import replacing
from ..metrics import EnergyResolution, fit_energy_resolution, resolution_in_bins
from ..showers import Showers
from ..splits import split_of
from .energy import EnergyParameters, leakage_fractions, reconstructed_energy

__all__ = ["EnergyFit", "fit_energy", "main"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

# Resolution with which the first fit weighs the events.
FIRST_STOCHASTIC, FIRST_CONSTANT = 0.10, 0.014

# Spread of the energy lost through the back about its mean for the same q, as a multiple of q^2, radiation lengths
# squared: with it the residuals of Geant4 electrons above and below q = 0.04 are as wide as their errors.
SLOPE_SPREAD = 10.0


@dataclass(frozen=True)
class EnergyFit:
    """Result of `fit_energy`.

    Parameters
    ----------
    parameters : EnergyParameters
        The parameters fitted.
    errors : dict
        Standard errors of those that were free.
    resolution : EnergyResolution
        Resolution of the fit's own events.
    n_events : int
        Events used.
    momentum_low, momentum_high : float
        Range of their true momentum, GeV.
    """

    parameters: EnergyParameters
    errors: dict[str, float]
    resolution: EnergyResolution
    n_events: int
    momentum_low: float
    momentum_high: float


def fit_energy(showers: Showers) -> EnergyFit:
    """Fit the parameters of the reconstructed energy to electrons of known momentum.

    Parameters
    ----------
    showers : Showers
        Electrons or positrons with the columns ``momentum`` and those of the track.

    Returns
    -------
    EnergyFit

    Raises
    ------
    ValueError
        If there are fewer than 200 events, one has no momentum, or the fit does not converge.
    """
    momentum = showers.table["momentum"].to_numpy(dtype=float)
    if len(showers) < 200 or not (momentum > 0).all():
        raise ValueError(
            f"there are {len(showers)} events, {np.count_nonzero(~(momentum > 0))} of them without a momentum; "
            "expected at least 200 electrons of known momentum"
        )
    rear, side = leakage_fractions(showers)
    resolution = np.hypot(FIRST_STOCHASTIC / np.sqrt(momentum), FIRST_CONSTANT)
    # About 80 events a bin; points of one energy are a bin each.
    edges = np.unique(np.quantile(momentum, np.linspace(0, 1, 1 + min(12, len(showers) // 80))))
    edges[-1] *= 1.0001
    for _ in range(2):
        parameters, errors = _fit(rear, side, showers.energies / momentum, resolution)
        bins = resolution_in_bins(momentum, reconstructed_energy(showers, parameters), edges, min_count=40)
        measured = fit_energy_resolution(bins["energy"], bins["resolution"], bins["resolution_error"])
        resolution = measured(momentum)
    return EnergyFit(parameters, errors, measured, len(showers), float(momentum.min()), float(momentum.max()))


def _fit(
    rear: FloatArray, side: FloatArray, visible: FloatArray, resolution: FloatArray
) -> tuple[EnergyParameters, dict[str, float]]:
    """Fit the parameters to fractions and to the sum of the cells over the true momentum."""

    def ratio(x: FloatArray, scale: float, rear_linear: float, rear_quadratic: float, side: float) -> FloatArray:
        q, p, e = x
        return e * scale * (1 + rear_linear * q + rear_quadratic * q**2 + side * p)

    error = np.hypot(resolution, SLOPE_SPREAD * rear**2)
    cost = LeastSquares(np.stack([rear, side, visible]), np.ones(len(rear)), error, ratio, loss="soft_l1")
    minuit = Minuit(cost, scale=1.0, rear_linear=2.0, rear_quadratic=20.0, side=1.0)
    minuit.migrad()
    minuit.hesse()
    if not minuit.valid:
        raise ValueError(f"the fit of the reconstructed energy to {len(rear)} events does not converge")
    parameters = EnergyParameters(**minuit.values.to_dict(), rear_max=float(rear.max()), side_max=float(side.max()))
    return parameters, minuit.errors.to_dict()


def write_parameters(fit: EnergyFit, files: dict[Path, int], path: Path) -> None:
    """Write the parameter file: a TOML file that says what it was fitted to.

    Parameters
    ----------
    fit : EnergyFit
        What to write.
    files : dict
        Events used of each file.
    path : Path
        The file; replaced where it exists.
    """
    resolution = fit.resolution
    lines = [
        "# Parameters of ecalnb.variables.reconstructed_energy; its module says what they mean.",
        "# Written by `python -m ecalnb.variables.fit_energy`: fit again rather than edit.",
        "",
        "version = 1",
        "",
        "[correction]",
        *(f"{name} = {value:.6g}" for name, value in asdict(fit.parameters).items()),
        "",
        "[errors]",
        *(f"{name} = {value:.3g}" for name, value in fit.errors.items()),
        "",
        "[fit]",
        'split = "fit"',
        f"events = {fit.n_events}",
        f"momentum_low = {fit.momentum_low:.6g}",
        f"momentum_high = {fit.momentum_high:.6g}",
        "# resolution of these events: stochastic / sqrt(E) (+) constant",
        f"stochastic = {resolution.stochastic:.4g}",
        f"constant = {resolution.constant:.4g}",
    ]
    for file, events in sorted(files.items(), key=lambda item: item[0].name):
        with open(file, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines += ["", "[[fit.files]]", f'name = "{file.name}"', f'sha256 = "{digest}"', f"events = {events}"]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")


def _electrons(path: Path) -> Showers:
    """Electrons and positrons of a file that are in the split ``fit``."""
    showers = ntuples.read(path)
    table = showers.table
    for column in ("pdg", "momentum"):
        if column not in table:
            raise ValueError(f"{path} has no column {column}; the fit needs simulated events")
    wanted = table["pdg"].abs().eq(11) & (split_of(table["file_id"], table["entry"]) == "fit")
    return showers[wanted]


def main(
    files: Annotated[list[Path], typer.Argument(help="ROOT files with simulated electrons.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Parameter file to write.")],
) -> None:
    """Fit the reconstructed energy to the electrons of the split `fit` in FILES."""
    parts = {path: _electrons(path) for path in files}
    fit = fit_energy(Showers.concatenate(list(parts.values())))
    write_parameters(fit, {path: len(part) for path, part in parts.items()}, output)
    log.info("%s: %d events, %s", output, fit.n_events, fit.parameters)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    typer.run(main)

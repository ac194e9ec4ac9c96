"""Studies of samples of nuclei: charge resolutions, and what is left in a selection of flight events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..metrics import TemplateFit, fit_templates
from .parameters import SPECIES, Nucleus, pick
from .sample import NucleiSample
from .selections import Hypercube

__all__ = ["charge_resolutions", "fit_l1", "looks_like", "matched_charge"]

DETECTORS = {
    "L1": "trk_q_l1",
    "inner tracker": "trk_q_inner",
    "upper TOF": "tof_q_upper",
    "TRD": "trd_q_mean",
}
"""Charges of detectors, by their names for people."""


def charge_resolutions(sample: NucleiSample, least: int = 50) -> pd.DataFrame:
    """Charge resolution of each detector for each species that did not break up: half of the central 68 %.

    Parameters
    ----------
    sample : NucleiSample
        Simulated events.
    least : int
        Species with less events are left out.

    Returns
    -------
    pandas.DataFrame
        ``species``, ``charge``, ``detector``, ``width``, ``error`` (that of a normal distribution's width by these
        quantiles), ``low``, ``high``, ``n``.
    """
    charge, place, _ = sample.truth
    rows = []
    for each in pick():
        whole = (charge == each.charge) & (place == place.max())
        for detector, name in DETECTORS.items():
            values = sample.column(name)[whole]
            values = values[np.isfinite(values)]
            if len(values) < least:
                continue
            low, high = np.quantile(values, [0.16, 0.84])
            width = float(high - low) / 2
            error = 0.92 * width / len(values) ** 0.5
            row = {"species": each.name, "charge": each.charge, "detector": detector, "width": width, "error": error}
            rows.append(row | {"low": width - error, "high": width + error, "n": len(values)})
    return pd.DataFrame(rows)


def looks_like(sample: NucleiSample, nucleus: Nucleus) -> npt.NDArray[np.bool_]:
    """Which events of a selection of a species look like it in L1 too: that species, or what broke up above L1."""
    charge, place, _ = sample.truth
    return np.asarray((charge == nucleus.charge) | (place == 0))


def matched_charge(
    simulated: npt.ArrayLike, simulated_peak: npt.ArrayLike, flight_peak: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Give a simulated charge the peak and the width that flight events have.

    Parameters
    ----------
    simulated : array_like
        Charges to change.
    simulated_peak, flight_peak : array_like
        Charges of clean events of one species, of both kinds: their median and central 68 % are matched. The resolution
        is stretched about each whole charge, and the gain moves all charges in proportion.
    """
    own, other = (
        np.quantile(np.asarray(peak, dtype=float), [0.16, 0.5, 0.84]) for peak in (simulated_peak, flight_peak)
    )
    values = np.asarray(simulated, dtype=float)
    nearest, stretch = np.rint(values), (other[2] - other[0]) / (own[2] - own[0])
    return np.asarray((nearest + stretch * (values - nearest)) * other[1] / own[1])


def _clean(sample: NucleiSample, nucleus: Nucleus) -> npt.NDArray[np.bool_]:
    """Events that all detectors but L1 agree on, with a hit in L1 near their charge."""
    near = {"trk_q_inner": 0.3, "tof_q_upper": 0.4, "tof_q_lower": 0.4, "trk_q_l1": 1.5}
    return np.all([np.abs(sample.column(name) - nucleus.charge) < width for name, width in near.items()], axis=0)


def fit_l1(
    flight: NucleiSample,
    simulated: NucleiSample,
    weights: npt.ArrayLike,
    cuts: Hypercube,
    edges: npt.ArrayLike,
    reference: Nucleus = SPECIES["O"],
) -> TemplateFit:
    """Fit the charge in L1 of flight events that pass all cuts but that on it.

    Templates are simulated: what looks like the species in L1, and all else, which broke up between L1 and L2. Gain
    and width are those of an abundant species in flight.

    Parameters
    ----------
    flight : NucleiSample
        Flight events. No truth of theirs is used.
    simulated : NucleiSample
        Simulated events.
    weights : array_like
        Natural weights of the simulated events.
    cuts : Hypercube
        The selection.
    edges : array_like
        Bins of the charge in L1.
    reference : Nucleus
        Abundant species whose peak and width in L1 are given to the simulation.

    Returns
    -------
    TemplateFit
    """
    name = "trk_q_l1"
    data = flight[cuts.passes(flight, without=[name])].column(name).astype(float)
    passed = cuts.passes(simulated, without=[name])
    chosen, w = simulated[passed], np.asarray(weights, dtype=float)[passed]
    own = looks_like(chosen, cuts.nucleus)
    peaks = [each.column(name)[_clean(each, reference)] for each in (simulated, flight)]
    charge = matched_charge(chosen.column(name), *peaks)
    there = np.isfinite(charge)
    signal, other = there & own, there & ~own
    return fit_templates(
        data[np.isfinite(data)], charge[signal], charge[other], edges, weights=(None, w[signal], w[other])
    )

"""One table of how much the scores of several models depend on the energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from .binned import rejection_in_bins
from .energy_dependence import efficiency_spread, energy_correlation
from .matched import MatchedSample

__all__ = ["DEPENDENCE_COLUMNS", "efficiency_against_energy", "energy_dependence"]

DEPENDENCE_COLUMNS = {
    "model": "name of the model",
    "efficiency": "electron efficiency that set the threshold, in the window",
    "spread": "standard deviation over the bins of energy of the electron efficiency at that one threshold",
    "spread_low": "lower bound of the spread",
    "spread_high": "upper bound",
    "lowest": "lowest measured efficiency of a bin",
    "highest": "highest",
    "p_value": "probability of such a spread if the efficiency were the same at all energies",
    "electron": "squared distance correlation of the ranks of score and energy, electrons",
    "electron_error": "its error",
    "proton": "the same for protons",
    "proton_error": "its error",
}
"""Columns of the table of energy dependences, and what they hold."""


def energy_dependence(
    sample: MatchedSample,
    edges: npt.ArrayLike,
    efficiency: float = 0.90,
    *,
    window: tuple[float, float] | None = None,
    models: Sequence[str] = (),
    min_count: int = 50,
    n_replicas: int = 100,
    seed: int = 1,
) -> pd.DataFrame:
    """Measure for each model how much its score depends on the energy.

    Electrons have their own weights in `sample`, which give them the spectrum of the protons: where bins count equally
    that changes little, and the distance correlation of both species is then of one spectrum.

    Parameters
    ----------
    sample : MatchedSample
        The events.
    edges : array_like
        Bins of energy for the spread of the efficiency, GeV.
    efficiency : float
        Electron efficiency that sets the threshold.
    window : tuple of float, optional
        Energies of the electrons that set it, GeV; all inside the bins unless told.
    models : sequence of str
        Columns of the models; all that have judged every event unless told.
    min_count, n_replicas, seed
        As of :func:`ecalnb.metrics.efficiency_spread` and :func:`ecalnb.metrics.energy_correlation`.

    Returns
    -------
    DataFrame
        A row for each model with the columns of `DEPENDENCE_COLUMNS`.
    """
    replicas = {"n_replicas": n_replicas, "seed": seed}
    rows = []
    for name in models or sample.models:
        scores, energy = sample.electrons[name], sample.electrons["en3d"]
        options = {"window": window, "weights": sample.weights[0], "min_count": min_count, **replicas}
        spread = efficiency_spread(scores, energy, edges, efficiency, **options)
        species = zip((sample.electrons, sample.protons), sample.weights, strict=True)
        correlations = [energy_correlation(table[name], table["en3d"], w, **replicas) for table, w in species]
        rows.append([name, efficiency, *spread[:-1], *np.ravel(correlations).tolist()])
    return pd.DataFrame(rows, columns=list(DEPENDENCE_COLUMNS))


def efficiency_against_energy(
    sample: MatchedSample,
    edges: npt.ArrayLike,
    efficiencies: npt.ArrayLike,
    *,
    window: tuple[float, float] | None = None,
    models: Sequence[str] = (),
    **options: object,
) -> pd.DataFrame:
    """Efficiency and rejection of each model in bins of energy, at one threshold for all of them.

    Parameters
    ----------
    sample : MatchedSample
        The events.
    edges, efficiencies, window, **options
        As of :func:`ecalnb.metrics.rejection_in_bins`; ``threshold`` is "global" unless told.
    models : sequence of str
        Columns of the models; all that have judged every event unless told.

    Returns
    -------
    DataFrame
        The columns of :func:`ecalnb.metrics.rejection_in_bins`, and ``model``.
    """
    options = {"threshold": "global", "weights": sample.weights, "window": window, **options}
    tables = []
    for name in models or sample.models:
        species = [table[column] for table in (sample.electrons, sample.protons) for column in (name, "en3d")]
        table = rejection_in_bins(*species, edges, efficiencies, **options)  # type: ignore[arg-type]
        tables.append(table.assign(model=name))
    return pd.concat(tables, ignore_index=True)

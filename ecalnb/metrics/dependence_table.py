"""One table of how much the scores of several models depend on the energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from ._bins import merge_bins
from .binned import rejection_in_bins
from .energy_dependence import efficiency_spread, energy_correlation
from .matched import MatchedSample, rejection_text
from .rejection import check_efficiencies

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


class _Replicas(TypedDict):
    n_replicas: int
    seed: int


def energy_dependence(
    sample: MatchedSample,
    edges: npt.ArrayLike,
    efficiencies: npt.ArrayLike = 0.90,
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
        Bins of energy for the spread of the efficiency, GeV; neighbours are merged until each has `min_count`
        electrons.
    efficiencies : float or array_like
        Electron efficiencies that set thresholds.
    window : tuple of float, optional
        Energies of the electrons that set it, GeV; all inside the bins unless told.
    models : sequence of str
        Columns of the models; all that have judged every event unless told.
    min_count, n_replicas, seed
        As of :func:`ecalnb.metrics.efficiency_spread` and :func:`ecalnb.metrics.energy_correlation`.

    Returns
    -------
    DataFrame
        A row for each model and efficiency with the columns of `DEPENDENCE_COLUMNS`.
    """
    replicas: _Replicas = {"n_replicas": n_replicas, "seed": seed}
    bins = merge_bins(edges, sample.electrons["en3d"], min_count=min_count)
    rows = []
    for name in models or sample.models:
        scores, energy = sample.electrons[name], sample.electrons["en3d"]
        species = zip((sample.electrons, sample.protons), sample.weights, strict=True)
        correlations = [energy_correlation(table[name], table["en3d"], w, **replicas) for table, w in species]
        for efficiency in check_efficiencies(efficiencies).tolist():
            spread = efficiency_spread(
                scores, energy, bins, efficiency,
                window=window, weights=sample.weights[0], min_count=min_count, **replicas,
            )  # fmt: skip
            rows.append([name, efficiency, *spread[:-1], *np.ravel(correlations).tolist()])
    return pd.DataFrame(rows, columns=list(DEPENDENCE_COLUMNS))


def efficiency_against_energy(
    sample: MatchedSample,
    edges: npt.ArrayLike,
    efficiencies: npt.ArrayLike,
    *,
    window: tuple[float, float] | None = None,
    models: Sequence[str] = (),
    threshold: Literal["per_bin", "global"] = "global",
    few: Literal["leave_out", "merge"] = "leave_out",
    min_count: int = 50,
) -> pd.DataFrame:
    """Efficiency and rejection of each model in bins of energy, at one threshold for all bins or one for each.

    Parameters
    ----------
    sample : MatchedSample
        The events.
    edges, efficiencies, window
        As of :func:`ecalnb.metrics.rejection_in_bins`.
    models : sequence of str
        Columns of the models; all that have judged every event unless told.
    threshold, few, min_count
        As of :func:`ecalnb.metrics.rejection_in_bins`, but for one threshold unless told.

    Returns
    -------
    DataFrame
        The columns of :func:`ecalnb.metrics.rejection_in_bins`, ``model``, ``bin`` (its edges) and ``text``: the
        rejection with its interval, as of :func:`ecalnb.metrics.rejection_table`; empty where there is none.
    """
    electrons, protons = sample.electrons, sample.protons
    tables = []
    for name in models or sample.models:
        table = rejection_in_bins(
            electrons[name], electrons["en3d"], protons[name], protons["en3d"], edges, efficiencies,
            threshold=threshold, window=window, weights=sample.weights, min_count=min_count, few=few,
        )  # fmt: skip
        tables.append(table.assign(model=name))
    table = pd.concat(tables, ignore_index=True)
    bins = [f"{low:.4g} to {high:.4g}" for low, high in table[["energy_low", "energy_high"]].to_numpy()]
    rows = table.to_dict("records")
    return table.assign(bin=bins, text=["" if np.isnan(row["rejection"]) else rejection_text(row) for row in rows])

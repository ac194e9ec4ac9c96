"""How far a rejection depends on the protons that it is measured with: one set of thresholds, several samples.

Each sample is an estimate of the same thing by another simulation, or by other events of the same one. The electrons
are common to all, so that a model has the same threshold in all of them, and what differs is the protons alone.

Reference
---------
J. Przyborowski and H. Wilenski, Biometrika 31 (1940) 313: given their sum, one of two Poisson counts is binomial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import variables
from ..intervals import check_level, clopper_pearson, effective_counts
from ..metrics import rejection_curve
from ..showers import Showers
from ..spectra import spectrum_weights
from .conditions import ValidationError

__all__ = ["compare_rejections", "core_shares", "inside_window", "rejection_ratios"]

_N_BINS = 6  # of the spectrum that electrons are weighted to


def compare_rejections(
    electrons: pd.DataFrame,
    protons: Mapping[str, pd.DataFrame],
    models: Sequence[str],
    efficiencies: Sequence[float],
    window: tuple[float, float],
) -> pd.DataFrame:
    """Rejection of models on several samples of protons, at the same thresholds.

    Parameters
    ----------
    electrons : DataFrame
        Rows of a table of scores: ``en3d`` (GeV) and a column a model; they are weighted to the spectrum of the first
        sample of protons.
    protons : mapping of str to DataFrame
        Rows of tables of scores by the name of the sample, with ``weight`` where events have weights.
    models : sequence of str
        Columns.
    efficiencies : sequence of float
        Electron efficiencies.
    window : tuple of float
        Lower (included) and upper end of ``en3d``, GeV.

    Returns
    -------
    DataFrame
        ``sample``, ``model`` and the columns of :data:`ecalnb.metrics.REJECTION_COLUMNS`. Intervals are those of the
        protons alone, at the threshold as it is, also ``low_total`` and ``high_total``. Effective counts are not capped
        (:func:`ecalnb.intervals.effective_counts`): what importance sampling makes light passes, by its design.

    Raises
    ------
    ValidationError
        If there are no samples, or no electrons or protons of a sample in the window.
    """
    if not protons:
        raise ValidationError("there are no samples of protons; expected one or more")
    electrons = inside_window(electrons, window, "electrons")
    samples = {name: inside_window(table, window, f"protons of {name!r}") for name, table in protons.items()}
    first = next(iter(samples.values()))
    edges = np.geomspace(*window, _N_BINS + 1)
    weights = spectrum_weights(
        electrons["en3d"], first["en3d"], edges, weights=_weights(electrons), reference_weights=_weights(first)
    )
    curves = []
    for name, table in samples.items():
        for model in models:
            curve = rejection_curve(electrons[model], table[model], efficiencies, (weights, _weights(table)))
            curves.append(_intervals(curve, table[model], _weights(table)).assign(sample=name, model=model))
    return pd.concat(curves, ignore_index=True)


def inside_window(table: pd.DataFrame, window: tuple[float, float], name: str) -> pd.DataFrame:
    """Leave the rows of a table of scores in a window of ``en3d``, GeV, its lower end included.

    Raises
    ------
    ValidationError
        If there are none.
    """
    chosen = table[_window(table, window)]
    if chosen.empty:
        raise ValidationError(f"there are no {name} with {window[0]:g} <= en3d < {window[1]:g} GeV; expected some")
    return chosen


def rejection_ratios(table: pd.DataFrame, reference: str, level: float = 0.68) -> pd.DataFrame:
    """Rejections of each sample over those of another one, whose events are others.

    The interval is that of the ratio of two Poisson means (Przyborowski and Wilenski), with effective counts for
    weighted events. The uncertainty of the threshold is common to both, and is not in it.

    Parameters
    ----------
    table : DataFrame
        As `compare_rejections` returns it.
    reference : str
        The sample in the denominator.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        ``sample``, ``model``, ``efficiency``, ``ratio`` (NaN where no proton passes in either), ``low``, ``high``, and
        the effective numbers of protons that pass, ``passed`` and ``passed_reference``.

    Raises
    ------
    ValidationError
        If there is no such sample.
    """
    check_level(level)
    if reference not in set(table["sample"]):
        raise ValidationError(
            f"there is no sample {reference!r}; expected one of {', '.join(table['sample'].unique())}"
        )
    columns = ["sample", "model", "efficiency", "rejection", "n_effective"]
    own = table.loc[table["sample"] != reference, columns]
    other = table.loc[table["sample"] == reference, columns].drop(columns="sample")
    pairs = own.merge(other, on=["model", "efficiency"], suffixes=("", "_reference"))
    passed = pairs["n_effective"] / pairs["rejection"]
    passed_reference = pairs["n_effective_reference"] / pairs["rejection_reference"]
    low, high = clopper_pearson(passed_reference, passed_reference + passed, level)
    scale = pairs["n_effective"] / pairs["n_effective_reference"]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(passed + passed_reference > 0, scale * passed_reference / passed, np.nan)
        bounds = [scale * bound / (1 - bound) for bound in (low, high)]
    return pairs[["sample", "model", "efficiency"]].assign(
        ratio=ratio, low=bounds[0], high=bounds[1], passed=passed, passed_reference=passed_reference
    )


def core_shares(
    electrons: Showers,
    protons: Mapping[str, Showers],
    window: tuple[float, float],
    quantiles: Sequence[float] = (0.01, 0.10, 0.50),
) -> pd.DataFrame:
    """Share of the protons that are as compact as electrons, in several samples.

    Compactness is the share of the energy within one cell of the shower's own axis
    (:func:`ecalnb.variables.core_fraction`), which needs no training.

    Parameters
    ----------
    electrons : Showers
        They set the cuts.
    protons : mapping of str to Showers
        Samples, with ``weight`` in the table where events have weights.
    window : tuple of float
        Lower (included) and upper end of ``en3d``, GeV.
    quantiles : sequence of float
        Electrons that a cut takes away.

    Returns
    -------
    DataFrame
        ``sample``, ``efficiency`` (electrons that the cut leaves), ``least`` (the cut), ``passed`` (events), ``share``
        of the protons in the window with its 68 % interval ``low``, ``high`` (Clopper and Pearson, effective counts).
    """
    core = _core(electrons[_window(electrons.table, window)])
    cuts = np.nanquantile(core, quantiles)
    rows = []
    for name, showers in protons.items():
        chosen = showers[_window(showers.table, window)]
        values, weights = _core(chosen), _weights(chosen.table)
        for quantile, cut in zip(quantiles, cuts, strict=True):
            passes = values >= cut
            some, every = weights[passes], weights
            k, n = effective_counts(some.sum(), (some**2).sum(), every.sum(), (every**2).sum(), capped=False)
            low, high = clopper_pearson(k, n)
            row = {"sample": name, "efficiency": 1 - quantile, "least": cut, "passed": int(passes.sum())}
            rows.append({**row, "share": some.sum() / every.sum(), "low": float(low), "high": float(high)})
    return pd.DataFrame(rows)


def _intervals(
    curve: pd.DataFrame, scores: pd.Series, weights: npt.NDArray[np.float64], level: float = 0.68
) -> pd.DataFrame:
    """Put the intervals of weighted protons into a curve, where some pass."""
    passes = scores.to_numpy()[:, np.newaxis] >= curve["threshold"].to_numpy()
    some, squares = weights @ passes, weights**2 @ passes
    k, n = effective_counts(some, squares, weights.sum(), (weights**2).sum(), capped=False)
    low, high = clopper_pearson(k, n, level)
    there = some > 0
    with np.errstate(divide="ignore"):
        low, high = np.where(there, 1 / high, curve["low"]), np.where(there, 1 / low, curve["high"])
    n = np.where(there, n, curve["n_effective"])
    return curve.assign(n_effective=n, low=low, high=high, low_total=low, high_total=high)


def _core(showers: Showers) -> npt.NDArray[np.float64]:
    return variables.core_fraction(showers, 1, variables.shower_axis(showers))


def _window(table: pd.DataFrame, window: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return ((table["en3d"] >= window[0]) & (table["en3d"] < window[1])).to_numpy()


def _weights(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    return table["weight"].to_numpy(dtype=float) if "weight" in table else np.ones(len(table))

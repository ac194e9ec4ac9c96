"""The hadronic model as a systematic error: trained on one physics list, tested on another, and the reverse.

Two changes are kept apart. That of the test sample, with the model fixed, is what an error of the simulation does to a
rejection that is quoted from it; its protons are independent. That of the training sample, with the protons fixed, is
what it does to a model; it is paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ..metrics import rejection_factors
from .systematics import compare_rejections, inside_window, rejection_ratios

__all__ = ["crossed_rejections", "hadronic_changes"]

_COLUMNS = ["model", "efficiency", "what", "ratio", "low", "high"]


def crossed_rejections(
    electrons: pd.DataFrame,
    protons: Mapping[str, pd.DataFrame],
    models: Sequence[str],
    efficiencies: Sequence[float],
    window: tuple[float, float],
) -> pd.DataFrame:
    """Rejection of each model for each physics list that it was trained on and each that it is tested on.

    Parameters
    ----------
    electrons : DataFrame
        Rows of a table of scores with ``en3d`` (GeV) and a column ``<model>.<physics list>`` for each training.
    protons : mapping of str to DataFrame
        Rows of tables of scores by physics list, with ``weight`` where events have weights.
    models : sequence of str
        Names without the physics list.
    efficiencies : sequence of float
        Electron efficiencies.
    window : tuple of float
        Lower (included) and upper end of ``en3d``, GeV.

    Returns
    -------
    DataFrame
        As :func:`~ecalnb.validation.compare_rejections`, with the physics list of the test in ``sample`` and that of
        the training in ``trained``.

    Raises
    ------
    ValidationError
        If there are no events in the window.
    """
    names = {f"{model}.{physics}": (model, physics) for model in models for physics in protons}
    compared = compare_rejections(electrons, protons, list(names), efficiencies, window)
    both = [names[name] for name in compared["model"]]
    return compared.assign(model=[model for model, _ in both], trained=[physics for _, physics in both])


def hadronic_changes(
    electrons: pd.DataFrame,
    protons: Mapping[str, pd.DataFrame],
    models: Sequence[str],
    efficiencies: Sequence[float],
    window: tuple[float, float],
    *,
    seed: int = 1,
) -> pd.DataFrame:
    """Ratios of rejections, second physics list over first: of the test sample, and of the training sample.

    Parameters
    ----------
    electrons, protons, models, efficiencies, window
        As for `crossed_rejections`, with two physics lists.
    seed : int
        Of the paired bootstrap.

    Returns
    -------
    DataFrame
        ``model``, ``efficiency``, ``what`` (in words), ``ratio`` and its 68 % interval ``low``, ``high``; without those
        where no proton passes in either sample.

    Raises
    ------
    ValueError
        If there are not two physics lists.
    """
    if len(protons) != 2:
        raise ValueError(f"protons are of {', '.join(protons) or 'no physics list'}; expected two physics lists")
    first, second = protons
    crossed = crossed_rejections(electrons, protons, models, efficiencies, window)
    parts = []
    for trained, table in crossed.groupby("trained", sort=False):
        tested = rejection_ratios(table, first)
        parts.append(tested.assign(what=f"tested on {second} / {first} (trained on {trained})"))
    electrons = inside_window(electrons, window, "electrons")
    for physics, table in protons.items():
        table = inside_window(table, window, f"protons of {physics!r}")
        weights = (None, table.get("weight"))
        for model in models:
            names = (f"{model}.{second}", f"{model}.{first}")
            signal, background = ({name: part[name] for name in names} for part in (electrons, table))
            for efficiency in efficiencies:
                factor = rejection_factors(signal, background, names[0], efficiency, weights=weights, seed=seed)
                factor = factor[["factor", "low", "high"]].rename(columns={"factor": "ratio"})
                what = f"trained on {second} / {first} (tested on {physics})"
                parts.append(factor.assign(model=model, efficiency=efficiency, what=what))
    table = pd.concat([part[_COLUMNS] for part in parts], ignore_index=True)
    return table[table["ratio"].notna()].reset_index(drop=True)

"""Labels of events that have none, from selections: how flight data get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..selection import Selection
from .errors import TrainingError

__all__ = ["label_columns", "label_events"]


def _load(labels: Mapping[str, Sequence[str]]) -> dict[str, list[Selection]]:
    return {label: [Selection.load(name) for name in names] for label, names in labels.items()}


def label_columns(labels: Mapping[str, Sequence[str]]) -> set[str]:
    """Columns of the event table that `label_events` needs."""
    return {column for parts in _load(labels).values() for part in parts for column in part.columns}


def label_events(table: pd.DataFrame, labels: Mapping[str, Sequence[str]]) -> npt.NDArray[np.object_]:
    """Label events by selections, such as those of notebook 06 on flight data.

    Parameters
    ----------
    table : pandas.DataFrame
        Event table with the columns of the selections.
    labels : mapping of str to sequence of str
        For each label the packaged selections, or TOML files, that an event must pass: all of them.

    Returns
    -------
    array of object, shape (n,)
        The label of each event; None for one that passes for none.

    Raises
    ------
    TrainingError
        If an event passes for two labels.
    ecalnb.selection.SelectionError, ValueError
        If a column is missing, or there is no such selection.

    Examples
    --------
    >>> names = {label: ["flight_preselection", f"flight_{label}s"] for label in ("electron", "proton")}
    >>> label_events(store.table(), names)  # doctest: +SKIP
    """
    found = np.full(len(table), None, dtype=object)
    for label, selections in _load(labels).items():
        passed = np.logical_and.reduce([selection(table) for selection in selections])
        if twice := int((passed & (found != None)).sum()):  # noqa: E711  (elementwise)
            raise TrainingError(f"{twice} events pass the selections of {label} and of another label; expected one")
        found[passed] = label
    return found

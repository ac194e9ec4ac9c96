"""Figures of what the judges of a simulation found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._style import COLORS
from .spectra import plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.container import Container

__all__ = ["auc_against", "auc_dependence", "auc_overview", "judge_scores"]

_SERIES = [(label, judge) for label in ("electron", "proton") for judge in ("bdt", "cnn")]


def judge_scores(
    ax: Axes, scores: pd.DataFrame, *, names: tuple[str, str] = ("reference", "candidate")
) -> list[Artist | Container]:
    """Draw the scores that a judge gave to both samples, normalised to the area 1.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    scores : DataFrame
        Of a :class:`ecalnb.validation.Judgement`.
    names : tuple of str
        What to call reference and candidate.

    Returns
    -------
    list of Artist or Container
    """
    low, high = np.quantile(scores["score"], [0.001, 0.999])
    edges = np.linspace(low, high, 31)
    artists: list[Artist | Container] = []
    for is_reference, name, color in ((True, names[0], COLORS[6]), (False, names[1], COLORS[1])):
        values = scores.loc[scores["is_reference"] == is_reference, "score"].clip(low, high)
        heights = np.histogram(values, edges, density=True)[0]
        artists.append(ax.stairs(heights, edges, color=color, label=f"{name} ({len(values):,})"))
    ax.set_xlabel("score [logit], higher: like the reference")
    ax.set_ylabel("density")
    ax.legend(fontsize="small")
    return artists


def auc_against(
    ax: Axes, table: pd.DataFrame, column: str, *, label: str = "", color: str | None = None, marker: str = "o"
) -> list[Artist | Container]:
    """Draw the AUC of a judge against the momentum (``low``, ``high``) or the number of training events.

    Parameters
    ----------
    ax : Axes
        Where to draw; several judges may share it.
    table : DataFrame
        Of ``Judgement.in_bins`` (``column="momentum"``) or of :func:`ecalnb.validation.learning_curve`
        (``column="n_train"``).
    column : {"momentum", "n_train"}
        What is on the axis.
    label, color, marker : str
        Of the points.

    Returns
    -------
    list of Artist or Container
    """
    width = None
    if column == "momentum":
        x = np.sqrt((table["low"] * table["high"]).to_numpy())
        width = [x - table["low"], table["high"] - x]
    else:
        x = table[column].to_numpy(dtype=float)
    value = table["auc"].to_numpy()
    errors = [value - table["auc_low"], table["auc_high"] - value]
    drawn = ax.errorbar(x, value, errors, width, fmt=marker, ms=5, color=color, label=label)
    if ax.get_xscale() != "log":
        ax.set_xscale("log")
        ax.axhline(0.5, color="gray", lw=1, ls=":")
        plain_numbers(ax.xaxis)
    ax.set_ylim(min([0.45, *(table["auc_low"] - 0.02)]), 1.02)
    ax.set_xlabel("momentum [GeV]" if column == "momentum" else "training events of each kind")
    ax.set_ylabel("AUC of the judge")
    return [drawn]


def auc_dependence(ax: Axes, table: pd.DataFrame, column: str) -> list[Artist | Container]:
    """Draw the AUC of several judges and species against the momentum or the number of training events.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        Of :func:`ecalnb.validation.judged_in_bins` (``column="momentum"``) or
        :func:`ecalnb.validation.learning_curves` (``column="n_train"``).
    column : {"momentum", "n_train"}
        What is on the axis.

    Returns
    -------
    list of Artist or Container
    """
    artists: list[Artist | Container] = []
    for key, part in table.groupby(["label", "judge"]):
        artists += auc_against(ax, part, column, **_series(key))
    ax.set_ylim(min([0.45, *(table["auc_low"] - 0.02)]), 1.02)
    ax.legend(fontsize="small")
    return artists


def auc_overview(ax: Axes, table: pd.DataFrame) -> list[Artist | Container]:
    """Draw the AUC of all judgements: a line of the axis for each kind, a colour for each species and judge.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        ``kind``, ``label``, ``judge``, ``auc``, ``auc_low``, ``auc_high``; kinds are drawn in the order they come in.

    Returns
    -------
    list of Artist or Container
    """
    kinds = list(dict.fromkeys(table["kind"]))
    artists: list[Artist | Container] = []
    for number, (key, part) in enumerate(table.groupby(["label", "judge"])):
        y = [kinds.index(kind) + (number - 1.5) * 0.15 for kind in part["kind"]]
        errors = [part["auc"] - part["auc_low"], part["auc_high"] - part["auc"]]
        artists.append(ax.errorbar(part["auc"], y, xerr=errors, fmt="o", ms=5, **_series(key)))
    ax.set_yticks(range(len(kinds)), kinds)
    ax.minorticks_off()
    ax.invert_yaxis()
    ax.axvline(0.5, color="gray", lw=1, ls=":")
    ax.set_xlabel("AUC of the judge")
    ax.legend(fontsize="small")
    return artists


def _series(key: Any) -> dict[str, Any]:
    """Name and colour of the points of a species and a judge: the same in every figure."""
    label, judge = key
    color = COLORS[_SERIES.index(key) if key in _SERIES else len(_SERIES)]
    return {"label": f"{label}s, {judge.upper()}", "color": color}

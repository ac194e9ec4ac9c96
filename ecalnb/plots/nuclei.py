"""Figures of the identification of nuclei."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._style import COLORS
from .spectra import plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from ..nuclei.parameters import Nucleus
    from ..nuclei.sample import NucleiSample

__all__ = [
    "charge_by_place",
    "charge_in_bins",
    "class_confusion",
    "contamination_bars",
    "efficiency_purity",
    "importance_bars",
    "purity_against_efficiency",
    "resolution_against_charge",
    "systematic_changes",
]

_PLACES = ("above L1", "L1 to L2", "intact")


def resolution_against_charge(ax: Axes, table: pd.DataFrame, published: Mapping[str, float]) -> None:
    """Draw the charge resolution of detectors against the charge, with published values for carbon.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        Columns ``charge``, ``detector``, ``width``, ``error``.
    published : mapping of str to float
        Published resolution for carbon, by detector.
    """
    for color, (name, rows) in zip(COLORS, table.groupby("detector", sort=False), strict=False):
        ax.errorbar(rows["charge"], rows["width"], rows["error"], fmt="o-", ms=4, lw=1, color=color, label=str(name))
        if name in published:
            ax.plot(6, published[str(name)], "*", ms=14, mec="black", color=color)
    ax.plot([], [], "*", ms=12, color="white", mec="black", label="published, carbon")
    ax.set_xlabel("charge Z")
    ax.set_ylabel("charge resolution [charge units]")
    ax.set_ylim(0, None)
    ax.legend(fontsize="small")


def charge_by_place(
    ax: Axes,
    charge: npt.ArrayLike,
    classes: npt.ArrayLike,
    weights: npt.ArrayLike,
    names: Sequence[str],
    edges: npt.ArrayLike,
) -> None:
    """Draw a charge, stacked by what the events are.

    Parameters
    ----------
    ax : Axes
        Where to draw; label its x axis.
    charge, weights : array_like, shape (n,)
        Measured charge, and weights.
    classes : array_like of int, shape (n,)
        What each event is, a number in ``names``.
    names : sequence of str
        Entries of the legend.
    edges : array_like
        Edges of the bins.
    """
    q, k, w = np.asarray(charge, float), np.asarray(classes), np.asarray(weights, float)
    ax.hist(
        [q[k == number] for number in range(len(names))],
        bins=np.asarray(edges, float).tolist(),
        weights=[w[k == number] for number in range(len(names))],
        stacked=True,
        color=[COLORS[number % len(COLORS)] for number in range(len(names))],
        alpha=0.75,
        label=list(names),
    )
    ax.set_xlim(np.min(edges), np.max(edges))
    ax.set_ylabel("events (natural abundance)")
    ax.legend(fontsize="x-small")


def charge_in_bins(
    axes: Sequence[Axes], sample: NucleiSample, weights: npt.ArrayLike, nucleus: Nucleus, edges: Sequence[float]
) -> None:
    """Draw the charge in L1 of events that have the charge of a species inside, in bins of the measured rigidity.

    Parameters
    ----------
    axes : sequence of Axes
        One a bin.
    sample : NucleiSample
        Simulated events.
    weights : array_like, shape (n,)
        Natural weights.
    nucleus : Nucleus
        The species.
    edges : sequence of float
        Edges of the bins, GV.
    """
    charge, place, _ = sample.truth
    signal = (charge == nucleus.charge) & (place > 1)
    kind = np.where(signal, 0, np.where(place == 0, 1, np.where(place == 1, 2, 3)))
    names = [f"{nucleus.name}, intact", "broke up above L1", "L1 to L2", "intact neighbours"]
    inner, rigidity, q = (sample.column(name) for name in ("trk_q_inner", "rigidity_inner", "trk_q_l1"))
    bins = np.linspace(nucleus.charge - 2, nucleus.charge + 6.5, 52)
    for ax, low, high in zip(axes, edges, edges[1:], strict=False):
        cell = (np.abs(inner - nucleus.charge) < 0.4) & (rigidity > low) & (rigidity < high) & np.isfinite(q)
        charge_by_place(ax, q[cell], kind[cell], np.asarray(weights)[cell], names, bins)
        ax.set_xlabel("charge in L1")
        ax.set_title(f"{low:g}-{high:g} GV, |Z inner - {nucleus.charge}| < 0.4", loc="right")


def class_confusion(
    ax: Axes, labels: npt.ArrayLike, chosen: npt.ArrayLike, weights: npt.ArrayLike, species: Sequence[str]
) -> AxesImage:
    """Draw how the events of each class (row) are spread over the chosen classes.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    labels, chosen : array_like of int, shape (n,)
        True and chosen class.
    weights : array_like, shape (n,)
        Weights.
    species : sequence of str
        Names; each has three classes.
    """
    size = len(_PLACES) * len(species)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.asarray(labels), np.asarray(chosen)), np.asarray(weights, float))
    sums = matrix.sum(axis=1, keepdims=True)
    image = ax.imshow(np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0), vmin=0, vmax=1, cmap="Blues")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(np.arange(1, size, len(_PLACES)), species)
        axis.set_ticks([], minor=True)
    for edge in np.arange(len(_PLACES), size, len(_PLACES)) - 0.5:
        ax.axhline(edge, color="0.7", lw=0.6)
        ax.axvline(edge, color="0.7", lw=0.6)
    ax.set_xlabel("chosen: above L1, L1 to L2, intact of each")
    ax.set_ylabel("true")
    return image


def purity_against_efficiency(
    ax: Axes, curves: Mapping[str, pd.DataFrame], point: pd.DataFrame, point_label: str
) -> None:
    """Draw the purity of cuts on scores against their efficiency, and that of another selection as a point.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    curves : mapping of str to DataFrame
        As :func:`ecalnb.nuclei.selections.purity_curve` gives them, by name of the model.
    point : DataFrame
        One row of :func:`ecalnb.nuclei.selections.efficiency_and_purity`.
    point_label : str
        Its entry in the legend.
    """
    for color, (name, curve) in zip(COLORS, curves.items(), strict=False):
        ax.plot(curve["efficiency"], curve["purity"], color=color, label=name)
        ax.fill_between(curve["efficiency"], curve["purity_low"], curve["purity_high"], color=color, alpha=0.2, lw=0)
    row = point.iloc[0]
    ax.errorbar(
        row["efficiency"],
        row["purity"],
        [[row["purity"] - row["purity_low"]], [row["purity_high"] - row["purity"]]],
        [[row["efficiency"] - row["efficiency_low"]], [row["efficiency_high"] - row["efficiency"]]],
        fmt="s",
        color="black",
        label=point_label,
    )
    ax.set_xlabel("efficiency")
    ax.set_ylabel("purity (natural abundance)")
    ax.legend(fontsize="small")


def efficiency_purity(axes: Sequence[Axes], tables: Mapping[str, pd.DataFrame]) -> None:
    """Draw efficiency and purity in bins of rigidity.

    Parameters
    ----------
    axes : sequence of two Axes
        For the efficiency and for the purity.
    tables : mapping of str to DataFrame
        As :func:`ecalnb.nuclei.selections.efficiency_and_purity` gives them, by name of the selection.
    """
    for number, (name, table) in enumerate(tables.items()):
        shift = 1.04 ** (number - (len(tables) - 1) / 2)
        middle = np.sqrt(table["rigidity_low"] * table["rigidity_high"]) * shift
        for ax, quantity in zip(axes, ("efficiency", "purity"), strict=True):
            value = table[quantity]
            errors = [(value - table[f"{quantity}_low"]).abs(), (table[f"{quantity}_high"] - value).abs()]
            ax.errorbar(middle, value, errors, fmt="os^Dv"[number % 5], color=COLORS[number], ms=5, label=name)
            ax.set_ylabel(quantity)
            ax.set_xscale("log")
            ax.set_xlabel("measured rigidity [GV]")
            plain_numbers(ax.xaxis)
    axes[0].legend(fontsize="small")


def contamination_bars(ax: Axes, tables: Mapping[str, pd.DataFrame], own: str, largest: int = 8) -> None:
    """Draw the shares of what contaminates selections, by species and place of break-up.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    tables : mapping of str to DataFrame
        As :func:`ecalnb.nuclei.selections.contamination` gives them, by name of the selection.
    own : str
        The species that is selected; only its break-ups above L2 are contamination.
    largest : int
        How many to draw, by the largest share in any selection.
    """
    shares = {}
    for name, table in tables.items():
        wrong = table[(table["species"] != own) | table["place"].isin(_PLACES[:2])]
        place = wrong["place"].where(wrong["place"].isin(_PLACES[:2]), "intact")
        shares[name] = wrong.assign(what=wrong["species"] + ", " + place).groupby("what")["share"].sum()
    frame = pd.DataFrame(shares).fillna(0.0)
    frame = frame.loc[frame.max(axis=1).sort_values().index[-largest:]]
    height = 0.8 / len(tables)
    for number, name in enumerate(tables):
        position = np.arange(len(frame)) - (number - (len(tables) - 1) / 2) * height
        ax.barh(position, 100 * frame[name], height, color=COLORS[number], label=name)
    ax.set_yticks(np.arange(len(frame)), frame.index)
    ax.yaxis.set_ticks([], minor=True)
    ax.set_xlabel("share of the selected events [%]")
    ax.legend(fontsize="small", loc="lower right")


def importance_bars(ax: Axes, table: pd.DataFrame, largest: int = 12) -> None:
    """Draw mean sizes of SHAP values, as :func:`ecalnb.nuclei.evaluation.importance_by` gives them."""
    rows = table.head(largest)[::-1]
    position = np.arange(len(rows))
    ax.barh(position, rows["importance"], xerr=rows["importance_error"], color=COLORS[0])
    ax.set_yticks(position, rows.iloc[:, 0])
    ax.yaxis.set_ticks([], minor=True)
    ax.set_xlabel("mean |SHAP value| (logit)")


def systematic_changes(ax: Axes, table: pd.DataFrame) -> None:
    """Draw changes of corrected counts, as :func:`ecalnb.nuclei.systematics.correction_systematics` gives them."""
    rows = table[table["variation"] != "nominal"]
    variations = list(dict.fromkeys(rows["variation"]))[::-1]
    names = list(dict.fromkeys(rows["selection"]))
    for number, name in enumerate(names):
        own = rows[rows["selection"] == name].set_index("variation").loc[variations]
        position = np.arange(len(variations)) - 0.2 * (number - (len(names) - 1) / 2)
        errors = 100 * own["change_error"]
        ax.errorbar(100 * own["change"], position, xerr=errors, fmt="os^"[number % 3], color=COLORS[number], label=name)
    ax.axvline(0, color="0.6", lw=1)
    ax.set_yticks(np.arange(len(variations)), variations)
    ax.yaxis.set_ticks([], minor=True)
    ax.set_ylim(-0.6, len(variations) + 0.3)
    ax.set_xlabel("change of the corrected count [%]")
    ax.legend(fontsize="small")

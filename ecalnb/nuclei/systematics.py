"""How much a corrected count of a species depends on what the simulation assumes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from .abundances import natural_weights
from .parameters import DOMAINS, Nucleus, Parameters, parameters, varied
from .sample import NucleiSample
from .selections import signal_of
from .simulation import Beam, simulate

__all__ = ["correction_systematics", "thicker"]

Selection = Callable[[NucleiSample], npt.NDArray[np.bool_]]

_NEAR = 2.0  # charge units; events whose inner charge is further off count as not selected, which saves their scores
_SLABS = ("above_l1", "l1_support", "trd", "upper_tof", "l2", "inner", "lower_tof", "rich_l9")


def thicker(given: Parameters, factor: float) -> Parameters:
    """Scale all cross-sections, total and partial: the same as a factor more of the material."""
    return varied(given, material={name: factor * getattr(given.material, name) for name in _SLABS})


def correction_systematics(
    nucleus: Nucleus,
    selections: dict[str, Selection],
    beam: Beam,
    n: int,
    *,
    seed: int = 0,
    size: float = 0.10,
) -> pd.DataFrame:
    """Change of the factor purity over efficiency, which turns a selected count into a corrected one.

    Cross-sections and charge resolutions (spreads and noises of all detectors) go up and down by ``size``, and so does
    the abundance of all other species. Each variation is a simulation of its own from the same seed.

    Parameters
    ----------
    nucleus : Nucleus
        The species.
    selections : dict of callable
        Which events of a sample are selected, by name of the selection.
    beam : Beam
        What arrives, with the species as abundant as any other.
    n : int
        Events of each simulation.
    seed : int
        Seed.
    size : float
        Relative size of the variations.

    Returns
    -------
    pandas.DataFrame
        A row for each variation and selection: ``variation``, ``selection``, ``efficiency``, ``purity``,
        ``correction``, and ``change`` relative to the nominal with its statistical error ``change_error``.
    """
    mc, p = DOMAINS["mc"], parameters()
    runs = {"nominal": (p, mc, 1.0)}
    for sign, text in ((1, "+"), (-1, "-")):
        factor = 1 + sign * size
        runs[f"cross-sections {text}{100 * size:g} %"] = thicker(p, factor), mc, 1.0
        wider = mc._replace(spread=mc.spread * factor, noise=mc.noise * factor)
        runs[f"charge resolution {text}{100 * size:g} %"] = p, wider, 1.0
        runs[f"other species {text}{100 * size:g} %"] = p, mc, factor
    rows: list[dict[str, object]] = []
    nominal: dict[str, tuple[float, float]] = {}
    for variation, (given, domain, others) in runs.items():
        sample = simulate(n, beam, domain=domain, seed=seed, given=given)
        weights = natural_weights(sample)
        signal = signal_of(sample, nucleus)
        near = np.flatnonzero(np.abs(sample.column("trk_q_inner") - nucleus.charge) < _NEAR)
        weights[sample.truth[0] != nucleus.charge] *= others
        for name, select in selections.items():
            selected = np.zeros(len(sample), dtype=bool)
            selected[near] = select(sample[near])
            row = _factor(selected, signal, weights)
            value, error = row["correction"], row.pop("error")
            first, first_error = nominal.setdefault(name, (value, error))
            independent = variation != "nominal" and others == 1.0
            change_error = np.hypot(error, first_error) / first if independent else 0.0
            rows.append({"variation": variation, "selection": name, **row} | {"change": value / first - 1})
            rows[-1]["change_error"] = change_error
    return pd.DataFrame(rows)


def _factor(
    selected: npt.NDArray[np.bool_], signal: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
) -> dict[str, float]:
    """Efficiency, purity, their quotient and its statistical error."""
    kept, lost, wrong = (weights[which] for which in (selected & signal, ~selected & signal, selected & ~signal))
    efficiency = kept.sum() / (kept.sum() + lost.sum())
    purity = kept.sum() / (kept.sum() + wrong.sum())
    # purity / efficiency = (all signal) / (all selected); lost and wrong events are independent of each other
    total, chosen = kept.sum() + lost.sum(), kept.sum() + wrong.sum()
    ratio = total / chosen
    spread = (lost**2).sum() / chosen**2 + (ratio / chosen) ** 2 * (wrong**2).sum()
    spread += (kept**2).sum() * (1 / chosen - ratio / chosen) ** 2
    return {"efficiency": efficiency, "purity": purity, "correction": ratio, "error": float(np.sqrt(spread))}

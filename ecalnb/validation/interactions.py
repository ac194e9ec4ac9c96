"""Where hadrons interact first: from the truth where both samples have it, else from where showers start in the image.

The length of the way to the first interaction is exponential, and cut off where the calorimeter ends. The maximum of
its likelihood is the way that all particles went before they interacted or left, over the number of interactions, with
a relative error of one over the root of that number (Particle Data Group, Review of Particle Physics, 40.2: an
exponential with censored observations).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp

from .. import variables
from ..showers import Showers
from .conditions import Pair
from .estimates import Estimate, difference, fraction

__all__ = ["FIRST", "compare_interactions", "interaction_depths", "interaction_length", "with_truth"]

FloatArray = npt.NDArray[np.float64]

FIRST = "first_interaction"
"""Column of `with_truth`: depth of the first interaction, mm; infinite where there was none, NaN where not known."""


def interaction_depths(showers: Showers) -> FloatArray:
    """Depth of the first inelastic interaction by the truth, mm; infinite where there was none, NaN where not known.

    In files both are an empty ``interaction_depth``. A production, which is what a ``file_id`` names, has noted it if
    any of its events has one.
    """
    table = showers.table
    if "interaction_depth" not in table:
        return np.full(len(table), np.nan)
    depth = table["interaction_depth"].astype(float)
    production = table["file_id"] if "file_id" in table else np.zeros(len(table))
    noted = depth.notna().groupby(production).transform("any")
    return np.where(noted & depth.isna(), np.inf, depth)


def interaction_length(way: FloatArray, through: FloatArray) -> Estimate:
    """Interaction length and its error, mm, by maximum likelihood.

    Parameters
    ----------
    way : array, shape (n,)
        Way to the first interaction, mm; infinite for a particle that had none.
    through : array, shape (n,)
        Way of the particle through the calorimeter if it does not interact, mm.
    """
    n = int(np.isfinite(way).sum())
    if not n:
        return np.inf, np.nan
    length = float(np.minimum(way, through).sum() / n)
    return length, float(length / np.sqrt(n))


def with_truth(pair: Pair) -> Pair:
    """Add the column `FIRST` to both samples; of twins it is known in both or in neither."""
    depths = [interaction_depths(showers) for showers in (pair.reference, pair.candidate)]
    if pair.twins:
        unknown = np.isnan(depths[0]) | np.isnan(depths[1])
        depths = [np.where(unknown, np.nan, depth) for depth in depths]
    reference, candidate = (
        Showers(showers.images, showers.table.assign(**{FIRST: depth}), showers.geometry, showers.metadata)
        for showers, depth in zip((pair.reference, pair.candidate), depths, strict=True)
    )
    return Pair(reference, candidate, pair.twins, pair.label)


def compare_interactions(reference: Showers, candidate: Showers, least: int) -> list[dict[str, Any]]:
    """Compare where two samples of `with_truth` interact first.

    Parameters
    ----------
    reference, candidate : Showers
        The samples, of one bin of momentum.
    least : int
        Events of each with the truth for which it is used. Otherwise the start of the shower in the image stands for
        the first interaction; an event without a start counts as having none.

    Returns
    -------
    list of dict
        ``quantity``, ``statistic``, ``unit``, the numbers of events, both values and their difference, and ``p_value``
        of the Kolmogorov-Smirnov test of the depths. The quantity says whether it is from ``truth`` or ``start layer``.
    """
    samples = (reference, candidate)
    known = [showers.table[FIRST].notna().to_numpy() for showers in samples]
    from_truth = min(mask.sum() for mask in known) >= least
    if from_truth:
        samples = (reference[known[0]], candidate[known[1]])
        depths = [showers.table[FIRST].to_numpy() for showers in samples]
    else:
        depths = [_start_depths(showers) for showers in samples]
    seen = [depth[np.isfinite(depth)] for depth in depths]
    slants = [1 / np.cos(showers.tracks.inclination) for showers in samples]
    thickness = reference.geometry.thickness
    numbers: dict[str, Any] = {"n_reference": len(depths[0]), "n_candidate": len(depths[1])}
    length = {
        "quantity": f"interaction length ({'truth' if from_truth else 'start layer'})", "statistic": "mean",
        "unit": "mm", **numbers,
        **difference(*(interaction_length(d * slant, thickness * slant)
                       for d, slant in zip(depths, slants, strict=True))),
        "p_value": ks_2samp(*seen, method="asymp").pvalue if min(map(len, seen)) else np.nan,
    }  # fmt: skip
    if not from_truth:  # the crossing fraction that images show is compared anyway
        return [length]
    none = {
        "quantity": "no interaction (truth)", "statistic": "fraction", "unit": "", **numbers,
        **difference(*(fraction(np.isinf(depth)) for depth in depths)), "p_value": np.nan,
    }  # fmt: skip
    return [none, length]


def _start_depths(showers: Showers) -> FloatArray:
    """Depth of the middle of the layer in which the shower starts, mm; infinite where it does not."""
    layer = variables.start_layer(showers)
    return np.where(np.isfinite(layer), (layer + 0.5) * showers.geometry.layer_thickness, np.inf)

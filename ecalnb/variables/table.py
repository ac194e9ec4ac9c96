"""The shower variables that tell electrons from protons, as one table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..showers import Showers
from .axis import shower_axis
from .lateral import (
    core_fraction,
    hit_cells,
    lateral_rms,
    maximum_cell_fraction,
    neighbour_ratios,
    tail_fraction,
)
from .longitudinal import (
    first_layers_fraction,
    last_layers_fraction,
    longitudinal_moments,
    second_bump,
    start_layer,
)
from .profile import fit_gamma_profiles

__all__ = ["SHOWER_VARIABLES", "shower_variables"]

SHOWER_VARIABLES = {
    "shower_maximum": "T0 of the gamma fit with b = 0.65, radiation lengths along the track",
    "longitudinal_chi2": "chi2 per degree of freedom of the layer energies about that fit",
    "rear_leakage": "fraction of that fit's energy behind the last layer",
    "depth_mean": "mean depth of the energy, radiation lengths along the track",
    "depth_spread": "standard deviation of that depth, radiation lengths",
    "depth_skewness": "skewness of that depth; NaN where all the energy is in one layer",
    "start_layer": "layer in which the shower starts, 0 first; NaN where none does",
    "first_layers_fraction": "fraction of the energy in the first two layers",
    "last_layers_fraction": "fraction of the energy in the last two layers",
    "second_bump": "deepest valley of the longitudinal profile over its peak",
    "core_fraction": "fraction of the energy within +-1 cell of the shower's own axis",
    "track_fraction": "fraction of the energy within +-2 cells of the track",
    "tail_fraction": "fraction of the energy beyond +-5 cells of the shower's own axis",
    "lateral_rms_early": "lateral rms about the shower's own axis in the first third of the layers, mm",
    "lateral_rms_late": "the same in the last third of the layers, mm",
    "s1_s3": "energy of the highest cell of each layer over that of 3 cells about it",
    "s3_s5": "energy of 3 cells about the highest of each layer over that of 5",
    "maximum_cell_fraction": "fraction of the energy in the highest cell",
    "hit_cells": "number of cells above 2 MeV",
}
"""The variables of `shower_variables`, and what they are."""

_BATCH = 20_000


def shower_variables(showers: Showers) -> pd.DataFrame:
    """Variables that describe each shower, for classification; from image and track, never from the truth.

    They are of the kinds that AMS's boosted decision tree uses (19 of them: shower maximum, width, energies of layers,
    mean position; L. Basara, proc. 33rd ICRC (2013), paper 903), defined here anew. Memory does not grow beyond the
    table and a batch of events.

    Parameters
    ----------
    showers : Showers
        Events.

    Returns
    -------
    pandas.DataFrame
        A row for each event with the columns of `SHOWER_VARIABLES`, float64. NaN where a variable is not defined: all
        but ``hit_cells`` (0) for an event without energy; those along or about the track without a track; those about
        the shower's own axis where a view has energy in fewer than two layers, or none near the axis in the layers
        meant.
    """
    parts = [_variables(part) for part in showers.batches(_BATCH)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(SHOWER_VARIABLES), dtype=float)
    return table[list(SHOWER_VARIABLES)]


def _variables(showers: Showers) -> pd.DataFrame:
    axis = shower_axis(showers)
    profiles = fit_gamma_profiles(showers)
    mean, spread, skewness = longitudinal_moments(showers)
    s1_s3, s3_s5 = neighbour_ratios(showers)
    third = showers.geometry.n_layers // 3
    columns = {
        "shower_maximum": profiles.maximum,
        "longitudinal_chi2": profiles.chi2,
        "rear_leakage": profiles.leakage,
        "depth_mean": mean,
        "depth_spread": spread,
        "depth_skewness": skewness,
        "start_layer": start_layer(showers),
        "first_layers_fraction": first_layers_fraction(showers),
        "last_layers_fraction": last_layers_fraction(showers),
        "second_bump": second_bump(showers),
        "core_fraction": core_fraction(showers, 1, axis),
        "track_fraction": core_fraction(showers, 2, showers.tracks),
        "tail_fraction": tail_fraction(showers, 5, axis),
        "lateral_rms_early": lateral_rms(showers, slice(0, third), axis),
        "lateral_rms_late": lateral_rms(showers, slice(-third, None), axis),
        "s1_s3": s1_s3,
        "s3_s5": s3_s5,
        "maximum_cell_fraction": maximum_cell_fraction(showers),
        "hit_cells": hit_cells(showers),
    }
    return pd.DataFrame({name: np.asarray(values, dtype=float) for name, values in columns.items()})

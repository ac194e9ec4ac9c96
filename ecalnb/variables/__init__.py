"""Shower variables and reconstructed energy: what an image says about a shower, in numbers.

A variable takes :class:`~ecalnb.showers.Showers` and returns a value an event. It uses the image and the track, never
the truth, so that it means the same for simulated and for recorded events. Where it is not defined it is NaN.
"""

from .axis import shower_axis, track_matching
from .crossing import crossing_probability, mip_deposit, mip_like
from .energy import EnergyParameters, leakage_fractions, reconstructed_energy
from .lateral import (
    core_fraction,
    energy_near,
    hit_cells,
    lateral_rms,
    lateral_tail,
    maximum_cell_fraction,
    neighbour_ratios,
    tail_fraction,
)
from .longitudinal import (
    first_layers_fraction,
    last_layers_fraction,
    longitudinal_moments,
    mean_depth,
    second_bump,
    start_layer,
)
from .profile import GammaProfiles, fit_gamma_profiles, track_depths_x0
from .table import SHOWER_VARIABLES, shower_variables

__all__ = [
    "SHOWER_VARIABLES",
    "EnergyParameters",
    "GammaProfiles",
    "core_fraction",
    "crossing_probability",
    "energy_near",
    "first_layers_fraction",
    "fit_gamma_profiles",
    "hit_cells",
    "last_layers_fraction",
    "lateral_rms",
    "lateral_tail",
    "leakage_fractions",
    "longitudinal_moments",
    "maximum_cell_fraction",
    "mean_depth",
    "mip_deposit",
    "mip_like",
    "neighbour_ratios",
    "reconstructed_energy",
    "second_bump",
    "shower_axis",
    "shower_variables",
    "start_layer",
    "tail_fraction",
    "track_depths_x0",
    "track_matching",
]

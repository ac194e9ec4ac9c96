"""Axis of a shower from its image alone, by the conventional methods: direction, position, depth of the maximum.

>>> from ecalnb.reconstruction import reconstruct
>>> axes = reconstruct(showers, "shower_fit_3d")  # doctest: +SKIP
>>> axes.inclination[axes.good]  # doctest: +SKIP

A track is never used. What the methods know of showers is measured on simulated electrons (`AxisParameters`).
"""

from .axes import Quality, ShowerAxes
from .methods import cell_ratios, center_of_gravity, lateral_fit, list_methods, reconstruct, shower_fit_3d
from .parameters import METHODS, AxisParameters, LayerErrors
from .residuals import RESIDUALS, axis_residuals, true_axes

__all__ = [
    "METHODS",
    "RESIDUALS",
    "AxisParameters",
    "LayerErrors",
    "Quality",
    "ShowerAxes",
    "axis_residuals",
    "cell_ratios",
    "center_of_gravity",
    "lateral_fit",
    "list_methods",
    "reconstruct",
    "shower_fit_3d",
    "true_axes",
]

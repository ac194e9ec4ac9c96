"""The tracker's track at the front face of the calorimeter.

Two errors: that of the fit to the hits of L1 to L8, carried down to the calorimeter, and multiple scattering in what
lies between. The former is the covariance of a least-squares fit (a straight line in the plane in which the field does
not bend, line and curvature in the other) of hits with the single-point resolutions; the latter Highland's formula
(PDG, Passage of particles through matter, Eq. 34.16) at each scatterer, whose deflection moves the track by its height
above the face.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from ...geometry import Tracks
from .draws import stream
from .parameters import TrackerParameters

__all__ = ["extrapolate", "fit_covariance", "scattering_angles"]

FloatArray = npt.NDArray[np.float64]


@cache
def fit_covariance(layers: tuple[int, ...], *, bending: bool, tracker: TrackerParameters) -> FloatArray:
    """Covariance of a fit to hits: position at the calorimeter (mm), slope, and with bending curvature (1/mm).

    Parameters
    ----------
    layers : tuple of int
        Layers with hits, 0 for L1.
    bending : bool
        Whether it is the plane in which the field bends.
    tracker : TrackerParameters
        Heights, resolutions, field.

    Returns
    -------
    array, shape (2, 2) or (3, 3)
        Slopes are per unit of depth.
    """
    z = np.array(tracker.layer_z)[list(layers)]
    terms = [np.ones(len(z)), tracker.ecal_z - z]
    if bending:
        half = tracker.field_half_height
        inside = np.clip(z + half, 0, 2 * half)
        terms.append(inside**2 / 2 + 2 * half * np.maximum(z - half, 0))
    design = np.column_stack(terms)
    resolution = tracker.bending_resolution if bending else tracker.straight_resolution
    # Scaled columns: the sizes of the terms differ by six orders of magnitude.
    scale = abs(design).max(axis=0)
    covariance = np.linalg.inv((design / scale).T @ (design / scale)) * resolution**2
    return covariance / np.outer(scale, scale)


def scattering_angles(
    momentum: FloatArray, beta: FloatArray, charge: FloatArray, inclination: FloatArray, tracker: TrackerParameters
) -> FloatArray:
    """Tell the standard deviation of the projected angle of each scatterer, rad, shape (n, n_scatterers).

    The logarithm of Highland's formula takes the thickness of them all, so that the sum does not depend on how they are
    divided.
    """
    thickness = np.array([thickness for _, thickness in tracker.scatterers]) / np.cos(inclination)[:, None]
    total = thickness.sum(axis=1)
    logarithm = 1 + 0.038 * np.log(total * charge**2 / beta**2)
    angle = 0.0136 / (beta * momentum) * abs(charge) * np.maximum(logarithm, 0)
    return angle[:, None] * np.sqrt(thickness)


def extrapolate(
    tracks: Tracks,
    momentum: FloatArray,
    beta: FloatArray,
    charge: FloatArray,
    tracker: TrackerParameters,
    generator: np.random.Generator,
) -> Tracks:
    """Tracks as the tracker sees them at the front face.

    Parameters
    ----------
    tracks : Tracks
        The true ones, of charged particles.
    momentum, beta, charge : array, shape (n,)
        Below the magnet; GeV.
    tracker : TrackerParameters
        Parameters.
    generator : numpy.random.Generator
        For the errors.
    """
    n = len(tracks)
    layers = tuple(range(len(tracker.layer_z) - 1))
    angles = scattering_angles(momentum, beta, charge, tracks.inclination, tracker)
    angles /= np.cos(tracks.inclination)[:, None] ** 2  # of an angle in the plane of the track to a change of its slope
    heights = np.array([z for z, _ in tracker.scatterers]) - tracker.ecal_z
    measured = []
    for position, slope, bending in ((tracks.x, tracks.slope_x, False), (tracks.y, tracks.slope_y, True)):
        covariance = fit_covariance(layers, bending=bending, tracker=tracker)[:2, :2]
        of_fit = stream(generator).standard_normal((n, 2)) @ np.linalg.cholesky(covariance).T
        kicks = stream(generator).standard_normal(angles.shape) * angles
        measured.append((position + of_fit[:, 0] + kicks @ heights, slope + of_fit[:, 1] + kicks.sum(axis=1)))
    (x, slope_x), (y, slope_y) = measured
    return Tracks(x, y, np.arctan(np.hypot(slope_x, slope_y)), np.arctan2(slope_y, slope_x))

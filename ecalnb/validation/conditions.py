"""Bringing two samples of showers on a common footing, so that a judge finds physics and not bookkeeping.

A classifier that tells two simulations apart takes whatever gives them away: a spectrum, a spread of angles, the number
of bits that cells were stored with, deposits so small that one program drops them and the other does not. Here the two
samples are checked for the first two and made equal in the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp

from ..geometry import Calorimeter
from ..showers import Showers

__all__ = [
    "CELL_BITS", "CELL_FLOOR", "Pair", "ValidationError", "centred", "common_footing", "match", "simulate_twins"
]  # fmt: skip

CELL_BITS = 10
"""Significant bits that cells are rounded to: fewer than the 13 of the packaged events, 0.1 % at most."""

CELL_FLOOR = 1e-6
"""Cells below this, GeV, are set to zero: 1/8000 of what a crossing particle leaves a layer."""

_CONDITIONS = ("momentum", "track_x", "track_y", "track_inclination")
_P_MIN = 1e-4  # of the Kolmogorov-Smirnov tests of the conditions


class ValidationError(ValueError):
    """Two samples cannot be compared."""


@dataclass(frozen=True)
class Pair:
    """Reference and candidate of one species under the same conditions.

    Parameters
    ----------
    reference, candidate : Showers
        The events.
    twins : bool
        Whether event i of the candidate was made at the energy and track of event i of the reference. The candidate
        then has the event keys of the reference, so that twins are in the same sample and no event is judged whose twin
        was trained on.
    label : str
        The species.
    """

    reference: Showers
    candidate: Showers
    twins: bool
    label: str


def match(reference: Showers, candidate: Showers) -> Pair:
    """Check that two samples are of one species under the same conditions.

    If both have the same number of events, and event by event the same momentum and track, they are twins, and the
    candidate takes over the event keys of the reference. Otherwise each keeps its own, and the distributions of
    momentum, position and inclination must agree (Kolmogorov-Smirnov p above 1e-4).

    Parameters
    ----------
    reference, candidate : Showers
        Events with ``label``, ``momentum``, tracks, and the event key ``file_id`` and ``entry`` (the candidate's is
        not needed if they are twins).

    Raises
    ------
    ValidationError
        If the geometry, the species or the conditions differ, a column is missing, or an event has no energy or track.
    """
    if reference.geometry != candidate.geometry:
        raise ValidationError(
            f"the reference is of {reference.geometry.name} {reference.geometry.shape} and the candidate of "
            f"{candidate.geometry.name} {candidate.geometry.shape}; expected the same geometry, views included"
        )
    for name, showers in (("reference", reference), ("candidate", candidate)):
        if missing := [c for c in ("label", *_CONDITIONS, "track_azimuth") if c not in showers.table]:
            raise ValidationError(f"the table of the {name} has no column {', '.join(missing)}")
        if not len(showers):
            raise ValidationError(f"the {name} has no events")
        if not np.isfinite(showers.table[list(_CONDITIONS)].to_numpy(dtype=float)).all():
            raise ValidationError(f"the {name} has events without a momentum or a track; leave them out")
    labels = {str(label) for showers in (reference, candidate) for label in showers.table["label"].unique()}
    if len(labels) != 1:
        raise ValidationError(f"the samples hold {', '.join(sorted(labels))}; expected one species, the same in both")
    twins = _are_twins(reference, candidate)
    if not twins:
        _check_distributions(reference, candidate)
    for name, showers in (("reference", reference), ("candidate", candidate)):
        if not (twins and name == "candidate") and not {"file_id", "entry"} <= set(showers.table):
            raise ValidationError(f"the {name} has no columns file_id and entry, the event key that its split follows")
    if twins:
        table = candidate.table.assign(file_id=reference.table["file_id"], entry=reference.table["entry"])
        candidate = Showers(candidate.images, table, candidate.geometry, candidate.metadata)
    return Pair(reference, candidate, twins, labels.pop())


def _are_twins(reference: Showers, candidate: Showers) -> bool:
    if len(reference) != len(candidate):
        return False
    columns = [*_CONDITIONS, "track_azimuth"]
    first, second = (showers.table[columns].to_numpy(dtype=float) for showers in (reference, candidate))
    # Files hold float32, in cm.
    return bool(np.allclose(first, second, rtol=1e-5, atol=1e-3))


def _check_distributions(reference: Showers, candidate: Showers) -> None:
    for name in _CONDITIONS:
        first, second = (showers.table[name].to_numpy(dtype=float) for showers in (reference, candidate))
        p = ks_2samp(first, second, method="asymp").pvalue
        if p < _P_MIN:
            raise ValidationError(
                f"the distributions of {name} differ (Kolmogorov-Smirnov p = {p:.1e}); expected events under the same "
                "conditions: simulate the candidate at the energies and tracks of the reference"
            )


def common_footing(
    images: npt.NDArray[np.float32], *, threshold: float = 0.0, bits: int = CELL_BITS, floor: float = CELL_FLOOR
) -> npt.NDArray[np.float32]:
    """Cells as both samples are judged: rounded to the same precision, and zero below a threshold.

    The threshold is applied after the rounding, so that the rounding of one of them cannot show at it.

    Parameters
    ----------
    images : array of float32
        Cell energies, GeV.
    threshold : float
        Cells below it are set to zero, GeV: 0 or the 2 MeV that a readout might keep.
    bits : int
        Significant bits to round to, 2 to 24.
    floor : float
        As ``threshold``, and always applied: `CELL_FLOOR`.

    Returns
    -------
    array of float32
        A copy.
    """
    if not threshold >= 0:
        raise ValidationError(f"threshold is {threshold!r} GeV; expected 0 or a positive energy")
    if not 2 <= bits <= 24:
        raise ValidationError(f"bits is {bits!r}; expected 2 to 24 significant bits")
    shift = np.uint32(24 - bits)
    half = (np.uint32(1) << shift) >> np.uint32(1)
    cells = np.ascontiguousarray(images, dtype=np.float32).copy()
    words = cells.view(np.uint32)
    words += half
    words >>= shift
    words <<= shift
    cells[~(cells >= max(threshold, floor))] = 0
    return cells


def centred(showers: Showers, half_width: int) -> Showers:
    """Move each layer by whole cells so that the track's cell is in the middle, and cut off what is further away.

    Parameters
    ----------
    showers : Showers
        Events with tracks.
    half_width : int
        Cells kept on either side of the track's cell.

    Returns
    -------
    Showers
        Images of ``2 * half_width + 1`` cells; cells outside the calorimeter are 0.
    """
    geometry = showers.geometry
    n_cells = 2 * half_width + 1
    cell = np.floor((geometry.project(showers.tracks) + geometry.width / 2) / geometry.cell_pitch).astype(np.intp)
    source = cell[:, :, None] + np.arange(-half_width, half_width + 1)
    inside = (source >= 0) & (source < geometry.n_cells)
    images = np.take_along_axis(showers.images, source.clip(0, geometry.n_cells - 1), axis=2) * inside
    return Showers(images, showers.table, window(geometry, n_cells), showers.metadata)


def window(geometry: Calorimeter, n_cells: int) -> Calorimeter:
    """Return the calorimeter of `centred` images."""
    return replace(geometry, name=f"{geometry.name}, {n_cells} cells about the track", n_cells=n_cells)


def simulate_twins(
    reference: Showers, *, engine: str = "fast", detector: str = "ideal", seed: int = 1, jobs: int = 1
) -> Showers:
    """Simulate events at the energies and tracks of others, event by event, so that the two are twins for `match`.

    Parameters
    ----------
    reference : Showers
        Events of one species, with ``label``, ``momentum`` and tracks.
    engine, detector, seed, jobs
        As for :func:`ecalnb.simulation.simulate`.

    Raises
    ------
    ValidationError
        If there is more than one species.
    ValueError
        If the engine cannot simulate them.
    """
    from ..simulation import find_particle, simulate

    labels = [str(label) for label in reference.table["label"].unique()]
    if len(labels) != 1:
        raise ValidationError(f"the events are {', '.join(labels)}; expected one species")
    mass = find_particle(labels[0]).mass
    momentum = reference.table["momentum"].to_numpy(dtype=float)
    # Not sqrt(p^2 + m^2) - m, which loses the digits of a small mass.
    kinetic = momentum**2 / (np.sqrt(momentum**2 + mass**2) + mass)
    return simulate(
        labels[0], energy=kinetic, tracks=reference.tracks, engine=engine, detector=detector, seed=seed,
        geometry=reference.geometry, jobs=jobs,
    )  # fmt: skip

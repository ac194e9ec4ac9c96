"""Sharing of a layer's energy among its cells.

A layer measures one coordinate, its fibres run along the whole other one: only the density projected on the measured
coordinate matters, and the part of a cell is a difference of its integral, exactly.
"""

from __future__ import annotations

import math

import numpy as np

from .._compiled import jit
from .electromagnetic_parameters import COARSE_STEP, FINE_END, FINE_STEP

__all__ = ["N_MODES", "share_layer"]

N_MODES = 4
"""Fluctuations of the lateral shape: position in x, position in y, width, weight of the wide part."""

FEW_SPOTS = 10.0
"""Below so many spots in a layer they are drawn one by one."""

FAR_SPOTS = 0.3
"""Cells that expect fewer spots than this are not visited: the spots beyond are drawn one by one."""

MANY_SPOTS = 8.0
"""Above so many expected spots in a cell their number is not drawn."""

LONGEST_STEP = 3.0
"""The axis' way across a layer is averaged in steps of at most this, mm."""


SOFT_DISTANCE = 60.0
"""From this distance on, mm, spots have the spectrum that the fit sees far from the axis."""

LARGEST_ODDS = 3.0
"""Largest log odds of the wide part."""

SMALLEST_PART = -9.0
"""Least log of a layer's part of the shower's energy that its lateral shape follows."""

TRACK_DEPTH = 2.2
"""Up to this depth in the shower, X0, the first electron's own track is put apart from the spots."""


@jit
def _bracket(value, nodes):  # type: ignore[no-untyped-def]
    """Node below a value and the weight of the next one."""
    node = 0
    while node < len(nodes) - 2 and value > nodes[node + 1]:
        node += 1
    fraction = (value - nodes[node]) / (nodes[node + 1] - nodes[node])
    return node, min(max(fraction, 0.0), 1.0)


@jit
def _blend(depth, age, p, rows, weights):  # type: ignore[no-untyped-def]
    """Rows of the lateral tables to blend, and their weights: by depth near the entry, by age later; how many."""
    n_entry = len(p.entry_nodes)
    last = p.entry_nodes[n_entry - 1]
    late = min(max((depth - last) / (last - p.entry_nodes[n_entry - 2]), 0.0), 1.0)
    count = 0
    for part in range(2):
        share = late if part else 1 - late
        node, fraction = _bracket(age, p.age_nodes) if part else _bracket(depth, p.entry_nodes)
        for i in range(2):
            weight = share * (fraction if i else 1 - fraction)
            if weight > 0:
                rows[count] = part * n_entry + node + i
                weights[count] = weight
                count += 1
    return count


@jit
def _integral(distance, profile):  # type: ignore[no-untyped-def]
    """Part of the energy between the axis and a signed distance from it; negative on its other side."""
    away = abs(distance)
    position = away / FINE_STEP if away < FINE_END else FINE_END / FINE_STEP + (away - FINE_END) / COARSE_STEP
    step = min(int(position), len(profile) - 2)
    above = min(position - step, 1.0)
    value = profile[step] + above * (profile[step + 1] - profile[step])
    return value if distance > 0 else -value


@jit
def _distance(part, profile):  # type: ignore[no-untyped-def]
    """Inverse of `_integral` for a part from 0 to a half."""
    low, high = 0, len(profile) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if profile[middle] < part:
            low = middle
        else:
            high = middle
    rise = profile[high] - profile[low]
    position = low + (min((part - profile[low]) / rise, 1.0) if rise > 0 else 0.5)
    fine = FINE_END / FINE_STEP
    return position * FINE_STEP if position < fine else FINE_END + (position - fine) * COARSE_STEP


@jit
def _cell_energy(expected, soft, p, generator):  # type: ignore[no-untyped-def]
    """Energy of a Poisson number of spots; for many of them a shifted gamma distribution of the same three moments."""
    if expected > MANY_SPOTS:
        drawn = generator.standard_gamma(p.many_shape * expected) * p.many_scale - p.many_shift * expected
        return max(drawn, 0.0)
    count = generator.poisson(expected)
    if count == 0:
        return 0.0
    if count == 1:
        return _spot_energy(soft, p, generator)
    return generator.standard_gamma(count * p.spot_shape) * p.spot_mean / p.spot_shape


@jit
def _spot_energy(soft, p, generator):  # type: ignore[no-untyped-def]
    """Energy of one spot: one of two gamma distributions, the softer of them rarer near the axis."""
    kind = 0 if generator.random() < soft * p.spot_weights[0] else 1
    return generator.standard_gamma(p.spot_shapes[kind]) * p.spot_means[kind] / p.spot_shapes[kind]


@jit
def share_layer(  # type: ignore[no-untyped-def]
    image, deposits, profile, layer, energy, centre, other, slope, height, depth, age, track, scaled, modes, view, p,
    generator,
):  # fmt: skip
    """Add a layer's energy to the cells of one row of the image.

    Each cell gets a Poisson number of spots with a spectrum of energies, around what the lateral shape says; the sum,
    with what falls beyond the sides, is then scaled to the layer's energy.

    Parameters
    ----------
    image : array, shape (n_layers, n_cells)
        GeV, added to in place.
    deposits, profile : array, shape (n_cells,) and (positions of the lateral table,)
        Work space.
    layer : int
        The layer.
    energy : float
        GeV, of the whole layer, beyond the sides too.
    centre : float
        Measured coordinate of the axis in the middle of the layer, mm.
    other : float
        The other coordinate of the axis there, mm: what is beyond the sides along it is lost.
    slope : float
        Slope of the axis along the measured coordinate.
    height : float
        Depth of the layer behind the start of the shower, mm.
    depth, age : float
        Depth in the shower in radiation lengths, and over that of its centre of gravity.
    track : float
        What the first electron leaves by itself, GeV.
    scaled : float
        ln(E / reference energy).
    modes : array, shape (N_MODES,)
        Normal scores of the fluctuations of the shape in this layer.
    view : int
        0 if the layer measures x, 1 for y.
    p : ElectromagneticParameters
        Parameters.
    generator : numpy.random.Generator
        Random numbers.
    """
    rows = np.empty(4, dtype=np.int64)
    core = np.empty(4)
    wide = np.empty(4)
    count = _blend(depth, age, p, rows, core)
    crossing = abs(slope) * height
    shift, log_scale = _fluctuate(energy, scaled, modes, view, slope, p, count, rows, core, wide)
    deposits[:] = 0.0
    total = 0.0
    if depth < TRACK_DEPTH:
        total = _add_track(deposits, energy, track, centre, crossing, p, count, core, wide)
    profile[:] = 0.0
    for i in range(count):
        for position in range(len(profile)):
            profile[position] += (
                core[i] * p.lateral_table[rows[i], 0, position] + wide[i] * p.lateral_table[rows[i], 1, position]
            )
    inverse = math.exp(-min(max(log_scale, -1.0), 1.0))
    inside = _integral((p.half_width - other) * inverse, profile) + _integral((p.half_width + other) * inverse, profile)
    total += _draw_spots(deposits, energy - total, centre + shift, crossing, inverse, profile, p, generator)
    if total > 0:
        image[layer] += deposits * (energy * inside / total)


@jit
def _fluctuate(energy, scaled, modes, view, slope, p, count, rows, core, wide):  # type: ignore[no-untyped-def]
    """Split the weights of the rows into core and wide part; shift in mm and log of the width of this layer."""
    clipped = min(max(scaled, p.energy_clip[0]), p.energy_clip[1])
    ahead, shift, log_scale, log_wide, tilt = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(count):
        ahead += core[i] * p.layer_shift[rows[i]]
        shift += core[i] * p.mode_sigma[rows[i], 0]
        log_scale += core[i] * p.mode_sigma[rows[i], 1]
        log_wide += core[i] * p.mode_sigma[rows[i], 2]
        tilt += core[i] * p.lateral_width[rows[i], 1]
    # Below the fitted range the fluctuations stay as they are there: growing on, they would make the core too wide.
    above = max(scaled, p.energy_clip[0])
    shift *= math.exp(p.mode_slope[0] * above) * modes[view]
    log_scale *= math.exp(p.mode_slope[1] * above) * modes[2]
    log_wide *= math.exp(p.mode_slope[2] * above) * modes[3]
    part = max(math.log(energy / p.reference_energy) - scaled, SMALLEST_PART)
    for i in range(count):
        odds = p.wide_logit[rows[i], 0] + p.wide_logit[rows[i], 1] * clipped - p.wide_power[rows[i]] * part
        odds = math.exp(min(odds + log_wide, LARGEST_ODDS))
        wide[i] = core[i] * odds / (1 + odds)
        core[i] -= wide[i]
    return shift + ahead * slope, log_scale + tilt * clipped


@jit
def _draw_spots(deposits, energy, centre, crossing, inverse, profile, p, generator):  # type: ignore[no-untyped-def]
    """Add about as much energy in spots, cell by cell near the axis, spot by spot far from it; how much it was."""
    spots = energy / p.spot_mean
    n_cells = len(deposits)
    start = min(max(math.floor((centre + p.half_width) / p.pitch), 0), n_cells)
    at_start = _border(start, centre, crossing, inverse, profile, p)
    total = 0.0
    for side in range(2):
        # From the border nearest to the axis outwards; the border that two cells share is looked up once.
        sign = 1.0 if side else -1.0
        inner = sign * at_start
        cell = start if side else start - 1
        while spots >= FEW_SPOTS and 0 <= cell < n_cells:
            outer = sign * _border(cell + side, centre, crossing, inverse, profile, p)
            expected = spots * (outer - inner)
            if expected < FAR_SPOTS and outer > 0.25:
                break
            soft = abs((cell + 0.5) * p.pitch - p.half_width - centre) / SOFT_DISTANCE
            drawn = _cell_energy(expected, min(soft, 1.0), p, generator)
            deposits[cell] += drawn
            total += drawn
            inner = outer
            cell += 1 if side else -1
        beyond = 0.5 - inner
        if not 0 <= cell < n_cells:
            total += energy * beyond
            continue
        for _ in range(generator.poisson(spots * beyond)):
            part = 0.5 - beyond * generator.random()
            distance = _distance(abs(part), profile) / inverse
            if part < 0:
                distance = -distance
            drawn = _spot_energy(1.0, p, generator)
            total += drawn
            along = crossing * (generator.random() - 0.5)
            hit = math.floor((centre + sign * distance + along + p.half_width) / p.pitch)
            if 0 <= hit < n_cells:
                deposits[hit] += drawn
    return total


@jit
def _add_track(deposits, energy, track, centre, crossing, p, count, core, wide):  # type: ignore[no-untyped-def]
    """Put what the first electron leaves into the cells it crosses, and take it from the core; how much it is."""
    whole = 0.0
    for i in range(count):
        whole += core[i]
    track = min(track, 0.95 * whole * energy)
    part = track / energy
    steps = int(crossing) + 1
    for i in range(steps):
        cell = math.floor((centre + crossing * ((i + 0.5) / steps - 0.5) + p.half_width) / p.pitch)
        if 0 <= cell < len(deposits):
            deposits[cell] += track / steps
    for i in range(count):
        core[i] *= (1 - part / whole) / (1 - part)
        wide[i] /= 1 - part
    return track


@jit
def _border(cell, centre, crossing, inverse, profile, p):  # type: ignore[no-untyped-def]
    """`_integral` up to the lower border of a cell, averaged over the way of the axis across the layer."""
    distance = cell * p.pitch - p.half_width - centre
    steps = int(crossing / LONGEST_STEP) + 1
    value = 0.0
    for i in range(steps):
        value += _integral((distance + crossing * ((i + 0.5) / steps - 0.5)) * inverse, profile)
    return value / steps

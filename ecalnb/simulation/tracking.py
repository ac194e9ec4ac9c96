"""Following one charged hadron through the rows of fibres until it interacts, stops or leaves."""

from __future__ import annotations

import math
from typing import NamedTuple

from .._compiled import jit
from .ionisation import (
    FIBRE_PITCH,
    FIBRE_RADIUS,
    KNOCK_ON_MIN,
    ROWS_PER_LAYER,
    draw_knock_on,
    draw_loss,
    knock_on_rate,
    stopping,
)
from .responses import SPECIES, add_directed

__all__ = ["INTERACTED", "LEFT", "SOFT_ELECTRON", "STOPPED", "HadronicParameters", "follow_charged", "leave_distance"]

LEFT, INTERACTED, STOPPED = 0, 1, 2
"""How the path of a particle ends."""

SOFT_ELECTRON = 2.0
"""Energy, GeV, below which knocked-on electrons are drawn from the library of responses."""

KNOCKED_ON = SPECIES.index("electron_down")
_STOPPING_ENERGY = 0.003  # GeV: less than a fibre's width is left of its range
_SCATTERED_BELOW = 3.0  # GeV/c: multiple scattering of faster hadrons is below a mm over the whole calorimeter
_FLAT = 0.25  # cosine of the flattest track that is followed row by row
_FLAT_STEP = 4.0  # mm
_FIBRE_VOLUME = math.pi * FIBRE_RADIUS**2 * ROWS_PER_LAYER / (FIBRE_PITCH * 9.25)
_RADIATION_LENGTH = 9.56  # mm, of the simulated mixture


class HadronicParameters(NamedTuple):
    """Fitted numbers; see ``ecalnb/data/simulation/hadronic.toml``."""

    fibre_scale: float
    landau_max: float
    knock_on_scale: float
    slow_share: float
    length_scale: float


@jit
def leave_distance(x, y, z, ux, uy, uz, half, depth):  # type: ignore[no-untyped-def]
    """Length of the way out of a block of half width ``half`` and height ``depth``, mm."""
    far = 1e9
    if ux > 0:
        far = min(far, (half - x) / ux)
    elif ux < 0:
        far = min(far, (-half - x) / ux)
    if uy > 0:
        far = min(far, (half - y) / uy)
    elif uy < 0:
        far = min(far, (-half - y) / uy)
    if uz > 0:
        far = min(far, (depth - z) / uz)
    elif uz < 0:
        far = min(far, -z / uz)
    return max(far, 0.0)


@jit
def _chord(u, slope, sine, shift):  # type: ignore[no-untyped-def]
    """Path in the fibres of a row of a track that passes its middle plane at ``u``, projected onto their section."""
    position = u / FIBRE_PITCH - shift
    total = 0.0
    nearest = math.floor(position + 0.5)
    for fibre in range(-1, 2):
        away = abs(position - nearest - fibre) * FIBRE_PITCH / math.sqrt(1 + slope * slope)
        if away < FIBRE_RADIUS:
            total += 2 * math.sqrt(FIBRE_RADIUS * FIBRE_RADIUS - away * away)
    return total / sine


@jit
def _deposit(image, layer, u, energy, pitch):  # type: ignore[no-untyped-def]
    """Put energy into the cell at ``u``."""
    cell = math.floor(u / pitch) + image.shape[1] // 2
    if 0 <= cell < image.shape[1]:
        image[layer, cell] += energy


@jit
def _scatter(ux, uy, uz, kinetic, mass, step, generator):  # type: ignore[no-untyped-def]
    """Direction after multiple scattering over ``step`` mm (PDG, eq. 34.16, without the logarithm)."""
    momentum2 = kinetic * (kinetic + 2 * mass)
    beta = math.sqrt(momentum2) / (kinetic + mass)
    angle = 0.0136 / (beta * math.sqrt(momentum2)) * math.sqrt(step / _RADIATION_LENGTH)
    angle = min(angle, 0.5)
    ux += angle * generator.standard_normal()
    uy += angle * generator.standard_normal()
    uz += angle * generator.standard_normal()
    norm = math.sqrt(ux * ux + uy * uy + uz * uz)
    return ux / norm, uy / norm, uz / norm


@jit
def follow_charged(  # type: ignore[no-untyped-def]
    image,
    kinetic,
    mass,
    x,
    y,
    z,
    ux,
    uy,
    uz,
    free_path,
    views,
    pitch,
    thickness,
    table,
    responses,
    parameters,
    scale,
    generator,
):
    """Follow a charged particle and add what it leaves.

    Parameters
    ----------
    image : array of float64, shape (n_layers, n_cells)
        GeV, added to in place.
    kinetic, mass : float
        GeV.
    x, y, z, ux, uy, uz : float
        Start, mm from the middle and from the front face, and direction.
    free_path : float
        Path to the next interaction, mm.
    views : array of int8, shape (n_layers,)
        0 for a layer that measures x, 1 for y.
    pitch, thickness : float
        Width of a cell and height of a layer, mm.
    table : Ionisation
        Stopping powers.
    responses : Responses
        For the electrons that it knocks out.
    parameters : HadronicParameters
        Fitted numbers.
    scale : float
        Image energy for an energy left in fibres.

    Returns
    -------
    end : int
        `LEFT`, `INTERACTED` or `STOPPED`.
    kinetic, x, y, z, ux, uy, uz : float
        There.
    """
    n_layers, n_cells = image.shape
    row_height = thickness / ROWS_PER_LAYER
    half, total = n_cells * pitch / 2, n_layers * thickness
    travelled = 0.0
    open_layer, open_cell, open_path, open_mean, open_u = -1, 0, 0.0, 0.0, 0.0
    end = LEFT
    while True:
        steep = abs(uz) > _FLAT
        if steep:
            position = z / row_height - 0.5
            # half a row away at least counts as the next one, so that each is met once
            row = math.floor(position + 1e-6) + 1 if uz > 0 else math.ceil(position - 1e-6) - 1
            target = (row + 0.5) * row_height
            step = (target - z) / uz
        else:
            row = math.floor((z + 0.5 * _FLAT_STEP * uz) / row_height)
            step = _FLAT_STEP
        limited = False
        if travelled + step >= free_path:
            step, limited, end = free_path - travelled, True, INTERACTED
        out = leave_distance(x, y, z, ux, uy, uz, half, total)
        if step >= out:
            step, limited, end = out, True, LEFT
        power = stopping(table.mixture, kinetic, mass)
        if power * step >= kinetic - _STOPPING_ENERGY:
            step, limited, end = max(kinetic - _STOPPING_ENERGY, 0.0) / power, True, STOPPED
        x, y, z = x + ux * step, y + uy * step, z + uz * step
        travelled += step
        layer = int(row // ROWS_PER_LAYER) if steep else int(z / thickness)
        if 0 <= layer < n_layers and not (steep and limited):
            u, along = (x, ux) if views[layer] == 0 else (y, uy)
            if steep:
                sine = math.sqrt(uz * uz + along * along)
                path = _chord(u, along / uz, sine, 0.5 if row % ROWS_PER_LAYER % 2 == 0 else 0.0)
            else:
                path = step * _FIBRE_VOLUME
            cell = math.floor(u / pitch)
            if open_layer >= 0 and (layer != open_layer or cell != open_cell):
                if open_path > 0:
                    energy = draw_loss(open_path, open_mean, kinetic, mass, table, generator)
                    _deposit(image, open_layer, open_u, scale * energy, pitch)
                open_path, open_mean = 0.0, 0.0
            open_layer, open_cell, open_u = layer, cell, u
            if path > 0:
                open_path += path
                open_mean += path * parameters.fibre_scale * stopping(table.fibre, kinetic, mass)
        rate = parameters.knock_on_scale * knock_on_rate(KNOCK_ON_MIN, kinetic, mass) * step
        while True:  # a Poisson process along the step
            rate -= generator.standard_exponential()
            if rate < 0:
                break
            energy = draw_knock_on(KNOCK_ON_MIN, kinetic, mass, generator)
            if energy < SOFT_ELECTRON:
                add_directed(
                    image, KNOCKED_ON, energy, x, y, z, ux, uy, uz, views, pitch, thickness, responses, generator
                )
        kinetic -= power * step
        if limited:
            break
        if kinetic * (kinetic + 2 * mass) < _SCATTERED_BELOW**2:
            ux, uy, uz = _scatter(ux, uy, uz, kinetic, mass, step, generator)
    if open_path > 0:
        energy = draw_loss(open_path, open_mean, max(kinetic, _STOPPING_ENERGY), mass, table, generator)
        _deposit(image, open_layer, open_u, scale * energy, pitch)
    return end, kinetic, x, y, z, ux, uy, uz

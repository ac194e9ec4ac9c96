"""The hadronic cascade: one hadron, its interactions and those of what they make, into one image."""

from __future__ import annotations

import math

import numpy as np

from .._compiled import jit
from .decays import boosted_pair
from .electromagnetic import add_electron, add_photon
from .interactions import CHARGES, KINDS, MASSES, PROJECTILE_OF, PROJECTILES, draw_interaction, interaction_length
from .ionisation import draw_knock_on, knock_on_rate
from .responses import SPECIES, add_directed, add_isotropic
from .tracking import INTERACTED, LEFT, SOFT_ELECTRON, STOPPED, follow_charged, leave_distance

__all__ = ["STACK_COLUMNS", "add_hadron"]

STACK_COLUMNS = 8
"""Kind, kinetic energy (GeV), position (mm) and direction of what is still to be followed."""

PION_PLUS, PION_MINUS, KAON_PLUS, KAON_MINUS = (KINDS.index(name) for name in ("pi+", "pi-", "K+", "K-"))
PROTON, NEUTRON, SHORT_KAON, LAMBDA = (KINDS.index(name) for name in ("p", "n", "K0S", "Lambda"))
ANTIPROTON, PHOTON, NEUTRAL_PION = (KINDS.index(name) for name in ("pbar", "gamma", "pi0"))
SLOW_NEUTRON, SLOW_PROTON, SLOW_ALPHA = (SPECIES.index(name) for name in ("neutron", "proton", "alpha"))
TO_FIBRE = SPECIES.index("proton_fibre") - SLOW_PROTON
NEGATIVE_AT_REST, POSITIVE_AT_REST = SPECIES.index("pi-_at_rest"), SPECIES.index("pi+_at_rest")
SOFT_PHOTON = SPECIES.index("gamma_down")
ANTIPROTON_PROJECTILE = PROJECTILES.index("pbar")

# ctau, mm, and fraction of the channel with charged products: Particle Data Group 2024
SHORT_KAON_LENGTH, SHORT_KAON_CHARGED = 26.84, 0.692
LAMBDA_LENGTH, LAMBDA_CHARGED = 78.9, 0.639
SOFT_PHOTON_ENERGY = 8.0  # GeV: photons below are drawn from the library of responses
SLOWEST_NEUTRON = 0.03  # GeV
FLATTEST = 0.25  # cosine of the flattest direction of a shower
# Of light nuclei by interactions: polystyrene and glue by volume, density and interaction length, lambda = 82, 84 g/cm2
IN_FIBRE = 0.57 * 1.06 / 81.7 / (0.57 * 1.06 / 81.7 + 0.15 * 1.15 / 84.0)


@jit
def _add_shower(image, mirror, electron, energy, x, y, z, ux, uy, uz, views, mirror_views, g, em, generator):  # type: ignore[no-untyped-def]
    """Add the shower of an electron or a photon of any direction.

    ``mirror`` is the image upside down, for those that go up.
    """
    steep = max(abs(uz), FLATTEST)
    slope_x, slope_y = ux / steep, uy / steep
    target, target_views, depth = image, views, z
    if uz < 0:
        target, target_views, depth = mirror, mirror_views, image.shape[0] * g[1] - z
    if electron:
        add_electron(target, energy, x, y, depth, slope_x, slope_y, target_views, em, generator)
    else:
        add_photon(target, energy, x, y, depth, slope_x, slope_y, target_views, em, generator)


@jit
def _push(stack, n, kind, kinetic, x, y, z, ux, uy, uz):  # type: ignore[no-untyped-def]
    """Put a particle on the stack, which grows if it must."""
    if n == stack.shape[0]:
        larger = np.empty((2 * n, STACK_COLUMNS))
        larger[:n] = stack
        stack = larger
    stack[n, 0], stack[n, 1] = kind, kinetic
    stack[n, 2], stack[n, 3], stack[n, 4] = x, y, z
    stack[n, 5], stack[n, 6], stack[n, 7] = ux, uy, uz
    return stack, n + 1


@jit
def _interact(  # type: ignore[no-untyped-def]
    stack, n, image, projectile, kinetic, x, y, z, ux, uy, uz, views, g, library, responses, parameters, generator
):
    """Put the fast secondaries of an interaction on the stack, and add the responses to the slow ones."""
    pitch, thickness = g
    event, energy = draw_interaction(library, projectile, kinetic, generator)
    ratio = kinetic / energy
    half = min(0.3, 0.1 * energy)
    turn = 2 * math.pi * generator.random()
    across = math.sqrt(ux * ux + uy * uy)
    if across > 1e-9:
        ax, ay, az = ux * uz / across, uy * uz / across, -across
        bx, by = -uy / across, ux / across
    else:
        ax, ay, az, bx, by = 1.0, 0.0, 0.0, 0.0, 1.0 if uz > 0 else -1.0
    for i in range(library.fast_first[event], library.fast_first[event + 1]):
        kind, old = library.kind[i], library.kinetic[i]
        # The fast secondaries share the energy; those from the breaking nucleus do not know the projectile's.
        new = old * ratio ** (old / (old + half))
        mass = MASSES[kind]
        sine, cosine = math.sin(library.theta[i]), math.cos(library.theta[i])
        if cosine > 0.5:  # transverse momenta hardly depend on the energy
            sine = min(sine * math.sqrt(old * (old + 2 * mass) / (new * (new + 2 * mass))), 0.9)
            cosine = math.sqrt(1 - sine * sine)
        angle = library.phi[i] + turn
        along_a, along_b = sine * math.cos(angle), sine * math.sin(angle)
        vx = along_a * ax + along_b * bx + cosine * ux
        vy = along_a * ay + along_b * by + cosine * uy
        vz = along_a * az + cosine * uz
        stack, n = _push(stack, n, kind, new, x, y, z, vx, vy, vz)
    in_fibre = library.light[event] and generator.random() < IN_FIBRE
    for i in range(library.slow_first[event], library.slow_first[event + 1]):
        species = int(library.species[i])
        if species == SLOW_NEUTRON and generator.random() > parameters.slow_share:
            continue
        if in_fibre and SLOW_PROTON <= species <= SLOW_ALPHA:
            species += TO_FIBRE
        add_isotropic(image, species, library.bin[i], x, y, z, views, pitch, thickness, responses, generator)
    return stack, n


@jit
def _decay(stack, n, kind, kinetic, x, y, z, ux, uy, uz, generator):  # type: ignore[no-untyped-def]
    """Put the products of a neutral kaon's or Lambda's decay on the stack."""
    if kind == SHORT_KAON:
        charged = generator.random() < SHORT_KAON_CHARGED
        first, second = (PION_PLUS, PION_MINUS) if charged else (NEUTRAL_PION, NEUTRAL_PION)
    else:
        charged = generator.random() < LAMBDA_CHARGED
        first, second = (PROTON, PION_MINUS) if charged else (NEUTRON, NEUTRAL_PION)
    t1, x1, y1, z1, t2, x2, y2, z2 = boosted_pair(
        MASSES[kind], MASSES[first], MASSES[second], kinetic, ux, uy, uz, generator
    )
    stack, n = _push(stack, n, first, t1, x, y, z, x1, y1, z1)
    return _push(stack, n, second, t2, x, y, z, x2, y2, z2)


@jit
def add_hadron(  # type: ignore[no-untyped-def]
    image,
    mirror,
    stack,
    kind,
    kinetic,
    x,
    y,
    slope_x,
    slope_y,
    views,
    mirror_views,
    g,
    library,
    responses,
    em,
    table,
    parameters,
    scale,
    generator,
):
    """Add what one hadron leaves that comes through the front face.

    Parameters
    ----------
    image, mirror : array of float64, shape (n_layers, n_cells)
        GeV, added to in place. ``mirror`` has the last layer first: showers that go up are made in it, downwards.
    stack : array, shape (n, STACK_COLUMNS)
        Room for what is still to be followed.
    kind : int
        Index in :data:`~ecalnb.simulation.interactions.KINDS`.
    kinetic : float
        Kinetic energy, GeV.
    x, y, slope_x, slope_y : float
        Position (mm) and direction at the front face.
    views, mirror_views : array of int8, shape (n_layers,)
        0 for a layer that measures x, 1 for y; and upside down.
    g : tuple of float
        Width of a cell and height of a layer, mm.
    library : Interactions
        Final states.
    responses : Responses
        What slow particles and soft photons leave.
    em : ElectromagneticParameters
        For the showers of photons.
    table : Ionisation
        Stopping powers.
    parameters : HadronicParameters
        Fitted numbers.
    scale : float
        Image energy for an energy left in fibres.

    Returns
    -------
    stack : array
        The stack, which may have grown.
    depth : float
        Depth of the first inelastic interaction of the hadron itself, mm; NaN if it had none.
    """
    pitch, thickness = g
    half, total = image.shape[1] * pitch / 2, image.shape[0] * thickness
    norm = math.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    stack, n = _push(stack, 0, kind, kinetic, x, y, 0.0, slope_x / norm, slope_y / norm, 1 / norm)
    first_depth, primary = np.nan, True
    while n > 0:
        n -= 1
        kind, kinetic = int(stack[n, 0]), stack[n, 1]
        x, y, z = stack[n, 2], stack[n, 3], stack[n, 4]
        ux, uy, uz = stack[n, 5], stack[n, 6], stack[n, 7]
        mass = MASSES[kind]
        if kind == PHOTON:
            if kinetic < SOFT_PHOTON_ENERGY:
                add_directed(
                    image, SOFT_PHOTON, kinetic, x, y, z, ux, uy, uz, views, pitch, thickness, responses, generator
                )
            else:
                _add_shower(image, mirror, False, kinetic, x, y, z, ux, uy, uz, views, mirror_views, g, em, generator)
            continue
        if kind == NEUTRAL_PION:
            e1, x1, y1, z1, e2, x2, y2, z2 = boosted_pair(mass, 0.0, 0.0, kinetic, ux, uy, uz, generator)
            stack, n = _push(stack, n, PHOTON, e1, x, y, z, x1, y1, z1)
            stack, n = _push(stack, n, PHOTON, e2, x, y, z, x2, y2, z2)
            continue
        if kind == NEUTRON and kinetic < SLOWEST_NEUTRON:
            last = responses.n_energies[SLOW_NEUTRON] - 1
            add_isotropic(image, SLOW_NEUTRON, last, x, y, z, views, pitch, thickness, responses, generator)
            continue
        projectile = PROJECTILE_OF[kind]
        length = parameters.length_scale * interaction_length(library, projectile, kinetic)
        free_path = length * generator.standard_exponential()
        if CHARGES[kind] != 0:
            rate = parameters.knock_on_scale * knock_on_rate(SOFT_ELECTRON, kinetic, mass)
            knock_path = generator.standard_exponential() / rate if rate > 0 else 1e9
            path = min(free_path, knock_path)
            end, kinetic, x, y, z, ux, uy, uz = follow_charged(
                image,
                kinetic,
                mass,
                x,
                y,
                z,
                ux,
                uy,
                uz,
                path,
                views,
                pitch,
                thickness,
                table,
                responses,
                parameters,
                scale,
                generator,
            )
            if end == INTERACTED and knock_path < free_path:
                # A hard electron; the hadron goes on, and its path to the interaction may be drawn anew.
                e1 = draw_knock_on(SOFT_ELECTRON, kinetic, mass, generator)
                if 0 < e1 < kinetic:
                    _add_shower(image, mirror, True, e1, x, y, z, ux, uy, uz, views, mirror_views, g, em, generator)
                    kinetic -= e1
                stack, n = _push(stack, n, kind, kinetic, x, y, z, ux, uy, uz)
                continue
        else:
            end = INTERACTED
            out = leave_distance(x, y, z, ux, uy, uz, half, total)
            lifetime = SHORT_KAON_LENGTH if kind == SHORT_KAON else LAMBDA_LENGTH
            decay_path = 1e9
            if kind in (SHORT_KAON, LAMBDA):
                boost = math.sqrt(kinetic * (kinetic + 2 * mass)) / mass
                decay_path = lifetime * boost * generator.standard_exponential()
            path = min(free_path, decay_path)
            if path >= out:
                continue
            x, y, z = x + path * ux, y + path * uy, z + path * uz
            if decay_path < free_path:
                stack, n = _decay(stack, n, kind, kinetic, x, y, z, ux, uy, uz, generator)
                continue
        if primary:
            primary = False
            if end == INTERACTED:
                first_depth = z
        if end == LEFT:
            continue
        if end == STOPPED and projectile != ANTIPROTON_PROJECTILE:
            if kind in (PION_MINUS, KAON_MINUS):
                add_isotropic(image, NEGATIVE_AT_REST, 0, x, y, z, views, pitch, thickness, responses, generator)
            elif kind in (PION_PLUS, KAON_PLUS):
                add_isotropic(image, POSITIVE_AT_REST, 0, x, y, z, views, pitch, thickness, responses, generator)
            continue
        stack, n = _interact(
            stack,
            n,
            image,
            projectile,
            kinetic,
            x,
            y,
            z,
            ux,
            uy,
            uz,
            views,
            g,
            library,
            responses,
            parameters,
            generator,
        )
    return stack, first_depth

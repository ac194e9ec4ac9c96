"""What tracker, TOF, TRD and the counters around them measure of a nucleus and its fragments. Compiled loops.

A signal is the square of the charge plus its straggling; x and y of a layer see the same loss. Saturation is corrected
as far as it can be: the charge is what an undisturbed signal of the measured size would say.
"""

from __future__ import annotations

import numpy as np

from .._compiled import jit
from .schema import load_nuclei_schema
from .straggling import draw_straggling
from .transport import FIRST_INNER, FIRST_TOF, L9, PLANES, TRD_LAYERS

__all__ = ["fill_event"]

# Numbers of the first column of each variable: constants of the compiled loops.
_AT = load_nuclei_schema().offsets
_QX, _QY, _STRIPS, _SECONDARY = _AT["trk_q_x"], _AT["trk_q_y"], _AT["trk_strips"], _AT["trk_secondary"]
_OTHER, _Q_L1, _Q_INNER, _Q_RMS, _Q_L9 = (
    _AT[name] for name in ("trk_other", "trk_q_l1", "trk_q_inner", "trk_q_inner_rms", "trk_q_l9")
)
_HITS_X, _HITS_Y, _CHI2_X, _CHI2_Y = _AT["trk_hits_x"], _AT["trk_hits_y"], _AT["trk_chi2_x"], _AT["trk_chi2_y"]
_RES_L1, _RES_L9, _RIGIDITY, _ANGLE = (
    _AT[name] for name in ("trk_residual_l1", "trk_residual_l9", "rigidity_inner", "trk_inclination")
)
_TOF_Q, _TOF_MORE, _TOF_UP, _TOF_LOW = _AT["tof_q"], _AT["tof_secondary"], _AT["tof_q_upper"], _AT["tof_q_lower"]
_BETA, _TOF_CHI2 = _AT["tof_beta"], _AT["tof_chi2"]
_TRD_Q, _TRD_MEAN, _TRD_HITS, _TRD_OFF = _AT["trd_q"], _AT["trd_q_mean"], _AT["trd_hits"], _AT["trd_off_track"]
_ACC = _AT["acc_hits"]

_BEND = 0.0168  # rad times GV: half of 0.3 B L (0.14 T, 0.8 m), turned into the angle below the magnet by 1 / rigidity
_LIGHT = 299.792458  # mm/ns


@jit
def _poisson(mean, generator):  # type: ignore[no-untyped-def]
    """Draw a small Poisson number: D. Knuth, The Art of Computer Programming 2, section 3.4.1."""
    number, product, limit = 0, generator.random(), np.exp(-mean)
    while product > limit:
        number, product = number + 1, product * generator.random()
    return number


@jit
def _chi2(degrees, generator):  # type: ignore[no-untyped-def]
    """Draw from a chi2 distribution of few degrees of freedom."""
    total = 0.0
    for _ in range(degrees):
        total += generator.standard_normal() ** 2
    return total


@jit
def _loss(squares, beta, straggling, largest, table, generator):  # type: ignore[no-untyped-def]
    """Energy left in a layer by particles whose squared charges add up, in units of a fast one of charge 1."""
    squares = squares / beta ** (5 / 3)  # the slope of the Bethe formula below the minimum (PDG, section 34.2)
    return max(
        squares + largest * draw_straggling(table, straggling * squares / largest, generator), 0.05 * squares + 1e-3
    )


@jit
def _read(loss, saturation, gain, noise, generator):  # type: ignore[no-untyped-def]
    """Charge by a loss: gain (of the charge), exponential saturation (at a charge), noise, and what undoes it."""
    limit = saturation * saturation
    signal = 1 - np.exp(-loss * gain * gain / limit) + noise * generator.standard_normal() / limit
    return np.sqrt(-limit * np.log(1 - min(max(signal, 1e-9), 0.98)))


@jit
def _distance(light, z, rigidity):  # type: ignore[no-untyped-def]
    """Distance of a light fragment from the heaviest at a height, mm; below the middle of the magnet it bends apart."""
    below = abs(1 / light[3] - 1 / rigidity) * max(-z, 0.0)
    return light[2] * (light[1] - z) + 2 * _BEND * below


@jit
def _tracker(out, charges, light, n_light, beta, rigidity, p, d, gains, planes, table, generator):  # type: ignore[no-untyped-def]
    """Charges, strips and other clusters of the nine layers, and what they are together."""
    n_inner, total, squares, hits_x, hits_y = 0, 0.0, 0.0, 0, 0
    for layer in range(9):
        plane = 0 if layer == 0 else (L9 if layer == 8 else FIRST_INNER + layer - 1)
        efficiency = (p.inner_efficiency if 0 < layer < 8 else p.outer_efficiency) - d.lost
        sum_squares, others, largest = charges[plane] ** 2, 0, 0.0
        for k in range(n_light):
            if light[k, 1] > planes.z[plane]:
                distance = _distance(light[k], planes.z[plane], rigidity)
                if distance < p.merge:
                    sum_squares += light[k, 0] ** 2
                elif distance < p.window and generator.random() < p.light_efficiency:
                    others, largest = others + 1, max(largest, light[k, 0])
        extra = _poisson(p.noise_hits * d.noise + p.delta_hits * charges[plane] ** 2, generator)
        if extra > 0:
            largest = max(largest, 0.4 + 0.5 * generator.random())
        loss = _loss(sum_squares, beta, p.straggling, p.largest_transfer, table, generator)
        there_x, there_y = generator.random() < efficiency, generator.random() < efficiency
        q_x, q_y = np.nan, np.nan
        spread, noise = p.gain_spread * d.spread, p.noise * d.noise
        velocity = beta ** (5 / 6)
        if there_x:
            gain = gains[plane] * d.gain * (1 + spread * generator.standard_normal())
            q_x = _read(loss, p.saturation_x * d.saturation, gain, noise, generator) * velocity
        if there_y:
            gain = gains[plane] * d.gain * (1 + spread * generator.standard_normal())
            q_y = _read(loss, p.saturation_y * d.saturation, gain, noise, generator) * velocity
        both = q_x if not there_y else (q_y if not there_x else (q_x + q_y) / 2)
        out[_QX + layer], out[_QY + layer] = q_x, q_y
        if there_x or there_y:
            strips = p.strips + p.strips_growth * np.sqrt(charges[plane])
            out[_STRIPS + layer] = 1 + _poisson(strips - 1, generator)
        out[_SECONDARY + layer] = others + extra
        if others + extra > 0:
            out[_OTHER + layer] = largest * (1 + 0.15 * generator.standard_normal())
        if layer == 0:
            out[_Q_L1] = both
        elif layer == 8:
            out[_Q_L9] = both
        else:
            hits_x, hits_y = hits_x + there_x, hits_y + there_y
            if there_x or there_y:
                n_inner, total, squares = n_inner + 1, total + both, squares + both * both
    out[_HITS_X], out[_HITS_Y] = hits_x, hits_y
    if n_inner > 0:
        mean = total / n_inner
        out[_Q_INNER], out[_Q_RMS] = mean, np.sqrt(max(squares / n_inner - mean * mean, 0.0))


@jit
def _track(out, kicks, rigidity, beta, p, planes, generator):  # type: ignore[no-untyped-def]
    """Rigidities of three spans, goodness of the inner track, and how far off it L1 and L9 are."""
    inner_kick = 0.0
    for plane in range(FIRST_INNER + 1, FIRST_INNER + 6):
        inner_kick += kicks[plane] ** 2
    for axis in range(2):
        resolution = p.resolution_x if axis == 0 else p.resolution_y
        resolution = np.sqrt(resolution**2 + (p.scattering_inner / (rigidity * beta)) ** 2)
        off = 120.0 * np.sqrt(inner_kick) / resolution  # a third of the inner tracker's half length
        out[_CHI2_X + axis] = (_chi2(5, generator) + off * off) / 5
    away_l1 = away_l9 = 0.0
    for plane in range(1, FIRST_INNER + 1):
        away_l1 += kicks[plane] * (planes.z[0] - planes.z[plane])
    for plane in range(FIRST_INNER + 3, PLANES):
        away_l9 += kicks[plane] * (planes.z[plane] - planes.z[L9])
    outer = np.sqrt(0.1**2 + (p.scattering_outer / (rigidity * beta)) ** 2)
    if not np.isnan(out[_Q_L1]):
        out[_RES_L1] = away_l1 + outer * generator.standard_normal()
    if not np.isnan(out[_Q_L9]):
        out[_RES_L9] = away_l9 + outer * generator.standard_normal()
    scattered = p.scattering / beta * generator.standard_normal() / rigidity
    for span in range(3):
        there = (span == 0 or not np.isnan(out[_Q_L1])) and (span < 2 or not np.isnan(out[_Q_L9]))
        if there:
            kick = 0.0 if span == 0 else kicks[FIRST_INNER] / _BEND / 8  # a turn above the magnet looks like curvature
            curvature = 1 / rigidity + generator.standard_normal() / p.mdr[span] + scattered + kick
            out[_RIGIDITY + span] = 1 / curvature


@jit
def _tof(out, charges, light, n_light, beta, rigidity, p, d, gains, planes, table, generator):  # type: ignore[no-untyped-def]
    """Charges and other counters of the four planes, velocity and goodness of the times."""
    sums, counts, times = np.zeros(2), np.zeros(2), 0
    for k in range(4):
        plane = FIRST_TOF + k if k < 2 else FIRST_INNER + 5 + k
        squares, others = charges[plane] ** 2, 0
        for j in range(n_light):
            if light[j, 1] > planes.z[plane]:
                if _distance(light[j], planes.z[plane], rigidity) < p.window:
                    squares += light[j, 0] ** 2
                else:
                    others += 1
        out[_TOF_MORE + k] = others + _poisson(p.noise_hits * d.noise, generator)
        if generator.random() > p.efficiency - d.lost:
            continue
        times += 1
        loss = _loss(squares, beta, p.straggling, p.largest_transfer, table, generator)
        gain = gains[plane] * d.gain * (1 + p.gain_spread * d.spread * generator.standard_normal())
        charge = _read(loss, p.saturation * d.saturation, gain, p.noise * d.noise, generator) * beta ** (5 / 6)
        out[_TOF_Q + k] = charge
        sums[k // 2] += charge
        counts[k // 2] += 1
    for half in range(2):
        if counts[half] > 0:
            out[_TOF_UP + half] = sums[half] / counts[half]
    if times > 2:
        resolution = np.sqrt((p.time_light / charges[FIRST_INNER]) ** 2 + p.time_floor**2) * d.spread
        flight = (planes.z[FIRST_TOF] - planes.z[L9 - 1]) / _LIGHT
        out[_BETA] = 1 / max(1 / beta + resolution / flight * generator.standard_normal(), 0.3)
        out[_TOF_CHI2] = _chi2(times - 2, generator) / (times - 2) * d.spread**2


@jit
def _trd(out, charges, light, n_light, beta, gamma, rigidity, p, d, gains, planes, table, generator):  # type: ignore[no-untyped-def]
    """Charges of twenty layers, their mean without the highest, and hits off the track."""
    rise = 1 + (p.plateau - 1) * min(max(np.log(gamma / 4) / np.log(p.plateau_gamma / 4), 0.0), 1.0)
    hits, off, found = 0, 0, np.empty(TRD_LAYERS)
    for layer in range(TRD_LAYERS):
        plane = 1 + layer
        squares = charges[plane] ** 2
        for j in range(n_light):
            if light[j, 1] > planes.z[plane]:
                if _distance(light[j], planes.z[plane], rigidity) < p.window:
                    squares += light[j, 0] ** 2
                elif generator.random() < p.light_efficiency:
                    off += 1
        if generator.random() > p.efficiency - d.lost:
            continue
        loss = rise * _loss(squares, beta, p.straggling, p.largest_transfer, table, generator)
        gain = gains[plane] * d.gain * max(1 + p.gain_spread * d.spread * generator.standard_normal(), 0.1)
        limit = p.saturation * d.saturation
        signal = loss * gain * gain + p.noise * d.noise * generator.standard_normal()
        found[hits] = np.sqrt(min(max(signal, 0.01), limit * limit) / rise) * beta ** (5 / 6)
        out[_TRD_Q + layer] = found[hits]
        hits += 1
    out[_TRD_HITS] = hits
    out[_TRD_OFF] = off + _poisson(p.noise_hits * d.noise + p.delta_hits * charges[1] ** 2, generator)
    if hits > 4:
        out[_TRD_MEAN] = np.sort(found[:hits])[: hits - hits // 5].mean()


@jit
def fill_event(  # type: ignore[no-untyped-def]
    out, charges, kicks, light, n_light, momentum, rigidity, angle, given, d, gains, planes, table, generator
):
    """Fill a row of variables (NaN before) with what is measured of an event."""
    tracker, tof, trd, acc = given
    gamma = np.sqrt(1 + (momentum / 0.9315) ** 2)  # GeV/c a nucleon over the mass of one
    beta = np.sqrt(1 - 1 / gamma**2)
    out[_ANGLE] = angle
    _tracker(out, charges, light, n_light, beta, rigidity, tracker, d, gains, planes, table, generator)
    _track(out, kicks, rigidity, beta, tracker, planes, generator)
    _tof(out, charges, light, n_light, beta, rigidity, tof, d, gains, planes, table, generator)
    _trd(out, charges, light, n_light, beta, gamma, rigidity, trd, d, gains, planes, table, generator)
    out[_ACC] = _poisson(acc.accidental * d.noise + acc.fragments * n_light / momentum, generator)

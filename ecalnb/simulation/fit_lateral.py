"""Fit of the lateral half of the fast electromagnetic simulation to Geant4 electrons."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from ..geometry import Calorimeter, Tracks
from .fit_longitudinal import hat_weights

__all__ = ["LateralSample", "calibrate", "start_lateral"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]
Values = dict[str, Any]

SCALES = 0.4 * 1.6 ** np.arange(14)
"""Scales of the Student t distributions (4 degrees of freedom) that make up the lateral shape, mm."""

WIDE_SCALE = 12.0
"""Those with a larger scale make up the wide part, mm."""

ENTRY_NODES = np.array([0.5, 1.5, 2.5])
"""In layers' thicknesses of a vertical track: the first layers have a shape of their own."""

AGE_NODES = np.array([0.3, 0.45, 0.6, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0, 2.3])

START_JITTER = np.array([0.6, 0.5, 0.5, 0.45, 0.4, 0.35, 0.33, 0.35, 0.45, 0.65, 0.9, 1.2, 1.4])
"""Jitter of the axis to start from at each of these nodes, mm."""

LAST_TILTED = len(ENTRY_NODES) + 1
"""Up to this node the wide part depends on the energy."""

WIDE_POWER = np.array([0.1, 0.5, 0.5, 0.45, 0.25, 0.1, *[0.0] * (len(AGE_NODES) - 3)])
"""Early, a layer with more of the shower's energy has a smaller wide part: it is backscattered from deeper layers."""

ENTRY_SIGMA = np.array([*[[0.5, 0.03, 0.2]] * len(ENTRY_NODES), [0.6, 0.05, 0.2], [0.5, 0.05, 0.2]])
"""Fluctuations near the first nodes, where single particles hide them: not fitted."""

MOST_SIGMA = np.array([3.0, 0.4, 0.8])
"""Limits of the fluctuations: position in mm, log of the width, log odds of the wide part."""


@dataclass(frozen=True)
class LateralSample:
    """What the lateral fit needs of a sample of electrons, real or simulated at the same energies and tracks."""

    images: FloatArray
    energy: FloatArray
    scaled: FloatArray
    distance: FloatArray
    slope: FloatArray
    crossing: FloatArray
    near: FloatArray
    pitch: float

    @staticmethod
    def of(
        images: FloatArray, energy: FloatArray, reference: float, tracks: Tracks, geometry: Calorimeter, x0: float
    ) -> LateralSample:
        """Sample of images, with energies in GeV and the radiation length ``x0`` in mm.

        ``near`` (n, layers, nodes) says how close each layer is to each node of the shape.
        """
        spacing = geometry.layer_thickness / x0
        depth = (np.arange(geometry.n_layers) + 0.5) * (spacing / np.cos(tracks.inclination))[:, None]
        layers = images.sum(axis=2)
        age = depth / ((depth * layers).sum(axis=1) / layers.sum(axis=1))[:, None]
        entry = ENTRY_NODES * spacing
        late = np.clip((depth - entry[-1]) / spacing, 0, 1)[..., None]
        near = np.concatenate(
            [
                (1 - late) * hat_weights(depth.ravel(), entry).reshape(*depth.shape, -1),
                late * hat_weights(age.ravel(), AGE_NODES).reshape(*depth.shape, -1),
            ],
            axis=2,
        )
        is_x = np.array(geometry.views) == "x"
        slope = np.where(is_x, tracks.slope_x[:, None], tracks.slope_y[:, None])
        distance = geometry.cell_centers() - geometry.project(tracks)[:, :, None]
        crossing = np.asarray(abs(slope) * geometry.layer_thickness, dtype=np.float64)
        return LateralSample(
            images, energy, np.log(energy / reference), distance, slope, crossing, near, geometry.cell_pitch
        )

    def halves(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Events of the lower and of the upper half of the energies."""
        middle = np.median(self.scaled)
        return self.scaled < middle, self.scaled >= middle

    def weights(
        self, node: int, jitter: float, events: npt.NDArray[np.bool_] | None = None, steps: int = 1500
    ) -> FloatArray:
        """Weights of `SCALES` near a node, by expectation maximisation on cells binned in distance and crossing.

        The axis is taken to be off by a normally distributed ``jitter`` (mm), which the shape itself does not contain.
        """
        chosen = self.near[:, :, node] > 0.5
        if events is not None:
            chosen &= events[:, None]
        event, layer = np.nonzero(chosen)
        cells = self.images[event, layer]
        cells = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1e-9)
        away = abs(self.distance[event, layer])
        along = np.broadcast_to(self.crossing[event, layer][:, None], away.shape)
        inside = away < 330
        away, along, cells = away[inside], along[inside], cells[inside]
        fine = np.where(away < 60, away * 2, 120 + (away - 60) / 3).astype(int)
        key = fine * 4 + np.minimum((along / 1.1).astype(int), 3)
        number = np.bincount(key)
        full = number > 0
        number = number[full]
        away, along = (np.bincount(key, value)[full] / number for value in (away, along))
        seen = np.bincount(key, cells)[full] / len(event)
        expected = np.zeros((len(number), len(SCALES)))
        off, off_weights = np.polynomial.hermite_e.hermegauss(3)
        for step in (np.arange(5) - 2) / 5:
            for value, weight in zip(off * jitter, off_weights / off_weights.sum(), strict=True):
                middle = away + step * along + value
                upper, lower = (stdtr(4, (middle + side * self.pitch / 2)[:, None] / SCALES) for side in (1, -1))
                expected += (upper - lower) * weight / 5
        expected *= number[:, None] / len(event)
        result = np.full(len(SCALES), 1 / len(SCALES))
        for _ in range(steps):
            result *= expected.T @ (seen / np.maximum(expected @ result, 1e-12)) / expected.sum(axis=0)
        return result / result.sum()

    def observables(self) -> FloatArray:
        """Position (mm), share of the core and of the halo in each layer, shape (n, layers, 3)."""
        away = abs(self.distance)
        layers = np.maximum(self.images.sum(axis=2), 1e-6)
        core = self.images * np.clip((27 - away) / self.pitch, 0, 1)
        position = (core * self.distance).sum(axis=2) / np.maximum(core.sum(axis=2), 1e-6)
        inner = (self.images * np.clip((18 - away) / self.pitch + 0.5, 0, 1)).sum(axis=2) / layers
        halo = (self.images * np.clip((away - 36) / self.pitch + 0.5, 0, 1)).sum(axis=2) / layers
        return np.stack([position, inner, halo], axis=-1)


def start_lateral(sample: LateralSample) -> Values:
    """Lateral values to start the calibration from: the mean shapes, and guesses of everything that fluctuates."""
    nodes = range(sample.near.shape[2])
    values: Values = {
        "entry_nodes": ENTRY_NODES,
        "age_nodes": AGE_NODES,
        "wide_scale": WIDE_SCALE,
        "lateral_scales": SCALES,
        "lateral_width": np.zeros((len(nodes), 2)),
        "layer_shift": np.zeros(len(nodes)),
        "mode_sigma": np.concatenate(
            [ENTRY_SIGMA, [[jitter, 0.06, 0.2] for jitter in START_JITTER[len(ENTRY_SIGMA) :]]]
        ),
        "mode_slope": np.array([-0.4, -0.3, -0.3]),
        "mode_memory": np.array([0.83, 0.65, 0.6]),
    }
    values["lateral_weights"] = np.array([sample.weights(node, START_JITTER[node]) for node in nodes])
    part = np.log(np.maximum(sample.images.sum(axis=2), 1e-3)) - np.log(sample.energy)[:, None]
    powers = np.stack([np.ones_like(sample.scaled), sample.scaled], 1)[:, None, None] * sample.near[..., None]
    design = powers.reshape(-1, 2 * len(nodes))
    usual = np.linalg.lstsq(design, part.ravel())[0].reshape(-1, 2)
    lines = np.array([_wide_line(sample, node) for node in nodes])
    values["wide_power"] = WIDE_POWER
    values["wide_logit"] = lines + WIDE_POWER[:, None] * usual
    return values


def _wide_line(sample: LateralSample, node: int) -> FloatArray:
    """Log odds of the wide part near a node, straight in the logarithm of the energy: intercept and slope.

    Later than `LAST_TILTED` the part does not depend on the energy within what can be seen.
    """
    borders = np.quantile(sample.scaled, [0, 1 / 3, 2 / 3, 1]) if node <= LAST_TILTED else [-np.inf, np.inf]
    points = []
    for low, high in itertools.pairwise(borders):
        events = (sample.scaled >= low) & (sample.scaled <= high)
        weights = sample.weights(node, START_JITTER[node], events, steps=400)
        wide = weights[SCALES > WIDE_SCALE].sum()
        points.append((sample.scaled[events].mean(), np.log(wide / (1 - wide))))
    if len(points) == 1:
        return np.array([points[0][1], 0.0])
    middles, odds = np.array(points).T
    line: FloatArray = np.polyfit(middles, odds, 1)[::-1]
    return line


@dataclass(frozen=True)
class _Summary:
    """What the calibration compares: means near each node and covariances of neighbouring layers, in energy halves."""

    means: FloatArray  # (halves, nodes, observables)
    ahead: FloatArray  # (nodes,): slope of the position against that of the axis, mm
    covariances: FloatArray  # (halves, nodes, observables)
    dust: FloatArray  # (halves,)

    @staticmethod
    def of(sample: LateralSample, same_view: npt.NDArray[np.bool_]) -> _Summary:
        observables, near = sample.observables(), sample.near
        powers = np.stack([np.ones_like(sample.scaled), sample.scaled], 1)
        design = (near[..., None] * powers[:, None, None]).reshape(near.shape[0] * near.shape[1], -1)
        flat = observables.reshape(-1, 3)
        # What the cells' own fluctuations give cancels in products: they are independent from layer to layer.
        rest = flat - design @ np.linalg.lstsq(design, flat)[0]
        spread = 2 * np.quantile(abs(rest), 0.98, axis=0)
        rest = np.clip(rest, -spread, spread).reshape(observables.shape)
        products = rest[:, :-1] * rest[:, 1:]
        lever = near * sample.slope[..., None]
        ahead = (lever * rest[..., :1]).sum(axis=(0, 1)) / (lever * sample.slope[..., None]).sum(axis=(0, 1))
        both = (near[:, :-1] + near[:, 1:]) / 2
        means, covariances, dust = [], [], []
        tiny = ((sample.images > 1e-7) & (sample.images < 1e-4)).sum(axis=(1, 2))
        for half in sample.halves():
            means.append(_average(observables[half], near[half][..., None]))
            position = _average(products[half, :, :1], (both[half] * same_view[:, None])[..., None])
            others = _average(products[half, :, 1:], both[half][..., None])
            covariances.append(np.concatenate([position, others], axis=1))
            dust.append(tiny[half].mean())
        return _Summary(np.array(means), ahead, np.array(covariances), np.array(dust))


def _average(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean over events and layers of (n, layers, observables), for each node."""
    total: FloatArray = (weights * values[:, :, None]).sum(axis=(0, 1))
    return total / weights.sum(axis=(0, 1))


def calibrate(
    values: Values, sample: LateralSample, simulate: Callable[[Values], LateralSample], geometry: Calorimeter,
    rounds: int = 8,
) -> Values:  # fmt: skip
    """Adjust means and fluctuations until simulated electrons look like the real ones.

    The mean shape that one sees is widened by its fluctuations, and an observed covariance is not the square of a
    model's sigma: so the same estimates are made of the real and of the simulated events, and the values are moved by
    their difference.

    Parameters
    ----------
    values : dict
        Values to start from: all of the parameter file.
    sample : LateralSample
        Geant4 electrons.
    simulate : callable
        Simulated electrons of the same energies and tracks for given values.
    geometry : Calorimeter
        The calorimeter.
    rounds : int
        Number of corrections.
    """
    views = np.array(geometry.views) == "x"
    same_view = views[:-1] == views[1:]
    values = dict(values)
    real = _Summary.of(sample, same_view)
    quiet = _Summary.of(simulate({**values, "mode_sigma": 0 * values["mode_sigma"]}), same_view)
    wanted = real.covariances - quiet.covariances
    low, high = (np.median(sample.scaled[half]) for half in sample.halves())
    moved = ("layer_shift", "lateral_width", "wide_logit", "mode_sigma", "mode_slope", "dust_rate", "dust_power")
    trail: list[Values] = []
    for _ in range(rounds):
        seen = _Summary.of(simulate(values), same_view)
        inner, halo = real.means[..., 1], np.log(real.means[..., 2] / seen.means[..., 2])
        excess = (seen.means[..., 1] - inner) / (inner * (1 - inner))
        values["lateral_width"] = values["lateral_width"] + np.clip(0.8 * _line(excess, high - low), -0.2, 0.2)
        values["wide_logit"] = values["wide_logit"] + 0.7 * _line(halo, high - low)

        values["layer_shift"] = values["layer_shift"] + 0.7 * _smooth((real.ahead - seen.ahead)[:, None])[:, 0]

        gain = seen.covariances - quiet.covariances
        ratio = np.maximum(_smooth(wanted.mean(axis=0)), 0) / np.maximum(_smooth(gain.mean(axis=0)), 1e-9)
        later = slice(len(ENTRY_SIGMA), None)
        sigma = _smooth((values["mode_sigma"] * np.clip(ratio, 0.3, 3) ** 0.35)[later])
        values["mode_sigma"] = np.concatenate([ENTRY_SIGMA, np.clip(sigma, 0.01, MOST_SIGMA)])
        totals = [np.maximum(part[:, later].sum(axis=1), 1e-9) for part in (wanted, gain)]
        tilt = np.log(totals[0][1] / totals[1][1]) - np.log(totals[0][0] / totals[1][0])
        slope = values["mode_slope"] + 0.2 * np.clip(tilt, -1, 1) / (high - low)
        values["mode_slope"] = np.clip(slope, -0.6, 0.0)

        dust = np.log(real.dust / seen.dust)
        values["dust_rate"] = values["dust_rate"] * np.exp(dust.mean())
        values["dust_power"] = values["dust_power"] + (dust[1] - dust[0]) / (high - low)
        log.info(
            "halo %s, core %s, shift %s mm, covariances %s",
            *map(_text, (halo, excess, real.ahead - seen.ahead, np.log(ratio + 1e-3))),
        )
        trail.append({name: values[name] for name in moved})
    # The corrections end in noise about the answer: the later half of them is averaged.
    late = trail[rounds // 2 :]
    return {**values, **{name: np.mean([step[name] for step in late], axis=0) for name in moved}}


def _line(halves: FloatArray, distance: float) -> FloatArray:
    """Means and slopes of values in the two energy halves; slopes are averaged over neighbouring nodes."""
    return np.column_stack([halves.mean(axis=0), _smooth((halves[1] - halves[0])[:, None] / distance)])


def _smooth(values: FloatArray) -> FloatArray:
    """Average of neighbouring nodes."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return padded[:-2] / 4 + padded[1:-1] / 2 + padded[2:] / 4


def _text(values: FloatArray) -> str:
    return f"{np.sqrt((values**2).mean()):.3f}"

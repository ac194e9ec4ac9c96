"""Measure the parameters of the methods on simulated electrons, and write them with what they come from.

    python -m ecalnb.reconstruction.calibrate electrons.root more_electrons.root -o geant4.toml

Everything refers to the true axis and to the shower maximum of the layer energies along it. In this order: the mean
lateral shape at each age; the fluctuations of cells about it; and for each method the positions of layers about the
axis: the depth that they belong to, from how residuals go with the slope; their spread; and how layers go together.
Only events of one sample of the split count, so that resolutions can be measured on others.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from scipy.optimize import curve_fit, least_squares

from .. import ntuples
from .._atomic import replacing
from ..geometry import Tracks
from ..metrics.width import ONE_SIGMA
from ..showers import Showers
from ..splits import SAMPLES, split_of
from ..variables import fit_gamma_profiles
from ._shape import LEAST_CROSSING
from .layers import measure_layers, shower_ages
from .methods import reconstruct
from .parameters import METHODS, AxisParameters, LayerErrors
from .residuals import true_axes

__all__ = ["calibrate", "main", "write_parameters"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

AGES = np.array([0.05, 0.15, 0.27, 0.42, 0.6, 0.85, 1.15, 1.45, 1.8, 2.2, 2.8])
"""Nodes of all functions of the age."""

REACH = 12
"""Cells on either side of the axis that the lateral shape is fitted to."""

MOST_LAYERS = 4000
"""Layers that the shape at one node is fitted to, at most."""

LEAST_ENERGY = 0.02
"""Energy from which a layer takes part, GeV: more than a minimum ionising particle leaves."""

FLOOR = 0.001
"""Fluctuation that every cell has, GeV: the noise and the threshold of the readout."""

LARGEST_RESIDUAL = 9.0
"""Positions that are further from the axis, mm, are taken for those of something else."""

LEAST_JITTER = 0.02
"""Smallest error of a layer's position, mm: none shall decide alone."""

FEWEST = 200
"""Showers that a calibration needs."""


def calibrate(showers: Showers) -> AxisParameters:
    """Measure the parameters on electrons or positrons of known axis.

    Parameters
    ----------
    showers : Showers
        Events with true axes (:func:`~ecalnb.reconstruction.true_axes`).

    Returns
    -------
    AxisParameters

    Raises
    ------
    ValueError
        If there are fewer than 200 showers.
    """
    if len(showers) < FEWEST:
        raise ValueError(f"there are {len(showers)} showers; expected at least {FEWEST} for a calibration")
    lines = true_axes(showers.table)
    maxima = np.maximum(fit_gamma_profiles(showers, lines).maximum, 0.5)
    cells = _Cells.of(showers, lines, maxima)
    lateral = np.array([cells.near(node).fit_shape() for node in range(len(AGES))]).T
    noise = cells.fit_noise(lateral)
    log.info("lateral shape measured; quantum %.4g GeV, relative %.3g", *noise[:2])
    unknown = LayerErrors(np.zeros_like(AGES), np.ones_like(AGES), np.zeros_like(AGES), 0.0, 1.0)
    core_weight, core_radius, tail_radius = lateral
    parameters = AxisParameters(AGES, core_weight, core_radius, tail_radius, noise, dict.fromkeys(METHODS, unknown))
    methods = {method: _layer_errors(showers, lines, maxima, method, parameters) for method in METHODS}
    parameters = replace(parameters, methods=methods)
    scaled = {name: replace(methods[name], error_scale=_error_scale(showers, name, parameters)) for name in METHODS}
    return replace(parameters, methods=scaled)


class _Cells:
    """Cells of layers about the true axis, as parts of the layer's energy."""

    def __init__(self, age: FloatArray, energy: FloatArray, part: FloatArray, u: FloatArray, crossing: FloatArray):
        self.age, self.energy, self.part, self.u, self.crossing = age, energy, part, u, crossing

    @classmethod
    def of(cls, showers: Showers, lines: Tracks, maxima: FloatArray) -> _Cells:
        geometry = showers.geometry
        position, energy = geometry.project(lines), showers.layer_energies
        slope = np.where(np.array(geometry.views) == "x", lines.slope_x[:, None], lines.slope_y[:, None])
        middle = geometry.cell_at(position)
        event, layer = np.nonzero((energy > LEAST_ENERGY) & (middle >= REACH) & (middle < geometry.n_cells - REACH))
        first = middle[event, layer].astype(int)[:, None] - REACH
        part = showers.images[event[:, None], layer[:, None], first + np.arange(2 * REACH + 1)]
        u = geometry.cell_edges()[first + np.arange(2 * REACH + 2)] - position[event, layer][:, None]
        crossing = np.maximum(abs(slope) * geometry.layer_thickness, LEAST_CROSSING)[event, layer]
        energy = energy[event, layer][:, None]
        age = shower_ages(showers, lines, maxima)[event, layer]
        return cls(age, energy, part / energy, u, crossing[:, None])

    def near(self, node: int) -> _Cells:
        """Layers that are nearest to a node, not too many."""
        borders = np.concatenate([[0], (AGES[1:] + AGES[:-1]) / 2, [1.2 * AGES[-1]]])
        chosen = np.flatnonzero((self.age >= borders[node]) & (self.age < borders[node + 1]))
        chosen = chosen[:: max(1, len(chosen) // MOST_LAYERS)]
        return _Cells(*(array[chosen] for array in (self.age, self.energy, self.part, self.u, self.crossing)))

    def expected(self, weight: FloatArray, core: FloatArray, tail: FloatArray) -> FloatArray:
        """Part of the energy that a shape gives to each cell."""
        half = self.crossing / 2
        integral = sum(
            share * (np.hypot(self.u + half, radius) - np.hypot(self.u - half, radius)) / self.crossing / 2
            for share, radius in ((weight, core), (1 - weight, tail))
        )
        return np.diff(integral, axis=1)

    def fit_shape(self) -> FloatArray:
        """Weight of the core and both radii, by least squares that are linear for outliers."""
        start = np.array([1.0, np.log(3.0), np.log(18.0)])

        def shape(p: FloatArray) -> FloatArray:
            return np.array([1 / (1 + np.exp(-p[0])), np.exp(p[1]), np.exp(p[2])])

        for _ in range(3):
            error = np.sqrt(np.maximum(self.expected(*shape(start)), 1e-3) / self.energy)
            start = least_squares(
                lambda p, error=error: ((self.part - self.expected(*shape(p))) / error).ravel(),
                start, loss="soft_l1", f_scale=0.3,
            ).x  # fmt: skip
        return shape(start)

    def fit_noise(self, lateral: FloatArray) -> tuple[float, float, float]:
        """Quantum and relative part of the variance of cells, from their 68 % about the shape in bins of energy."""
        some = slice(None, None, max(1, len(self.age) // 40_000))
        part = _Cells(*(array[some] for array in (self.age, self.energy, self.part, self.u, self.crossing)))
        shape = (np.interp(part.age, AGES, values)[:, None] for values in lateral)
        expected = (part.energy * part.expected(*shape)).ravel()
        residual = abs((part.energy * part.part).ravel() - expected)
        edges = np.geomspace(0.01, np.quantile(expected, 0.999), 20)
        number = np.digitize(expected, edges)
        filled = [i for i in range(1, len(edges)) if np.count_nonzero(number == i) >= 50]
        mean = np.array([expected[number == i].mean() for i in filled])
        variance = np.array([np.quantile(residual[number == i], ONE_SIGMA) ** 2 for i in filled])
        result = least_squares(
            lambda p: np.log(np.exp(p[0]) * mean + np.exp(2 * p[1]) * mean**2 + FLOOR**2) - np.log(variance),
            [np.log(0.01), np.log(0.1)],
        )
        quantum, relative = np.exp(result.x)
        return float(quantum), float(relative), FLOOR


def _hats(ages: FloatArray) -> FloatArray:
    """Weight of each node for linear interpolation, shape (..., n_nodes)."""
    return np.stack([np.interp(ages, AGES, row) for row in np.eye(len(AGES))], axis=-1)


def _layer_errors(
    showers: Showers, lines: Tracks, maxima: FloatArray, method: str, parameters: AxisParameters
) -> LayerErrors:
    """How the positions of one method lie about the true axes."""
    geometry = showers.geometry
    # A fit of all layers together measures each one by its linear estimate about the line.
    steps = {"steps": 1} if method == "shower_fit_3d" else {}
    measured = measure_layers(showers, lines, maxima, method, parameters, **steps)
    in_x = np.array(geometry.views) == "x"
    slope = np.where(in_x, lines.slope_x[:, None], lines.slope_y[:, None])
    residual = measured.positions - geometry.project(lines)
    used = (measured.variances < np.inf) & (abs(residual) < LARGEST_RESIDUAL)
    used &= showers.layer_energies > LEAST_ENERGY
    hats = _hats(measured.ages)
    nearest, variance = hats.argmax(axis=-1), np.where(used, measured.variances, 1.0)
    errors = parameters.methods[method]
    for _ in range(2):
        scale = np.sqrt(errors.variances(measured.ages, AGES, variance))
        design = (hats * (slope / scale)[..., None])[used]
        shift = np.linalg.lstsq(design, (residual / scale)[used], rcond=None)[0].astype(np.float64)
        off = residual - slope * (hats @ shift)
        chosen = (used & (nearest == node) for node in range(len(AGES)))
        spread, jitter = np.array([_spread_and_jitter(off[some], variance[some]) for some in chosen]).T
        errors = LayerErrors(shift, spread, jitter, 0.0, 1.0)
    pulls = np.clip(off / np.sqrt(errors.variances(measured.ages, AGES, variance)), -3, 3)
    correlation, length = _correlation(np.where(used, pulls, np.nan), showers)
    log.info("%s: correlation %.2f, length %.2f radiation lengths", method, correlation, length)
    return LayerErrors(shift, spread, jitter, correlation, length)


def _spread_and_jitter(residuals: FloatArray, variances: FloatArray) -> tuple[float, float]:
    """Factor of the errors by cells, and what comes to them, from the 68 % of residuals in bins of their variance."""
    if len(residuals) < FEWEST:
        return 1.0, LEAST_JITTER
    groups = np.array_split(np.argsort(variances), min(10, len(residuals) // 100 + 1))
    mean = np.array([variances[group].mean() for group in groups])
    widths = np.array([np.quantile(abs(residuals[group]), ONE_SIGMA) for group in groups])
    fit = least_squares(
        lambda p: np.log(p[0] ** 2 * mean + p[1] ** 2) - 2 * np.log(widths),
        [1.0, 0.1], bounds=([0.01, LEAST_JITTER], [10, 10]),
    )  # fmt: skip
    return float(fit.x[0]), float(fit.x[1])


def _error_scale(showers: Showers, method: str, parameters: AxisParameters) -> float:
    """Factor with which 68 % of the true positions and slopes are within an error."""
    axes, truth = reconstruct(showers, method, calibration=parameters), true_axes(showers.table)
    pulls = [(axes.x0 - truth.x) / axes.x0_error, (axes.y0 - truth.y) / axes.y0_error]
    pulls += [(getattr(axes, s) - getattr(truth, s)) / getattr(axes, f"{s}_error") for s in ("slope_x", "slope_y")]
    return float(np.mean([np.quantile(abs(pull[axes.good]), ONE_SIGMA) for pull in pulls]))


def _correlation(pulls: FloatArray, showers: Showers) -> tuple[float, float]:
    """Correlation of layers of a view, ``c exp(-d / length)``, from the mean products of their pulls."""
    depths = showers.geometry.layer_depths_x0
    distances, products = [], []
    for view in ("x", "y"):
        layers = np.flatnonzero(np.array(showers.geometry.views) == view)
        for i, a in enumerate(layers):
            for b in layers[i + 1 :]:
                norm = np.sqrt(np.nanmean(pulls[:, a] ** 2) * np.nanmean(pulls[:, b] ** 2))
                distances.append(depths[b] - depths[a])
                products.append(np.nanmean(pulls[:, a] * pulls[:, b]) / norm)
    (correlation, length), _ = curve_fit(
        lambda d, c, x: c * np.exp(-d / x), distances, products, p0=(0.5, 2.5), bounds=([0, 0.2], [1, 20])
    )
    return float(correlation), float(length)


def write_parameters(parameters: AxisParameters, origin: dict[str, Any], files: dict[Path, int], path: Path) -> None:
    """Write the parameter file: a TOML file that says what it was measured on.

    Parameters
    ----------
    parameters : AxisParameters
        What to write.
    origin : dict
        Text and numbers about the events.
    files : dict
        Events used of each file.
    path : Path
        The file; replaced where it exists.
    """

    def row(name: str, values: FloatArray) -> str:
        return f"{name} = [{', '.join(f'{value:.4g}' for value in values)}]"

    quantum, relative, floor = parameters.noise
    lines = [
        "# Parameters of ecalnb.reconstruction; ecalnb/reconstruction/parameters.py says what they mean.",
        "# Written by `python -m ecalnb.reconstruction.calibrate`: measure again rather than edit.",
        "",
        "version = 1",
        "",
        "[lateral]",
        *(row(name, getattr(parameters, name)) for name in ("ages", "core_weight", "core_radius", "tail_radius")),
        "",
        "[noise]",
        f"quantum = {quantum:.4g}",
        f"relative = {relative:.4g}",
        f"floor = {floor:.4g}",
    ]
    for method, errors in parameters.methods.items():
        lines += ["", f"[methods.{method}]", row("depth_shift", errors.depth_shift), row("spread", errors.spread)]
        lines += [row("jitter", errors.jitter)]
        lines += [f"{name} = {getattr(errors, name):.4g}" for name in ("correlation", "length", "error_scale")]
    lines += ["", "[origin]"]
    lines += [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in origin.items()]
    for file, events in sorted(files.items(), key=lambda item: item[0].name):
        with open(file, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines += ["", "[[origin.files]]", f'name = "{file.name}"', f'sha256 = "{digest}"', f"events = {events}"]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")


def _electrons(path: Path, split: str, sample: str, momentum: tuple[float, float]) -> Showers:
    """Electrons and positrons of a file that are in a sample of a split and in a window of momentum."""
    showers = ntuples.read(path)
    table = showers.table
    for column in ("pdg", "momentum"):
        if column not in table:
            raise ValueError(f"{path} has no column {column}; the calibration needs simulated events")
    wanted = table["pdg"].abs().eq(11) & table["momentum"].between(*momentum)
    return showers[wanted & (split_of(table["file_id"], table["entry"], split) == sample)]


def main(
    files: Annotated[list[Path], typer.Argument(help="ROOT files with simulated electrons.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    split: Annotated[str, typer.Option(help="Split that the events follow.")] = "default",
    sample: Annotated[str, typer.Option(help="Sample of the split to use.")] = "fit",
    momentum_low: Annotated[float, typer.Option(help="GeV.")] = 5.0,
    momentum_high: Annotated[float, typer.Option(help="GeV.")] = 1000.0,
) -> None:
    """Measure the parameters of the methods on simulated electrons."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if sample not in SAMPLES:
        raise typer.BadParameter(f"{sample!r} is not one of {', '.join(SAMPLES)}.")
    parts = {file: _electrons(file, split, sample, (momentum_low, momentum_high)) for file in files}
    showers = Showers.concatenate(list(parts.values()))
    origin = {
        "split": split,
        "sample": sample,
        "events": len(showers),
        "momentum_low": float(showers.table["momentum"].min()),
        "momentum_high": float(showers.table["momentum"].max()),
    }
    write_parameters(calibrate(showers), origin, {file: len(part) for file, part in parts.items()}, output)


if __name__ == "__main__":
    typer.run(main)

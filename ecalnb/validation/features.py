"""Features of a shower image for the tree-based judge of a simulation: what a BDT needs that cannot see images.

They are about the track, so that position and direction of a shower do not matter, and go layer by layer: a simulation
that is right on average and wrong in its fluctuations or correlations is caught by them. They use the image and the
track, never the truth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._compiled import jit
from ..geometry import Calorimeter
from ..showers import Showers

__all__ = ["HIT_THRESHOLDS", "feature_names", "shower_features"]

HIT_THRESHOLDS = (0.0, 0.5e-3, 2e-3)
"""Cells with more energy than this, GeV, count as hits."""

_PER_LAYER = ("fraction", "rms", "offset", "core3", "halo5", "hits0")
_PER_PAIR = ("core1", "core5", "halo10", "hits1", "hits2", "twist")
_EVENT = (
    "log_total", "log_max_cell", "max_share", "max_layer", "mean_depth", "depth_rms", "core1", "core3", "halo5",
    "halo10", "hits0", "hits1", "hits2", "soft_share", "dust_cells",
)  # fmt: skip


def feature_names(geometry: Calorimeter) -> list[str]:
    """Names of the columns of `shower_features` for a calorimeter."""
    layers, pairs = range(geometry.n_layers), range(geometry.n_layers // 2)
    return [
        *(f"{name}_{layer}" for name in _PER_LAYER for layer in layers),
        *(f"log_ratio_{layer}" for layer in layers[:-1]),
        *(f"{name}_pair_{pair}" for name in _PER_PAIR for pair in pairs),
        *(f"shift_{pair}" for pair in pairs[:-2]),
        *_EVENT,
    ]


def shower_features(showers: Showers) -> pd.DataFrame:
    """Features of each event.

    Parameters
    ----------
    showers : Showers
        Events with tracks. Of an event whose track is not known all features are NaN.

    Returns
    -------
    pandas.DataFrame, float32
        For each layer: share of the event's energy (``fraction``), rms distance of its energy from the track (``rms``,
        cells), distance of its centre of gravity from the track (``offset``, cells), share of its energy in the three
        cells at the track (``core3``), share beyond 5 cells (``halo5``), cells with energy (``hits0``); ``log_ratio``,
        logarithm of the energy of the next layer over its own. For each pair of neighbouring layers: share in one and
        in five cells, share beyond 10 cells, cells above 0.5 and 2 MeV (``hits1``, ``hits2``), difference of the two
        offsets (``twist``); ``shift``, difference of the offsets between a pair and the next but one, which measures
        the same coordinate. For the event: logarithms of the sum and of the
        highest cell in MeV, share and layer of that cell, mean and rms depth in layers, shares and hits as above, share
        of the energy in cells below 2 MeV, cells below 0.1 MeV. NaN where a layer has no energy.
    """
    geometry = showers.geometry
    names = feature_names(geometry)
    result = np.full((len(showers), len(names)), np.nan, dtype=np.float32)
    track: npt.NDArray[np.float64] = (geometry.project(showers.tracks) + geometry.width / 2) / geometry.cell_pitch - 0.5
    known = np.asarray(np.isfinite(track).all(axis=1))
    _fill(np.ascontiguousarray(showers.images), np.where(known[:, None], track, 0.0), known, result)
    return pd.DataFrame(result, columns=names)


@jit
def _fill(
    images: npt.NDArray[np.float32],
    track: npt.NDArray[np.float64],
    known: npt.NDArray[np.bool_],
    out: npt.NDArray[np.float32],
) -> None:
    """Fill the rows of ``out`` in the order of `feature_names`; ``track`` is in cells, 0 in the middle of cell 0."""
    n, n_layers, n_cells = images.shape
    n_pairs = n_layers // 2
    layer = np.empty((n_layers, 9))  # energy, first and second moment, core 1, 3, 5, halo 5, 10, mean offset
    hits = np.empty((n_layers, 3))
    for event in range(n):
        if not known[event]:
            continue
        layer[:] = 0.0
        hits[:] = 0.0
        highest, highest_layer, soft, dust = 0.0, 0, 0.0, 0
        for i in range(n_layers):
            centre = int(np.floor(track[event, i] + 0.5))
            for j in range(n_cells):
                energy = float(images[event, i, j])
                if energy <= 0:
                    continue
                distance = j - track[event, i]
                steps = abs(j - centre)
                layer[i, 0] += energy
                layer[i, 1] += energy * distance
                layer[i, 2] += energy * distance * distance
                if steps == 0:
                    layer[i, 3] += energy
                if steps <= 1:
                    layer[i, 4] += energy
                if steps <= 2:
                    layer[i, 5] += energy
                if steps > 5:
                    layer[i, 6] += energy
                if steps > 10:
                    layer[i, 7] += energy
                hits[i, 0] += 1
                if energy > 0.5e-3:
                    hits[i, 1] += 1
                if energy > 2e-3:
                    hits[i, 2] += 1
                else:
                    soft += energy
                if energy < 0.1e-3:
                    dust += 1
                if energy > highest:
                    highest, highest_layer = energy, i
            layer[i, 8] = layer[i, 1] / layer[i, 0] if layer[i, 0] > 0 else np.nan
        total = layer[:, 0].sum()
        if total <= 0:
            continue
        row = out[event]
        for i in range(n_layers):
            energy = layer[i, 0]
            row[i] = energy / total
            row[5 * n_layers + i] = hits[i, 0]
            if energy > 0:
                row[n_layers + i] = np.sqrt(layer[i, 2] / energy)
                row[2 * n_layers + i] = layer[i, 8]
                row[3 * n_layers + i] = layer[i, 4] / energy
                row[4 * n_layers + i] = layer[i, 6] / energy
        k = 6 * n_layers
        for i in range(n_layers - 1):
            if layer[i, 0] > 0 and layer[i + 1, 0] > 0:
                row[k + i] = np.log(layer[i + 1, 0] / layer[i, 0])
        k += n_layers - 1
        for pair in range(n_pairs):
            a, b = 2 * pair, 2 * pair + 1
            energy = layer[a, 0] + layer[b, 0]
            row[k + 3 * n_pairs + pair] = hits[a, 1] + hits[b, 1]
            row[k + 4 * n_pairs + pair] = hits[a, 2] + hits[b, 2]
            row[k + 5 * n_pairs + pair] = layer[b, 8] - layer[a, 8]
            if energy > 0:
                row[k + pair] = (layer[a, 3] + layer[b, 3]) / energy
                row[k + n_pairs + pair] = (layer[a, 5] + layer[b, 5]) / energy
                row[k + 2 * n_pairs + pair] = (layer[a, 7] + layer[b, 7]) / energy
        k += 6 * n_pairs
        for pair in range(n_pairs - 2):
            a, b = 2 * pair, 2 * (pair + 2)
            row[k + pair] = layer[b, 8] + layer[b + 1, 8] - layer[a, 8] - layer[a + 1, 8]
        k += n_pairs - 2
        mean, square = 0.0, 0.0
        for i in range(n_layers):
            mean += i * layer[i, 0] / total
            square += i * i * layer[i, 0] / total
        row[k] = np.log1p(total * 1e3)
        row[k + 1] = np.log1p(highest * 1e3)
        row[k + 2] = highest / total
        row[k + 3] = highest_layer
        row[k + 4] = mean
        row[k + 5] = np.sqrt(max(square - mean * mean, 0.0))
        row[k + 6] = layer[:, 3].sum() / total
        row[k + 7] = layer[:, 4].sum() / total
        row[k + 8] = layer[:, 6].sum() / total
        row[k + 9] = layer[:, 7].sum() / total
        row[k + 10] = hits[:, 0].sum()
        row[k + 11] = hits[:, 1].sum()
        row[k + 12] = hits[:, 2].sum()
        row[k + 13] = soft / total
        row[k + 14] = dust

"""Toy showers with a gamma profile in depth and a core and a tail about the track, of known parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import gamma

from ecalnb.geometry import AMS, Tracks
from ecalnb.showers import Showers

RATE, CORE_WEIGHT, CORE, TAIL = 0.65, 0.8, 4.0, 20.0


def shares(offset: np.ndarray, weight: float = CORE_WEIGHT, core: float = CORE, tail: float = TAIL) -> np.ndarray:
    """Share of each cell at ``offset`` (mm) of its edges, in the last axis, from the axis of the shower."""
    below = sum(w * (1 + offset / np.sqrt(offset**2 + r**2)) / 2 for w, r in ((weight, core), (1 - weight, tail)))
    return np.diff(below, axis=-1)


def layer_parts(maximum: np.ndarray, inclination: np.ndarray, rate: float = RATE) -> np.ndarray:
    """Part of the contained energy in each layer, for a shower maximum in radiation lengths along the track."""
    depth = np.arange(AMS.n_layers + 1) * 17 / AMS.n_layers / np.cos(inclination)[:, None]
    parts = np.diff(gamma.cdf(rate * depth, 1 + rate * maximum[:, None]), axis=1)
    return parts / parts.sum(axis=1, keepdims=True)


def toy_showers(n: int, seed: int, *, proton_share: float = 0.5, quantum: float | None = 0.005) -> Showers:
    """Electrons, and protons that are wider, deeper and off their tracks; equal quanta of energy fluctuate."""
    rng = np.random.default_rng(seed)
    proton = rng.random(n) < proton_share
    energy = np.exp(rng.uniform(np.log(5), np.log(100), n))
    table = pd.DataFrame(
        {
            "file_id": np.full(n, seed),
            "entry": np.arange(n),
            "label": pd.Series(np.where(proton, "proton", "electron"), dtype=object),
            "en3d": energy * rng.normal(1, 0.05, n),
            "track_x": rng.uniform(-200, 200, n),
            "track_y": rng.uniform(-200, 200, n),
            "track_inclination": rng.uniform(0, 0.3, n),
            "track_azimuth": rng.uniform(-np.pi, np.pi, n),
        }
    )
    maximum = np.where(proton, rng.uniform(5, 16, n), 4.2 + 0.95 * np.log(energy) + rng.normal(0, 0.6, n))
    tracks = Tracks.from_table(table)
    moved = Tracks(
        tracks.x + proton * rng.normal(0, 5, n), tracks.y + proton * rng.normal(0, 5, n),
        tracks.inclination, tracks.azimuth,
    )  # fmt: skip
    offset = AMS.cell_edges() - AMS.project(moved)[:, :, None]
    lateral = np.where(proton[:, None, None], shares(offset, 0.6, 7.0, 40.0), shares(offset))
    images = energy[:, None, None] * layer_parts(maximum, tracks.inclination)[:, :, None] * lateral
    if quantum is not None:
        images = rng.poisson(images / quantum) * quantum
    return Showers(images.astype(np.float32), table)

"""A toy detector."""

import numpy as np

from ecalnb.geometry import AMS
from ecalnb.simulation.response import (
    Detector,
    respond,
)

N = 400


def toy(*effects, name="toy"):
    return Detector(name, "", effects)


def response(energy, *effects, n=N, tracks=None, measured=None, geometry=AMS, seed=1):
    """Images in which all cells hold ``energy``, GeV, or that are given, as a detector with these effects sees them."""
    images = np.full((n, *geometry.shape), energy, np.float32) if np.ndim(energy) < 3 else np.float32(energy)
    return respond(images, toy(*effects), geometry, np.random.default_rng(seed), tracks, measured).astype(float)


def some_images(seed, n=3, geometry=AMS):
    """Images with an exponential spectrum in a third of their cells."""
    generator = np.random.default_rng(seed)
    hit = generator.random((n, *geometry.shape)) < 1 / 3
    return (hit * generator.exponential(0.1, hit.shape)).astype(np.float32)

"""Speed of the methods for the shower axis, beside the aims and beside `numpy.polyfit`.

`numpy.polyfit` draws a straight line through the centroids of each view of each event, and does nothing else. Events
are the packaged Geant4 electrons.
"""

import numpy as np
from ratios import Ratio, in_turns

from ecalnb import ntuples
from ecalnb.datasets import load_datasets
from ecalnb.reconstruction import list_methods, reconstruct
from ecalnb.showers import Showers

AIMS = {"center_of_gravity": 20_000.0, "cell_ratios": 20_000.0, "shower_fit_3d": 1_000.0}  # events a second and core


def draw_lines(showers: Showers) -> None:
    """Fit lines through the centroids of the layers, event by event."""
    geometry = showers.geometry
    layers = showers.layer_energies
    centroids = showers.images @ geometry.cell_centers() / np.maximum(layers, 1e-9)
    for view in ("x", "y"):
        chosen = geometry.layers(view)
        for event in range(len(showers)):
            np.polyfit(geometry.layer_depths[chosen], centroids[event, chosen], 1, w=layers[event, chosen])


def rows(quick: bool) -> list[Ratio]:
    """Events a second."""
    showers = ntuples.read(load_datasets()["geant4_electrons"])
    showers = showers[:50] if quick else showers
    some = showers[:1000]
    methods = list_methods()
    for method in methods:
        reconstruct(showers[:10], method)  # compiled, or read from numba's cache
    yardstick = "numpy.polyfit of the centroids"
    tasks = {method: lambda method=method: reconstruct(showers, method) for method in methods}
    sizes = dict.fromkeys(methods, len(showers)) | {yardstick: len(some)}
    rates = in_turns(sizes, {yardstick: lambda: draw_lines(some), **tasks}, 1 if quick else 3)
    reference = rates.pop(yardstick)
    found = [Ratio(name, yardstick, own, reference) for name, own in rates.items()]
    aims = [
        Ratio(name, f"aim of {AIMS[name]:,.0f}", rates[name], (AIMS[name],), 1.0) for name in methods if name in AIMS
    ]
    return found + aims

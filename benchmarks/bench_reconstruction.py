"""Speed of the methods for the shower axis on one core, beside `numpy.polyfit` in the same run.

The yardstick draws a straight line through the centroids of each view of each event, and does nothing else. Events are
the packaged Geant4 electrons. Best of several repetitions.
"""

# ruff: noqa: T201

import time
from collections.abc import Callable

import numpy as np

from ecalnb import ntuples
from ecalnb.datasets import load_datasets
from ecalnb.reconstruction import list_methods, reconstruct
from ecalnb.showers import Showers

YARDSTICK_EVENTS = 1000


def best_time(function: Callable[[], object], repeat: int) -> float:
    """Shortest time of some calls, s."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def draw_lines(showers: Showers) -> None:
    """Fit lines through the centroids of the layers, event by event."""
    geometry = showers.geometry
    layers = showers.layer_energies
    centroids = showers.images @ geometry.cell_centers() / np.maximum(layers, 1e-9)
    for view in ("x", "y"):
        chosen = geometry.layers(view)
        for event in range(len(showers)):
            np.polyfit(geometry.layer_depths[chosen], centroids[event, chosen], 1, w=layers[event, chosen])


def main() -> None:
    """Print events a second and ratios."""
    showers = ntuples.read(load_datasets()["geant4_electrons"])
    some = showers[:YARDSTICK_EVENTS]
    reference = best_time(lambda: draw_lines(some), 3) / len(some)
    print(f"reconstruction: {len(showers)} electrons of 5-100 GeV; numpy.polyfit {1 / reference:,.0f} events/s")
    for method in list_methods():
        reconstruct(showers[:10], method)  # compiled, or read from numba's cache
        ours = best_time(lambda method=method: reconstruct(showers, method), 3) / len(showers)
        print(f"reconstruction: {method}: {1 / ours:,.0f} events/s, {reference / ours:.1f} times as fast")


if __name__ == "__main__":
    main()

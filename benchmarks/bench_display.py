"""Speed of the event display: what Python does when the next event is shown, and how much of a large store is read.

Yardsticks, measured in the same process: the picture that matplotlib draws of one view alone, and reading the whole
store into memory.
"""

# ruff: noqa: T201
from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ecalnb import ntuples
from ecalnb.display import EventDisplay, EventList, Events, view
from ecalnb.display.panel import EventPanel
from ecalnb.showers import Showers
from ecalnb.store import from_showers

EVENTS = 100_000
ROUNDS = 15
LIMIT = 0.2  # s


def main() -> int:
    """Print a line for each benchmark; 1 if showing an event takes too long."""
    sample = ntuples.read(ntuples.load_datasets()["geant4_sample"])
    busy = np.argsort(-np.count_nonzero(sample.images, axis=(1, 2)))[:ROUNDS]
    large = sample[busy]
    print(f"{np.count_nonzero(large.images) / len(large):.0f} hit cells an event; CPU time, the best of {ROUNDS}")
    panel = EventPanel(large.geometry)
    panel._later = lambda _: None  # type: ignore[method-assign]  # the sheet comes after the event is shown

    def single(event: int) -> None:
        figure, ax = plt.subplots()
        view(ax, large.images[event], "x", large.geometry)
        figure.savefig(os.devnull, format="png")
        plt.close(figure)

    def sheet(event: int) -> None:
        panel.shower = large[[event]]
        panel.draw()

    yardstick = best(single)
    shown = best(lambda event: panel.show(large[[event]], row=event))
    for name, seconds in (
        ("matplotlib: one view alone", yardstick),
        ("scene, legend and summary of the next event", shown),
        ("its sheet, drawn after them", best(sheet)),
    ):
        print(f"  {name:46s} {1000 * seconds:7.1f} ms   x {seconds / yardstick:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        browsing(sample, Path(folder))
    return 0 if shown < LIMIT else 1


def best(task: Callable[[int], object]) -> float:
    """Shortest CPU time of a task over the events, s."""
    times = []
    for event in range(ROUNDS):
        start = time.process_time()
        task(event)
        times.append(time.process_time() - start)
    return min(times)


def browsing(sample: Showers, folder: Path) -> None:
    """Open a store, filter and sort it, and show an event, against reading it."""
    chosen = np.random.default_rng(0).integers(0, len(sample), EVENTS)
    many = sample[chosen]
    many.table["entry"] = np.arange(EVENTS)
    store = from_showers(many, folder / "store")
    start = time.perf_counter()
    store.showers(slice(None))
    whole = time.perf_counter() - start
    print(f"Store of {EVENTS:,} events; by the clock")
    start = time.perf_counter()
    display = EventDisplay(folder / "store", event=EVENTS // 2)
    opened = time.perf_counter() - start
    events = EventList(display.events)
    start = time.perf_counter()
    events.choose("label == 'proton' and en3d > 20", "momentum")
    filtered = time.perf_counter() - start
    start = time.perf_counter()
    Events(folder / "store").shower(EVENTS // 3)
    one = time.perf_counter() - start
    rows = {"reading all of it": whole, "opening it": opened, "a filter and a sorting": filtered, "one event": one}
    for name, seconds in rows.items():
        print(f"  {name:46s} {1000 * seconds:7.1f} ms   x {seconds / whole:.3f}")


if __name__ == "__main__":
    sys.exit(main())

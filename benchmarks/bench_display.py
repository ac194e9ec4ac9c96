"""Speed of the event display: what Python does when the next event is shown, and how much of a large store is read.

Yardsticks, measured in the same process: the picture that matplotlib draws of one view alone, and reading the whole
store into memory.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ratios import Ratio, in_turns

from ecalnb import ntuples
from ecalnb.display import EventDisplay, EventList, Events, view
from ecalnb.display.panel import EventPanel
from ecalnb.showers import Showers
from ecalnb.store import from_showers

AIM = 5.0  # events shown a second


def rows(quick: bool) -> list[Ratio]:
    """Pictures a CPU second, and events a CPU second of what looks at a store."""
    rounds = 2 if quick else 15
    sample = ntuples.read(ntuples.load_datasets()["geant4_sample"])
    busy = np.argsort(-np.count_nonzero(sample.images, axis=(1, 2)))[:rounds]
    large = sample[busy]
    panel = EventPanel(large.geometry)
    panel._later = lambda _: None  # type: ignore[method-assign]  # the sheet comes after the event is shown
    turn = iter(np.repeat(np.arange(3 * rounds) % rounds, 2))

    def single() -> None:
        figure, ax = plt.subplots()
        view(ax, large.images[next(turn)], "x", large.geometry)
        figure.savefig(os.devnull, format="png")
        plt.close(figure)

    def show() -> None:
        event = next(turn)
        panel.show(large[[event]], row=event)

    def sheet() -> None:
        panel.shower = large[[next(turn)]]
        panel.draw()

    rates = in_turns(1, {"single": single, "show": show, "sheet": sheet}, rounds)
    yardstick = "matplotlib: one view alone"
    with tempfile.TemporaryDirectory() as folder:
        return [
            Ratio("next event: scene, legend and summary", f"aim of {AIM:.0f}", rates["show"], (AIM,), 1.0),
            Ratio("next event: scene, legend and summary", yardstick, rates["show"], rates["single"]),
            Ratio("its sheet, drawn after them", yardstick, rates["sheet"], rates["single"]),
            *browsing(sample, Path(folder), 2_000 if quick else 100_000),
        ]


def browsing(sample: Showers, folder: Path, n: int) -> list[Ratio]:
    """Open a store, filter and sort it, and show an event, against reading it."""
    many = sample[np.random.default_rng(0).integers(0, len(sample), n)]
    many.table["entry"] = np.arange(n)
    store = from_showers(many, folder / "store")
    events = EventList(EventDisplay(folder / "store", event=n // 2).events)
    rates = in_turns(
        n,
        {
            "all": lambda: store.showers(slice(None)),
            "opening a store": lambda: EventDisplay(folder / "store", event=n // 2),
            "a filter and a sorting": lambda: events.choose("label == 'proton' and en3d > 20", "momentum"),
            "one event": lambda: Events(folder / "store").shower(n // 3),
        },
        2,
    )
    reference = rates.pop("all")
    return [Ratio(f"{name}, {n:,} events", "reading all of it", own, reference) for name, own in rates.items()]

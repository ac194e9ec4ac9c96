"""The figures that trainings leave in their folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..training import LearningRateScan, TrainingRun

__all__ = ["draw_learning_curves", "draw_scan"]

LOSSES = {
    "weighted_bce": "weighted cross-entropy",
    "hinge": "weighted hinge loss",
    "gaussian_nll": "negative log-likelihood",
    "resolution_weighted": "squared residual / $\\sigma^2(E)$ + ln $\\sigma^2(E)$",
}


def draw_learning_curves(run: TrainingRun, store: Path) -> None:
    """Write ``learning_curves`` as PNG and SVG to a run directory."""
    from .. import plots

    with _figure(run.path, "learning_curves", store, run.config["model"]) as ax:
        plots.loss_curves(ax, run.history)
        loss = run.config["loss"]["name"]
        ax.set_ylabel(LOSSES.get(loss, loss))
        ax.legend()


def draw_scan(scan: LearningRateScan, store: Path, model: str) -> None:
    """Write ``learning_rates`` as PNG and SVG to the folder of a search."""
    from .. import plots

    with _figure(scan.path, "learning_rates", store, model) as ax:
        plots.learning_rates(ax, scan.table)


@contextmanager
def _figure(folder: Path, name: str, store: Path, detail: str) -> Iterator[Axes]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from .. import plots

    with plt.style.context(plots.style()):
        figure, ax = plt.subplots()
        try:
            yield ax
            plots.source_label(ax, _source(store), detail)
            plots.save(figure, name, folder)
        finally:
            plt.close(figure)


def _source(path: Path) -> str:
    """Name in a few words where the events of a store come from."""
    from .. import plots
    from ..store import Store

    sources = [source for shard in Store(path).shards for source in shard.sources]
    known = {
        plots.source_text(source["kind"], source.get("simulation") or "") for source in sources if source.get("kind")
    }
    return " + ".join(sorted(known)) or f"events of {path.name}"

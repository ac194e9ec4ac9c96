"""Cuts and models on the same events: log-loss of both mixtures, and selections of the same efficiency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .abundances import natural_weights
from .evaluation import log_loss
from .model import NucleiModel
from .ntuples import read_nuclei
from .protocol import Prior
from .sample import CLASSES, NucleiSample
from .selections import Hypercube, efficiency_and_purity, signal_of, threshold_at, tune_hypercube
from .simulation import Beam, simulate

__all__ = ["ModelCut", "both_domains", "equal_efficiency", "loss_table", "species_table"]


def both_domains(
    beam: Beam, n: int, *, seed: int = 0, data_dir: str | Path | None = None
) -> tuple[NucleiSample, NucleiSample]:
    """Make or read simulated events with truth, and flight events of natural abundance.

    Parameters
    ----------
    beam : Beam
        Species and rigidities to simulate.
    n : int
        Events of either kind to simulate.
    seed : int
        Seed of the simulated events; those of flight-like ones is the next.
    data_dir : path, optional
        Folder with ``mc*.root`` and ``flight*.root`` to read instead.
    """
    if data_dir is not None:
        mc, flight = (read_nuclei(str(Path(data_dir) / f"{name}*.root")) for name in ("mc", "flight"))
        return mc, flight
    natural = Beam(beam.species, "natural", beam.rigidity)
    return simulate(n, beam, seed=seed), simulate(n, natural, domain="flight", seed=seed + 1)


def loss_table(
    models: Mapping[str, NucleiModel], sample: NucleiSample, natural: Prior, weights: npt.ArrayLike
) -> pd.DataFrame:
    """Log-loss of models for equal abundance, and for natural one with and without the correction of the prior.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``mixture`` (equal abundance, natural without the correction, natural), ``log_loss`` and its error,
        and ``seconds`` of the training.
    """
    rows = []
    for name, model in models.items():
        labels, plain = sample.classes(model.species), model.predict(sample)
        corrected = natural.correct(plain, sample.values, model.prior)
        for mixture, p, w in (
            ("equal abundance", plain, None),
            ("natural abundance, not corrected", plain, weights),
            ("natural abundance", corrected, weights),
        ):
            loss = log_loss(p, labels, w)
            row = {"model": name, "mixture": mixture, "log_loss": loss.value, "log_loss_error": loss.error}
            rows.append(row | {"seconds": model.seconds})
    return pd.DataFrame(rows)


class ModelCut:
    """A cut on the probability that a model gives to the intact class of a species, at natural abundance.

    Parameters
    ----------
    model : NucleiModel
        The model.
    natural : Prior
        The natural mixture of classes.
    cuts : Hypercube
        Cuts on the same species, whose efficiency `tune` takes over.
    edges : array_like, optional
        Edges of bins of the measured rigidity, GV, with a threshold each; one for all unless told.
    """

    def __init__(
        self, model: NucleiModel, natural: Prior, cuts: Hypercube, edges: npt.ArrayLike = (0.0, np.inf)
    ) -> None:
        self.model, self.natural, self.cuts, self.edges = model, natural, cuts, np.asarray(edges, dtype=float)
        self.number = model.classes.index(f"{cuts.nucleus.name} {CLASSES[-1]}")
        self.thresholds = np.full(len(self.edges) - 1, np.nan)

    def _bins(self, sample: NucleiSample) -> npt.NDArray[np.intp]:
        rigidity = np.abs(sample.column("rigidity_inner"))
        return np.clip(np.searchsorted(self.edges, rigidity, side="right") - 1, 0, len(self.thresholds) - 1)

    def score(self, sample: NucleiSample) -> npt.NDArray[np.float64]:
        """Probability of the class for each event."""
        return np.asarray(self.model.predict(sample, self.natural)[:, self.number])

    def tune(self, sample: NucleiSample) -> ModelCut:
        """Set the thresholds that have the efficiency of the cuts on a sample, which is not the test.

        Raises
        ------
        ValueError
            If a bin has no signal.
        """
        signal, weights = signal_of(sample, self.cuts.nucleus), natural_weights(sample)
        score, passed, bins = self.score(sample), self.cuts.passes(sample), self._bins(sample)
        for number in range(len(self.thresholds)):
            own = signal & (bins == number)
            share = efficiency_and_purity(passed, own, weights)["efficiency"].iloc[0]
            self.thresholds[number] = threshold_at(score, own, float(np.clip(share, 1e-6, 1 - 1e-6)), weights)
        return self

    def passes(self, sample: NucleiSample) -> npt.NDArray[np.bool_]:
        """Which events are above the threshold."""
        return np.asarray(self.score(sample) >= self.thresholds[self._bins(sample)])


def equal_efficiency(
    models: Mapping[str, NucleiModel],
    natural: Prior,
    cuts: Hypercube,
    validation: NucleiSample,
    edges: npt.ArrayLike = (0.0, np.inf),
) -> dict[str, Callable[[NucleiSample], npt.NDArray[np.bool_]]]:
    """Give selections of a species by name: ``cuts``, and each model at their efficiency on validation events.

    With edges the efficiencies are the same in each bin of rigidity; see `ModelCut`.
    """
    tuned = {name: ModelCut(model, natural, cuts, edges).tune(validation).passes for name, model in models.items()}
    return {"cuts": cuts.passes, **tuned}


def species_table(
    model: NucleiModel, natural: Prior, train: NucleiSample, validation: NucleiSample, test: NucleiSample
) -> pd.DataFrame:
    """Efficiency and purity of cuts and of a model for each species.

    Cuts are tuned on training events, the model's threshold on validation events, and both are measured on test events.

    Returns
    -------
    pandas.DataFrame
        A row for each species and selection: ``species``, ``selection``, and the columns of
        :func:`ecalnb.nuclei.selections.efficiency_and_purity`.
    """
    rows, weights, w_train = [], natural_weights(test), natural_weights(train)
    for nucleus in model.species:
        cuts = tune_hypercube(train, nucleus, w_train)
        signal = signal_of(test, nucleus)
        for name, select in equal_efficiency({model.kind: model}, natural, cuts, validation).items():
            row = efficiency_and_purity(select(test), signal, weights)
            rows.append(row.assign(species=nucleus.name, selection=name))
    return pd.concat(rows, ignore_index=True)

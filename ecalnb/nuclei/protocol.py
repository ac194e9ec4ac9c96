"""Training and test samples, and probabilities for another mixture of classes.

As in the talk that this follows, training events are simulated ones and flight events that pass tight cuts, with each
species as abundant as any other; test events have natural abundance. A model that was trained so gives probabilities
for its training mixture; `Prior` turns them into those of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._toml import read_toml
from ..splits import Split, split_of
from .parameters import PARAMETER_FILE, Nucleus
from .sample import CLASSES, NucleiSample

__all__ = ["Prior", "TrainingSet", "in_sample", "mix", "tight_species"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_RIGIDITY_EDGES = tuple(float(edge) for edge in (0.0, *np.geomspace(3, 1000, 11), np.inf))


class TrainingSet(NamedTuple):
    """Events to train on.

    Parameters
    ----------
    values : array, shape (n, columns)
        Variables.
    labels : array of int, shape (n,)
        Classes.
    weights : array, shape (n,)
        Weights; their mean is 1.
    prior : Prior
        The mixture of classes that the weights make.
    """

    values: npt.NDArray[np.float32]
    labels: IntArray
    weights: npt.NDArray[np.float32]
    prior: Prior


@dataclass(frozen=True)
class Prior:
    """Shares of classes in bins of the measured rigidity.

    Parameters
    ----------
    shares : array, shape (bins, classes)
        Shares, whose sum over classes is 1 in each bin.
    edges : array, shape (bins + 1,)
        Edges of the bins, GV, from 0 to infinity.
    """

    shares: FloatArray
    edges: FloatArray = field(default_factory=lambda: np.array(_RIGIDITY_EDGES))

    @classmethod
    def of(
        cls,
        values: npt.NDArray[np.float32],
        labels: npt.ArrayLike,
        n_classes: int,
        weights: npt.ArrayLike | None = None,
    ) -> Prior:
        """Shares in a sample, with half an event's weight more in each class so that none is 0.

        Parameters
        ----------
        values : array, shape (n, columns)
            Variables.
        labels : array_like of int, shape (n,)
            Classes; those below 0 do not count.
        n_classes : int
            Number of classes.
        weights : array_like, optional
            Weights.
        """
        classes = np.asarray(labels)
        w = np.ones(len(classes)) if weights is None else np.asarray(weights, dtype=float)
        used = classes >= 0
        edges = np.array(_RIGIDITY_EDGES)
        cell = _bins(values, edges)[used] * n_classes + classes[used]
        size = (len(edges) - 1) * n_classes
        sums = np.bincount(cell, w[used], minlength=size).reshape(-1, n_classes)
        # Rare cells are filled up in proportion to the shares of all rigidities.
        whole = (sums.sum(axis=0) + 0.5 * w[used].min()) / sums.sum()
        sums = sums + 5 * w[used].mean() * whole / whole.sum()
        return cls(sums / sums.sum(axis=1, keepdims=True), edges)

    def at(self, values: npt.NDArray[np.float32]) -> FloatArray:
        """Shares for events, shape (n, classes), by their measured rigidity."""
        return np.asarray(self.shares[_bins(values, self.edges)])

    def correct(self, probabilities: npt.ArrayLike, values: npt.NDArray[np.float32], trained: Prior) -> FloatArray:
        """Turn probabilities of the mixture of training into those of this one.

        By Bayes' theorem ``p'(k) ~ p(k) pi'(k) / pi(k)``: M. Saerens, P. Latinne and C. Decaestecker, Neural Comput. 14
        (2002) 21, eq. 2.4. Exact if the distribution of the variables within each class and bin is the same in both.

        Parameters
        ----------
        probabilities : array_like, shape (n, classes)
            Of the model.
        values : array, shape (n, columns)
            Variables of the events.
        trained : Prior
            The mixture of training.
        """
        p = np.asarray(probabilities, dtype=float)
        if p.ndim != 2 or p.shape[1] != self.shares.shape[1]:
            raise ValueError(f"probabilities have shape {p.shape}; expected {self.shares.shape[1]} classes")
        scaled = p * self.at(values) / trained.at(values)
        return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))


def _bins(values: npt.NDArray[np.float32], edges: FloatArray) -> npt.NDArray[np.intp]:
    """Bin of the measured rigidity (of the inner tracker; its size, as it may have the wrong sign)."""
    from .schema import load_nuclei_schema

    rigidity = np.abs(values[:, load_nuclei_schema().offsets["rigidity_inner"]])
    return np.clip(np.searchsorted(edges, rigidity, side="right") - 1, 0, len(edges) - 2)  # NaN: the last


def in_sample(sample: NucleiSample, name: str) -> NucleiSample:
    """Events of a part of the packaged split: ``train``, ``validation`` or ``test``.

    Raises
    ------
    ValueError
        If there is no such part, or the events have no keys.
    """
    if name not in ("train", "validation", "test"):
        raise ValueError(f"sample is {name!r}; expected one of train, validation, test")
    if sample.keys is None:
        raise ValueError("these events have no keys; expected those of a file or of a simulation")
    split = Split("nuclei", fit=0.0, **read_toml(PARAMETER_FILE)["split"])
    return sample[split_of(sample.keys[:, 0], sample.keys[:, 1], split) == name]


def tight_species(sample: NucleiSample, species: Sequence[Nucleus], width: float = 0.3) -> IntArray:
    """Class of flight events by tight cuts: ``intact`` of the species that all detectors agree on, -1 for others.

    The charges by L1, both halves of the TOF and the inner tracker are within a window around the same whole number
    (wider by half for the TOF and L1, and growing with the charge as the resolutions do), no layer of the inner tracker
    stands out, and the track fits. Nothing of the truth is used.

    Parameters
    ----------
    sample : NucleiSample
        The events.
    species : sequence of Nucleus
        Species to look for.
    width : float
        Half width of the window of the inner tracker at charge 6.
    """
    inner = sample.column("trk_q_inner")
    charge = np.rint(inner)
    scale = width * (0.5 + charge / 12)
    good = np.abs(inner - charge) < scale
    for name in ("trk_q_l1", "tof_q_upper", "tof_q_lower"):
        good &= np.abs(sample.column(name) - charge) < 2.0 * scale
    good &= (sample.column("trk_q_inner_rms") < 2.0 * scale) & (sample.column("trk_chi2_y") < 5)
    number = {each.charge: k for k, each in enumerate(species)}
    label = np.array([number.get(int(z), -1) for z in np.where(np.isfinite(charge), charge, -1)])
    return np.where(good & (label >= 0), len(CLASSES) * label + len(CLASSES) - 1, -1)


def mix(
    simulated: NucleiSample,
    species: Sequence[Nucleus],
    flight: NucleiSample | None = None,
    flight_share: float = 0.2,
) -> TrainingSet:
    """Mix simulated and tightly selected flight events, with each species as abundant as any other.

    Parameters
    ----------
    simulated : NucleiSample
        Events with truth; those of other species are left out.
    species : sequence of Nucleus
        Species of the classes.
    flight : NucleiSample, optional
        Flight events; their truth, should they have one, is not used.
    flight_share : float
        Share of the weight of each species' intact class that its flight events get, if it has any.

    Raises
    ------
    ValueError
        If a species has no simulated events, or the share is not a number from 0 to below 1.
    """
    if not 0 <= flight_share < 1:
        raise ValueError(f"flight_share is {flight_share!r}; expected a number from 0 to below 1")
    labels = simulated.classes(species)
    values, labels = simulated.values[labels >= 0], labels[labels >= 0]
    source = np.zeros(len(labels), dtype=bool)
    if flight is not None:
        tight = tight_species(flight, species)
        values = np.concatenate([values, flight.values[tight >= 0]])
        labels = np.concatenate([labels, tight[tight >= 0]])
        source = np.concatenate([source, np.ones(np.count_nonzero(tight >= 0), dtype=bool)])
    weights = np.ones(len(labels))
    for number, each in enumerate(species):
        own = labels // len(CLASSES) == number
        if not (own & ~source).any():
            raise ValueError(f"there are no simulated events of {each.name} to train on; expected some")
        intact = (labels == len(CLASSES) * number + len(CLASSES) - 1) & own
        if (count := np.count_nonzero(intact & source)) and (there := np.count_nonzero(intact & ~source)):
            weights[intact & source] = flight_share * there / count
            weights[intact & ~source] = 1 - flight_share
        weights[own] /= weights[own].sum()
    weights *= len(labels) / weights.sum()
    prior = Prior.of(values, labels, len(CLASSES) * len(species), weights)
    return TrainingSet(values, labels, weights.astype(np.float32), prior)

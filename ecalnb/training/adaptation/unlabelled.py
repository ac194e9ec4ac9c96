"""What can be said of a model on a target without labels: numbers of its predictions and features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize, special

from ..batches import BatchLoader, EventSource
from ..weights import Classifier

__all__ = ["domain_probabilities", "features_of", "importance_weighted_loss", "mean_entropy"]

FloatArray = npt.NDArray[np.float64]

_FOLDS = 3


@torch.inference_mode()
def features_of(
    network: Classifier, store: EventSource, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Logits of events of a store, (n,), and their features, which the last layer is applied to, (n, d)."""
    model: Any = network.model
    device = next(model.parameters()).device
    table = store.table(["file_id", *network.inputs.columns]).iloc[rows]
    columns = {name: table[name].to_numpy() for name in network.inputs.columns}
    logits, features = [], []
    for batch in BatchLoader(store, rows, columns, 512):
        image = network.inputs({name: values.to(device) for name, values in batch.items()})
        maps = model.forward_features(image.contiguous(memory_format=torch.channels_last))
        features.append(model.forward_head(maps, pre_logits=True))
        logits.append(model.get_classifier()(features[-1]).squeeze(-1))
    return torch.cat(logits).double().cpu().numpy(), torch.cat(features).flatten(1).double().cpu().numpy()


def mean_entropy(logits: npt.ArrayLike) -> float:
    """Mean entropy of the predictions, ln 2 at most; small where a model is sure, rightly or not."""
    probability = special.expit(np.asarray(logits, dtype=np.float64))
    return float(np.mean(special.entr(probability) + special.entr(1 - probability)))


def domain_probabilities(
    source: npt.ArrayLike, target: npt.ArrayLike, *, seed: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Probabilities to be of the target, by a linear classifier of the features that has not seen the event.

    Logistic regression on standardised features with the penalty of weights that has one event's weight, on two of
    three folds for the third; both domains count the same.

    Parameters
    ----------
    source, target : array, shape (n, d) and (m, d)
        Features.
    seed : int
        Of the folds.

    Returns
    -------
    source, target : array, shape (n,) and (m,)
        Probability for each event.
    """
    x = np.concatenate([np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)])
    y = np.arange(len(x)) >= len(np.asarray(source))
    width = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(width > 0, width, 1)
    x = np.column_stack([x, np.ones(len(x))])
    folds = np.random.default_rng(seed).permutation(len(x)) % _FOLDS
    result = np.empty(len(x))
    for fold in range(_FOLDS):
        rest = folds != fold
        result[~rest] = special.expit(x[~rest] @ _logistic(x[rest], y[rest]))
    return result[~y], result[y]


def _logistic(x: FloatArray, y: npt.NDArray[np.bool_]) -> FloatArray:
    """Weights of a logistic regression, the last without penalty."""
    sign = np.where(y, 1.0, -1.0)
    share = np.where(y, 1 / max(y.sum(), 1), 1 / max((~y).sum(), 1)) / 2
    decay = np.append(np.full(x.shape[1] - 1, 1 / len(x)), 0.0)

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        margin = sign * (x @ w)
        value = share @ np.logaddexp(0, -margin) + 0.5 * decay @ w**2
        return float(value), -(share * sign * special.expit(-margin)) @ x + decay * w

    return optimize.minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x


def importance_weighted_loss(losses: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[float, float]:
    """Loss on source events weighted to the target, with a control variate.

    M. Sugiyama, M. Krauledat and K.-R. Müller, J. Mach. Learn. Res. 8 (2007) 985, with the density ratio from a
    classifier of the domains, p / (1 - p), and the control variate of K. You et al., ICML 2019 (deep embedded
    validation), algorithm 1: the mean weight is known to be 1. Right where the domains differ in how often features
    occur, and not in what they mean.

    Parameters
    ----------
    losses : array, shape (n,)
        Of source validation events.
    probabilities : array, shape (n,)
        Of these events to be of the target, from a classifier for which both domains count the same.

    Returns
    -------
    loss : float
        Weighted mean.
    effective_events : float
        (sum w)² / sum w².
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-6, 1 - 1e-6)
    weights = p / (1 - p)
    weighted = weights * np.asarray(losses, dtype=np.float64)
    variance = weights.var()
    slope = -np.cov(weighted, weights, bias=True)[0, 1] / variance if variance > 0 else 0.0
    return float(weighted.mean() + slope * (weights.mean() - 1)), float(weights.sum() ** 2 / (weights**2).sum())

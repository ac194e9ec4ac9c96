"""Choosing among trainings for a target without labels, or by a labelled part of it.

Scores without labels are guesses: each rests on an assumption that a real shift may break, which is why several are
given. What is chosen by labels of the target's validation events is no longer a choice without labels: a table and the
function that chooses say which it was.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...metrics import rejection_curve
from ..batches import EventSource
from ..data import EcalDataModule, Selection
from ..errors import TrainingError
from ..losses import make_loss
from ..recipes import Recipe
from ..rundir import TrainingRun
from ..weights import Classifier, load_network
from .priors import share_by_confusion
from .response import MatchedSource, ResponseMatching
from .target import TargetEvents
from .unlabelled import domain_probabilities, features_of, importance_weighted_loss, mean_entropy

__all__ = ["CRITERIA", "choose_run", "score_choices"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

CRITERIA = {
    "source_loss": "loss on source validation events",
    "entropy": "mean entropy of the predictions for the target",
    "domain_accuracy": "accuracy with which a linear classifier tells the domains by the features",
    "weighted_loss": "loss on source validation events, weighted to the target",
    "labelled_loss": "loss on labelled validation events of the target",
    "labelled_background_90": "background that passes at 90 % signal efficiency, on labelled events of the target",
}
"""What a training may be chosen by, the smallest in each case, and what it is. Only the last two use labels of the
target, as B. Türk et al. (2024) did."""


def score_choices(
    runs: Iterable[TrainingRun | str | Path],
    source: EventSource,
    target: EventSource,
    *,
    labelled: EventSource | None = None,
    window: tuple[float | None, float | None] | None = None,
    selection: Selection | None = None,
    events: int = 4000,
    seed: int = 1,
) -> pd.DataFrame:
    """Compute what trainings can be chosen by; test events take no part.

    Parameters
    ----------
    runs : iterable of TrainingRun or path
        The trainings.
    source, target : EventSource
        The stores of both domains. Of the source the validation events of each training's recipe count, of the target
        the events of the recipe's validation sample too; its labels are ignored.
    labelled : EventSource, optional
        Labelled events of the target domain; those of the recipe's validation sample count.
    window : (float, float), optional
        Of ``en3d`` of the target's events, GeV; that of the recipe's validation events unless told.
    selection : callable, optional
        Cut on the source events.
    events : int
        Events of each domain, at most.
    seed : int
        Of the choice of the events and of the folds of the domain classifier.

    Returns
    -------
    pandas.DataFrame
        A row for each run, with the columns of :data:`CRITERIA`, ``effective_events`` (how many unweighted events the
        weighted ones are worth), ``target_share`` and ``target_share_error`` (estimated share of signal).
    """
    rows = []
    for item in runs:
        run = item if isinstance(item, TrainingRun) else TrainingRun.load(item)
        network = load_network(run.path)
        fields = {key: value for key, value in run.info["recipe"].items() if key != "description"}
        recipe = Recipe(**fields)
        response = run.info.get("adaptation", {}).get("response")
        ours = MatchedSource(source, ResponseMatching.from_dict(response)) if response else source
        rows.append({"run": run.name, "adaptation": run.info.get("adaptation", {}).get("name", "none")})
        data = EcalDataModule(ours, recipe, inputs=network.inputs, selection=selection)
        chosen = _some(data.rows["validation"], events, seed)
        s_logits, s_features = features_of(network, ours, chosen)
        limits = window or recipe.window("validation")
        sample = recipe.validation_sample
        theirs = TargetEvents(target, source, network.inputs, split=recipe.split, sample=sample, window=limits)
        t_logits, t_features = features_of(network, target, _some(theirs.rows, events, seed))
        rows[-1].update(_without_labels(s_logits, data.target[chosen], t_logits, s_features, t_features, seed))
        if labelled is not None:
            rows[-1].update(_with_labels(network, labelled, recipe, limits))
    return pd.DataFrame(rows)


def choose_run(table: pd.DataFrame, by: str) -> str:
    """Name of the run that is best by a criterion.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`score_choices` returns it.
    by : str
        One of :data:`CRITERIA`.

    Raises
    ------
    TrainingError
        If there is no such criterion, or no number for it.
    """
    if by not in CRITERIA or by not in table:
        known = ", ".join(name for name in CRITERIA if name in table)
        raise TrainingError(f"runs cannot be chosen by {by!r}; expected one of {known}")
    if not table[by].notna().any():
        raise TrainingError(f"no run has a {by}; expected at least one")
    values = table[by].to_numpy(dtype=np.float64)
    position = int(np.nanargmin(values))
    name = str(table["run"].iloc[position])
    log.info("%s is best by the %s, %.5g", name, CRITERIA[by], values[position])
    return name


def _without_labels(
    source: FloatArray, signal: FloatArray, target: FloatArray, f_source: FloatArray, f_target: FloatArray, seed: int
) -> dict[str, float]:
    losses = _class_balanced(source, signal > 0.5)
    p_source, p_target = domain_probabilities(f_source, f_target, seed=seed)
    weighted, effective = importance_weighted_loss(losses, p_source)
    share = share_by_confusion(source[signal > 0.5], source[signal < 0.5], target)
    return {
        "source_loss": float(losses.mean()),
        "entropy": mean_entropy(target),
        "domain_accuracy": float((np.mean(p_source < 0.5) + np.mean(p_target >= 0.5)) / 2),
        "weighted_loss": weighted,
        "effective_events": effective,
        "target_share": share.value,
        "target_share_error": share.error,
    }


def _with_labels(
    network: Classifier, store: EventSource, recipe: Recipe, window: tuple[float | None, float | None]
) -> dict[str, float]:
    fields = {**recipe.to_dict(), "validation_energy_min": window[0], "validation_energy_max": window[1]}
    # Training events of this store do not take part, so they may be any of it.
    choice = Recipe(**{**fields, "train_sample": recipe.validation_sample, "train_events": 0,
                       "energy_min": window[0], "energy_max": window[1], "planing": False})  # fmt: skip
    data = EcalDataModule(store, choice, inputs=network.inputs)
    rows = data.rows["validation"]
    logits, _ = features_of(network, store, rows)
    signal = data.target[rows] > 0.5
    background = 1 / rejection_curve(logits[signal], logits[~signal], [0.9])["rejection"][0]
    return {
        "labelled_loss": float(_class_balanced(logits, signal).mean()),
        "labelled_background_90": float(background),
        "labelled_signal": int(signal.sum()),
        "labelled_background": int((~signal).sum()),
    }


def _class_balanced(logits: FloatArray, signal: npt.NDArray[np.bool_]) -> FloatArray:
    """Cross-entropy of each event, with weights for which both classes count the same."""
    loss = make_loss("weighted_bce", int(signal.sum()), int((~signal).sum())).to_dict()
    weights = np.where(signal, loss["signal_weight"], loss["background_weight"])
    return weights * np.logaddexp(0, np.where(signal, -logits, logits))


def _some(rows: npt.NDArray[np.int64], events: int, seed: int) -> npt.NDArray[np.int64]:
    return rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:events])]

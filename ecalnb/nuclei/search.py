"""A search of hyper-parameters with optuna (T. Akiba et al., arXiv:1907.10902), which goes on where it was stopped."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from .model import MODELS, train_model
from .parameters import Nucleus
from .protocol import TrainingSet

if TYPE_CHECKING:
    import optuna

__all__ = ["search"]

log = logging.getLogger(__name__)


def _trees(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "eta": trial.suggest_float("eta", 0.1, 0.6, log=True),
        "max_depth": trial.suggest_int("max_depth", 3, 8),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 30.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.3, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
    }


def _network(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 2e-4, 5e-3, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "network": {
            "width": 32 * trial.suggest_int("width", 1, 8),
            "dropout": trial.suggest_float("dropout", 0.0, 0.3),
        },
    }


SPACES: dict[str, Callable[[optuna.Trial], dict[str, Any]]] = {
    kind: _trees if kind == "xgboost" else _network for kind in MODELS
}
"""What is searched, by kind of model."""


def search(
    kind: str,
    train: TrainingSet,
    validation: TrainingSet,
    species: tuple[Nucleus, ...],
    folder: str | Path,
    trials: int,
    *,
    seed: int = 0,
    threads: int = 2,
    **fixed: Any,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Search the settings of the least log-loss on validation events.

    The study is a SQLite file in the folder. Started again, the search makes only the trials that are missing; one that
    was interrupted is made anew. A study belongs to its data: give other data another folder.

    Parameters
    ----------
    kind : str
        Kind of model.
    train, validation, species, seed, threads
        As of :func:`ecalnb.nuclei.model.train_model`.
    folder : path
        Of the study; made if it is not there.
    trials : int
        Trainings in all.
    **fixed
        Settings that are not searched.

    Returns
    -------
    settings : dict
        The best ones, with those that are fixed.
    table : pandas.DataFrame
        A row a trial: ``trial``, ``loss``, ``seconds``, and what was tried.

    Raises
    ------
    ValueError
        If no model is of that kind, or ``trials`` is not positive.
    """
    import optuna

    if kind not in SPACES:
        raise ValueError(f"no model is named {kind!r}; expected one of {', '.join(SPACES)}")
    if trials < 1:
        raise ValueError(f"trials is {trials}; expected 1 or more")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        settings = {**SPACES[kind](trial), **fixed}
        trial.set_user_attr("settings", json.dumps(settings))
        model = train_model(kind, train, validation, species, seed=seed, threads=threads, **settings)
        trial.set_user_attr("seconds", model.seconds)
        return float(model.history["val_loss"].min())

    try:
        study = optuna.create_study(study_name=kind, storage=f"sqlite:///{folder / 'study.db'}", load_if_exists=True)
        done = len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE]))
        # The sampler's state is not in the file; with a seed of its own, what comes after a stop repeats nothing.
        study.sampler = optuna.samplers.TPESampler(seed=seed + done)
        log.info("%s: %d of %d trials are there", folder, done, trials)
        study.optimize(objective, n_trials=max(trials - done, 0))
    finally:
        optuna.logging.set_verbosity(verbosity)
    complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    rows = [
        {"trial": each.number, "loss": each.value, "seconds": each.user_attrs["seconds"], **each.params}
        for each in complete
    ]
    best: dict[str, Any] = json.loads(study.best_trial.user_attrs["settings"])
    return best, pd.DataFrame(rows)

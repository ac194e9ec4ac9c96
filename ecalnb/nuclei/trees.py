"""XGBoost for the classes of nuclei: T. Chen and C. Guestrin, proc. 22nd ACM SIGKDD (2016) 785."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .protocol import TrainingSet
from .schema import load_nuclei_schema

if TYPE_CHECKING:
    import xgboost

__all__ = ["TreeSettings", "predict_trees", "train_trees", "tree_contributions"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TreeSettings:
    """Hyper-parameters, as XGBoost calls them.

    Parameters
    ----------
    eta, max_depth, min_child_weight, subsample, colsample_bytree, max_bin
        Shrinkage of each tree, its depth, least weight of a leaf, shares of events and variables that each tree sees,
        and bins of each variable.
    rounds, patience : int
        Most rounds, and rounds without a better log-loss on validation events after which to stop. A round has a tree
        for each class.
    """

    eta: float = 0.3
    max_depth: int = 6
    min_child_weight: float = 5.0
    subsample: float = 0.5
    colsample_bytree: float = 0.5
    max_bin: int = 64
    rounds: int = 200
    patience: int = 5


def train_trees(
    train: TrainingSet, validation: TrainingSet, settings: TreeSettings, *, seed: int = 0, threads: int = 2
) -> tuple[xgboost.Booster, pd.DataFrame]:
    """Train with early stopping, and keep the best round.

    Parameters
    ----------
    train, validation : TrainingSet
        Events to train on and to stop by. NaN is a value of its own to the trees.
    settings : TreeSettings
        Hyper-parameters.
    seed, threads : int
        Seed of the sampling, and threads.

    Returns
    -------
    booster : xgboost.Booster
        Trees up to the best round.
    history : pandas.DataFrame
        Log-loss of each round: ``epoch``, ``train_loss``, ``val_loss``.
    """
    import xgboost

    columns = list(load_nuclei_schema().columns)
    shared: dict[str, Any] = {"feature_names": columns, "max_bin": settings.max_bin, "nthread": threads}
    matrix = xgboost.QuantileDMatrix(train.values, train.labels, weight=train.weights, **shared)
    held_out = xgboost.QuantileDMatrix(
        validation.values, validation.labels, weight=validation.weights, ref=matrix, **shared
    )
    parameters: dict[str, Any] = asdict(settings)
    rounds, patience = parameters.pop("rounds"), parameters.pop("patience")
    parameters |= {"objective": "multi:softprob", "eval_metric": "mlogloss", "tree_method": "hist"}
    parameters |= {"num_class": train.prior.shares.shape[1], "seed": seed, "nthread": threads}
    losses: dict[str, Any] = {}
    booster = xgboost.train(
        parameters,
        matrix,
        rounds,
        evals=[(matrix, "train"), (held_out, "val")],
        early_stopping_rounds=patience,
        evals_result=losses,
        verbose_eval=False,
    )
    history = pd.DataFrame({f"{name}_loss": losses[name]["mlogloss"] for name in ("train", "val")})
    history.insert(0, "epoch", np.arange(len(history)))
    log.info(
        "XGBoost: best of %d rounds is %d, log-loss %.4f", len(history), booster.best_iteration, booster.best_score
    )
    return booster[: booster.best_iteration + 1], history


def predict_trees(
    booster: xgboost.Booster, values: npt.NDArray[np.float32], threads: int = 2
) -> npt.NDArray[np.float32]:
    """Probabilities of the classes, shape (n, classes)."""
    booster.set_param({"nthread": threads})
    return np.asarray(booster.inplace_predict(values, validate_features=False))


def tree_contributions(
    booster: xgboost.Booster, values: npt.NDArray[np.float32], number: int
) -> npt.NDArray[np.float32]:
    """SHAP values of the variables for the logit of a class, shape (n, columns): exact, by the trees' own algorithm.

    S. Lundberg et al., Nat. Mach. Intell. 2 (2020) 56 (TreeSHAP).
    """
    import xgboost

    matrix = xgboost.DMatrix(values, feature_names=list(load_nuclei_schema().columns))
    return np.asarray(booster.predict(matrix, pred_contribs=True)[:, number, :-1])

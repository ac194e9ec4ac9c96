"""Judges: classifiers that try to tell a simulation from a reference.

If they cannot, their area under the ROC curve is 0.5; a perfect one finds 1. The test is the field's standard one for
fast simulations (C. Krause and D. Shih, Phys. Rev. D 107 (2023) 113003; the CaloChallenge, arXiv:2410.21611). There are
two of them, because a network alone flatters: a BDT on the features of :mod:`ecalnb.validation.features`, and the
package's small convolutional network on the cells about the track. Their settings are frozen in ``data/judges.toml``.

Both are trained on events of the sample ``train``, stop early by ``validation`` and are judged on ``test``; events of
the sample ``fit`` take no part. While a simulation is developed, ``evaluate_on="validation"`` keeps ``test`` unseen:
the events of ``train`` and ``validation`` are then divided anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._toml import DATA, read_toml
from ..metrics import Auc, roc_auc
from ..showers import Showers
from ..splits import Split, split_of
from ..variables import mip_like
from .conditions import ValidationError, common_footing, match
from .features import shower_features
from .judgement import MINIMUM, Judgement

__all__ = ["JUDGES", "EvaluateOn", "Judgement", "bdt_auc", "cnn_auc", "judge_settings", "learning_curve"]

EvaluateOn = Literal["test", "validation"]


@cache
def judge_settings() -> dict[str, Any]:
    """Return the frozen settings, ``data/judges.toml``."""
    return read_toml(DATA / "judges.toml")


def bdt_auc(
    reference: Showers,
    candidate: Showers,
    *,
    seed: int = 1,
    threshold: float = 0.0,
    evaluate_on: EvaluateOn = "test",
    n_train: int | None = None,
    crossing: bool = False,
    threads: int = 1,
) -> Judgement:
    """Judge a simulation by a BDT (xgboost) on about 200 features of each shower.

    Parameters
    ----------
    reference, candidate : Showers
        Events of one species under the same conditions: best, the candidate is simulated at the energies and tracks of
        the reference, event by event; see :func:`ecalnb.validation.conditions.match`.
    seed : int
        Seed of the training, and of the choice of `n_train` events.
    threshold : float
        Cells below it are set to zero in both, GeV.
    evaluate_on : {"test", "validation"}
        Judge on the sample ``test``; or leave it unseen and divide the other events anew.
    n_train : int, optional
        Train on so many events of each kind; all there are unless told.
    crossing : bool
        Whether events in which the particle crosses without a shower (:func:`ecalnb.variables.mip_like`) take part.
        They are half of all protons and easy to simulate: with them every judge is closer to 0.5.
    threads : int
        Threads of xgboost.

    Raises
    ------
    ValidationError
        If the samples cannot be compared or there are fewer than 20 events of either in a sample.
    """
    import xgboost

    events = _prepare(reference, candidate, seed, threshold, evaluate_on, n_train, crossing)
    settings = dict(judge_settings()["bdt"])
    rounds, patience = settings.pop("rounds"), settings.pop("patience")
    features = shower_features(events.showers)
    data = {
        name: xgboost.DMatrix(features.iloc[rows], label=events.is_reference[rows])
        for name, rows in events.rows.items()
    }
    booster = xgboost.train(
        {**settings, "objective": "binary:logistic", "eval_metric": "logloss", "seed": seed, "nthread": threads},
        data["train"],
        rounds,
        evals=[(data["validation"], "validation")],
        early_stopping_rounds=patience,
        verbose_eval=False,
    )
    margin = booster.predict(data["test"], output_margin=True, iteration_range=(0, booster.best_iteration + 1))
    gain = booster.get_score(importance_type="total_gain")
    total = sum(gain.values()) or 1.0
    importance = {name: gain[name] / total for name in sorted(gain, key=gain.__getitem__, reverse=True)}
    return events.judgement("bdt", margin, importance)


def cnn_auc(
    reference: Showers,
    candidate: Showers,
    *,
    seed: int = 1,
    threshold: float = 0.0,
    evaluate_on: EvaluateOn = "test",
    n_train: int | None = None,
    crossing: bool = False,
    threads: int | None = None,
    device: str = "auto",
) -> Judgement:
    """Judge a simulation by the package's small convolutional network on the cells about the track.

    Parameters
    ----------
    reference, candidate, seed, threshold, evaluate_on, n_train, crossing
        As for `bdt_auc`.
    threads, device
        Of torch; see :func:`ecalnb.training.train`.

    Raises
    ------
    ValidationError
        As `bdt_auc`.
    """
    from .network import train_and_score

    events = _prepare(reference, candidate, seed, threshold, evaluate_on, n_train, crossing)
    score = train_and_score(events.showers, events.is_reference, events.rows, seed, threads, device)
    return events.judgement("cnn", score)


JUDGES: dict[str, Callable[..., Judgement]] = {"bdt": bdt_auc, "cnn": cnn_auc}
"""The judges by name."""


def learning_curve(
    judge: str, reference: Showers, candidate: Showers, sizes: Sequence[int], **options: Any
) -> pd.DataFrame:
    """AUC against the number of training events of each kind; a judge that still rises has not seen all there is.

    Parameters
    ----------
    judge : {"bdt", "cnn"}
        Which judge.
    reference, candidate : Showers
        As for `bdt_auc`.
    sizes : sequence of int
        Numbers of training events; those beyond what there is are judged once, with all.
    **options
        As for `bdt_auc` and `cnn_auc`.

    Returns
    -------
    pandas.DataFrame
        ``n_train``, ``auc``, ``auc_low``, ``auc_high``.
    """
    if judge not in JUDGES:
        raise ValidationError(f"judge is {judge!r}; expected one of {', '.join(JUDGES)}")
    rows: dict[int, Auc] = {}
    for size in sorted(sizes):
        found = JUDGES[judge](reference, candidate, n_train=size, **options)
        rows[found.n_train] = found.auc
        if found.n_train < size:
            break
    return pd.DataFrame([(n, *auc) for n, auc in rows.items()], columns=["n_train", "auc", "auc_low", "auc_high"])


@dataclass(frozen=True)
class _Events:
    """Both samples in one, on a common footing, with the rows to train on, to stop by and to judge."""

    showers: Showers
    is_reference: npt.NDArray[np.bool_]
    rows: dict[str, npt.NDArray[np.intp]]
    common: dict[str, Any]

    def judgement(self, judge: str, score: npt.ArrayLike, importance: dict[str, float] | None = None) -> Judgement:
        rows = self.rows["test"]
        scores = pd.DataFrame(
            {
                "is_reference": self.is_reference[rows],
                "momentum": self.showers.table["momentum"].to_numpy(dtype=float)[rows],
                "visible": self.showers.energies[rows],
                "score": np.asarray(score, dtype=float),
            }
        )
        is_reference = scores["is_reference"].to_numpy()
        values = scores["score"].to_numpy()
        auc = roc_auc(values[is_reference], values[~is_reference])
        n_train, n_validation = (
            int(min(self.is_reference[self.rows[name]].sum(), (~self.is_reference[self.rows[name]]).sum()))
            for name in ("train", "validation")
        )
        return Judgement(judge, auc=auc, scores=scores, n_train=n_train, n_validation=n_validation,
                         importance=importance or {}, **self.common)  # fmt: skip


def _prepare(
    reference: Showers,
    candidate: Showers,
    seed: int,
    threshold: float,
    evaluate_on: str,
    n_train: int | None,
    crossing: bool,
) -> _Events:
    if evaluate_on not in get_args(EvaluateOn):
        raise ValidationError(f"evaluate_on is {evaluate_on!r}; expected 'test' or 'validation'")
    if n_train is not None and n_train < MINIMUM:
        raise ValidationError(f"n_train is {n_train}; expected {MINIMUM} or more events of each kind")
    pair = match(reference, candidate)
    rows: dict[str, list[npt.NDArray[np.intp]]] = {"train": [], "validation": [], "test": []}
    for index, showers in enumerate((pair.reference, pair.candidate)):
        sample = _samples(showers, evaluate_on)
        if not crossing:
            sample = np.where(mip_like(showers), "none", sample)
        # The same seed for both, so that twins stay together.
        order = np.random.default_rng(seed).permutation(len(showers))
        for name, chosen in rows.items():
            own = order[sample[order] == name]
            chosen.append(own[:n_train] if name == "train" else np.sort(own))
            if len(own) < MINIMUM:
                raise ValidationError(
                    f"the {('reference', 'candidate')[index]} has {len(own)} {pair.label} events in the sample {name}; "
                    f"expected {MINIMUM} or more to train and judge a classifier"
                )
    offset = len(pair.reference)
    showers = Showers(
        common_footing(np.concatenate([pair.reference.images, pair.candidate.images]), threshold=threshold),
        pd.concat([_kept(pair.reference), _kept(pair.candidate)], ignore_index=True),
        pair.reference.geometry,
    )
    return _Events(
        showers,
        np.arange(len(showers)) < offset,
        {name: np.concatenate([first, second + offset]) for name, (first, second) in rows.items()},
        {
            "label": pair.label,
            "threshold": threshold,
            "evaluate_on": evaluate_on,
            "seed": seed,
            "twins": pair.twins,
            "crossing": crossing,
        },
    )


def _kept(showers: Showers) -> pd.DataFrame:
    """Columns that a judge needs, and none that could tell the two apart."""
    return showers.table[["momentum", "track_x", "track_y", "track_inclination", "track_azimuth"]].astype(float)


def _samples(showers: Showers, evaluate_on: str) -> npt.NDArray[np.str_]:
    """Sample of each event: that of the frozen split, or while developing a new division of what is not test."""
    key = showers.table["file_id"].to_numpy(), showers.table["entry"].to_numpy()
    sample = split_of(*key)
    if evaluate_on == "test":
        return sample
    again = split_of(*key, Split("development", **judge_settings()["development"]))
    return np.where(np.isin(sample, ("train", "validation")), again, "none")

"""The same training with several adaptations and seeds: the runs that a comparison of methods needs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .adaptation.settings import METHODS
from .batches import EventSource
from .errors import TrainingError
from .fit import train

__all__ = ["DomainShift", "train_adaptations", "train_shift"]

log = logging.getLogger(__name__)

_PRIOR = "_prior"  # end of the name of a method that gets the estimated prior of the target
_NEVER_NONE = 0.002  # smallest share of a class as a prior


@dataclass(frozen=True)
class DomainShift:
    """From where to where a model is adapted.

    Parameters
    ----------
    source : EventSource
        Labelled events to train on.
    target : EventSource
        Events of the target; labels that are there are ignored.
    labelled : EventSource
        Labelled events of the target's detector: for the oracle, and for the choice and the test. It may be `target`.
    window : (float, float)
        Of the target's ``en3d``, GeV.
    electrons : sequence of str
        Selections that the target's electrons pass, for ``response``.
    """

    source: EventSource
    target: EventSource
    labelled: EventSource
    window: tuple[float, float]
    electrons: Sequence[str] = ()


def train_shift(
    shift: DomainShift,
    model: str,
    output: str | Path,
    methods: Sequence[str],
    *,
    max_epochs: int,
    seeds: Sequence[int] = (1, 2, 3),
    **settings: Any,
) -> pd.DataFrame:
    """Train a model without adaptation, with several methods, and on labelled events of the target.

    The target's share of signal, as the trainings without adaptation estimate it (median over the seeds), is the prior
    of the methods that ask for it.

    Parameters
    ----------
    shift : DomainShift
        Source and target.
    model, output, seeds
        As for :func:`train_adaptations`.
    methods : sequence of str
        Names of :data:`ecalnb.training.adaptation.METHODS`, with the defaults of their settings and a ramp of all
        epochs; with ``_prior`` at the end, such as ``dann_prior``, source events are weighted to the estimated prior.
    max_epochs : int
        Epochs of each training.
    **settings
        As for :func:`train_adaptations`.

    Returns
    -------
    pandas.DataFrame
        As of :func:`train_adaptations`, with the methods ``source_only`` first and ``oracle`` last, and ``prior``: the
        estimate, the same in all rows.

    Raises
    ------
    TrainingError
        If there is no such method, or as in :func:`train_adaptations`.
    """
    chosen = {name: _settings(name, shift, max_epochs) for name in methods}
    none = {"name": "none", "window": list(shift.window)}
    common = {"seeds": seeds, "max_epochs": max_epochs, **settings}
    unadapted = train_adaptations(shift.source, shift.target, model, output, {"source_only": none}, **common)
    prior = round(float(np.clip(unadapted["target_share"].median(), _NEVER_NONE, 1 - _NEVER_NONE)), 4)
    for name, own in chosen.items():
        if name.endswith(_PRIOR):
            own["prior"] = prior
    tables = [unadapted]
    if chosen:
        tables.append(train_adaptations(shift.source, shift.target, model, output, chosen, **common))
    tables.append(train_adaptations(shift.labelled, shift.target, model, output, {"oracle": none}, **common))
    return pd.concat(tables, ignore_index=True).assign(prior=prior)


def _settings(name: str, shift: DomainShift, epochs: int) -> dict[str, Any]:
    """Make the settings of a method from its name in a study."""
    method = name.removesuffix(_PRIOR)
    known = METHODS.get(method)
    if known is None or (method != name and "prior" not in known):
        raise TrainingError(f"there is no method {name}; expected some of {', '.join(METHODS)}, or one with {_PRIOR}")
    special = {"electrons": list(shift.electrons), "ramp_epochs": epochs}
    own = {key: value for key, value in special.items() if key in known}
    return {"name": method, "window": list(shift.window), **own}


def train_adaptations(
    source: EventSource | str | Path,
    target: EventSource | str | Path,
    model: str,
    output: str | Path,
    methods: Mapping[str, Mapping[str, Any]],
    *,
    seeds: Sequence[int] = (1, 2, 3),
    **settings: Any,
) -> pd.DataFrame:
    """Train a model with several methods of adaptation, several times each.

    A study that was stopped goes on where it was.

    Parameters
    ----------
    source, target : Store, str or Path
        The labelled events, and those of the target.
    model : str
        One of :func:`ecalnb.models.list_models`.
    output : str or Path
        Folder of the run directories, ``<model>.<method>.seed<seed>``.
    methods : mapping of str to mapping
        Settings of the adaptation of each method, by a name for it; the names say what the runs are called.
    seeds : sequence of int
        Seeds; each method is trained once with each, all with the first seed first.
    **settings
        Arguments of :func:`ecalnb.training.train`, and settings that win over the recipe.

    Returns
    -------
    pandas.DataFrame
        A row for each run: ``run``, ``model``, ``method``, ``events`` (of the source to train on), ``seed``,
        ``epochs``, ``best_epoch``, ``val_loss`` and ``val_auc`` of the source, ``target_share`` (estimated share of
        signal), ``path``. With the method for the model, :func:`ecalnb.training.score_runs` and
        :func:`ecalnb.metrics.rejection_against_events` take it.

    Raises
    ------
    TrainingError
        If there are no methods, or seeds are none or occur twice, or as in :func:`ecalnb.training.train`.
    """
    if not methods:
        raise TrainingError("there are no methods; expected settings of one or more adaptations")
    if not seeds or len(set(seeds)) < len(seeds):
        raise TrainingError(f"seeds are {list(seeds)}; expected one or more, each once")
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for method, adaptation in methods.items():
            name = f"{model}.{method}.seed{seed}"
            log.info("%s (%d of %d)", name, len(rows) + 1, len(seeds) * len(methods))
            run = train(
                source, model, Path(output) / name, seed=seed, target=target, adaptation=dict(adaptation), **settings
            )
            rows.append(
                {
                    "run": name,
                    "model": model,
                    "method": method,
                    "events": sum(run.info["data"]["events"]["train"].values()),
                    "seed": seed,
                    "epochs": len(run.history),
                    "best_epoch": int(run.best["epoch"]),
                    "val_loss": run.best["val_loss"],
                    "val_auc": run.best["val_auc"],
                    "target_share": run.info["adaptation"]["shares"][-1][0],
                    "path": str(run.path),
                }
            )
    return pd.DataFrame(rows)

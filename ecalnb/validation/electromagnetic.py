"""Protons that look electromagnetic: the share of them sets the proton rejection that any classifier can reach.

Two definitions. The simple one needs no training: the shower starts in the first four layers, more than 70 % of the
momentum is visible, and its core is like an electron's. The other is what an analysis does: a BDT on the package's
shower variables, trained to tell protons from electrons, with its cut where it keeps 90 % of the electrons of the same
visible energy. Classifier and cut are those of the engine whose protons are judged: a classifier that has seen one
engine's electrons takes another engine's protons for something else, which the rows with another ``classifier`` than
``engine`` show.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import variables
from ..intervals import clopper_pearson
from ..showers import Showers
from ..splits import split_of
from .conditions import ValidationError
from .judges import judge_settings

__all__ = ["VISIBLE_EDGES", "classifier_survivors", "simple_survivors"]

FloatArray = npt.NDArray[np.float64]
Species = Mapping[str, Showers]

VISIBLE_EDGES = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"""Edges of the bins of visible energy, GeV."""

_START_LAYERS, _VISIBLE_FRACTION, _CORE_QUANTILE = 4, 0.7, 0.05
_MINIMUM = 20
_TRAIN_ONLY = -1  # fold of events that are never judged


def simple_survivors(
    samples: Mapping[str, Species], edges: Sequence[float], *, evaluate_on: str = "test"
) -> pd.DataFrame:
    """Interacting protons that pass the simple cuts one after the other, in bins of momentum.

    The shower starts in layers 0 to 3 (``start``), the sum of the cells is above 70 % of the momentum (``visible``),
    and the share of the energy within one cell of the shower's own axis is above the 5 % quantile of the electrons of
    the same engine (``core``). Interacting are all that do not cross (:func:`ecalnb.variables.mip_like`).

    Parameters
    ----------
    samples : mapping of str to mapping
        Name of each engine, and its ``electron`` and ``proton`` showers.
    edges : sequence of float
        Edges of the bins of momentum, GeV.
    evaluate_on : {"test", "validation", "unfitted"}
        Events that count: those of the sample ``test``; those of ``train`` and ``validation``; or all of the three.

    Returns
    -------
    pandas.DataFrame
        ``engine``, ``cut`` (the last that was passed), ``low``, ``high``, ``passed``, ``total``, ``fraction`` with its
        68 % interval ``fraction_low``, ``fraction_high`` (Clopper and Pearson).
    """
    rows = []
    for engine, species in samples.items():
        electrons, protons = (_of_samples(showers, evaluate_on) for showers in _both(engine, species))
        least = np.nanquantile(variables.core_fraction(electrons, 1, variables.shower_axis(electrons)), _CORE_QUANTILE)
        momentum = protons.table["momentum"].to_numpy(dtype=float)
        core = variables.core_fraction(protons, 1, variables.shower_axis(protons))
        with np.errstate(invalid="ignore"):
            cuts = {
                "start": variables.start_layer(protons) < _START_LAYERS,
                "visible": protons.energies > _VISIBLE_FRACTION * momentum,
                "core": core > least,
            }
        interacting = ~variables.mip_like(protons)
        for low, high in itertools.pairwise(edges):
            inside = interacting & (momentum >= low) & (momentum < high)
            passed = np.ones(int(inside.sum()), dtype=bool)
            if len(passed) < _MINIMUM:
                continue
            for cut, passes in cuts.items():
                passed = passed & passes[inside]
                rows.append({"engine": engine, "cut": cut, **_fraction(low, high, passed)})
    return pd.DataFrame(rows)


def classifier_survivors(
    samples: Mapping[str, Species],
    edges: Sequence[float] = VISIBLE_EDGES,
    *,
    efficiencies: Sequence[float] = (0.9, 0.99),
    evaluate_on: str = "test",
    seed: int = 1,
    threads: int = 1,
) -> pd.DataFrame:
    """Interacting protons that a proton/electron classifier keeps, in bins of visible energy.

    Parameters
    ----------
    samples : mapping of str to mapping
        Name of each engine, and its ``electron`` and ``proton`` showers with event keys.
    edges : sequence of float
        Edges of the bins of the sum of the cells, GeV.
    efficiencies : sequence of float
        Electrons kept in each bin.
    evaluate_on : {"test", "validation"}
        Judge on ``test``, with a classifier trained on the events of ``train`` and ``validation``; or judge on these,
        each third with a classifier trained on the other two, so that ``test`` stays unseen.
    seed, threads : int
        Of xgboost.

    Returns
    -------
    pandas.DataFrame
        ``engine``, ``classifier`` (engine that it was trained on), ``efficiency``, ``low``, ``high``, ``electrons``
        (number that sets the cut), ``passed``, ``total`` (interacting protons), ``fraction`` with its 68 % interval.
        The last rows of each are those of the whole range, with the cuts of the bins together. Bins with fewer than 20
        electrons or protons are left out.
    """
    if evaluate_on not in ("test", "validation"):
        raise ValidationError(f"evaluate_on is {evaluate_on!r}; expected 'test' or 'validation'")
    tables = {engine: _table(engine, species, evaluate_on) for engine, species in samples.items()}
    rows = []
    for trained in tables:
        folds = [(own, _train(trained, rest, seed, threads)) for own, rest in _folds(tables[trained])]
        for engine, other in tables.items():
            part = other[other["fold"] != _TRAIN_ONLY]
            values = np.empty(len(part))
            for fold, score in folds:
                chosen = (part["fold"] == fold).to_numpy()
                if chosen.any():
                    values[chosen] = score(part[chosen])
            is_electron = part["is_electron"].to_numpy()
            everything: dict[float, list[npt.NDArray[np.bool_]]] = {efficiency: [] for efficiency in efficiencies}
            common = {"engine": engine, "classifier": trained}
            for low, high in itertools.pairwise(edges):
                inside = ((part["visible"] >= low) & (part["visible"] < high)).to_numpy()
                electrons, protons = values[inside & is_electron], values[inside & ~is_electron]
                if min(len(electrons), len(protons)) < _MINIMUM:
                    continue
                for efficiency in efficiencies:
                    kept = protons >= np.quantile(electrons, 1 - efficiency)
                    everything[efficiency].append(kept)
                    numbers = {"efficiency": efficiency, "electrons": len(electrons)}
                    rows.append({**common, **numbers, **_fraction(low, high, kept)})
            for efficiency, parts in everything.items():
                if parts:
                    numbers = {"efficiency": efficiency, "electrons": int(is_electron.sum())}
                    rows.append({**common, **numbers, **_fraction(edges[0], edges[-1], np.concatenate(parts))})
    return pd.DataFrame(rows)


def _both(engine: str, species: Species) -> tuple[Showers, Showers]:
    if missing := [name for name in ("electron", "proton") if name not in species or not len(species[name])]:
        raise ValidationError(
            f"the engine {engine!r} has no {' and no '.join(missing)}; expected electrons and protons"
        )
    return species["electron"], species["proton"]


_SAMPLES = {
    "test": ("test",),
    "validation": ("train", "validation"),
    "unfitted": ("train", "validation", "test"),
}


def _of_samples(showers: Showers, evaluate_on: str) -> Showers:
    if evaluate_on not in _SAMPLES:
        raise ValidationError(f"evaluate_on is {evaluate_on!r}; expected one of {', '.join(_SAMPLES)}")
    split = split_of(showers.table["file_id"].to_numpy(), showers.table["entry"].to_numpy())
    return showers[np.isin(split, _SAMPLES[evaluate_on])]


def _table(engine: str, species: Species, evaluate_on: str) -> pd.DataFrame:
    """Shower variables and visible energy of electrons and interacting protons, and the fold that an event is in."""
    parts = []
    for showers, is_electron in zip(_both(engine, species), (True, False), strict=True):
        split = split_of(showers.table["file_id"].to_numpy(), showers.table["entry"].to_numpy())
        keep = (split != "fit") & (is_electron | ~variables.mip_like(showers))
        if evaluate_on == "validation":
            keep &= split != "test"
            fold = np.arange(len(showers)) % 3
        else:
            fold = np.where(split == "test", 0, _TRAIN_ONLY)
        kept = showers[keep]
        parts.append(
            variables.shower_variables(kept).assign(
                log_visible=np.log(kept.energies), visible=kept.energies, is_electron=is_electron, fold=fold[keep]
            )
        )
    return pd.concat(parts, ignore_index=True)


def _folds(table: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    """Each fold that is judged, with the events to train on for it: all others."""
    judged = sorted(set(table["fold"]) - {_TRAIN_ONLY})
    return [(fold, table[table["fold"] != fold]) for fold in judged]


def _train(engine: str, table: pd.DataFrame, seed: int, threads: int) -> Callable[[pd.DataFrame], FloatArray]:
    """Train the BDT on the training events; electrons and protons weigh the same in all."""
    import xgboost

    target = table["is_electron"].to_numpy()
    if min(target.sum(), (~target).sum()) < _MINIMUM:
        raise ValidationError(
            f"the engine {engine!r} has {target.sum()} electrons and {(~target).sum()} interacting protons to train a "
            f"classifier on; expected {_MINIMUM} or more of each"
        )
    columns = [*variables.SHOWER_VARIABLES, "log_visible"]
    weight = np.where(target, 0.5 / target.sum(), 0.5 / (~target).sum()) * len(target)
    settings = {key: value for key, value in judge_settings()["bdt"].items() if key not in ("rounds", "patience")}
    booster = xgboost.train(
        {**settings, "objective": "binary:logistic", "seed": seed, "nthread": threads},
        xgboost.DMatrix(table[columns], label=target, weight=weight),
        judge_settings()["electromagnetic"]["rounds"],
    )
    return lambda part: booster.predict(xgboost.DMatrix(part[columns]), output_margin=True)


def _fraction(low: float, high: float, passed: npt.NDArray[np.bool_]) -> dict[str, float]:
    count, total = int(passed.sum()), len(passed)
    bounds = clopper_pearson(count, total)
    return {"low": low, "high": high, "passed": count, "total": total, "fraction": count / total,
            "fraction_low": float(bounds[0]), "fraction_high": float(bounds[1])}  # fmt: skip

"""E/p beside the models of a scores table, alone and together with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..geometry import Tracks
from ..models.conventional import MomentumLikelihood
from ..simulation.subdetectors import measure
from .batches import EventSource
from .errors import TrainingError
from .scores import KEY

__all__ = ["ENERGY_MOMENTUM", "add_energy_momentum"]

ENERGY_MOMENTUM = "energy_momentum"
"""Name of E/p as a model; a model together with it is ``<model>+energy_momentum``."""

_TRUTH = ("momentum", "pdg", "track_x", "track_y", "track_inclination", "track_azimuth")


def add_energy_momentum(
    scores: pd.DataFrame,
    store: EventSource,
    *,
    division: str,
    train_sample: str = "train",
    models: Sequence[str] = (),
    seed: int = 1,
) -> pd.DataFrame:
    """Add E/p to a scores table as a model of its own, and the sum of both for some models.

    The likelihood (:class:`ecalnb.models.conventional.MomentumLikelihood`) is fitted to the training events with the
    energies of those that are judged. Logits of networks are logarithms of likelihood ratios as well, as far as they
    are calibrated, so the sum is the score of the two together.

    Parameters
    ----------
    scores : DataFrame
        A scores table of events of the store.
    store : EventSource
        The events. If its table has no ``rigidity_electron``, as that of events without a detector, the rigidity is
        that of the parameterised tracker (:mod:`ecalnb.simulation.subdetectors`), from the true momentum.
    division, train_sample : str
        Split of the events, and its sample for the fit.
    models : sequence of str
        Columns of the models to combine with E/p.
    seed : int
        Of the parameterised tracker.

    Returns
    -------
    DataFrame
        A copy with the columns ``energy_momentum`` and, for each of `models`, ``<model>+energy_momentum``.

    Raises
    ------
    TrainingError
        If the store has neither rigidities nor true momenta, or does not have the events.
    """
    wanted = [*KEY, "label", "en3d", *(name for name in ("weight",) if name in store.columns)]
    measured = "rigidity_electron" in store.columns
    needed = ("rigidity_electron",) if measured else _TRUTH
    if missing := [name for name in needed if name not in store.columns]:
        raise TrainingError(f"E/p needs the column rigidity_electron of the store, or instead {', '.join(missing)}")
    table = store.table([*wanted, *needed])
    if not measured:
        truth = table["momentum"], table["pdg"], Tracks.from_table(table), table["en3d"]
        table["rigidity_electron"] = measure(*truth, np.random.default_rng(seed))[1]["rigidity_electron"]
    places = pd.MultiIndex.from_frame(table[KEY]).get_indexer(pd.MultiIndex.from_frame(scores[KEY]))
    if (places < 0).any():
        raise TrainingError(f"{(places < 0).sum()} of {len(scores)} scored events are not in the store")
    fitted = (store.splits(division) == train_sample) & table["label"].isin(["electron", "proton"])
    train = table[fitted & table["en3d"].between(scores["en3d"].min(), scores["en3d"].max())]
    columns = train["en3d"], train["rigidity_electron"], train["label"] == "electron", train.get("weight")
    likelihood = MomentumLikelihood.fit(*columns)
    result = scores.copy()
    result[ENERGY_MOMENTUM] = likelihood.logits(scores["en3d"], table["rigidity_electron"].to_numpy()[places])
    for name in models:
        result[f"{name}+{ENERGY_MOMENTUM}"] = result[name] + result[ENERGY_MOMENTUM]
    result.attrs = dict(scores.attrs)
    return result

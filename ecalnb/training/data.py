"""The data module: training and validation events of a store.

Which events take part, and as what, is decided here once; :mod:`ecalnb.training.batches` hands them out.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from pytorch_lightning import LightningDataModule

from ..geometry import Tracks
from .batches import BatchLoader, EventSource, PairedLoader
from .errors import TrainingError
from .inputs import Batch, NeedsColumns, inputs_from
from .labels import label_columns, label_events
from .planing import plane
from .recipes import Recipe
from .subsets import nested_subset
from .targets import ClassTarget, make_target
from .track import TRACK_PARTS

__all__ = ["EcalDataModule", "EventSource", "Selection", "columns_for", "describe_selection"]

log = logging.getLogger(__name__)

Selection = Callable[[pd.DataFrame], npt.ArrayLike]


class UnlabelledEvents(Protocol):
    """Events of another domain; :class:`ecalnb.training.adaptation.TargetEvents` are some."""

    def loader(self, like: BatchLoader, batch_size: int) -> BatchLoader:
        """Batches, as many in an epoch as those of another loader."""


class EcalDataModule(LightningDataModule):
    """Training and validation events of a store.

    Parameters
    ----------
    store : EventSource
        A :class:`ecalnb.store.Store`.
    recipe : Recipe
        Which events: labels, split, samples, energy window; and the batch size.
    inputs : NeedsColumns
        Their columns go into the batches.
    seed : int
        Seed of the order of the training events, and of the choice where the recipe takes part of them.
    selection : callable, optional
        Further cut on the event table, for example an :class:`ecalnb.selection.Cut`.
    columns : sequence of str
        Columns that training batches have beside those of the inputs, for example for a penalty.
    target : UnlabelledEvents, optional
        Events of another domain, which go into the training batches too.

    Raises
    ------
    TrainingError
        If a sample has no events, or only those of one class, or events that lack what the inputs need, such as a
        track.
    """

    def __init__(
        self,
        store: EventSource,
        recipe: Recipe | None = None,
        *,
        inputs: NeedsColumns | None = None,
        seed: int = 1,
        selection: Selection | None = None,
        columns: Sequence[str] = (),
        target: UnlabelledEvents | None = None,
    ) -> None:
        super().__init__()
        self.store = store
        self.recipe = Recipe() if recipe is None else recipe
        self.inputs: NeedsColumns = inputs or inputs_from(self.recipe.input_settings, store.geometry)
        self.seed = seed
        self.selection = selection
        self._extra = tuple(name for name in columns if name not in self.inputs.columns)
        self.unlabelled = target
        self.of_event = make_target(self.recipe.quantity, store.geometry)
        self._train: BatchLoader | PairedLoader | None = None
        self._resumed: Mapping[str, int] | None = None
        self._choose()

    def _choose(self) -> None:
        """Find the rows of both samples and their classes."""
        recipe = self.recipe
        wanted = {"file_id", "entry", *self.inputs.columns, *self._extra, *(label_columns(recipe.labels) or {"label"})}
        windows = {name: recipe.window(name) for name in ("train", "validation")}
        if recipe.planing or any(limit is not None for window in windows.values() for limit in window):
            wanted.add("en3d")
        if not self._classes:
            wanted |= {"en3d", *(f"{recipe.reference}_{part}" for part in TRACK_PARTS)}
        if missing := sorted(wanted - set(self.store.columns)):
            raise TrainingError(f"the event table of the store has no column {', '.join(missing)}")
        table = self.store.table(columns_for(self.selection, wanted))
        labels = label_events(table, recipe.labels) if recipe.labels else table["label"].astype(object).to_numpy()
        target, keep = self._targets(table, labels)
        if self.selection is not None:
            passed = np.asarray(self.selection(table), dtype=bool)
            if passed.shape != keep.shape:
                raise TrainingError(f"the selection gives an array of shape {passed.shape} for {len(keep)} events")
            keep &= passed
        sample = self.store.splits(recipe.split)
        self.target = target
        self.rows = {}
        for name, asked in (("train", recipe.train_sample), ("validation", recipe.validation_sample)):
            low, high = windows[name]
            chosen = keep & (sample == asked)
            if low is not None:
                chosen &= table["en3d"].to_numpy() >= low
            if high is not None:
                chosen &= table["en3d"].to_numpy() < high
            self.rows[name] = np.flatnonzero(chosen)
        names = dict.fromkeys([*self.inputs.columns, *([] if self._classes else ["en3d"])])
        self._columns = {name: table[name].to_numpy(dtype=np.float32) for name in names}
        self._keys = table[["file_id", "entry"]].to_numpy(dtype=np.int64)
        for name, asked in (("train", recipe.train_sample), ("validation", recipe.validation_sample)):
            self._check(name, asked)
        # The choice of the training events is random as their order is; that of the validation events is always one.
        self._take("train", recipe.train_events, f"training events {self.seed}")
        self._take("validation", recipe.validation_events, "validation events")
        for name in self.rows:
            self._check_columns(name)
        rows = self.rows["train"]
        self._only_training = {name: table[name].to_numpy(dtype=np.float32)[rows] for name in self._extra}
        self.planing = plane(table["en3d"].to_numpy()[rows], target[rows] > 0.5) if recipe.planing else None
        if self.planing is not None:
            self._only_training["event_weight"] = self.planing.weights.astype(np.float32)

    @property
    def _classes(self) -> bool:
        """Whether events are told apart, rather than measured."""
        return isinstance(self.of_event, ClassTarget)

    def _targets(
        self, table: pd.DataFrame, labels: npt.NDArray[np.object_]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Class of each event (n,), or numbers of its track (n, k), and whether it takes part (n,)."""
        recipe = self.recipe
        signal = np.isin(labels, recipe.signal)
        if isinstance(self.of_event, ClassTarget):
            target = np.select([signal, np.isin(labels, recipe.background)], [1.0, 0.0], np.nan)
            keep = ~np.isnan(target)
            what = "neither signal nor background"
        else:
            target, keep = self.of_event.values(Tracks.from_table(table, recipe.reference)), signal
            what = f"not {' or '.join(recipe.signal)}"
        if others := int((~keep).sum()):
            names = sorted({"no label" if pd.isna(label) else str(label) for label in labels[~keep]})
            log.info("%d events are %s (%s) and do not take part", others, what, ", ".join(names))
        known = np.isfinite(target).reshape(len(target), -1).all(axis=1)
        if lacking := int((keep & ~known).sum()):
            log.info("%d events have no %s and do not take part", lacking, recipe.reference)
        return target, keep & known

    def _take(self, name: str, n_events: int, salt: str) -> None:
        """Keep so many of the events for ``train`` or ``validation``; all for 0."""
        if not n_events:
            return
        rows = self.rows[name]
        if n_events > len(rows):
            raise TrainingError(f"{name}_events is {n_events}, and there are {len(rows)} events for {name}")
        signal = self.target[rows] == 1 if self._classes else np.ones(len(rows), dtype=bool)
        file_id, entry = self._keys[rows].T
        self.rows[name] = rows[nested_subset(file_id, entry, signal, n_events, salt)]
        if self._classes and not all(self.counts(name)):
            raise TrainingError(f"{name}_events is {n_events}, too few to have events of both classes")

    def _check(self, name: str, asked: str) -> None:
        rows, recipe = self.rows[name], self.recipe
        if not len(rows):
            needed = recipe.signal + (recipe.background if self._classes else ())
            raise TrainingError(
                f"no event of the sample {asked!r} is left for {name} ({len(self.store)} events in the store); "
                f"needed are the labels {', '.join(needed)}{self._window(name)}"
            )
        if not self._classes:
            return
        signal = int(self.target[rows].sum())
        if signal in (0, len(rows)):
            lacking, present = (recipe.signal, "background") if signal == 0 else (recipe.background, "signal")
            raise TrainingError(
                f"the {len(rows)} events for {name} are all {present}; events with the label "
                f"{' or '.join(lacking)} are needed too{self._window(name)}"
            )

    def _check_columns(self, name: str) -> None:
        """Refuse events for which an input is not there, such as those without a track."""
        rows = self.rows[name]
        lacking = {column: int((~np.isfinite(values[rows])).sum()) for column, values in self._columns.items()}
        column, number = max(lacking.items(), key=lambda item: item[1], default=("", 0))
        if number:
            raise TrainingError(
                f"{number} of the {len(rows)} events for {name} have no {column}, which the inputs "
                f"{self.inputs.to_dict()['name']} need; leave them out by a selection such as 'not missing({column})' "
                "when the store is made"
            )

    def _window(self, name: str) -> str:
        low, high = self.recipe.window(name)
        if low is None and high is None:
            return ""
        return f", with en3d from {0 if low is None else low:g} to {'infinity' if high is None else f'{high:g}'} GeV"

    def counts(self, name: str = "train") -> tuple[int, int]:
        """Numbers of signal and background events for ``train`` or ``validation``; all are signal without classes."""
        if not self._classes:
            return len(self.rows[name]), 0
        signal = int(self.target[self.rows[name]].sum())
        return signal, len(self.rows[name]) - signal

    def describe(self) -> dict[str, Any]:
        """Say what the samples are, for the record: store, numbers, selection, and a hash of their event keys."""
        keys = hashlib.blake2b(digest_size=16)
        numbers = {}
        for name in ("train", "validation"):
            keys.update(np.ascontiguousarray(self._keys[self.rows[name]]).tobytes())
            numbers[name] = dict(zip(("signal", "background"), self.counts(name), strict=True))
            if not self._classes:
                numbers[name] = {"events": len(self.rows[name])}
        return {
            "store": self.store.fingerprint(),
            "selection": describe_selection(self.selection),
            "events": numbers,
            "events_hash": keys.hexdigest(),
            **({} if self.planing is None else {"planing": self.planing.to_dict()}),
        }

    def _loader(self, name: str, batch_size: int, seed: int | None, epoch_events: int = 0) -> BatchLoader:
        rows = self.rows[name]
        columns = {key: values[rows] for key, values in {"target": self.target, **self._columns}.items()}
        if name == "train":
            columns |= self._only_training
        place = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        return BatchLoader(self.store, rows, columns, batch_size, seed, *place, epoch_events)

    def train_dataloader(self) -> BatchLoader | PairedLoader:
        """Shuffled batches of the training events."""
        source = self._loader("train", self.recipe.batch_size, self.seed, self.recipe.epoch_events)
        other = self.unlabelled
        self._train = source if other is None else PairedLoader(source, other.loader(source, self.recipe.batch_size))
        if self._resumed is not None:
            self._train.load_state_dict(self._resumed)
        return self._train

    def sample_of_training(self, events: int) -> Iterator[Batch]:
        """Batches of some training events, with as many of the other domain, always the same in each process."""
        rows = self.rows["train"]
        chosen = np.random.default_rng(self.seed).permutation(len(rows))[:events]
        columns = {name: values[rows][chosen] for name, values in self._columns.items()}
        source = BatchLoader(self.store, rows[chosen], columns, self.recipe.batch_size)
        other = self.unlabelled
        return iter(source if other is None else PairedLoader(source, other.loader(source, self.recipe.batch_size)))

    def val_dataloader(self) -> BatchLoader:
        """Batches of the validation events, of all processes together in the order of the store."""
        return self._loader("validation", max(self.recipe.batch_size, 512), None)

    def state_dict(self) -> dict[str, Any]:
        """Where the training loader is."""
        return {} if self._train is None else dict(self._train.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next training loader go on from there."""
        self._resumed = state


def columns_for(selection: Selection | None, wanted: Iterable[str]) -> list[str] | None:
    """Columns to read for a selection and whoever wants others; None means all, for a function that may use any."""
    if selection is None:
        return sorted(wanted)
    used = getattr(selection, "columns", None)
    return None if used is None else sorted({*wanted, *used})


def describe_selection(selection: Selection | None) -> Any:
    """Describe a selection for the record: its ``to_dict()`` where it has one, else the name of the function."""
    if selection is None:
        return None
    if callable(to_dict := getattr(selection, "to_dict", None)):
        return to_dict()
    return getattr(selection, "__qualname__", None) or type(selection).__qualname__

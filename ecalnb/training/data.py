"""The data module: from a store to batches of training and validation events.

The loader is the package's own. A store makes a dense batch of any events faster than worker processes could pass it
on, and a training that is killed and resumed has to see the same batches in the same order as one that is not: the
order of an epoch is a function of seed and epoch, and the loader knows how many batches are done.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pytorch_lightning import LightningDataModule

from ..geometry import Calorimeter
from .errors import TrainingError
from .inputs import Batch, ImageInputs, Inputs
from .recipes import Recipe

__all__ = ["BatchLoader", "EcalDataModule", "EventSource", "columns_for", "describe_selection"]

log = logging.getLogger(__name__)

Selection = Callable[[pd.DataFrame], npt.ArrayLike]


class EventSource(Protocol):
    """What training needs of a store; :class:`ecalnb.store.Store` has it."""

    @property
    def geometry(self) -> Calorimeter:
        """The calorimeter of the events."""

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the event table."""

    def __len__(self) -> int:
        """Return the number of events."""

    def table(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Event table, row i for event i."""

    def dense(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Cell energies of the events in any order, (n, layers, cells), GeV."""

    def splits(self, split: str = "default") -> npt.NDArray[np.str_]:
        """Sample of each event."""

    def fingerprint(self) -> str:
        """Hash of the data."""


class BatchLoader:
    """Batches of some events of a store.

    Batches of an epoch differ in size by one event at most, so that no epoch ends with a batch of two events for a
    batch normalisation to stumble over, and no event is left out.

    Parameters
    ----------
    store : EventSource
        Where the cells come from.
    rows : array of int, shape (n,)
        The events.
    columns : mapping of str to array, shape (n,)
        What else goes into a batch, ``target`` among it; kept as float32.
    batch_size : int
        Largest number of events in a batch.
    seed : int, optional
        Shuffle anew in each epoch, by this seed; in the order of `rows` without one.
    """

    def __init__(
        self,
        store: EventSource,
        rows: npt.NDArray[np.int64],
        columns: Mapping[str, npt.ArrayLike],
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        self.store = store
        self.rows = np.asarray(rows, dtype=np.int64)
        self.columns = {name: np.array(values, dtype=np.float32) for name, values in columns.items()}
        self.seed = seed
        self.borders = np.linspace(0, len(self.rows), -(-len(self.rows) // batch_size) + 1).astype(np.int64)
        self.epoch = 0
        self.batches_done = 0

    def __len__(self) -> int:
        return len(self.borders) - 1

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """Positions in `rows` in the order in which an epoch takes them."""
        if self.seed is None:
            return np.arange(len(self.rows))
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.rows))

    def __iter__(self) -> Iterator[Batch]:
        if self.batches_done >= len(self):
            self.epoch, self.batches_done = self.epoch + 1, 0
        order = self.order(self.epoch)
        for index in range(self.batches_done, len(self)):
            # Counted before the batch is out: a checkpoint is written while the caller still holds it.
            self.batches_done = index + 1
            yield self.batch(order[self.borders[index] : self.borders[index + 1]])

    def batch(self, positions: npt.NDArray[np.int64]) -> Batch:
        """Make a batch of the events at some positions in `rows`."""
        batch = {name: torch.from_numpy(values[positions]) for name, values in self.columns.items()}
        batch["cells"] = torch.from_numpy(self.store.dense(self.rows[positions]))
        return batch

    def state_dict(self) -> dict[str, int]:
        """Epoch and number of its batches that are done."""
        return {"epoch": self.epoch, "batches_done": self.batches_done}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where another loader of the same events was."""
        self.epoch, self.batches_done = state["epoch"], state["batches_done"]


class EcalDataModule(LightningDataModule):
    """Training and validation events of a store.

    Parameters
    ----------
    store : EventSource
        A :class:`ecalnb.store.Store`.
    recipe : Recipe
        Which events: labels, split, samples, energy window; and the batch size.
    inputs : Inputs
        Their columns go into the batches.
    seed : int
        Seed of the order of the training events.
    selection : callable, optional
        Further cut on the event table, for example an :class:`ecalnb.selection.Cut`.

    Raises
    ------
    TrainingError
        If a sample has no events, or only those of one class.
    """

    def __init__(
        self,
        store: EventSource,
        recipe: Recipe | None = None,
        *,
        inputs: Inputs | None = None,
        seed: int = 1,
        selection: Selection | None = None,
    ) -> None:
        super().__init__()
        self.store = store
        self.recipe = Recipe() if recipe is None else recipe
        self.inputs: Inputs = ImageInputs(self.recipe.normalisation) if inputs is None else inputs
        self.seed = seed
        self.selection = selection
        self._train: BatchLoader | None = None
        self._resumed: Mapping[str, int] | None = None
        self._choose()

    def _choose(self) -> None:
        """Find the rows of both samples and their classes."""
        recipe = self.recipe
        wanted = {"label", "file_id", "entry", *self.inputs.columns}
        windows = {name: recipe.window(name) for name in ("train", "validation")}
        if any(limit is not None for window in windows.values() for limit in window):
            wanted.add("en3d")
        if missing := sorted(wanted - set(self.store.columns)):
            raise TrainingError(f"the event table of the store has no column {', '.join(missing)}")
        table = self.store.table(columns_for(self.selection, wanted))
        labels = table["label"].astype(object).to_numpy()
        target = np.select([np.isin(labels, recipe.signal), np.isin(labels, recipe.background)], [1.0, 0.0], np.nan)
        keep = ~np.isnan(target)
        if others := int((~keep).sum()):
            names = sorted({"no label" if pd.isna(label) else str(label) for label in labels[~keep]})
            log.info("%d events are neither signal nor background (%s) and do not take part", others, ", ".join(names))
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
        self._columns = {name: table[name].to_numpy(dtype=np.float32) for name in self.inputs.columns}
        self._keys = table[["file_id", "entry"]].to_numpy(dtype=np.int64)
        for name, asked in (("train", recipe.train_sample), ("validation", recipe.validation_sample)):
            self._check(name, asked)

    def _check(self, name: str, asked: str) -> None:
        rows, recipe = self.rows[name], self.recipe
        if not len(rows):
            raise TrainingError(
                f"no event of the sample {asked!r} is left for {name} ({len(self.store)} events in the store); "
                f"needed are the labels {', '.join(recipe.signal + recipe.background)}{self._window(name)}"
            )
        signal = int(self.target[rows].sum())
        if signal in (0, len(rows)):
            lacking, present = (recipe.signal, "background") if signal == 0 else (recipe.background, "signal")
            raise TrainingError(
                f"the {len(rows)} events for {name} are all {present}; events with the label "
                f"{' or '.join(lacking)} are needed too{self._window(name)}"
            )

    def _window(self, name: str) -> str:
        low, high = self.recipe.window(name)
        if low is None and high is None:
            return ""
        return f", with en3d from {0 if low is None else low:g} to {'infinity' if high is None else f'{high:g}'} GeV"

    def counts(self, name: str = "train") -> tuple[int, int]:
        """Numbers of signal and background events for ``train`` or ``validation``."""
        signal = int(self.target[self.rows[name]].sum())
        return signal, len(self.rows[name]) - signal

    def describe(self) -> dict[str, Any]:
        """Say what the samples are, for the record: store, numbers, selection, and a hash of their event keys."""
        keys = hashlib.blake2b(digest_size=16)
        numbers = {}
        for name in ("train", "validation"):
            keys.update(np.ascontiguousarray(self._keys[self.rows[name]]).tobytes())
            numbers[name] = dict(zip(("signal", "background"), self.counts(name), strict=True))
        return {
            "store": self.store.fingerprint(),
            "selection": describe_selection(self.selection),
            "events": numbers,
            "events_hash": keys.hexdigest(),
        }

    def _loader(self, name: str, batch_size: int, seed: int | None) -> BatchLoader:
        rows = self.rows[name]
        columns = {key: values[rows] for key, values in {"target": self.target, **self._columns}.items()}
        return BatchLoader(self.store, rows, columns, batch_size, seed)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled batches of the training events."""
        self._train = self._loader("train", self.recipe.batch_size, self.seed)
        if self._resumed is not None:
            self._train.load_state_dict(self._resumed)
        return self._train

    def val_dataloader(self) -> BatchLoader:
        """Batches of the validation events in the order of the store."""
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

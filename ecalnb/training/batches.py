"""Batches of the events of a store.

The loader is the package's own. A store makes a dense batch of any events faster than worker processes could pass it
on, and a training that is killed and resumed has to see the same batches in the same order as one that is not: the
order of an epoch is a function of seed and epoch, and the loader knows how many batches are done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..geometry import Calorimeter
from .errors import TrainingError
from .scales import Batch

__all__ = ["BatchLoader", "EventSource", "PairedLoader"]


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
    batch normalisation to stumble over, and no event is left out. Of several processes that train together each takes
    every so manieth batch: an event is in one batch of one process in an epoch, and all have equally many batches.

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
    process, processes : int
        Number of this process, from 0, and of all that take part.
    epoch_events : int
        Events in an epoch; each once for 0. Epochs are parts of one sequence that goes through all events again and
        again, shuffled anew each time.

    Raises
    ------
    TrainingError
        If there are too few events for a batch for each process.
    """

    def __init__(
        self,
        store: EventSource,
        rows: npt.NDArray[np.int64],
        columns: Mapping[str, npt.ArrayLike],
        batch_size: int,
        seed: int | None = None,
        process: int = 0,
        processes: int = 1,
        epoch_events: int = 0,
    ) -> None:
        self.store = store
        self.rows = np.asarray(rows, dtype=np.int64)
        self.columns = {name: np.array(values, dtype=np.float32) for name, values in columns.items()}
        self.seed = seed
        self.process, self.processes = process, processes
        self.events = epoch_events or len(self.rows)
        batches = processes * -(-self.events // (batch_size * processes))
        if processes > 1 and self.events < batches:
            raise TrainingError(
                f"{self.events} events in batches of {batch_size} are too few for {processes} processes"
            )
        self.borders = np.linspace(0, self.events, batches + 1).astype(np.int64)
        self.epoch = 0
        self.batches_done = 0

    def __len__(self) -> int:
        return (len(self.borders) - 1) // self.processes

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """Positions in `rows` in the order in which an epoch takes them."""
        start, n = epoch * self.events, len(self.rows)
        if self.seed is None:
            return np.arange(start, start + self.events) % n
        passes = range(start // n, (start + self.events - 1) // n + 1)
        sequence = np.concatenate([np.random.default_rng((self.seed, number)).permutation(n) for number in passes])
        return sequence[start - passes[0] * n :][: self.events]

    def __iter__(self) -> Iterator[Batch]:
        if self.batches_done >= len(self):
            self.epoch, self.batches_done = self.epoch + 1, 0
        order = self.order(self.epoch)
        for index in range(self.batches_done, len(self)):
            # Counted before the batch is out: a checkpoint is written while the caller still holds it.
            self.batches_done = index + 1
            number = index * self.processes + self.process
            yield self.batch(order[self.borders[number] : self.borders[number + 1]])

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


class PairedLoader:
    """Batches of two domains: those of a labelled source, each with as many events of a target.

    A batch has ``domain``, 0 for source and 1 for target events, which come last. What the target does not have, such
    as ``target`` (whether an event is signal), is not a number there.

    Parameters
    ----------
    source, target : BatchLoader
        Loaders with the same batches in an epoch.
    """

    def __init__(self, source: BatchLoader, target: BatchLoader) -> None:
        self.source, self.target = source, target

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[Batch]:
        for source, target in zip(self.source, self.target, strict=True):
            missing = torch.full((len(target["cells"]),), torch.nan)
            batch = {name: torch.cat([values, target.get(name, missing)]) for name, values in source.items()}
            batch["domain"] = torch.cat([torch.zeros(len(source["cells"])), torch.ones(len(target["cells"]))])
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch and number of its batches that are done, which are the same for both."""
        return self.source.state_dict()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where another loader of the same events was."""
        self.source.load_state_dict(state)
        self.target.load_state_dict(state)

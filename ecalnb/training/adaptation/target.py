"""Events of the target domain, as a training may see them: without labels."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..batches import BatchLoader, EventSource
from ..errors import TrainingError
from ..inputs import NeedsColumns
from ..scales import Batch

__all__ = ["TargetEvents"]

log = logging.getLogger(__name__)


class TargetEvents:
    """Events without labels of another store.

    Labels that are there are ignored, and the log says so.

    Parameters
    ----------
    store : EventSource
        The target domain.
    source : EventSource
        The store that is trained on, whose calorimeter it must have.
    inputs : NeedsColumns
        Their columns go into the batches.
    split, sample : str
        Which events: those of this sample of this split, so that others stay for validation and test.
    window : sequence of 2 float, optional
        Of ``en3d``, GeV: from the first to below the second.

    Raises
    ------
    TrainingError
        If the target has another calorimeter, lacks a column, or no event is left.
    """

    def __init__(
        self,
        store: EventSource,
        source: EventSource,
        inputs: NeedsColumns,
        *,
        split: str = "default",
        sample: str = "train",
        window: Sequence[float | None] = (None, None),
    ) -> None:
        if (store.geometry.shape, store.geometry.views) != (source.geometry.shape, source.geometry.views):
            raise TrainingError(
                f"the target has showers of {store.geometry.name} ({' x '.join(map(str, store.geometry.shape))}), the "
                f"source of {source.geometry.name} ({' x '.join(map(str, source.geometry.shape))}); expected the same "
                "calorimeter"
            )
        low, high = window
        wanted = {"file_id", "entry", *inputs.columns}
        if (low, high) != (None, None):
            wanted.add("en3d")
        if missing := sorted(wanted - set(store.columns)):
            raise TrainingError(f"the event table of the target has no column {', '.join(missing)}")
        labelled = "label" in store.columns
        table = store.table(sorted(wanted | ({"label"} if labelled else set())))
        keep = store.splits(split) == sample if len(table) else np.zeros(0, dtype=bool)
        if low is not None:
            keep &= table["en3d"].to_numpy() >= low
        if high is not None:
            keep &= table["en3d"].to_numpy() < high
        for name in inputs.columns:
            keep &= np.isfinite(table[name].to_numpy(dtype=np.float64))
        if not keep.any():
            limits = "" if (low, high) == (None, None) else f" with en3d from {low or 0:g} to {high or np.inf:g} GeV"
            raise TrainingError(
                f"the target has no event{limits} in the sample {sample!r} that the inputs can use "
                f"({len(table)} events in its store); expected at least one"
            )
        if labelled and (n := int(table["label"][keep].notna().sum())):
            log.info("%d of %d target events have labels; they are ignored", n, int(keep.sum()))
        self.store, self.split, self.sample = store, split, sample
        self.rows = np.flatnonzero(keep)
        self.columns = {name: table[name].to_numpy(dtype=np.float32)[self.rows] for name in inputs.columns}
        self.keys = table[["file_id", "entry"]].to_numpy(dtype=np.int64)[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def loader(self, like: BatchLoader, batch_size: int) -> BatchLoader:
        """Batches without end, as many and as large in an epoch as those of a loader of source events.

        Where there are fewer target events they are taken several times, where there are more the next epoch goes on
        with the others.
        """
        # Another order than that of source events, which may be the same events in another detector.
        seed = None if like.seed is None else int(np.random.SeedSequence((like.seed, 1)).generate_state(1)[0])
        return BatchLoader(
            self.store, self.rows, self.columns, batch_size, seed, like.process, like.processes, like.events
        )

    def some(self, events: int, batch_size: int = 512) -> Iterator[Batch]:
        """Batches of at most so many events, the same ones each time."""
        chosen = np.random.default_rng(0).permutation(len(self.rows))[:events]
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return iter(BatchLoader(self.store, self.rows[chosen], columns, batch_size))

    def describe(self) -> dict[str, Any]:
        """Say what they are, for the record."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.keys).tobytes(), digest_size=16).hexdigest()
        return {
            "store": self.store.fingerprint(),
            "split": self.split,
            "sample": self.sample,
            "events": len(self),
            "events_hash": digest,
        }

"""The events that a display browses: where they come from, and which of them are looked at, in which order.

A store or a ROOT file of a million events is not read: of the table only the columns that a condition, a sorting or an
event needs, of the images only the one that is shown.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..expressions import Condition, ExpressionError, missing_column
from ..showers import Showers
from .sources import Rows, SourceLike, open_source

__all__ = ["KEY", "EventList", "Events", "open_events"]

KEY = ("file_id", "entry")
"""Columns that say which event it is, in every file and table."""


class Events:
    """Events to browse, with the columns of a scores table beside their own.

    Parameters
    ----------
    source : Showers, Store or path
        The events; a path is that of a store or of a ROOT file.
    scores : DataFrame or path, optional
        A scores table, joined by the event key. Events without a score have NaN there.

    Attributes
    ----------
    geometry : Calorimeter
        What they are events of.

    Raises
    ------
    ValueError
        If there are no events, the source is something else, or the scores have no key or none of these events.
    """

    def __init__(self, source: SourceLike, scores: pd.DataFrame | str | os.PathLike[str] | None = None) -> None:
        self._source = open_source(source)
        if not len(self._source):
            raise ValueError(f"{_name(source)} holds no event; there is nothing to show")
        self.geometry = self._source.geometry
        self._scores = None if scores is None else self._join(scores)

    def __len__(self) -> int:
        return len(self._source)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, the source's first."""
        return [*self._source.columns, *self.scores]

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the columns that come from the scores table."""
        return () if self._scores is None else tuple(map(str, self._scores.columns))

    def table(self, columns: Sequence[str], rows: npt.ArrayLike | None = None) -> pd.DataFrame:
        """Columns of some events (of all unless told); only they are read.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        for name in columns:
            if name not in self.columns:
                raise ValueError(missing_column(name, self.columns, "the event display"))
        chosen = None if rows is None else np.asarray(rows, dtype=np.int64)
        own = self._source.columns
        table = self._source.table([name for name in columns if name in own], chosen)
        if self._scores is not None:
            there = self._scores if chosen is None else self._scores.iloc[chosen]
            for name in columns:
                if name not in own:
                    table = table.assign(**{name: there[name].to_numpy()})
        return table[list(columns)]

    def shower(self, row: int) -> Showers:
        """One event with all its columns.

        Raises
        ------
        IndexError
            If there is no such event.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"event {row} does not exist; there are {len(self)} events, numbered from 0")
        shower = self._source.shower(row)
        if self._scores is not None:
            extra = self._scores.iloc[[row]].reset_index(drop=True)
            shower.table = pd.concat([shower.table, extra], axis=1)
        return shower

    def _join(self, scores: pd.DataFrame | str | os.PathLike[str]) -> pd.DataFrame:
        """Score columns of every event, in the order of the source."""
        if not isinstance(scores, pd.DataFrame):
            from ..training.scores import read_scores

            scores = read_scores(Path(scores))
        for where, columns in (("the scores table", list(scores.columns)), ("the event table", self._source.columns)):
            if lacking := [name for name in KEY if name not in columns]:
                raise ValueError(f"{where} has no column {', '.join(lacking)}; scores are joined by the event key")
        theirs = scores[[*KEY]].astype(np.int64)
        if theirs.duplicated().any():
            raise ValueError("the scores table holds an event twice; expected one row an event")
        new = [name for name in scores.columns if name not in self._source.columns]
        ours = self._source.table(list(KEY), None).astype(np.int64)
        found = pd.MultiIndex.from_frame(theirs).get_indexer(pd.MultiIndex.from_frame(ours))
        if (found < 0).all():
            raise ValueError(f"none of the {len(scores)} scored events is among the {len(ours)} events shown")
        return scores[new].reset_index(drop=True).reindex(found).reset_index(drop=True)


def open_events(source: Events | SourceLike, scores: Any = None) -> Events:
    """Events to browse, unless they are that already.

    Raises
    ------
    ValueError
        As `Events`, or if scores are given for events that have theirs.
    """
    if not isinstance(source, Events):
        return Events(source, scores)
    if scores is not None:
        raise ValueError("the scores are those of the Events already; give them in one place")
    return source


def _name(source: SourceLike) -> str:
    return f"{type(source).__name__} given" if isinstance(source, Showers) else str(getattr(source, "path", source))


class EventList:
    """Events left by a condition, in an order, and the one that is looked at.

    Parameters
    ----------
    events : Events
        All events.
    row : int
        The event to begin with.

    Attributes
    ----------
    rows : array of int
        Numbers of the events left, in their order.
    position : int
        Place of the present event among them.
    where : str
        The condition.
    sort, descending
        The column that they are sorted by, if any, and its direction.

    Raises
    ------
    IndexError
        If there is no such event.
    """

    def __init__(self, events: Events, row: int = 0) -> None:
        self.events = events
        self.where, self.sort, self.descending = "", None, True
        self.rows: Rows = np.arange(len(events))
        self.position = 0
        self.jump(row)

    sort: str | None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def row(self) -> int:
        """Number of the present event."""
        return int(self.rows[self.position])

    def step(self, by: int) -> int:
        """Go on by so many events, or to the first or last; returns the number of the event."""
        self.position = int(np.clip(self.position + by, 0, len(self) - 1))
        return self.row

    def jump(self, row: int) -> None:
        """Go to an event by its number.

        Raises
        ------
        IndexError
            If there is no such event, or the condition does not leave it.
        """
        if not 0 <= row < len(self.events):
            raise IndexError(f"event {row} does not exist; there are {len(self.events)} events, numbered from 0")
        (place,) = np.nonzero(self.rows == row)
        if not len(place):
            raise IndexError(f"event {row} is not among the {len(self)} events left by {self.where!r}")
        self.position = int(place[0])

    def choose(self, where: str = "", sort: str | None = None, descending: bool = True) -> None:
        """Leave the events that pass a condition, sorted by a column.

        The present event stays if it is left and the order is the same; else the first of them is next. Nothing changes
        if this raises.

        Parameters
        ----------
        where : str
            A condition (see :mod:`ecalnb.expressions`); empty for all events.
        sort : str, optional
            A column; the order of the source unless given. Events without a value come last.
        descending : bool
            Largest first.

        Raises
        ------
        ExpressionError
            If the condition cannot be read or evaluated.
        ValueError
            If it leaves no event, or there is no such column.
        """
        rows: Rows = np.arange(len(self.events))
        if where.strip():
            condition = Condition(where)
            for name in condition.columns:
                if name not in self.events.columns:
                    raise ExpressionError(missing_column(name, self.events.columns, f"condition {condition.text!r}"))
            # One of numbers alone needs a row an event all the same.
            rows = np.flatnonzero(condition(self.events.table(condition.columns or self.events.columns[:1])))
            if not len(rows):
                raise ValueError(f"no event passes {condition.text!r}")
        if sort is not None:
            values = self.events.table([sort], rows)[sort]
            order = values.reset_index(drop=True).sort_values(
                ascending=not descending, kind="stable", na_position="last"
            )
            rows = rows[order.index.to_numpy()]
        same_order = (sort, descending) == (self.sort, self.descending)
        place = np.flatnonzero(rows == self.row) if same_order else np.empty(0, dtype=np.intp)
        self.rows, self.where, self.sort, self.descending = rows, where.strip(), sort, descending
        self.position = int(place[0]) if len(place) else 0

"""The event display of a notebook: shower after shower in three dimensions, found by a condition, kept with a note.

:class:`EventDisplay` is what a user makes. Who is not looking at a live notebook (papermill, nbconvert) gets the static
sheet of the event in its place.
"""

from __future__ import annotations

import html
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from . import controls
from .annotations import KeptEvents
from .events import KEY, EventList, Events, open_events
from .keys import make_keys
from .panel import Attribute, EventPanel
from .scene3d import Shown, require
from .sheet import draw_sheet, to_png
from .sources import SourceLike

__all__ = ["EventDisplay", "is_live"]

log = logging.getLogger(__name__)

_CLASS = "ecalnb-display"
_LISTED = 100  # events of the list around the present one that the browser is sent


class EventDisplay:
    """Look at events one by one.

    Parameters
    ----------
    source : Events, Showers, Store or path
        The events; a path is that of a store or of a ROOT file. Of a store only what is looked at is read.
    scores : DataFrame or path, optional
        A scores table, joined by the event key: its columns can be used in conditions and sorted by.
    event : int
        Number of the event to begin with.
    where : str
        Condition on the event table, for example ``"label == 'proton' and ecal_resnet10 > 4"``.
    sort : str, optional
        Column to sort by, the largest first.
    attribute : callable, optional
        Takes one event (`Showers`) and returns an attribution for each cell, shape (n_layers, n_cells): what the
        switch *attribution* colours cells by.
    kept : KeptEvents, optional
        Kept events to go on with.
    threshold : float
        Cells with less energy than this are not drawn in three dimensions, GeV.
    height : int
        Height of the three-dimensional picture, pixels.

    Attributes
    ----------
    events : Events
        All events.
    list : EventList
        Those that the condition leaves, and the present one.
    kept : KeptEvents
        Those that have been kept.

    Raises
    ------
    IndexError
        If there is no such event, or the condition does not leave it.
    ValueError
        If the source or the scores cannot be used, or the condition cannot be read or leaves no event.

    Examples
    --------
    >>> EventDisplay("store", scores="scores.parquet", where="label == 'proton'", sort="ecal_resnet10")
    """

    def __init__(
        self,
        source: Events | SourceLike,
        *,
        scores: pd.DataFrame | str | os.PathLike[str] | None = None,
        event: int | None = None,
        where: str = "",
        sort: str | None = None,
        attribute: Attribute | None = None,
        kept: KeptEvents | None = None,
        threshold: float = 0.002,
        height: int = 380,
    ) -> None:
        if not 0 <= threshold < np.inf:
            raise ValueError(f"threshold is {threshold!r}; expected GeV, 0 or more")
        self.events = open_events(source, scores)
        self.list = EventList(self.events)
        if where.strip() or sort is not None:
            self.list.choose(where, sort)
        if event is not None:
            self.list.jump(event)
        self.kept = KeptEvents() if kept is None else kept
        self._attribute, self._threshold, self._height = attribute, threshold, height
        self._widget: Any = None
        self._quiet = True  # while fields are set by the display itself and not by the user

    @property
    def widget(self) -> Any:
        """The widgets, made when they are first asked for.

        Raises
        ------
        ModuleNotFoundError
            If the extra ``display`` is not installed.
        """
        if self._widget is None:
            self._build()
        return self._widget

    def figure(self) -> Any:
        """Sheet of the present event, as a figure of matplotlib."""
        return draw_sheet(self.events.shower(self.list.row))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        picture = {"text/plain": repr(self), "image/png": to_png(self.figure())}
        if not is_live():
            return picture
        shown = self.widget._repr_mimebundle_()
        # With the picture beside it, a notebook that is saved and looked at elsewhere shows something.
        return {**picture, **shown}

    def __repr__(self) -> str:
        left = f", {len(self.list):,} left" if len(self.list) < len(self.events) else ""
        return f"<EventDisplay: event {self.list.row} of {len(self.events):,}{left}>"

    # ------------------------------------------------------------------------------------------------ going about

    def go(self, by: int) -> None:
        """Go on by so many events in the list."""
        self.list.step(by)
        self._show()

    def jump(self, row: int) -> None:
        """Go to an event by its number; says so if it is not there."""
        if self._said(lambda: self.list.jump(row)):
            self._show()

    def choose(self, where: str = "", sort: str | None = None, descending: bool = True) -> None:
        """Leave the events that pass a condition, sorted by a column; says so, and changes nothing, if that fails."""
        if self._said(lambda: self.list.choose(where, sort, descending)):
            self._show()

    def _said(self, action: Callable[[], None]) -> bool:
        """Whether an action goes well; if not, why not is shown beside the fields."""
        self._message("")
        try:
            action()
        except (ValueError, IndexError, OSError) as error:
            self._message(str(error), bad=True)
            return False
        return True

    def _message(self, text: str, *, bad: bool = False) -> None:
        if self._widget is not None:
            color = "#b00020" if bad else "#1b5e20"
            self._controls.message.value = (
                f"<span role='status' style='color:{color};line-height:1.3'>{html.escape(text)}</span>"
            )
        elif bad:
            log.warning("%s", text)

    # ------------------------------------------------------------------------------------------------ the widgets

    def _build(self) -> None:
        widgets = require("ipywidgets")
        self._panel = self._make_panel()
        self._beside: EventPanel | None = None
        made = self._controls = controls.make_controls(
            widgets, self.events, self._threshold, self._attribute is not None
        )
        made.previous.on_click(lambda _: self.go(-1))
        made.next.on_click(lambda _: self.go(1))
        for field in (made.number, made.listed):
            field.observe(self._by_user(self.jump), "value")
        for field in (made.where, made.sort, made.descending):
            field.observe(self._by_user(lambda _: self._choose_from_fields()), "value")
        for field in (made.threshold, made.views, made.shown):
            field.observe(lambda _: self._redraw(), "value")
        made.attributed.observe(lambda _: self._said(self._color), "value")
        for name, button in made.cameras.items():
            button.on_click(lambda _, name=name: self._look(name))
        for field in (made.keep, made.note):
            field.observe(self._by_user(lambda _: self._keep()), "value")
        made.save.on_click(lambda _: self._said(self._save))
        made.beside.observe(lambda _: self._hold(), "value")
        actions = {"n": 1, "p": -1, "ArrowRight": 1, "ArrowLeft": -1, "PageDown": 10, "PageUp": -10}
        moves: dict[str, Callable[[], None]] = {key: lambda by=by: self.go(by) for key, by in actions.items()}  # type: ignore[misc]
        moves["k"] = lambda: setattr(made.keep, "value", not made.keep.value)
        keys = make_keys(moves, _CLASS, "event display: n for the next event, p for the one before, k keeps")
        self._pictures = widgets.HBox(layout=widgets.Layout(width="100%", align_items="flex-start"))
        self._sheets = widgets.VBox(layout=widgets.Layout(width="100%"))
        self._widget = widgets.VBox([keys, made.top, made.middle, self._pictures, self._sheets])
        self._widget.add_class(_CLASS)
        self._widget.layout.width = "100%"
        made.where.value, made.sort.value = self.list.where, self.list.sort or ""
        self._quiet = False
        self._arrange()
        self._show()

    def _by_user(self, action: Callable[[Any], None]) -> Callable[[dict[str, Any]], None]:
        """Act on the new value of a field, unless the display itself has set it."""

        def changed(change: dict[str, Any]) -> None:
            if not self._quiet and change["new"] is not None:
                action(change["new"])

        return changed

    def _make_panel(self) -> EventPanel:
        return EventPanel(
            self.events.geometry, height=self._height, threshold=self._threshold, attribute=self._attribute
        )

    def _panels(self) -> list[EventPanel]:
        return [panel for panel in (self._beside, self._panel) if panel is not None]

    def _arrange(self) -> None:
        """One event beside its summary and the list, or two events beside each other."""
        made = self._controls
        if self._beside is None:
            self._pictures.children = [self._panel.picture, made.aside(self._panel.summary)]
        else:
            self._pictures.children = [made.column(panel.picture, panel.summary) for panel in self._panels()]
        self._sheets.children = [panel.sheet for panel in self._panels()]

    def _show(self) -> None:
        """Show the present event, and set the fields to it."""
        if self._widget is None:
            return
        made, row = self._controls, self.list.row
        shower = self.events.shower(row)
        self._present = shower
        extra = [*self._used_columns(), *([self.list.sort] if self.list.sort else [])]
        if not self._said(lambda: self._panel.show(shower, row=row, extra=list(dict.fromkeys(extra)))):
            return
        key = self._key()
        self._quiet = True
        try:
            made.number.value = row
            made.place.value = f"{self.list.position + 1:,} of {len(self.list):,}"
            made.previous.disabled, made.next.disabled = (
                self.list.position == 0,
                self.list.position == len(self.list) - 1,
            )
            made.listed.options, made.listed.value = self._options(), row
            made.keep.disabled = made.note.disabled = key is None
            made.keep.value = key is not None and key in self.kept
            made.note.value = "" if key is None else self.kept.note(key)
        finally:
            self._quiet = False

    def _used_columns(self) -> Sequence[str]:
        from ..expressions import Condition

        return Condition(self.list.where).columns if self.list.where else ()

    def _options(self) -> list[tuple[str, int]]:
        """Events of the list around the present one, as lines."""
        first = max(0, min(self.list.position - _LISTED // 2, len(self.list) - _LISTED))
        rows = self.list.rows[first : first + _LISTED]
        names: list[str] = [name for name in ("label", "en3d") if name in self.events.columns]
        names += [self.list.sort] if self.list.sort and self.list.sort not in names else []
        table = self.events.table(names, rows) if names else pd.DataFrame(index=range(len(rows)))
        lines = []
        for row, values in zip(rows, table.itertuples(index=False), strict=True):
            texts = [f"{v:.4g}" if isinstance(v, float | np.floating) else str(v) for v in values]
            lines.append((f"{row:>8,}  " + "  ".join(texts), int(row)))
        return lines

    def _choose_from_fields(self) -> None:
        made = self._controls
        self.choose(made.where.value, made.sort.value or None, made.descending.value)

    def _redraw(self) -> None:
        made = self._controls
        for panel in self._panels():
            panel.change(
                threshold=10**made.threshold.value / 1000, views=made.views.value, shown=_shown(made.shown.value)
            )

    def _color(self) -> None:
        for panel in self._panels():
            panel.attributed = self._controls.attributed.value
            panel.redraw()

    def _look(self, name: str) -> None:
        for panel in self._panels():
            panel.scene.look(name)

    def _hold(self) -> None:
        """Keep the present event in view beside those to come, or let go of it."""
        if self._controls.beside.value:
            self._beside = self._make_panel()
            self._redraw()
            self._beside.show(self._present, row=self.list.row)
        elif self._beside is not None:
            self._beside.close()
            self._beside = None
        self._arrange()

    def _key(self) -> tuple[int, int] | None:
        table = self._present.table
        return (int(table["file_id"][0]), int(table["entry"][0])) if all(name in table for name in KEY) else None

    def _keep(self) -> None:
        key, made = self._key(), self._controls
        if key is None:
            return
        if made.keep.value:
            self.kept.keep(key, made.note.value)
        else:
            self.kept.drop(key)
        made.save.description = f"Save {len(self.kept)} kept"

    def _save(self) -> None:
        path: Path = self.kept.save(self._controls.path.value)
        self._message(f"{len(self.kept)} events are in {path}")


def _shown(value: str) -> Shown:
    return next(part for part in get_args(Shown) if part == value)


def is_live() -> bool:
    """Whether this is a notebook that somebody looks at, and not one that papermill or nbconvert executes."""
    if os.environ.get("ECALNB_BATCH") == "1" or "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    if shell is None or getattr(shell, "kernel", None) is None:
        return False
    # nbclient, which runs notebooks for both, keeps their history in memory and not in a file.
    return str(getattr(shell.history_manager, "hist_file", "")) != ":memory:"

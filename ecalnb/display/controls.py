"""The fields and buttons of an event display, and where they are on a laptop's screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .events import Events
from .scene import CAMERAS

__all__ = ["Controls", "make_controls"]

_STEP = 0.1  # of the threshold, powers of ten
_RANGE = (-1.0, 4.0)  # of the threshold, powers of ten of MeV


@dataclass(frozen=True)
class Controls:
    """Widgets of an event display, by what they are for."""

    previous: Any
    next: Any
    number: Any
    place: Any
    where: Any
    sort: Any
    descending: Any
    message: Any
    threshold: Any
    views: Any
    shown: Any
    attributed: Any
    cameras: dict[str, Any]
    beside: Any
    listed: Any
    keep: Any
    note: Any
    path: Any
    save: Any
    top: Any
    middle: Any
    widgets: Any

    def aside(self, summary: Any) -> Any:
        """Column with the summary of the event, the list of events, and the keeping."""
        keeping = self.widgets.VBox(
            [
                self.widgets.HBox([self.keep, self.note]),
                self.widgets.HBox([self.path, self.save]),
            ]
        )
        layout = self.widgets.Layout(flex="0 0 350px", padding="0 0 0 8px")
        return self.widgets.VBox([summary, self.listed, keeping], layout=layout)

    def column(self, picture: Any, summary: Any) -> Any:
        """Picture of one of two events above its summary."""
        layout = self.widgets.Layout(flex="1 1 50%", min_width="0")
        return self.widgets.VBox([picture, summary], layout=layout)


def make_controls(widgets: Any, events: Events, threshold: float, attributed: bool) -> Controls:
    """Make the fields and buttons.

    Parameters
    ----------
    widgets : module
        ipywidgets.
    events : Events
        What is browsed.
    threshold : float
        Of the energy of cells, GeV.
    attributed : bool
        Whether cells can be coloured by attributions.
    """

    def size(width: str, **options: str) -> Any:
        return widgets.Layout(width=width, **options)

    def field(kind: str, width: str, **options: Any) -> Any:
        return getattr(widgets, kind)(layout=size(width), **options)

    previous = field("Button", "92px", description="◀ previous", tooltip="previous event (p or left arrow)")
    following = field("Button", "80px", description="next ▶", tooltip="next event (n or right arrow)")
    number = field(
        "BoundedIntText", "130px", description="event", min=0, max=len(events) - 1, style={"description_width": "40px"}
    )
    place = widgets.Label(layout=size("130px"))
    where = field(
        "Text", "310px", description="only", placeholder="label == 'proton' and en3d > 50", continuous_update=False,
        style={"description_width": "30px"},
    )  # fmt: skip
    columns = [("(as in the file)", ""), *((name, name) for name in events.columns)]
    sort = field("Dropdown", "230px", description="sort by", options=columns, style={"description_width": "55px"})
    descending = field("Checkbox", "120px", description="largest first", value=True, indent=False)
    message = widgets.HTML(layout=size("100%"))
    start = float(np.clip(np.log10(max(1000 * threshold, 0.1)), *_RANGE))
    slider = field(
        "FloatSlider", "310px", description="cells above", min=_RANGE[0], max=_RANGE[1], step=_STEP, value=start,
        readout=False, continuous_update=True, style={"description_width": "85px"},
    )  # fmt: skip
    reading = widgets.Label(layout=size("80px"))

    def read(_: Any = None) -> None:
        reading.value = f"{10**slider.value:.3g} MeV"

    slider.observe(read, "value")
    read()
    views = field(
        "Dropdown", "110px", options=[("both views", ("x", "y")), ("x only", ("x",)), ("y only", ("y",))],
        value=("x", "y"),
    )  # fmt: skip
    shown = field(
        "Dropdown",
        "160px",
        options=["bars", "crossings", "both"],
        description="show",
        style={"description_width": "36px"},
    )
    coloured = field("Checkbox", "110px", description="attribution", indent=False)
    coloured.layout.display = None if attributed else "none"
    cameras = {name: field("Button", "auto", description=name, tooltip=f"look at it: {name}") for name in CAMERAS}
    beside = field(
        "ToggleButton", "110px", description="hold beside", tooltip="keep this event in view beside the next ones"
    )
    listed = widgets.Select(rows=8, layout=size("100%"))
    listed.style.description_width = "0px"
    keep = field("ToggleButton", "80px", description="keep", tooltip="keep this event (k)", icon="star")
    note = field("Text", "calc(100% - 84px)", placeholder="note", continuous_update=False)
    path = field("Text", "calc(100% - 124px)", value="kept.csv", tooltip="a .csv or .parquet file")
    save = field("Button", "120px", description="Save 0 kept", tooltip="write the table of kept events")
    row = widgets.Layout(flex_flow="row wrap", align_items="center", width="100%")
    top = widgets.VBox(
        [widgets.HBox([previous, number, following, place, where, sort, descending], layout=row), message]
    )
    middle = widgets.HBox([slider, reading, views, shown, coloured, *cameras.values(), beside], layout=row)
    return Controls(
        previous, following, number, place, where, sort, descending, message, slider, views, shown, coloured, cameras,
        beside, listed, keep, note, path, save, top, middle, widgets,
    )  # fmt: skip

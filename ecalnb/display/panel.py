"""One event as widgets: the three-dimensional picture with its legend, the summary, and the sheet of views."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import Normalize

from .._style import ENERGY_CMAP
from ..geometry import Calorimeter
from ..showers import Showers
from .attributions import attribution_cmap, attribution_scale
from .scene3d import Scene, Shown, require
from .sheet import draw_sheet, to_png
from .summary import axes_of, cell_text, finite_image, legend_html, summary, summary_html
from .views import energy_scale

__all__ = ["Attribute", "EventPanel"]

Attribute = Callable[[Showers], npt.ArrayLike]
"""Gives an attribution for each cell of one event, shape (n_layers, n_cells) or (1, n_layers, n_cells)."""

_WAIT = 0.25  # s after the last step before the sheet is drawn, which takes longer than everything else


class EventPanel:
    """Widgets that show one event.

    Parameters
    ----------
    geometry : Calorimeter
        What events are of.
    height : int
        Of the three-dimensional picture, pixels.
    threshold : float
        Cells with less energy than this are not drawn, GeV.
    attribute : callable, optional
        See :data:`Attribute`.

    Attributes
    ----------
    picture, summary, sheet : ipywidgets.Widget
        The three-dimensional picture with its legend, the text, and the views and profiles.
    shower : Showers or None
        The event that is shown.

    Raises
    ------
    ModuleNotFoundError
        If k3d or ipywidgets is not installed.
    """

    def __init__(
        self, geometry: Calorimeter, *, height: int = 380, threshold: float = 0.002, attribute: Attribute | None = None
    ) -> None:
        widgets = require("ipywidgets")
        self.scene = Scene(geometry, height=height, threshold=threshold, picked=self._picked)
        self.attribute = attribute
        self.attributed = False
        self.shower: Showers | None = None
        self._lines: dict[str, str] = {}
        self._values: npt.NDArray[np.float64] | None = None  # what cells are coloured by, if not by energy
        self._timer: asyncio.TimerHandle | None = None
        self.legend = widgets.HTML()
        self.summary = widgets.HTML(layout=widgets.Layout(width="100%"))
        self.pick = widgets.HTML("<i>Click on a bar to see its cell.</i>")
        self.sheet = widgets.Image(format="png", layout=widgets.Layout(width="100%", max_width="1300px"))
        self.scene.plot.layout.width = "100%"
        self.picture = widgets.VBox(
            [self.scene.plot, self.legend, self.pick], layout=widgets.Layout(flex="1 1 60%", min_width="0")
        )

    def show(self, shower: Showers, *, row: int | None = None, extra: Sequence[str] = ()) -> None:
        """Show one event: the three-dimensional picture and the summary now, the sheet as soon as there is time.

        Parameters
        ----------
        shower : Showers
            The event.
        row : int, optional
            Its number in the source.
        extra : sequence of str
            Further columns for the summary.
        """
        self.shower = shower
        self._lines = summary(shower, row=row, extra=extra)
        self.summary.value = summary_html(self._lines)
        self.pick.value = "<i>Click on a bar to see its cell.</i>"
        self.redraw()

    def redraw(self) -> None:
        """Draw the same event again, by its energies or by its attributions."""
        if self.shower is None:
            return
        axes, values = axes_of(self.shower), self._attributions()
        image = finite_image(self.shower)
        norm: Normalize = energy_scale(image) if values is None else attribution_scale(values)
        cmap = ENERGY_CMAP if values is None else attribution_cmap(norm)
        self.scene.show(image, axes, values=values, norm=norm, cmap=cmap)
        what = "cell energy [MeV]" if values is None else "part in the logit"
        self.legend.value = legend_html(norm, self.shower.geometry, list(axes), what=what, cmap=cmap)
        self._values = values
        self._later(self.draw)

    def draw(self) -> None:
        """Draw the sheet of the present event."""
        if self.shower is not None:
            self.sheet.value = to_png(draw_sheet(self.shower, values=self._values))
            self.sheet.alt = "; ".join(f"{name}: {text}" for name, text in self._lines.items())

    def change(self, *, threshold: float, views: tuple[str, ...], shown: Shown) -> None:
        """Change what is drawn of the event in three dimensions: see the attributes of `Scene`."""
        self.scene.threshold, self.scene.views, self.scene.shown = threshold, views, shown
        self.scene.update()

    def close(self) -> None:
        """Draw nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _attributions(self) -> npt.NDArray[np.float64] | None:
        if not self.attributed or self.attribute is None or self.shower is None:
            return None
        values = np.asarray(self.attribute(self.shower), dtype=float)
        return values[0] if values.ndim == 3 else values

    def _picked(self, layer: int, cell: int) -> None:
        if self.shower is not None:
            self.pick.value = f"<b>{html.escape(cell_text(self.shower, layer, cell))}</b>"

    def _later(self, draw: Callable[[], Any]) -> None:
        """Call in a moment, if that is not put off again; at once where there is no event loop."""
        self.close()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            draw()
            return
        self._timer = loop.call_later(_WAIT, draw)

"""A shower in three dimensions, drawn by k3d: bars coloured by energy, crossings, axes, and the calorimeter.

The geometry comes from :mod:`ecalnb.display.scene`. The bars of all cells are sent to the browser once; a new event or
threshold only says which of them to draw and how, so that going from event to event is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colors import Normalize

from .._style import COLORS, ENERGY_CMAP
from ..geometry import Calorimeter, Tracks
from . import scene
from .views import energy_scale

__all__ = ["AXIS_COLORS", "VIEW_COLORS", "Scene", "Shown", "require"]

FloatArray = npt.NDArray[np.float64]
Shown = Literal["bars", "crossings", "both"]

VIEW_COLORS = {"x": COLORS[0], "y": COLORS[5]}
"""Colours of the edges of the bars that measure x and of those that measure y."""

AXIS_COLORS = {"true": COLORS[2], "track": COLORS[1], "reconstructed": COLORS[3]}
"""Colours of the lines: the true direction, the tracker's, and the shower's own."""

_LINE_WIDTHS = {"true": 18.0, "track": 12.0, "reconstructed": 6.0}  # mm: one within the other where they agree
_FAINTEST, _DENSEST = 0.10, 0.95  # opacity of bars at both ends of the colour scale: the core shows through the rest
_BESIDE_POINTS = 0.15  # factor on it where the crossings are drawn too
_POINT_SIZE = 18.0  # mm, of the largest; the volume of a point is proportional to its energy
_MOST_POINTS = 20_000
_GREY = 0x666666


def require(module: str) -> Any:
    """Import a module of the extra ``display``.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed, with the command that installs it.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = module.partition(".")[0]
        raise ModuleNotFoundError(
            f'{name} is not installed, which the event display needs: pip install "ecalnb[display]"', name=name
        ) from error


def packed(colors: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """Colours (n, 3 or 4) of red, green and blue from 0 to 1 as numbers 0xRRGGBB."""
    red, green, blue = np.rint(255 * np.asarray(colors, dtype=float)[:, :3]).astype(np.uint32).T
    numbers: npt.NDArray[np.uint32] = red << 16 | green << 8 | blue
    return numbers


class Scene:
    """The three-dimensional picture of one event at a time.

    Parameters
    ----------
    geometry : Calorimeter
        What the events are of.
    height : int
        Pixels.
    threshold : float
        Cells with less energy than this are not drawn, GeV.
    picked : callable, optional
        Is told the layer and the cell of a bar that the user clicks on.

    Attributes
    ----------
    plot : k3d.Plot
        The widget.

    Raises
    ------
    ModuleNotFoundError
        If k3d is not installed.
    """

    def __init__(
        self,
        geometry: Calorimeter,
        *,
        height: int = 400,
        threshold: float = 0.002,
        picked: Callable[[int, int], None] | None = None,
    ) -> None:
        k3d = require("k3d")
        side = geometry.width / 2 + 60
        self.geometry = geometry
        self.threshold = threshold
        self.shown: Shown = "bars"
        self.views: tuple[str, ...] = ("x", "y")
        self.picked = picked
        self._image: FloatArray = np.zeros(geometry.shape)
        self._values: FloatArray | None = None
        self._norm: Normalize = energy_scale(self._image)
        self._bars = scene.hit_bars(self._image, geometry)
        self.plot = k3d.plot(
            height=height,
            grid_visible=False,
            camera_auto_fit=False,
            grid_auto_fit=False,
            grid=(-side, -side, -geometry.thickness - 60, side, side, 60),
            menu_visibility=False,
            camera_fov=scene.FIELD_OF_VIEW,
            colorbar_object_id=0,
            axes_helper=1.0,
            antialias=0,  # more, and a logarithmic depth, cost computers without a graphics card several times as much
            logarithmic_depth_buffer=False,
            render_on_change=False,  # an event changes several objects, and is drawn once
            mode="callback",
            name="ecalnb_event",
        )
        self._add_calorimeter(k3d)
        self._add_event(k3d)
        self.look("perspective")

    def show(
        self,
        image: npt.ArrayLike,
        axes: Mapping[str, Tracks] | None = None,
        *,
        values: npt.ArrayLike | None = None,
        norm: Normalize | None = None,
        cmap: str = ENERGY_CMAP,
    ) -> None:
        """Draw an event in place of the one before; the camera stays.

        Parameters
        ----------
        image : array_like, shape (n_layers, n_cells)
            Cell energies, GeV; cells that are not finite are not drawn.
        axes : mapping of str to Tracks, optional
            Lines, by the names of :data:`AXIS_COLORS`; one that is NaN is not drawn.
        values : array_like, shape (n_layers, n_cells), optional
            What to colour cells by in place of their energy, with ``norm`` and ``cmap``.
        norm : Normalize, optional
            Colour scale: of the values, or else of the energies in MeV; that of the event unless given.
        cmap : str
            Colours.
        """
        self._image = scene.checked(image, self.geometry)
        self._values = None if values is None else scene.checked(values, self.geometry)
        self._norm = energy_scale(self._image) if norm is None else norm
        self._cmap = mpl.colormaps[cmap]
        for name, line in self._lines.items():
            axis = None if axes is None or name not in axes else scene.axis_line(axes[name], self.geometry)
            if axis is not None:
                line.vertices = axis.astype(np.float32)
            line.visible = axis is not None
        self._marker.visible = False
        self.update()

    def update(self) -> None:
        """Draw the same event again, with the threshold, views and parts as they are now."""
        bars = scene.hit_bars(self._image, self.geometry, self.threshold)
        seen = np.isin(np.array(self.geometry.views)[bars.layer], self.views) & (self.shown != "crossings")
        number = (bars.layer * self.geometry.n_cells + bars.cell)[seen]
        self._number = number
        colored = self._image * 1000 if self._values is None else self._values
        scaled = np.ma.filled(self._norm(np.nan_to_num(colored)), 0.0).ravel()
        # What stands out is dense: the far end of the energies, and both ends of values with a sign.
        weight = np.clip(
            scaled if self._values is None or not (self._norm.vmin or 0) < 0 else abs(2 * scaled - 1), 0, 1
        )
        opacity = (_FAINTEST + (_DENSEST - _FAINTEST) * weight**2) * (_BESIDE_POINTS if self.shown == "both" else 1)
        with self._mesh.hold_sync():
            self._mesh.colors = np.repeat(packed(self._cmap(scaled)), 8)
            self._mesh.opacities = np.repeat(opacity, 8).astype(np.float32)
            self._mesh.indices = _chosen(self._triangles, number)
            self._mesh.visible = len(number) > 0
        with self._edges.hold_sync():
            self._edges.indices = _chosen(self._segments, number)
            self._edges.visible = len(number) > 0
        self._update_points()
        self.plot.render()

    def _update_points(self) -> None:
        wanted = self.shown != "bars"
        points = scene.crossings(self._image, self.geometry, self.threshold) if wanted else None
        if points is None or not len(points):
            self._points.visible = False
            return
        order = np.argsort(points.energy)[-_MOST_POINTS:]
        norm = self._norm if self._values is None else energy_scale(self._image)
        energy = points.energy[order]
        scaled = np.clip(np.ma.filled(norm(1000 * energy), 0.0), 0, 1)
        cmap = mpl.colormaps[ENERGY_CMAP]
        with self._points.hold_sync():
            self._points.positions = points.position[order].astype(np.float32)
            self._points.colors = packed(cmap(scaled))
            self._points.point_sizes = (_POINT_SIZE * np.cbrt(energy / energy[-1])).astype(np.float32)
            self._points.visible = True

    def look(self, name: str) -> None:
        """Place the camera; see :func:`ecalnb.display.scene.camera`."""
        self.plot.camera = scene.camera(name, self.geometry)

    def mark(self, layer: int, cell: int) -> None:
        """Draw a frame around a cell."""
        low, high = (corner[None, layer, cell] for corner in scene.all_bars(self.geometry))
        with self._marker.hold_sync():
            self._marker.vertices = scene.outline(low - 1.5, high + 1.5)[0]
            self._marker.visible = True
        self.plot.render()

    def _add_calorimeter(self, k3d: Any) -> None:
        side, depth = self.geometry.width / 2, self.geometry.thickness
        low, high = np.array([[-side, -side, -depth]]), np.array([[side, side, 0.0]])
        vertices, triangles = scene.box_mesh(low, high)
        box = k3d.mesh(vertices, triangles, color=0x999999, opacity=0.06, flat_shading=True, name="calorimeter")
        vertices, ends = scene.outline(low, high)
        self.plot += box + _segments(k3d, vertices, ends, color=_GREY, name="edges of the calorimeter")
        beside, below, reach = -side - 45, -depth - 25, rf"-{side:.0f}~\ldots~{side:.0f}~mm"
        for text, place, anchor in (
            (rf"x:~{reach}", (0.0, beside, below), "cc"),
            (rf"y:~{reach}", (beside, 0.0, below), "rc"),
            ("depth~0", (beside, -beside, 0.0), "cc"),
        ):
            self.plot += k3d.text(
                rf"\mathsf{{{text}}}",
                place,
                color=0x444444,
                size=0.8,
                label_box=False,
                reference_point=anchor,
                name=text,
            )

    def _add_event(self, k3d: Any) -> None:
        low, high = (corner.reshape(-1, 3) for corner in scene.all_bars(self.geometry))
        n = len(low)
        vertices, triangles = scene.box_mesh(low, high)
        self._triangles = triangles.reshape(n, -1, 3)
        blend: dict[str, Any] = {"alpha_mode": "blend", "flat_shading": True}
        self._mesh = k3d.mesh(
            vertices, triangles[:1], colors=np.zeros(8 * n, np.uint32), opacities=np.zeros(8 * n, np.float32),
            name="bars", click_callback=self._clicked, **blend,
        )  # fmt: skip
        vertices, ends = scene.outline(low, high, ends_only=True)
        self._segments = ends.reshape(n, -1, 2)
        views = np.repeat(np.array(self.geometry.views), 8 * self.geometry.n_cells)
        colors = np.array([int(VIEW_COLORS[view][1:], 16) for view in views], dtype=np.uint32)
        self._edges = _segments(k3d, vertices, ends[:1], colors=colors, opacity=0.6, name="edges of the bars")
        self._points = k3d.points(
            np.zeros((1, 3), np.float32), colors=np.zeros(1, np.uint32), shader="3d", visible=False, name="crossings"
        )
        self._lines = {
            name: k3d.line(
                np.zeros((2, 3), np.float32),
                color=int(color[1:], 16),
                width=_LINE_WIDTHS[name],
                shader="thick",
                visible=False,
                name=name,
            )
            for name, color in AXIS_COLORS.items()
        }
        # k3d replaces an object to change it, and the browser compiles a shader that nothing else uses anew, for a
        # second or two without a graphics card. These have no extent and stay, and the shaders with them.
        corner, none = np.zeros((3, 3), np.float32), np.zeros((1, 3), np.uint32)
        color, full = np.zeros(3, np.uint32), np.ones(3, np.float32)
        self.plot += k3d.mesh(corner, none, colors=color, opacities=full, name="shader of the bars", **blend)
        self.plot += _segments(k3d, corner, none[:, :2], colors=color, opacity=0.6, name="shader of the edges")
        self.plot += k3d.points(
            corner[:1], colors=color[:1], point_size=1e-3, shader="3d", name="shader of the crossings"
        )
        self.plot += k3d.line(corner[:2], width=1e-3, shader="thick", name="shader of the axes")
        vertices, ends = scene.outline(low[:1], high[:1])
        self._marker = _segments(k3d, vertices, ends, color=0x000000, visible=False, name="picked cell")
        self._number = np.empty(0, dtype=np.intp)
        self._cmap = mpl.colormaps[ENERGY_CMAP]
        for drawable in (self._mesh, self._edges, self._points, self._marker, *self._lines.values()):
            self.plot += drawable

    def _clicked(self, message: Mapping[str, Any]) -> None:
        bar = int(message["face_index"]) // len(self._triangles[0])
        if 0 <= bar < len(self._number):
            layer, cell = divmod(int(self._number[bar]), self.geometry.n_cells)
            self.mark(layer, cell)
            if self.picked is not None:
                self.picked(layer, cell)


def _chosen(parts: npt.NDArray[np.uint32], number: npt.NDArray[np.intp]) -> npt.NDArray[np.uint32]:
    """Triangles or edges of some bars; where there is none, one without extent, because k3d needs one."""
    if not len(number):
        return np.zeros((1, parts.shape[-1]), dtype=np.uint32)
    return np.ascontiguousarray(parts[number].reshape(-1, parts.shape[-1]))


def _segments(k3d: Any, vertices: npt.NDArray[np.float32], ends: npt.NDArray[np.uint32], **options: Any) -> Any:
    return k3d.lines(vertices, ends, indices_type="segment", shader="simple", width=1.0, **options)

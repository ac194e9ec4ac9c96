"""An event in words and numbers: a summary, the legend of a picture, and the table of its cells, as text and as HTML.

Whatever comes from a file is escaped in the HTML.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import Normalize, to_hex

from .._style import ENERGY_CMAP, source_text
from ..geometry import Calorimeter, Tracks
from ..reconstruction import reconstruct
from ..showers import Showers
from .events import KEY
from .scene import hit_bars
from .scene3d import AXIS_COLORS, VIEW_COLORS

__all__ = ["axes_of", "cell_table", "cell_text", "finite_image", "legend_html", "source_of", "summary"]
__all__ += ["summary_html", "table_html"]

_TICKS = 6  # labels of a colour bar


def axes_of(shower: Showers) -> dict[str, Tracks]:
    """Lines of one event that are known: its true direction, the tracker's track, and the shower's own axis."""
    axes = {
        name: Tracks.from_table(shower.table, prefix)
        for name, prefix in (("true", "true"), ("track", "track"))
        if f"{prefix}_x" in shower.table
    }
    clean = Showers(finite_image(shower)[None], shower.table, shower.geometry)
    fitted = reconstruct(clean, "shower_fit_3d")
    axes["reconstructed"] = (fitted if fitted.good[0] else reconstruct(clean, "center_of_gravity")).tracks
    return {
        name: axis for name, axis in axes.items() if np.isfinite([axis.x, axis.y, axis.slope_x, axis.slope_y]).all()
    }


def finite_image(shower: Showers) -> npt.NDArray[np.float32]:
    """Image of one event, GeV, with 0 in cells whose energy is not finite; shape (n_layers, n_cells)."""
    return np.nan_to_num(shower.images[0], nan=0.0, posinf=0.0, neginf=0.0)


def source_of(shower: Showers) -> str:
    """Where an event comes from in a few words, empty where nobody knows."""
    kind = shower.metadata.get("kind")
    return source_text(kind, str(shower.metadata.get("simulation", ""))) if kind in ("mc", "flight") else ""


def summary(shower: Showers, *, row: int | None = None, extra: Sequence[str] = ()) -> dict[str, str]:
    """Say what there is to say about one event, line by line.

    Parameters
    ----------
    shower : Showers
        One event.
    row : int, optional
        Its number in the source.
    extra : sequence of str
        Further columns to show, for example scores.

    Returns
    -------
    dict of str
        Each line's name and text; of what the table does not have there is no line.
    """
    table, finite = shower.table.iloc[0], finite_image(shower)
    lines: dict[str, str] = {}
    if row is not None:
        lines["event"] = f"{row:,}"
    if all(name in table for name in KEY):
        lines["key"] = f"file {int(table['file_id']) % 2**64:016x}, entry {int(table['entry'])}"
    if isinstance(table.get("label"), str):
        lines["label"] = table["label"]
    if source := source_of(shower):
        lines["source"] = source
    for column, name, unit in (
        ("true_momentum", "true momentum", "GeV"), ("momentum", "true momentum", "GeV"),
        ("rigidity_inner", "rigidity", "GV"), ("en3d", "energy en3d", "GeV"),
    ):  # fmt: skip
        if column in table and np.isfinite(table[column]) and name not in lines:
            lines[name] = f"{table[column]:,.4g} {unit}" if abs(table[column]) < 1e4 else f"{table[column]:,.0f} {unit}"
    lines["sum of cells"] = f"{finite.sum():.4g} GeV in {np.count_nonzero(finite > 0)} cells"
    if finite.max() > 0:
        layer, cell = np.unravel_index(int(finite.argmax()), finite.shape)
        lines["largest cell"] = cell_text(shower, int(layer), int(cell))
    for name, axis in axes_of(shower).items():
        lines[f"{name} axis"] = (
            f"({axis.x[0]:.1f}, {axis.y[0]:.1f}) mm, {np.degrees(axis.inclination[0]):.1f}° inclined"
        )
    for column in extra:
        if column in table and column not in ("label", "en3d", "momentum", "true_momentum", *KEY):
            value = table[column]
            lines[column] = f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
    if bad := int((~np.isfinite(shower.images)).sum()) + _zeroed(shower):
        lines["bad cells"] = f"{bad} with an energy that is no finite positive number; not drawn"
    return lines


def _zeroed(shower: Showers) -> int:
    """Cells that the reader has set to 0."""
    report = shower.metadata.get("bad_cells", {})
    return sum(int(report.get(name, 0)) for name in ("nan", "infinite", "negative")) if isinstance(report, dict) else 0


def cell_text(shower: Showers, layer: int, cell: int) -> str:
    """Describe a cell of one event: where it is, and its energy."""
    geometry = shower.geometry
    view, energy = geometry.views[layer], float(shower.images[0, layer, cell])
    place = f"{view} = {geometry.cell_centers([cell])[0]:.1f} mm, depth {geometry.layer_depths[layer]:.1f} mm"
    return f"layer {layer} ({view}), cell {cell}: {_energy(energy)} at {place}"


def _energy(energy: float) -> str:
    """Write an energy, GeV, in the unit that suits it."""
    return f"{energy:.4g} GeV" if energy >= 1 else f"{1000 * energy:.3g} MeV"


def cell_table(shower: Showers, threshold: float = 0.0) -> pd.DataFrame:
    """Cells of one event, the largest energy first.

    Parameters
    ----------
    shower : Showers
        One event.
    threshold : float
        Only cells with more energy, GeV.

    Returns
    -------
    DataFrame
        ``layer``, ``view``, ``cell``, ``position_mm`` (the coordinate that the layer measures), ``depth_mm`` and
        ``energy_mev``.
    """
    geometry = shower.geometry
    bars = hit_bars(shower.images[0], geometry, threshold)
    order = np.argsort(-bars.energy, kind="stable")
    layer, cell = bars.layer[order], bars.cell[order]
    return pd.DataFrame(
        {
            "layer": layer,
            "view": np.array(geometry.views)[layer],
            "cell": cell,
            "position_mm": geometry.cell_centers(cell),
            "depth_mm": geometry.layer_depths[layer],
            "energy_mev": 1000 * bars.energy[order],
        }
    )


def table_html(table: pd.DataFrame) -> str:
    """Cells of :func:`cell_table` as an HTML table."""
    units = {"_mm": " [mm]", "_mev": " [MeV]"}
    names = [functools.reduce(lambda text, unit: text.replace(*unit), units.items(), str(name)) for name in table]
    heads = "".join(f"<th scope='col'>{html.escape(name)}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_number(value))}</td>" for value in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    return f"<table class='ecalnb-cells'><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def summary_html(lines: Mapping[str, str]) -> str:
    """Lines of :func:`summary` as HTML."""
    rows = "".join(
        f"<tr><th scope='row' style='text-align:left;font-weight:600;padding-right:10px;vertical-align:top;"
        f"white-space:nowrap'>{html.escape(name)}</th><td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in lines.items()
    )
    return f"<table class='ecalnb-summary' style='line-height:1.25;font-size:12px'>{rows}</table>"


def legend_html(
    norm: Normalize,
    geometry: Calorimeter,
    axes: Sequence[str] = (),
    *,
    what: str = "cell energy [MeV]",
    cmap: str = ENERGY_CMAP,
) -> str:
    """Colour bar of the cells, and what the lines and the edges of the bars are, as HTML.

    Parameters
    ----------
    norm : Normalize
        Colour scale.
    geometry : Calorimeter
        Whose views are named.
    axes : sequence of str
        Lines that are drawn.
    what : str
        What the colours are.
    cmap : str
        Colours.
    """
    colors = ", ".join(to_hex(color) for color in mpl.colormaps[cmap](np.linspace(0, 1, 24)))
    ends = float(norm.vmin or 0), float(norm.vmax or 1)
    values = np.asarray(norm.inverse(np.linspace(0, 1, _TICKS)), dtype=float)
    if ends[0] > 0:  # logarithmic: whole powers of ten, each in its place
        values = 10.0 ** np.arange(np.ceil(np.log10(ends[0])), np.floor(np.log10(ends[1])) + 1)
    ticks = "".join(
        f"<span style='position:absolute;left:{100 * float(norm(value)):.1f}%;transform:translateX(-50%)'>"
        f"{html.escape(f'{value:,.3g}' if abs(value) < 1000 else f'{value:,.0f}')}</span>"
        for value in values
    )
    bar = (
        f"<span style='white-space:nowrap'>{html.escape(what)}</span><div style='width:300px;margin:0 22px'>"
        f"<div style='height:12px;background:linear-gradient(to right, {colors});border:1px solid #999'></div>"
        f"<div style='position:relative;height:16px;font-size:11px'>{ticks}</div></div>"
    )
    names = {f"{view} measured": ("▣", VIEW_COLORS[view]) for view in sorted(set(geometry.views))}
    names |= {f"{axis} axis": ("━", AXIS_COLORS[axis]) for axis in axes}
    keys = "".join(
        f"<span style='white-space:nowrap;margin-right:14px'><span style='color:{color}'>{sign}</span>"
        f" {html.escape(name)}</span>"
        for name, (sign, color) in names.items()
    )
    style = "display:flex;flex-wrap:wrap;align-items:center;font-size:12px;line-height:1.3"
    return f"<div class='ecalnb-legend' style='{style}'>{bar}<div>{keys}</div></div>"

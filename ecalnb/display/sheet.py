"""One event on a sheet: both views, the longitudinal profile with its gamma curve, and the lateral profile.

The same picture is below the three-dimensional one in the widget, on an exported page, and in its place in a notebook
that nobody is looking at.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, get_args

import matplotlib.style as mpl_style
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.ticker import MaxNLocator

from .._style import COLORS, source_label, style
from ..geometry import View
from ..showers import Showers
from ..variables import fit_gamma_profiles
from .attributions import attribution_scale, attribution_view
from .profiles import lateral_profile, longitudinal_profile
from .summary import axes_of, finite_image, source_of
from .views import describe, energy_scale, view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["draw_sheet", "gamma_curve", "to_png"]

_SIZE = (13.0, 3.2)  # inches
_STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.titlesize": 9,
}
_STYLE |= {"xtick.minor.visible": False, "ytick.minor.visible": False, "axes.titley": 1.0}
# Left, bottom, width and height of both views, the colour bar and both profiles. A layout that is worked out anew for
# each event would take as long as everything else.
_PLACES = (
    (0.045, 0.37, 0.235, 0.52), (0.355, 0.37, 0.235, 0.52), (0.045, 0.155, 0.545, 0.04),
    (0.685, 0.155, 0.135, 0.735), (0.875, 0.155, 0.120, 0.735),
)  # fmt: skip
_LATERAL = np.arange(0, 16) * 9.0  # mm


def gamma_curve(ax: Axes, shower: Showers, *, rate: float | None = None, color: str = COLORS[1]) -> Line2D | None:
    """Draw the gamma distribution that fits the layer energies of one event, over its longitudinal profile.

    ``dE/dt = E0 b (b t)^(a - 1) exp(-b t) / Gamma(a)``, see :func:`ecalnb.variables.fit_gamma_profiles`, as the energy
    of a layer against depth.

    Parameters
    ----------
    ax : Axes
        Where :func:`ecalnb.display.longitudinal_profile` has drawn, MeV.
    shower : Showers
        One event with a track.
    rate : float, optional
        b per radiation length; None to fit it too, which follows single showers better.
    color : str
        Of the line.

    Returns
    -------
    Line2D or None
        The curve; None for an event that has no fit.
    """
    from scipy.stats import gamma

    fit = fit_gamma_profiles(shower, rate=rate)
    if not np.isfinite(fit.energy[0]):
        return None
    geometry = shower.geometry
    stretch = 1 / np.cos(shower.tracks.inclination[0])
    depth = np.linspace(0, geometry.radiation_lengths, 200)
    step = stretch * geometry.radiation_lengths / geometry.n_layers
    energy = 1000 * fit.energy[0] * step * gamma.pdf(stretch * depth, fit.shape[0], scale=1 / fit.rate[0])
    label = f"$E_0$ = {fit.energy[0]:.4g} GeV, $T_0$ = {fit.maximum[0]:.1f} $X_0$"
    (line,) = ax.plot(depth, energy, color=color, lw=1.5, label=label)
    ax.set_ylim(top=max(ax.get_ylim()[1], 1.05 * float(energy.max())))
    return line


def draw_sheet(
    showers: Showers,
    event: int = 0,
    *,
    values: npt.ArrayLike | None = None,
    half_width: float | None = 150.0,
    title: str | None = None,
) -> Figure:
    """Draw an event as XZ and YZ views, longitudinal profile with the fitted gamma curve, and lateral profile.

    Parameters
    ----------
    showers : Showers
        The events.
    event : int
        Position of the event in them.
    values : array_like, shape (n_layers, n_cells), optional
        Attributions of its cells, drawn in the views in place of the energies.
    half_width : float, optional
        Show this many mm on both sides of the shower; None for the whole width.
    title : str, optional
        What the event is; without it what its table says.

    Returns
    -------
    Figure
        Four axes and a colour bar. The profiles are along the tracker's track; where there is none, along the shower's
        own axis. Cells that are not finite count as 0.

    Raises
    ------
    IndexError
        If there is no such event.
    ValueError
        If the values have not the shape of the calorimeter.
    """
    if not 0 <= event < len(showers):
        raise IndexError(f"event {event} does not exist; there are {len(showers)} events, numbered from 0")
    shower, along = _with_axis(showers[[event]])
    image, geometry, tracks = shower.images[0], shower.geometry, shower.tracks if along else None
    with mpl_style.context([style(), _STYLE]):
        figure = Figure(figsize=_SIZE, layout=PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True))
        left, right, bar, long, side = (figure.add_axes(place) for place in _PLACES)
        energies = energy_scale(image)
        attributions = None if values is None else attribution_scale(values)
        for ax, name in zip((left, right), get_args(View), strict=True):
            if values is None:
                artists = view(ax, image, name, geometry, tracks, half_width=half_width, norm=energies)
            else:
                artists = attribution_view(ax, values, name, geometry, tracks, half_width=half_width, norm=attributions)
            ax.set_anchor("S")
        what = "cell energy [MeV]" if values is None else "part in the logit"
        figure.colorbar(artists.cells, cax=bar, orientation="horizontal", extend="neither", label=what)
        if artists.track is not None:
            artists.track.set_label(along)
            right.legend(handles=[artists.track], loc="upper left", bbox_to_anchor=(0, -0.1), borderaxespad=0)
        source_label(left, source_of(shower).replace("$", r"\$"))
        right.set_title(describe(showers, event) if title is None else title, loc="right")
        _draw_profiles(long, side, shower, along)
    return figure


def _draw_profiles(long: Axes, side: Axes, shower: Showers, along: str) -> None:
    """Draw both profiles of one event, as far as it has any."""
    if not shower.images.any():
        for ax in (long, side):
            ax.text(0.5, 0.5, "no energy", transform=ax.transAxes, ha="center")
        return
    longitudinal_profile(long, shower, color=COLORS[0])
    long.xaxis.set_major_locator(MaxNLocator(5))
    if not along:
        side.text(0.5, 0.5, "no axis", transform=side.transAxes, ha="center")
        return
    if (curve := gamma_curve(long, shower)) is not None:
        long.set_title(str(curve.get_label()), loc="left", color=curve.get_color())
    lateral_profile(side, shower, edges=_LATERAL, color=COLORS[0])
    side.set_xlabel(f"|distance from {along}| [mm]")


def _with_axis(shower: Showers) -> tuple[Showers, str]:
    """One event without its bad cells and with an axis in the place of the track, and what that is."""
    axes = axes_of(shower)
    along = next((name for name in ("track", "reconstructed") if name in axes), "")
    table = shower.table.copy()
    if along:
        for name in ("x", "y", "inclination", "azimuth"):
            table[f"track_{name}"] = getattr(axes[along], name)
    clean = Showers(finite_image(shower)[None], table, shower.geometry, shower.metadata)
    return clean, {"track": "track", "reconstructed": "shower axis", "": ""}[along]


def to_png(figure: Figure, dpi: float = 100) -> bytes:
    """Figure as the bytes of a PNG."""
    stream = io.BytesIO()
    with mpl_style.context([style(), _STYLE]):  # the fonts of formulas are those in force when they are drawn
        figure.set_dpi(dpi)
        # Figure.savefig would draw it twice, first for a layout that is fixed here.
        FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
    return stream.getvalue()

"""What all figures share: the style, the colours, the label of the source, and saving that repeats byte for byte.

A leaf below :mod:`ecalnb.plots` and :mod:`ecalnb.display`. Importing the package changes nobody's figures: the
style is in force where matplotlib is told to use it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.style as mpl_style
from cycler import cycler

from ._atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from .datasets import Dataset

__all__ = ["COLORS", "ENERGY_CMAP", "color_of", "save", "source_label", "source_text", "style"]

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/): distinct for all common kinds of colour blindness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

# A species has the same colour in every figure.
_SPECIES = {"electron": COLORS[0], "proton": COLORS[1], "positron": COLORS[2], "helium": COLORS[3]}

ENERGY_CMAP = "viridis_r"
"""Perceptually uniform, and readable with colour-blind eyes; small deposits are light, like the empty cells."""

_ADJUSTMENTS: dict[str, Any] = {
    "figure.figsize": (6.4, 4.6),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 13,
    "axes.linewidth": 1.0,
    "axes.titlesize": "small",
    "axes.prop_cycle": cycler(color=COLORS),
    "lines.linewidth": 1.5,
    "image.cmap": ENERGY_CMAP,
    "xtick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.major.size": 6,
    "ytick.minor.size": 3,
    "savefig.dpi": 130,
    "savefig.bbox": "tight",
    # Element names in an SVG are hashes of this and the content; the default salt is random.
    "svg.hashsalt": "ecalnb",
}


def style() -> dict[str, Any]:
    """Give the high-energy-physics style of mplhep at a size for a page or a notebook, as matplotlib's own settings.

    Examples
    --------
    >>> plt.style.use(style())
    >>> with plt.style.context(style()):
    ...     fig, ax = plt.subplots()
    """
    import mplhep

    return {**mplhep.style.ROOT, **_ADJUSTMENTS}


def color_of(label: str, default: str = COLORS[6]) -> str:
    """Colour of a species (``electron``, ``proton``, ...); ``default`` for a label without one of its own."""
    return _SPECIES.get(label, default)


def source_text(kind: str | Dataset, simulation: str = "") -> str:
    """Name in a few words where events come from, for :func:`source_label`.

    Parameters
    ----------
    kind : {"mc", "flight"} or Dataset
        What the events are; or a dataset, which knows that and the simulation of each of its parts.
    simulation : str
        Description of the simulation; its first word is the name of the program.

    Examples
    --------
    >>> source_text("mc", "Geant4 11.4.1 (FTFP_BERT), explicit fibres")
    'Geant4 simulation'
    >>> source_text("flight", "ecalnb, engine fast")
    'ecalnb simulation like flight data'
    """
    if not isinstance(kind, str):
        return " + ".join(sorted({source_text(part.kind, part.simulation) for part in kind.parts()}))
    program = simulation.split()[0].rstrip(",") if simulation.strip() else ""
    if kind == "flight":
        return f"{program} simulation like flight data" if program else "AMS flight data"
    return f"{program} simulation" if program else "Simulation"


def source_label(ax: Axes, source: str, detail: str = "") -> tuple[Text, Text]:
    """Say above ``ax`` where the events come from (left) and what was selected (right).

    Parameters
    ----------
    ax : Axes
        The axes to label.
    source : str
        Origin of the events, for example ``"Geant4 simulation"``.
    detail : str
        Energy window, spectrum, selection.
    """
    left = ax.set_title(source, loc="left", style="italic")
    return left, ax.set_title(detail, loc="right")


def save(fig: Figure, name: str, directory: str | Path) -> tuple[Path, Path]:
    """Write a figure as PNG and SVG that are the same bytes whenever the figure is the same.

    Parameters
    ----------
    fig : Figure
        What to write.
    name : str
        File name without an ending, for example ``"01_spectra"``.
    directory : path
        Where to; made if it is not there.

    Returns
    -------
    tuple of Path
        The PNG and the SVG.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    png, svg = directory / f"{name}.png", directory / f"{name}.svg"
    with mpl_style.context(style()):
        with replacing(png) as temporary:
            fig.savefig(temporary, format="png", metadata={"Software": None})
        with replacing(svg) as temporary:
            fig.savefig(temporary, format="svg", metadata={"Date": None})
    return png, svg

"""Event displays: the views of a shower and its profiles, what of it a network goes by, and the display of notebooks.

:class:`EventDisplay` is the interactive one; the other functions draw for papers and notebooks by matplotlib.
"""

from __future__ import annotations

from .annotations import KeptEvents
from .attributions import attribution_scale, attribution_view, draw_attribution
from .browser import EventDisplay
from .events import EventList, Events
from .export import write_html, write_png
from .profiles import (
    ProfileArtists,
    lateral,
    lateral_profile,
    longitudinal,
    longitudinal_profile,
    residuals,
    track_residuals,
)
from .scene import crossings
from .sheet import draw_sheet, gamma_curve
from .views import ViewArtists, draw_event, view

__all__ = [
    "EventDisplay",
    "EventList",
    "Events",
    "KeptEvents",
    "ProfileArtists",
    "ViewArtists",
    "attribution_scale",
    "attribution_view",
    "crossings",
    "draw_attribution",
    "draw_event",
    "draw_sheet",
    "gamma_curve",
    "lateral",
    "lateral_profile",
    "longitudinal",
    "longitudinal_profile",
    "residuals",
    "track_residuals",
    "view",
    "write_html",
    "write_png",
]

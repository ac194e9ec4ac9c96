"""Event displays: the static views of a shower, its profiles, and what of it a network goes by."""

from __future__ import annotations

from .attributions import attribution_scale, attribution_view, draw_attribution
from .profiles import (
    ProfileArtists,
    lateral,
    lateral_profile,
    longitudinal,
    longitudinal_profile,
    residuals,
    track_residuals,
)
from .views import ViewArtists, draw_event, view

__all__ = [
    "ProfileArtists",
    "ViewArtists",
    "attribution_scale",
    "attribution_view",
    "draw_attribution",
    "draw_event",
    "lateral",
    "lateral_profile",
    "longitudinal",
    "longitudinal_profile",
    "residuals",
    "track_residuals",
    "view",
]

"""Event displays: the static views of a shower and its profiles."""

from __future__ import annotations

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
    "draw_event",
    "lateral",
    "lateral_profile",
    "longitudinal",
    "longitudinal_profile",
    "residuals",
    "track_residuals",
    "view",
]

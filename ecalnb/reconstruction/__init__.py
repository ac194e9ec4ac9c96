"""Axis of a shower from its image: direction and position, by the conventional methods."""

from .axes import Quality, ShowerAxes

__all__ = ["Quality", "ShowerAxes"]

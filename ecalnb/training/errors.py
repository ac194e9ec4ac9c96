"""What goes wrong in training and prediction."""

from __future__ import annotations

__all__ = ["DivergenceError", "TrainingError"]


class TrainingError(ValueError):
    """A training or a prediction that cannot be done as asked; the message says what was found and what is needed."""


class DivergenceError(TrainingError):
    """A training whose loss is no longer a finite number."""

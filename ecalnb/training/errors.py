"""What goes wrong in training and prediction."""

from __future__ import annotations

__all__ = ["TrainingError"]


class TrainingError(ValueError):
    """A training or a prediction that cannot be done as asked; the message says what was found and what is needed."""

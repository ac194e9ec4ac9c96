"""What goes wrong when a model is made."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

__all__ = ["ModelError", "forbid_unknown", "suggest"]


class ModelError(ValueError):
    """A model that does not exist, or cannot be made as asked."""


def forbid_unknown(name: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise `ModelError` where options are given that an architecture would not read."""
    if unknown := sorted(set(given) - set(known)):
        raise ModelError(f"{name} has no option {', '.join(unknown)}; its options are {', '.join(known) or 'none'}")


def suggest(name: str, names: Collection[str], otherwise: str) -> str:
    """Ask whether one of the names nearest to `name` was meant; `otherwise` where none is near."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(close)}?" if close else otherwise

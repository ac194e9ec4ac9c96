"""Random numbers that do not depend on how many events follow.

Each quantity is drawn once for all events of a block, shape (n, ...), from a generator of its own: the numbers of the
first events are then the same in a longer block.
"""

from __future__ import annotations

import numpy as np

__all__ = ["stream"]


def stream(generator: np.random.Generator) -> np.random.Generator:
    """Make the generator of the next quantity."""
    return generator.spawn(1)[0]

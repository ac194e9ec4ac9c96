"""Some of the events of a sample, chosen so that a smaller choice lies inside a larger one.

Which events are chosen is a function of their keys: it does not depend on the order of the store, nor on which other
events there are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..splits import uniform_hash
from .errors import TrainingError

__all__ = ["nested_subset"]


def nested_subset(
    file_id: npt.NDArray[np.int64],
    entry: npt.NDArray[np.int64],
    signal: npt.NDArray[np.bool_],
    n_events: int,
    salt: str,
) -> npt.NDArray[np.int64]:
    """Choose events by a hash of their keys, with the proportions of the classes kept.

    Parameters
    ----------
    file_id, entry : array of int, shape (n,)
        Event keys.
    signal : array of bool, shape (n,)
        Class of each event.
    n_events : int
        Number of events to choose. With the same salt, those of a smaller number are among those of a larger one.
    salt : str
        Another salt makes another, independent choice.

    Returns
    -------
    array of int, shape (n_events,)
        Positions of the chosen events, rising.

    Raises
    ------
    TrainingError
        If there are fewer events.
    """
    if not 0 < n_events <= len(signal):
        raise TrainingError(f"{n_events} events are asked for and there are {len(signal)}; expected no more than those")
    order = np.argsort(uniform_hash(file_id, entry, salt), kind="stable")
    # Both numbers rise with n_events, or stay, and that is what nests the choices.
    n_signal = int(n_events * signal.mean() + 0.5)
    ranked = signal[order]
    chosen = np.concatenate([order[ranked][:n_signal], order[~ranked][: n_events - n_signal]])
    return np.sort(chosen)

"""The share of signal among events without labels, from their scores.

Aligning the features of two samples that mix the classes differently does harm: what is signal in one is laid over
background of the other (Z. Lipton, Y.-X. Wang and A. Smola, ICML 2018, arXiv:1802.03916; H. Zhao et al., ICML 2019,
arXiv:1901.09453). Both estimates here suppose that each class has the same scores in both samples, so a detector that
differs moves them: they are a guard, not a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import TrainingError

__all__ = ["SignalShare", "share_by_confusion", "share_by_expectation"]


@dataclass(frozen=True)
class SignalShare:
    """An estimated share of signal.

    Parameters
    ----------
    value : float
        From 0 to 1.
    error : float
        Standard error, of statistics alone.
    """

    value: float
    error: float


def share_by_confusion(
    signal: npt.ArrayLike, background: npt.ArrayLike, target: npt.ArrayLike, efficiency: float = 0.9
) -> SignalShare:
    """Estimate the share of signal from how many events pass a threshold.

    Black-box shift estimation (Z. Lipton et al., arXiv:1802.03916, section 3) for two classes: of the share p, what
    passes is ``p e + (1 - p) b``, with the efficiencies e and b of signal and background on labelled events.

    Parameters
    ----------
    signal, background : array, shape (n,) and (m,)
        Logits of labelled events, which were not trained on.
    target : array, shape (k,)
        Logits of the events without labels.
    efficiency : float
        Of signal, which sets the threshold.

    Raises
    ------
    TrainingError
        If a sample is empty.
    """
    s, b, t = _samples(signal, background, target)
    threshold = np.quantile(s, 1 - efficiency)
    (e, e_error), (f, f_error), (passed, passed_error) = (_fraction(x >= threshold) for x in (s, b, t))
    if not e > f:
        return SignalShare(0.5, 0.5)  # scores that separate nothing say nothing
    share = (passed - f) / (e - f)
    error = np.sqrt(passed_error**2 + (share * e_error) ** 2 + ((1 - share) * f_error) ** 2) / (e - f)
    return SignalShare(float(np.clip(share, 0, 1)), float(error))


def share_by_expectation(
    target: npt.ArrayLike, source_share: float = 0.5, iterations: int = 1000, tolerance: float = 1e-7
) -> SignalShare:
    """Estimate the share of signal by expectation and maximisation over posterior probabilities.

    M. Saerens, P. Latinne and C. Decaestecker, Neural Computation 14 (2002) 21, eq. 9. It is the maximum of the
    likelihood; the error is that of its curvature. Logits must be those of calibrated probabilities.

    Parameters
    ----------
    target : array, shape (k,)
        Logits of the events without labels.
    source_share : float
        Share of signal for which the logits are right; 1/2 for a loss in which both classes count the same.
    iterations, tolerance : int, float
        When to stop: after so many, or when the share changes by less.

    Raises
    ------
    TrainingError
        If there is no event, or `source_share` is not between 0 and 1.
    """
    if not 0 < source_share < 1:
        raise TrainingError(f"the source share of signal is {source_share}; expected more than 0 and less than 1")
    (logits,) = _samples(target)
    # Likelihood ratio of signal and background of each event; beyond e^30 nothing changes.
    ratio = np.exp(np.clip(logits - np.log(source_share / (1 - source_share)), -30, 30))
    share = source_share
    for _ in range(iterations):
        after = float(np.mean(share * ratio / (share * ratio + 1 - share)))
        done, share = abs(after - share) < tolerance, after
        if done:
            break
    information = np.sum(((ratio - 1) / (share * ratio + 1 - share)) ** 2)
    return SignalShare(share, float(1 / np.sqrt(information)) if information > 0 else 0.5)


def _samples(*samples: npt.ArrayLike) -> list[npt.NDArray[np.float64]]:
    arrays = [np.asarray(sample, dtype=np.float64) for sample in samples]
    if any(array.ndim != 1 or not len(array) for array in arrays):
        raise TrainingError(
            f"logits have the shapes {', '.join(str(array.shape) for array in arrays)}; expected (n,) with n > 0 each"
        )
    return arrays


def _fraction(passed: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Fraction and its error, by the rule of succession, so that the error of none of n is not 0."""
    n, k = len(passed), int(passed.sum())
    smoothed = (k + 1) / (n + 2)
    return k / n, float(np.sqrt(smoothed * (1 - smoothed) / n))

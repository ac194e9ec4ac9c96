"""Speed of `rejection_curve` beside scikit-learn's `roc_curve`, which gives a curve without intervals."""

import numpy as np
from ratios import Ratio, in_turns
from sklearn.metrics import roc_curve

from ecalnb.metrics import rejection_curve

TARGET = 1.0


def rows(quick: bool) -> list[Ratio]:
    """Scores a second."""
    n, rounds = (20_000, 2) if quick else (10_000_000, 3)
    rng = np.random.default_rng(1)
    signal, background = rng.normal(3, 1, n // 2), rng.normal(-3, 1, n // 2)
    weights = rng.exponential(1, n // 2), rng.exponential(1, n // 2)
    singles = signal.astype(np.float32), background.astype(np.float32)
    scores, labels = np.concatenate([signal, background]), np.repeat([1, 0], n // 2)
    yardstick = "sklearn.metrics.roc_curve"
    tasks = {
        yardstick: lambda: roc_curve(labels, scores),
        "float64": lambda: rejection_curve(signal, background),
        "float32": lambda: rejection_curve(*singles),
        "weighted": lambda: rejection_curve(signal, background, weights=weights),
    }
    rates = in_turns(n, tasks, rounds)
    reference = rates.pop(yardstick)
    return [Ratio(f"rejection_curve, {name}", yardstick, own, reference, TARGET) for name, own in rates.items()]

"""Speed of `rejection_curve` for ten million scores beside scikit-learn's `roc_curve` in the same run.

The comparison is generous to scikit-learn, which gives a curve without intervals. Best of several repetitions.
"""

# ruff: noqa: T201

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_curve

from ecalnb.metrics import rejection_curve

N_SCORES = 10_000_000


def best_time(function: Callable[[], object], repeat: int) -> float:
    """Shortest time of some calls, s."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print times and ratios."""
    rng = np.random.default_rng(1)
    signal, background = rng.normal(3, 1, N_SCORES // 2), rng.normal(-3, 1, N_SCORES // 2)
    weights = rng.exponential(1, N_SCORES // 2), rng.exponential(1, N_SCORES // 2)
    scores, labels = np.concatenate([signal, background]), np.repeat([1, 0], N_SCORES // 2)
    reference = best_time(lambda: roc_curve(labels, scores), 2)
    print(f"metrics: {N_SCORES / 1e6:.0f} million scores; sklearn.metrics.roc_curve {reference:.2f} s")
    cases: dict[str, Callable[[], object]] = {
        "float64": lambda: rejection_curve(signal, background),
        "float32": lambda: rejection_curve(signal.astype(np.float32), background.astype(np.float32)),
        "weighted": lambda: rejection_curve(signal, background, weights=weights),
    }
    for name, function in cases.items():
        ours = best_time(function, 3)
        print(f"metrics: rejection_curve, {name}: {ours:.2f} s, {reference / ours:.1f} times as fast")


if __name__ == "__main__":
    main()

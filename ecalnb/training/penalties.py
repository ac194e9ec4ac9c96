"""Penalties by name: what is added to the training loss so that the score depends less on something.

A penalty is called with the :class:`~ecalnb.training.Outputs` of a batch and the batch, and says by ``columns`` which
columns of the event table it needs in it. A new one is a class with a ``name``, added to ``_PENALTIES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch

from .._toml import near
from .errors import TrainingError
from .inputs import Batch
from .task import Outputs, Penalty

__all__ = ["DistanceCorrelation", "list_penalties", "make_penalty"]

_FEWEST = 8  # events of a species in a batch for which a distance correlation says anything


@dataclass(frozen=True)
class DistanceCorrelation:
    """Squared distance correlation of the logit and the logarithm of the energy, in either species, as in DisCo.

    It is zero only where the two are independent (G. Kasieczka and D. Shih, Phys. Rev. Lett. 125 (2020) 122001, eq. 4).
    They penalise the background alone; here it is the mean over both species, because electrons set the threshold.
    Instead of their estimate, which for independent quantities is about 1 / n, that without bias is taken
    (G. Székely and M. Rizzo, Annals of Statistics 42 (2014) 2382, eq. 3.2), for batches are small. The weights of
    planing count.

    Parameters
    ----------
    weight : float
        Factor of the penalty; the loss of a model that knows nothing is ln 2, the penalty at most 1.
    """

    weight: float = 1.0

    name: ClassVar[str] = "distance_correlation"
    columns: ClassVar[tuple[str, ...]] = ("en3d",)

    def __post_init__(self) -> None:
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 < self.weight < 1e6:
            raise TrainingError(f"the weight of the penalty {self.name} is {self.weight!r}; expected a positive number")

    def to_dict(self) -> dict[str, Any]:
        """Name and weight."""
        return {"name": self.name, **asdict(self)}

    def __call__(self, outputs: Outputs, batch: Batch) -> torch.Tensor:
        """Penalty of a batch, a scalar; a species with fewer than 8 events does not take part."""
        signal = batch["target"] > 0.5
        logits, energy = outputs.logits.float(), batch["en3d"].log()
        weights = batch.get("event_weight", torch.ones_like(energy))
        parts = [
            distance_correlation(logits[chosen], energy[chosen], weights[chosen])
            for chosen in (signal, ~signal)
            if chosen.sum() >= _FEWEST
        ]
        return self.weight * torch.stack(parts).mean() if parts else logits.sum() * 0


def distance_correlation(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Unbiased squared distance correlation of weighted events, (n,) each; differentiable.

    The sums are those of :func:`ecalnb.metrics.distance_correlation`, which says where they are from.
    """
    w = weights / weights.mean()
    a, b = (abs(v[:, None] - v[None, :]) for v in (x, y))
    powers = [float((w**k).sum()) for k in (1, 2, 3, 4)]
    xy, xx, yy = (_covariance(*pair, w, powers) for pair in ((a, b), (a, a), (b, b)))
    return xy / (xx * yy).clamp_min(1e-12).sqrt()


def _covariance(a: torch.Tensor, b: torch.Tensor, w: torch.Tensor, powers: list[float]) -> torch.Tensor:
    w1, w2, w3, w4 = powers
    rows_a, rows_b, product = a @ w, b @ w, a * b
    pairs, lopsided, squares = w @ product @ w, w @ product @ w**2, w**2 @ product @ w**2
    triples = (w * rows_a * rows_b).sum() - lopsided
    quadruples = (w @ rows_a) * (w @ rows_b) - 4 * ((w**2 * rows_a * rows_b).sum() - squares) - 2 * squares
    return (
        pairs / (w1**2 - w2)
        - 2 * triples / (w1**3 - 3 * w1 * w2 + 2 * w3)
        + quadruples / (w1**4 - 6 * w1**2 * w2 + 8 * w1 * w3 + 3 * w2**2 - 6 * w4)
    )


_PENALTIES: dict[str, Callable[..., Penalty]] = {DistanceCorrelation.name: DistanceCorrelation}


def list_penalties() -> list[str]:
    """Names of the penalties."""
    return list(_PENALTIES)


def make_penalty(settings: Mapping[str, Any]) -> Penalty | None:
    """Make a penalty from the settings of a recipe; None if there are none.

    Parameters
    ----------
    settings : mapping
        ``name``, one of :func:`list_penalties`, and its parameters, such as ``weight``.

    Raises
    ------
    TrainingError
        If there is no such penalty, or a parameter is not one of its own.
    """
    if not settings:
        return None
    parameters = dict(settings)
    name = parameters.pop("name", None)
    if name not in _PENALTIES:
        raise TrainingError(
            f"penalty is {name!r}; expected one of {', '.join(_PENALTIES)}{near(str(name), _PENALTIES)}"
        )
    try:
        return _PENALTIES[name](**parameters)
    except TypeError:
        raise TrainingError(f"the penalty {name} does not take {', '.join(parameters)}; expected weight") from None

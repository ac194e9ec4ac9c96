"""What a benchmark measures: a rate beside that of a yardstick, in turns in one process, again and again."""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Ratio", "cpu_seconds", "in_turns"]


@dataclass(frozen=True)
class Ratio:
    """A speed, and that of a yardstick.

    Parameters
    ----------
    what, yardstick : str
        What is measured, and beside what.
    rates, references : tuple of float
        Of each round, 1/s. A single reference is that of all rounds, such as an aim; none is a yardstick that is not
        installed.
    target : float, optional
        Ratio that is to be reached.

    Raises
    ------
    ValueError
        If a rate is missing, or there are as many rates as references not.
    """

    what: str
    yardstick: str
    rates: tuple[float, ...]
    references: tuple[float, ...]
    target: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple(self.rates))
        object.__setattr__(self, "references", tuple(self.references))
        if not self.rates or len(self.references) not in (0, 1, len(self.rates)):
            raise ValueError(
                f"{self.what}: {len(self.rates)} rates and {len(self.references)} references; expected as many, or one"
            )

    @property
    def ratio(self) -> float | None:
        """Of the best round on either side; None without a yardstick."""
        return max(self.rates) / max(self.references) if self.references else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """Least and largest ratio of a round."""
        if not self.references:
            return None
        references = self.references * (len(self.rates) if len(self.references) == 1 else 1)
        ratios = [rate / reference for rate, reference in zip(self.rates, references, strict=True)]
        return min(ratios), max(ratios)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is none, or no yardstick."""
        return None if self.target is None or self.ratio is None else self.ratio >= self.target


def cpu_seconds() -> float:
    """CPU time of this process and of those that it has waited for, which other work on the machine disturbs less."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)


def in_turns(
    n: int | Mapping[str, int], tasks: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, tuple[float, ...]]:
    """Rates of tasks over ``n`` events in each of some rounds, events a CPU second."""
    rates: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start = cpu_seconds()
            task()
            events = n if isinstance(n, int) else n[name]
            rates[name].append(events / max(cpu_seconds() - start, 1e-6))
    return {name: tuple(values) for name, values in rates.items()}

"""Cut-flow tables: what each cut of a selection does to a sample, with intervals."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._atomic import write_json
from .expressions import Verdict
from .intervals import FloatArray, check_level, clopper_pearson, effective_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CutFlow", "SelectionError"]

FORMAT = "ecalnb cut-flow 1"
STAGES = ("alone", "cumulative", "others")


class SelectionError(ValueError):
    """A selection that cannot be read or applied, or that leaves nothing."""


@dataclass(frozen=True, eq=False)
class CutFlow:
    """Numbers of events that pass the cuts of a selection; made by `Selection.cutflow`. Flows of chunks add up.

    Parameters
    ----------
    name : str
        Name of the selection.
    cuts : tuple of dict
        What each cut is, as by `Cut.to_dict`.
    level : float
        Confidence level of the intervals in `table`.
    weighted : bool
        Whether the events have weights.
    total : array, shape (3,)
        Events, their weights and their squared weights, summed over the sample.
    passed : array, shape (3, n_cuts, 3)
        The same sums of the events that pass, for each cut: the cut alone; it and all before it; all the other cuts.
    missing : array, shape (n_cuts,)
        Events that a cut could not judge because of a missing value. They do not pass.
    """

    name: str
    cuts: tuple[Mapping[str, Any], ...]
    level: float
    weighted: bool
    total: FloatArray
    passed: FloatArray
    missing: npt.NDArray[np.int64]

    @classmethod
    def count(
        cls,
        name: str,
        cuts: Sequence[Mapping[str, Any]],
        verdicts: Sequence[Verdict],
        weights: npt.ArrayLike | None,
        level: float,
    ) -> CutFlow:
        """Count the verdicts of cuts on a sample.

        Raises
        ------
        SelectionError
            If weights do not go with the events, or one is negative or not finite.
        """
        n = len(verdicts[0].passes)
        w = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
        if w.shape != (n,):
            raise SelectionError(f"weights have shape {w.shape}; expected one weight for each of {n} events")
        if (wrong := ~(np.isfinite(w) & (w >= 0))).any():
            raise SelectionError(f"a weight is {w[wrong][0]:g}; expected finite weights that are not negative")

        def sums(mask: npt.NDArray[np.bool_]) -> FloatArray:
            chosen = w[mask]
            return np.array([len(chosen), chosen.sum(), (chosen**2).sum()])

        passed = np.zeros((len(STAGES), len(cuts), 3))
        so_far = np.ones(n, dtype=bool)
        failures = np.sum([~verdict.passes for verdict in verdicts], axis=0)
        for i, verdict in enumerate(verdicts):
            so_far = so_far & verdict.passes
            others = failures == ~verdict.passes
            passed[:, i] = sums(verdict.passes), sums(so_far), sums(others)
        missing = np.array([np.count_nonzero(verdict.missing) for verdict in verdicts])
        all_events = sums(np.ones(n, dtype=bool))
        return cls(name, tuple(cuts), check_level(level), weights is not None, all_events, passed, missing)

    def __add__(self, other: CutFlow) -> CutFlow:
        if not isinstance(other, CutFlow):
            return NotImplemented
        for field in ("name", "cuts", "level", "weighted"):
            mine, theirs = getattr(self, field), getattr(other, field)
            if mine != theirs:
                raise SelectionError(f"cut-flows of different {field} do not add up: {mine!r} and {theirs!r}")
        sums = self.total + other.total, self.passed + other.passed, self.missing + other.missing
        return CutFlow(self.name, self.cuts, self.level, self.weighted, *sums)

    def __radd__(self, other: object) -> CutFlow:
        return self if other == 0 else NotImplemented  # `sum` starts with 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CutFlow) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # compared by value, and holds arrays

    @property
    def n_events(self) -> int:
        """Events in the sample."""
        return int(self.total[0])

    @property
    def n_passed(self) -> int:
        """Events that pass all cuts."""
        return int(self.passed[1, -1, 0])

    @property
    def table(self) -> pd.DataFrame:
        """One row a cut.

        Columns: ``cut``, ``expression``; ``missing``: events that the cut could not judge; ``events_alone``,
        ``fraction_alone`` (and ``_low``, ``_high``): events that pass this cut, of all; ``events``, ``fraction``:
        events that pass this cut and all before it, of all; ``events_others``: events that pass all the other cuts,
        and ``fraction_last``: the part of those that this cut leaves ("N - 1" efficiency). With weights, fractions are
        those of the sums of weights, which are in ``weight_alone``, ``weight`` and ``weight_others``. Intervals are
        Clopper-Pearson at `level`, with effective counts for weights; NaN is the fraction of no events.
        """
        import pandas as pd

        alone, cumulative, others = self.passed
        columns: dict[str, Any] = {
            "cut": [cut["label"] for cut in self.cuts],
            "expression": [cut.get("expression") or cut["function"] for cut in self.cuts],
            "missing": self.missing,
        }
        parts = (
            ("alone", "fraction_alone", alone, self.total, "_alone", alone),
            ("cumulative", "fraction", cumulative, self.total, "", cumulative),
            ("others", "fraction_last", np.broadcast_to(cumulative[-1], others.shape), others, "_others", others),
        )
        for _, fraction, part, whole, suffix, shown in parts:
            columns[f"events{suffix}"] = shown[:, 0].astype(np.int64)
            if self.weighted:
                columns[f"weight{suffix}"] = shown[:, 1]
            k, n = effective_counts(part[:, 1], part[:, 2], whole[..., 1], whole[..., 2])
            columns[f"{fraction}_low"], columns[f"{fraction}_high"] = clopper_pearson(k, n, self.level)
            with np.errstate(invalid="ignore"):
                columns[fraction] = k / n
        order = [*columns]
        for name in ("fraction_alone", "fraction", "fraction_last"):  # the value before its bounds
            order.remove(name)
            order.insert(order.index(f"{name}_low"), name)
        return pd.DataFrame(columns)[order]

    def require_events(self) -> CutFlow:
        """Return the flow itself if an event is left.

        Raises
        ------
        SelectionError
            If the selection leaves nothing; says after which cut, and what that cut does alone.
        """
        if self.n_passed:
            return self
        if not self.n_events:
            raise SelectionError(f"selection {self.name!r} was given no events; expected at least one")
        last = int(np.flatnonzero(self.passed[1, :, 0] == 0)[0])
        cut = self.cuts[last]
        before = int(self.passed[1, last - 1, 0]) if last else self.n_events
        reason = f", {self.missing[last]} have a missing value there" if self.missing[last] else ""
        raise SelectionError(
            f"selection {self.name!r} leaves none of {self.n_events} events: the cut {cut['label']!r} "
            f"({cut.get('expression') or cut['function']}) removes the last {before}; alone it passes "
            f"{int(self.passed[0, last, 0])}{reason}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Describe the flow in JSON types: sums for reading it back, and the rows of `table` for people."""
        names = ("events", "weight", "weight2")
        # NaN, the fraction of no events, has no place in JSON.
        rows = self.table.astype(object).where(self.table.notna(), None).to_dict("records")
        cuts = []
        for i, (cut, row) in enumerate(zip(self.cuts, rows, strict=True)):
            sums = {stage: dict(zip(names, self.passed[s, i].tolist(), strict=True)) for s, stage in enumerate(STAGES)}
            cuts.append({"cut": dict(cut), "missing": int(self.missing[i]), "passed": sums, "table": row})
        total = dict(zip(names, self.total.tolist(), strict=True))
        head = {"format": FORMAT, "name": self.name, "level": self.level, "weighted": self.weighted, "total": total}
        return {**head, "cuts": cuts}

    def to_json(self, path: str | Path) -> Path:
        """Write the flow to a JSON file, whole or not at all, and return its path."""
        path = Path(path)
        write_json(path, self.to_dict())
        return path

    @classmethod
    def from_json(cls, path: str | Path) -> CutFlow:
        """Read a flow that `to_json` wrote.

        Raises
        ------
        SelectionError
            If the file is not there, or is not such a flow.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SelectionError(f"{path} cannot be read as a cut-flow: {error}") from error
        kind = content.get("format") if isinstance(content, dict) else None
        if kind != FORMAT:
            raise SelectionError(f"{path} has the format {kind!r}; expected {FORMAT!r}")
        try:
            cuts = content["cuts"]
            passed = [[list(cut["passed"][stage].values()) for cut in cuts] for stage in STAGES]
            return cls(
                content["name"],
                tuple(cut["cut"] for cut in cuts),
                content["level"],
                content["weighted"],
                np.array(list(content["total"].values()), dtype=float),
                np.array(passed, dtype=float).reshape(len(STAGES), len(cuts), 3),
                np.array([cut["missing"] for cut in cuts]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SelectionError(f"{path} is no whole cut-flow ({error!r}); expected what to_json writes") from error

    def __str__(self) -> str:
        return f"{self._caption()}\n{self._for_people().to_string(index=False)}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self._caption())}</p>{self._for_people().to_html(index=False, border=0, escape=True)}"

    def _caption(self) -> str:
        weights = f", weighted (sum of weights {self.total[1]:.6g})" if self.weighted else ""
        return f"{self.name}: {self.n_passed:,} of {self.n_events:,} events pass{weights}; intervals {self.level:.0%}"

    def _for_people(self) -> pd.DataFrame:
        import pandas as pd

        table = self.table

        def percent(name: str) -> list[str]:
            return [
                f"{100 * f:.4g} (+{100 * (high - f):.2g} -{100 * (f - low):.2g})" if np.isfinite(f) else "no events"
                for f, low, high in zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)
            ]

        columns = {
            "cut": table["cut"],
            "condition": table["expression"],
            "alone": [f"{n:,}" for n in table["events_alone"]],
            "alone, %": percent("fraction_alone"),
            "so far": [f"{n:,}" for n in table["events"]],
            "so far, %": percent("fraction"),
            "left of the other cuts, %": percent("fraction_last"),
        }
        if self.missing.any():
            columns["missing value"] = [f"{n:,}" for n in table["missing"]]
        return pd.DataFrame(columns)

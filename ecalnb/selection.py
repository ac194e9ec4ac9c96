"""Cuts with a label, selections of several cuts, and their cut-flow.

A cut is a condition on the columns of an event table, and a selection is cuts in an order, of which all must pass::

    selection = Selection([Cut("en3d > 20", label="energy"), Cut("abs(track_x) < 300", label="track inside")])
    chosen = selection(table)              # boolean mask
    selection.cutflow(table)               # what each cut does, with intervals

Conditions are those of :mod:`ecalnb.expressions`; a missing value never passes, nor does it pass the negated cut.
Matching the energy spectra of two species is in :mod:`ecalnb.spectra`, cut-flow tables in :mod:`ecalnb.cutflow`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._toml import DATA, check_keys, read_toml
from .cutflow import CutFlow, SelectionError
from .expressions import BoolArray, Condition, ExpressionError, Verdict, missing_column
from .spectra import common_window, matched_bins, spectrum_thinning, spectrum_weights

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Cut",
    "CutFlow",
    "Selection",
    "SelectionError",
    "common_window",
    "load_selections",
    "matched_bins",
    "spectrum_thinning",
    "spectrum_weights",
]


class Cut:
    """One condition on events, with a label.

    Parameters
    ----------
    condition : str or callable
        Text for :class:`ecalnb.expressions.Condition`, or a function of the table that returns a boolean an event.
    label : str, optional
        Short name for people; the text of the condition unless told. A function needs one.
    columns : sequence of str, optional
        Columns that a function uses. Events with a missing value in one of them neither pass nor fail. Not for texts,
        which name their columns themselves.

    Raises
    ------
    ExpressionError
        If a text does not parse.
    SelectionError
        If a function comes without label or columns.

    Examples
    --------
    >>> electron_like = Cut("ecal_bdt > 0.5", label="BDT") | Cut("ecal_likelihood < 1", label="likelihood")
    >>> electron_like.label
    '(BDT) or (likelihood)'
    """

    def __init__(
        self,
        condition: str | Callable[[pd.DataFrame], npt.ArrayLike],
        label: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.expression: str | None = None
        self._function: Callable[[pd.DataFrame], Verdict]
        if isinstance(condition, str):
            parsed = Condition(condition)
            if columns is not None:
                raise SelectionError(
                    f"cut {condition!r} names its columns itself; columns={columns!r} must be left out"
                )
            self.expression, self.columns, self._function = parsed.text, parsed.columns, parsed.verdict
            self.label = label or parsed.text
        elif callable(condition):
            name = getattr(condition, "__qualname__", type(condition).__name__)
            if not label or columns is None or isinstance(columns, str):
                raise SelectionError(f"a cut made of the function {name} needs label='...' and columns=[...]")
            self.label, self.columns = label, tuple(columns)
            self._function = self._call(condition)
        else:
            raise SelectionError(f"condition {condition!r} is neither a text such as 'en3d > 20' nor a function")

    def __call__(self, table: pd.DataFrame) -> BoolArray:
        """Events that pass, boolean, shape (n,)."""
        return self.verdict(table).passes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.expression or self._source()!r}, label={self.label!r})"

    def __and__(self, other: Cut) -> Selection:
        return Selection([*_parts(self), *_parts(other)])

    def __or__(self, other: Cut) -> Cut:
        return _combine(f"({self.label}) or ({other.label})", "({}) or ({})", lambda a, b: a | b, self, other)

    def __invert__(self) -> Cut:
        return _combine(f"not ({self.label})", "not ({})", lambda a: ~a, self)

    def verdict(self, table: pd.DataFrame) -> Verdict:
        """Events that pass and events that fail; those with missing values do neither.

        Raises
        ------
        SelectionError
            If the table lacks a column, or the condition does not fit its columns; names the cut.
        """
        for name in self.columns:
            if name not in table.columns:
                raise SelectionError(missing_column(name, table.columns, f"cut {self.label!r}"))
        try:
            return self._function(table)
        except ExpressionError as error:
            raise SelectionError(f"cut {self.label!r}: {error}") from error

    def labelled(self, label: str) -> Cut:
        """Return the same cut under another label."""
        return _combine(label, "{}", lambda a: a, self)

    def to_dict(self) -> dict[str, Any]:
        """Describe the cut in JSON types: label and expression, or label, function and columns."""
        if self.expression is not None:
            return {"label": self.label, "expression": self.expression}
        return {"label": self.label, "function": self._source(), "columns": list(self.columns)}

    def _source(self) -> str:
        return getattr(self._function, "source", "")

    def _call(self, function: Callable[[pd.DataFrame], npt.ArrayLike]) -> Callable[[pd.DataFrame], Verdict]:
        label, columns = self.label, list(self.columns)

        def verdict(table: pd.DataFrame) -> Verdict:
            result: Any = function(table)
            missing = table[columns].isna().to_numpy().any(axis=1)
            if hasattr(result, "isna"):
                missing = missing | result.isna().to_numpy()
                result = result.to_numpy(dtype=bool, na_value=False)
            mask = np.asarray(result)
            if mask.shape != (len(table),) or mask.dtype != bool:
                raise SelectionError(
                    f"the function of cut {label!r} returned {mask.dtype} values of shape {mask.shape}; "
                    f"expected one boolean for each of {len(table)} events"
                )
            return Verdict(mask & ~missing, ~mask & ~missing)

        name = getattr(function, "__qualname__", type(function).__name__)
        verdict.source = f"{getattr(function, '__module__', '')}.{name}"  # type: ignore[attr-defined]
        return verdict


class Selection(Cut):
    """Cuts in an order, all of which must pass. It is a cut itself, and composes like one.

    Parameters
    ----------
    cuts : iterable of Cut
        At least one. A selection among them is one step of the cut-flow; ``a & b`` joins the cuts of both instead.
    name : str, optional
        Name of the selection, its label as a cut; the labels of its cuts unless told.
    description : str
        What it is for.

    Raises
    ------
    SelectionError
        If there is no cut, or two have the same label.
    """

    def __init__(self, cuts: Iterable[Cut], name: str | None = None, description: str = "") -> None:
        self.cuts = tuple(cuts)
        if not self.cuts:
            raise SelectionError(f"selection {name or ''!r} has no cuts; expected at least one")
        labels = [cut.label for cut in self.cuts]
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise SelectionError(f"two cuts have the label {sorted(twice)[0]!r}; expected one label for each cut")
        self.name = name
        self.description = description
        self.label = name or " and ".join(f"({label})" for label in labels)
        self.columns = tuple(dict.fromkeys(column for cut in self.cuts for column in cut.columns))
        texts = [cut.expression for cut in self.cuts]
        self.expression = None if None in texts else " and ".join(f"({text})" for text in texts)

    def __iter__(self) -> Iterator[Cut]:
        return iter(self.cuts)

    def __len__(self) -> int:
        return len(self.cuts)

    def __repr__(self) -> str:
        return f"Selection({self.label!r}: {', '.join(cut.expression or cut.label for cut in self.cuts)})"

    def verdict(self, table: pd.DataFrame) -> Verdict:
        """Events that pass all cuts, and events that fail one; see `Cut.verdict`."""
        total = self.cuts[0].verdict(table)
        for cut in self.cuts[1:]:
            total = total & cut.verdict(table)
        return total

    def cutflow(self, table: pd.DataFrame, weights: npt.ArrayLike | None = None, level: float = 0.68) -> CutFlow:
        """Count what each cut does: alone, after those before it, and as the last of all.

        The flows of chunks of a sample add up: ``sum(selection.cutflow(chunk) for chunk in chunks)``.

        Parameters
        ----------
        table : pandas.DataFrame
            Events.
        weights : array_like, shape (n,), optional
            Weights of the events, not negative.
        level : float
            Confidence level of the intervals.
        """
        verdicts = [cut.verdict(table) for cut in self.cuts]
        return CutFlow.count(self.label, [cut.to_dict() for cut in self.cuts], verdicts, weights, level)

    def select(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows that pass.

        Raises
        ------
        SelectionError
            If no event is left; says after which cut.
        """
        chosen = self(table)
        if not chosen.any():
            self.cutflow(table).require_events()
        return table[chosen]

    def _source(self) -> str:
        return " and ".join(f"({cut.expression or cut._source()})" for cut in self.cuts)

    def to_dict(self) -> dict[str, Any]:
        """Describe the selection in JSON types; `from_dict` reads it back if all cuts are texts."""
        return {"name": self.label, "description": self.description, "cuts": [cut.to_dict() for cut in self.cuts]}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any], name: str | None = None, source: str = "selection") -> Selection:
        """Make a selection from ``{"cuts": [{"label": ..., "expression": ...}, ...]}``.

        Raises
        ------
        SelectionError
            If there are unknown keys, missing ones, or a condition does not parse; names ``source`` and the cut.
        """
        where = f"{source}: selection {name or description.get('name', '')!r}"
        # In a file the name is that of the table; a second one would be ignored.
        _check_keys(description, ["cuts", "description", *(["name"] if name is None else [])], where)
        cuts = description.get("cuts")
        if not isinstance(cuts, list) or not cuts:
            raise SelectionError(
                f"{where} has no list of cuts; expected cuts = [{{label = '...', expression = '...'}}]"
            )
        made = []
        for number, cut in enumerate(cuts, 1):
            place = f"{where}, cut {number}"
            _check_keys(cut, ["label", "expression"], place)
            if not all(isinstance(cut.get(key), str) and cut[key] for key in ("label", "expression")):
                raise SelectionError(f"{place} is {dict(cut)!r}; expected a label and an expression, both texts")
            try:
                made.append(Cut(cut["expression"], label=cut["label"]))
            except ExpressionError as error:
                raise SelectionError(f"{place} ({cut['label']}): {error}") from error
        return cls(made, name or description.get("name"), str(description.get("description", "")))

    @classmethod
    def load(cls, name: str | Path, path: str | Path | None = None) -> Selection:
        """Read a selection from TOML.

        Parameters
        ----------
        name : str or Path
            Name of a selection of the file; or a TOML file that holds only one.
        path : str or Path, optional
            The TOML file; the packaged selections unless told.

        Raises
        ------
        SelectionError
            If the file has no such selection, or cannot be read.
        """
        if path is None and str(name).endswith(".toml"):
            found = load_selections(name)
            if len(found) != 1:
                raise SelectionError(f"{name} holds the selections {', '.join(found)}; name the one to use")
            return next(iter(found.values()))
        found = load_selections(path)
        if name not in found:
            where = path or "the package"
            raise SelectionError(f"no selection {str(name)!r} in {where}; there are {', '.join(sorted(found))}")
        return found[str(name)]


def load_selections(path: str | Path | None = None) -> dict[str, Selection]:
    """Read all selections of a TOML file, the packaged ones unless told.

    The file has a table ``[selections.NAME]`` for each, with ``cuts``, a list of tables with ``label`` and
    ``expression``, and an optional ``description``.

    Raises
    ------
    SelectionError
        If there is no such file, it is not TOML, has unknown keys, or a condition does not parse.
    """
    file = DATA / "selections.toml" if path is None else Path(path)
    try:
        content = read_toml(file)
        check_keys(content, ["selections"], str(file), required=["selections"])
    except (ValueError, FileNotFoundError) as error:
        raise SelectionError(str(error)) from None
    tables = content["selections"]
    if not isinstance(tables, dict) or not tables:
        raise SelectionError(f"{file} has no selections; expected a table [selections.NAME]")
    return {name: Selection.from_dict(table, name, str(file)) for name, table in tables.items()}


def _check_keys(table: object, known: list[str], where: str) -> None:
    if not isinstance(table, Mapping):
        raise SelectionError(f"{where} is {table!r}; expected a table with {', '.join(known)}")
    try:
        check_keys(table, known, where)
    except ValueError as error:
        raise SelectionError(str(error)) from None


def _parts(cut: Cut) -> tuple[Cut, ...]:
    return cut.cuts if isinstance(cut, Selection) else (cut,)


def _combine(label: str, text: str, rule: Callable[..., Verdict], *cuts: Cut) -> Cut:
    """Cut made of others: of their texts where all have one, else of their verdicts."""
    texts = [cut.expression for cut in cuts]
    if None not in texts:
        return Cut(text.format(*texts), label=label)
    made = Cut.__new__(Cut)
    made.label, made.expression = label, None
    made.columns = tuple(dict.fromkeys(column for cut in cuts for column in cut.columns))

    def verdict(table: pd.DataFrame) -> Verdict:
        return rule(*(cut.verdict(table) for cut in cuts))

    verdict.source = text.format(*(cut.expression or cut._source() for cut in cuts))  # type: ignore[attr-defined]
    made._function = verdict
    return made

"""Conditions on the columns of an event table, written as text: ``"20 < en3d <= 100 and label == 'electron'"``.

The text is parsed, checked against a list of what is allowed, and evaluated column by column. Nothing in it is ever
executed as Python, so a selection file from somebody else is safe to load. Allowed are

- names of columns, numbers, and texts in quotes;
- ``< <= > >= == !=`` (also chained), ``in [..]``, ``not in [..]``, ``column.isin([..])``;
- ``and or not``, or ``& | ~`` as in pandas, where comparisons need parentheses;
- ``+ - * / % **`` and the functions of `FUNCTIONS`; ``missing(column)`` asks whether a value is missing.

A missing value (NaN, None, NA, or an impossible result as of ``sqrt(-1)``) makes a comparison neither true nor false:
the event does not pass it, and it does not pass its negation. ``a or b`` still passes where one of them is true.
"""

from __future__ import annotations

import ast
import difflib
import functools
import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._syntax import ARITHMETIC, COMPARISONS, FUNCTIONS, ExpressionError, columns_of, list_items, refuse

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FUNCTIONS", "Condition", "ExpressionError", "Verdict", "missing_column"]

BoolArray = npt.NDArray[np.bool_]


class Verdict(NamedTuple):
    """Events that pass and events that fail, shape (n,) each; an event with a missing value does neither."""

    passes: BoolArray
    fails: BoolArray

    @property
    def missing(self) -> BoolArray:
        """Events on which a missing value allows no judgement."""
        return ~(self.passes | self.fails)

    def __and__(self, other: Verdict) -> Verdict:
        return Verdict(self.passes & other.passes, self.fails | other.fails)

    def __or__(self, other: Verdict) -> Verdict:
        return Verdict(self.passes | other.passes, self.fails & other.fails)

    def __invert__(self) -> Verdict:
        return Verdict(self.fails, self.passes)


class _Numbers(NamedTuple):
    values: Any  # array or scalar; NaN or `missing` where there is none
    missing: Any


class _Texts(NamedTuple):
    values: Any  # object array or str
    missing: Any


_Value = _Numbers | _Texts | Verdict


def missing_column(name: str, columns: Iterable[object], who: str) -> str:
    """Sentence about a column that a table does not have, with the names that come close."""
    known = [str(column) for column in columns]
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(close)}?" if close else f"it has {', '.join(sorted(known)) or 'no columns'}"
    return f"{who} needs the column {name!r}, which the table does not have; {hint}"


class Condition:
    """A condition on table columns, from text.

    Parameters
    ----------
    text : str
        The condition; see the module's docstring for what it may contain.

    Attributes
    ----------
    text : str
        The condition as given.
    columns : tuple of str
        Columns that it uses, in order of appearance.

    Raises
    ------
    ExpressionError
        If the text does not parse, or contains something that is not allowed.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"en3d": [5.0, 50.0, None]})
    >>> Condition("en3d > 20")(table)
    array([False,  True, False])
    >>> Condition("not en3d > 20")(table)
    array([ True, False, False])
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or not text.strip():
            raise ExpressionError(f"condition {text!r} is empty; expected something like 'en3d > 20'")
        self.text = " ".join(text.split())
        try:
            self._tree = ast.parse(self.text, mode="eval").body
            found = list(columns_of(self._tree, self.text))
        except SyntaxError as error:
            column = max((error.offset or 1) - 1, 0)
            raise ExpressionError(
                f"condition {self.text!r} does not parse at {self.text[column:][:20]!r} ({error.msg}); "
                "expected something like 'en3d > 20 and abs(track_x) < 300'"
            ) from None
        except (ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, ExpressionError):
                raise
            raise ExpressionError(
                f"condition {self.text[:60]!r} cannot be read ({error}); expected a short text"
            ) from None
        self.columns = tuple(dict.fromkeys(found))

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def __call__(self, table: pd.DataFrame) -> BoolArray:
        """Events that pass, shape (n,)."""
        return self.verdict(table).passes

    def verdict(self, table: pd.DataFrame) -> Verdict:
        """Events that pass and events that fail.

        Raises
        ------
        ExpressionError
            If the table lacks a column, or texts and numbers are mixed.
        """
        with np.errstate(all="ignore"):
            try:
                result = self._condition(self._tree, table)
            except (OverflowError, RecursionError, TypeError) as error:
                raise ExpressionError(f"condition {self.text!r} cannot be evaluated: {error}") from error
        # A condition that uses only numbers, such as `1 < 2`, is one verdict for all events.
        return Verdict(*(np.broadcast_to(part, len(table)).astype(bool) for part in result))

    def _condition(self, node: ast.AST, table: pd.DataFrame) -> Verdict:
        result = self._value(node, table)
        if not isinstance(result, Verdict):
            kind = "text" if isinstance(result, _Texts) else "a number"
            refuse(
                self.text,
                node,
                f"is {kind} where a condition is needed; compare it with something, and put comparisons that are "
                "joined by & or | in parentheses",
            )
        return result

    def _number(self, node: ast.AST, table: pd.DataFrame) -> _Numbers:
        result = self._value(node, table)
        if isinstance(result, Verdict):
            return _Numbers(result.passes.astype(np.int64), result.missing)
        if isinstance(result, _Texts):
            refuse(self.text, node, "is text where a number is needed")
        return result

    def _value(self, node: ast.AST, table: pd.DataFrame) -> _Value:
        match node:
            case ast.Constant(value=str() as text):
                return _Texts(text, np.False_)
            case ast.Constant(value=bool() as flag):
                return Verdict(np.array(flag), np.array(not flag))
            case ast.Constant(value=int() | float() as number):
                small = isinstance(number, int) and abs(number) < 2**63
                return _Numbers(np.int64(number) if small else np.float64(number), np.False_)
            case ast.Name(id=name):
                if name not in table.columns:
                    raise ExpressionError(missing_column(name, table.columns, f"condition {self.text!r}"))
                return self._column(node, table[name])
            case ast.BoolOp(op=op, values=values):
                verdicts = [self._condition(value, table) for value in values]
                total = verdicts[0]
                for verdict in verdicts[1:]:
                    total = total & verdict if isinstance(op, ast.And) else total | verdict
                return total
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return self._condition(left, table) & self._condition(right, table)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._condition(left, table) | self._condition(right, table)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self._number(left, table), self._number(right, table)
                return _Numbers(ARITHMETIC[type(op)](a.values, b.values), a.missing | b.missing)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return ~self._condition(operand, table)
            case ast.UnaryOp(op=op, operand=operand):
                signed = self._number(operand, table)
                return signed if isinstance(op, ast.UAdd) else _Numbers(-signed.values, signed.missing)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                operands = [left, *comparators]
                parts = [self._compare(op, a, b, table) for op, a, b in zip(ops, operands, comparators, strict=False)]
                total = parts[0]
                for part in parts[1:]:
                    total = total & part
                return total
            case ast.Call(func=ast.Attribute(value=column), args=[values]):
                return self._is_in(column, values, table)
            case ast.Call(func=ast.Name(id="missing"), args=[argument]):
                value = self._value(argument, table)
                gone = value.missing | np.isnan(value.values) if isinstance(value, _Numbers) else value.missing
                return Verdict(gone, ~gone)
            case ast.Call(func=ast.Name(id=name), args=args):
                numbers = [self._number(argument, table) for argument in args]
                gone = functools.reduce(operator.or_, (number.missing for number in numbers))
                return _Numbers(FUNCTIONS[name](*(number.values for number in numbers)), gone)
        refuse(self.text, node, "is not allowed here")

    def _column(self, node: ast.AST, column: pd.Series) -> _Value:
        from pandas.api import types

        gone = column.isna().to_numpy()
        if types.is_bool_dtype(column.dtype):
            flags = column.to_numpy(dtype=bool, na_value=False)
            return Verdict(flags & ~gone, ~flags & ~gone)
        if types.is_numeric_dtype(column.dtype):
            plain = isinstance(column.dtype, np.dtype) or not gone.any()
            numbers = column.to_numpy() if plain else column.to_numpy(dtype=float, na_value=np.nan)
            # Small integers would overflow in products.
            return _Numbers(numbers.astype(np.int64) if numbers.dtype.kind in "iu" else numbers, gone)
        if types.infer_dtype(column, skipna=True) in ("string", "categorical", "empty"):
            return _Texts(np.where(gone, "", column.to_numpy(dtype=object)), gone)
        refuse(self.text, node, f"is a column of {column.dtype} values; expected numbers, texts or flags")

    def _compare(self, op: ast.cmpop, left: ast.expr, right: ast.expr, table: pd.DataFrame) -> Verdict:
        if isinstance(op, (ast.In, ast.NotIn)):
            inside = self._is_in(left, right, table)
            return inside if isinstance(op, ast.In) else ~inside
        a, b = self._value(left, table), self._value(right, table)
        if isinstance(a, Verdict) or isinstance(b, Verdict):
            a, b = self._number(left, table), self._number(right, table)
        equality = isinstance(op, (ast.Eq, ast.NotEq))
        if isinstance(a, _Texts) and isinstance(b, _Texts) and not equality:
            refuse(self.text, left, "is text; texts are compared by ==, != and in")
        return self._judge(COMPARISONS[type(op)], a, b, left)

    def _is_in(self, left: ast.expr, values: ast.expr, table: pd.DataFrame) -> Verdict:
        items = list_items(values, self.text)
        value = self._value(left, table)
        if isinstance(value, Verdict):
            value = self._number(left, table)
        verdicts = [self._judge(operator.eq, value, self._value(item, table), left) for item in items]
        passes = np.logical_or.reduce([verdict.passes for verdict in verdicts])
        return Verdict(passes, ~passes & ~verdicts[0].missing)

    def _judge(self, compare: Callable[[Any, Any], Any], a: _Value, b: _Value, node: ast.AST) -> Verdict:
        gone = a.missing | b.missing
        if isinstance(a, _Texts) != isinstance(b, _Texts):
            if np.all(gone):  # a column without any value has no type of its own
                return Verdict(~gone, ~gone)
            refuse(self.text, node, "compares text with a number")
        if isinstance(a, _Numbers) and isinstance(b, _Numbers):
            gone = gone | np.isnan(a.values) | np.isnan(b.values)
        true: Any = np.asarray(compare(a.values, b.values)).astype(bool)  # type: ignore[union-attr]
        return Verdict(true & ~gone, ~true & ~gone)

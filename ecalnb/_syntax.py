"""What a condition on table columns may contain: its functions and operators, and the check of a parsed text.

What a condition means, and how it is evaluated, is in :mod:`ecalnb.expressions`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np

__all__ = ["ARITHMETIC", "COMPARISONS", "FUNCTIONS", "ExpressionError", "columns_of", "list_items", "refuse"]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "hypot": np.hypot,
}
"""Functions of numbers that a condition may use; angles in rad. ``hypot`` takes two numbers, the others one."""

ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: lambda a, b: np.asarray(a, dtype=float) ** b,
}
"""What an operator of arithmetic does to two numbers."""

COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
"""What a comparison does; ``in`` is not among them."""


class ExpressionError(ValueError):
    """A condition that cannot be parsed or evaluated; the message says which, where and why."""


def refuse(text: str, node: ast.AST, what: str) -> NoReturn:
    """Raise the error for a part of the condition ``text``."""
    part = ast.get_source_segment(text, node) or text
    raise ExpressionError(f"{part!r} in the condition {text!r} {what}")


def columns_of(node: ast.AST, text: str) -> Iterable[str]:
    """Names of the columns below a node of the condition ``text``, after a check that everything there is allowed.

    Raises
    ------
    ExpressionError
        If something is not.
    """
    children: list[ast.AST] = []
    match node:
        case ast.Constant(value=str() | bool() | int() | float()):
            pass
        case ast.Name(id=name):
            if name in FUNCTIONS or name == "missing":
                refuse(text, node, "is a function; give it what it acts on in parentheses")
            yield name
        case ast.BoolOp(values=values):
            children = list(values)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, (*ARITHMETIC, ast.BitAnd, ast.BitOr)):
            children = [left, right]
        case ast.UnaryOp(operand=operand):
            children = [operand]
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for comparison, right in zip(ops, comparators, strict=True):
                if isinstance(comparison, (ast.In, ast.NotIn)):
                    children += list_items(right, text)
                elif isinstance(comparison, tuple(COMPARISONS)):
                    children.append(right)
                else:
                    refuse(text, node, "uses 'is'; expected == or !=")
            children.insert(0, left)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS or name == "missing":
            expected = 2 if name == "hypot" else 1
            if len(args) != expected:
                refuse(text, node, f"gives {name} {len(args)} values; expected {expected}")
            children = list(args)
        case ast.Call(func=ast.Attribute(value=ast.Name() as column, attr="isin"), args=[values], keywords=[]):
            children = [column, *list_items(values, text)]
        case ast.Call():
            refuse(text, node, f"calls what is not allowed; expected one of {', '.join(FUNCTIONS)}, missing or isin")
        case _:
            refuse(text, node, "is not allowed; expected columns, numbers, texts, comparisons and arithmetic")
    for child in children:
        yield from columns_of(child, text)


def list_items(node: ast.AST, text: str) -> list[ast.expr]:
    """Values of the list at a node of the condition ``text``.

    Raises
    ------
    ExpressionError
        If it is no list, or holds something else than numbers and texts.
    """
    if not isinstance(node, (ast.List, ast.Tuple, ast.Set)) or not node.elts:
        refuse(text, node, "is no list of values; expected for example label in ['electron', 'positron']")
    for item in node.elts:
        number = item.operand if isinstance(item, ast.UnaryOp) and isinstance(item.op, ast.USub) else item
        if not isinstance(number, ast.Constant) or type(number.value) not in (str, int, float):
            refuse(text, item, "is no value for a list; expected numbers or texts")
    return node.elts

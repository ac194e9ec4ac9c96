"""Descriptions of options that can be compared after a file was written by another process."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from .errors import StoreError

__all__ = ["describe", "digest", "to_text"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def digest(value: object) -> str:
    """Short checksum of how a value prints."""
    return hashlib.blake2b(repr(value).encode(), digest_size=4).hexdigest()


def describe(selection: Callable[..., Any]) -> Any:
    """Describe a selection so that another one is told from it.

    Returns
    -------
    dict or str
        What its ``to_dict`` returns; for a function, its name and a checksum of its code and of the values it holds;
        for anything else, how it prints.

    Raises
    ------
    StoreError
        If it prints as nothing but an address in memory.
    """
    if hasattr(selection, "to_dict"):
        return selection.to_dict()
    if isinstance(selection, FunctionType):
        held = [cell.cell_contents for cell in selection.__closure__ or ()]
        parts = (_code(selection.__code__), selection.__defaults__, selection.__kwdefaults__, held)
        return f"{selection.__module__}.{selection.__qualname__} {digest(_ADDRESS.sub('', repr(parts)))}"
    if _ADDRESS.search(text := str(selection)):
        raise StoreError(f"the selection {text} cannot be told from others; expected a Cut, a function or a to_dict()")
    return text


def to_text(value: Any) -> str:
    """Say a value for people: of a selection (see `describe`) its conditions, or what else it is known by."""
    if not isinstance(value, dict):
        return "none" if value is None else repr(value)
    if "cuts" in value:
        return " and ".join(to_text(cut) for cut in value["cuts"])
    return repr(value.get("expression") or value.get("label") or value)


def _code(code: CodeType) -> tuple[Any, ...]:
    constants = tuple(_code(value) if isinstance(value, CodeType) else value for value in code.co_consts)
    return code.co_code, code.co_names, constants

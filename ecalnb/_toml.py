"""TOML files that describe something: reading them, and refusing keys that nobody reads."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

__all__ = ["DATA", "check_keys", "near", "packaged_or_path", "read_toml"]

DATA = Path(str(files("ecalnb") / "data"))
"""The package's data directory."""


def read_toml(path: Path) -> dict[str, Any]:
    """Content of a TOML file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not TOML; the message names the file and the line.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(f"{path}: no such file; expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from None


def packaged_or_path(name: str | Path, folder: Path, what: str) -> Path:
    """Path of the TOML file that ``name`` means: a packaged one by its name, or a path that ends with ``.toml``."""
    if not isinstance(name, str | Path):
        raise ValueError(f"{what} {name!r} is no text; expected the name of a packaged one, or a .toml file")
    if isinstance(name, Path) or name.endswith(".toml"):
        return Path(name).expanduser()
    path = folder / f"{name}.toml"
    if not path.is_file():
        packaged = sorted(file.stem for file in folder.glob("*.toml"))
        raise ValueError(
            f"no packaged {what} is named {name!r}; expected one of {', '.join(packaged)}, or a .toml file"
        )
    return path


def near(word: str, known: Iterable[str]) -> str:
    """``", did you mean ...?"`` with the known words that resemble ``word``, or nothing."""
    folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(word.casefold(), folded, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(folded[match]) for match in matches)}?" if matches else ""


def check_keys(given: Mapping[str, Any], known: Iterable[str], where: str, required: Iterable[str] = ()) -> None:
    """Refuse a key that is not known, and a required one that is not there.

    Raises
    ------
    ValueError
        The message names the key, ``where`` it stands and what may stand there.
    """
    known = list(known)
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} is {given!r}; expected a table with {', '.join(known)}")
    for key in given:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}; expected {', '.join(known)}{near(key, known)}")
    for key in required:
        if key not in given:
            raise ValueError(f"{where}: the key {key!r} is missing")

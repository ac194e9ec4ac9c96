"""A folder of notebooks that a user may change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from .._atomic import replacing, write_json
from .series import notebooks_folder

__all__ = ["working_copy"]

RECORD = ".ecalnb-copies.json"


def working_copy(folder: str | Path | None = None, source: Path | None = None) -> tuple[Path, list[str]]:
    """Bring a user's copies of the notebooks up to date with the installed ones.

    Parameters
    ----------
    folder : path, optional
        Where the copies are. Unless told, ``ecalnb-notebooks`` in the working directory; or, in a checkout of the
        repository, the notebooks themselves, without a copy.
    source : Path, optional
        The notebooks; the installed ones unless told.

    Returns
    -------
    folder : Path
        The folder.
    kept : list of str
        Files there that the user has changed and that differ from the installed ones. They stay as they are.
    """
    checkout = source is None and (notebooks_folder().parent / "pyproject.toml").is_file()
    source = notebooks_folder() if source is None else source
    if folder is None and checkout:
        return source, []
    place = Path("ecalnb-notebooks" if folder is None else folder).expanduser().resolve()
    place.mkdir(parents=True, exist_ok=True)
    record = place / RECORD
    copied: dict[str, str] = json.loads(record.read_text()) if record.is_file() else {}
    kept = []
    for original in sorted(path for path in source.iterdir() if path.suffix in (".ipynb", ".toml")):
        copy, content = place / original.name, original.read_bytes()
        if copy.exists() and copy.read_bytes() != content and _digest(copy.read_bytes()) != copied.get(copy.name):
            kept.append(copy.name)
            continue
        if not copy.exists() or copy.read_bytes() != content:
            with replacing(copy) as temporary:
                temporary.write_bytes(content)
        copied[copy.name] = _digest(content)
    write_json(record, copied)
    return place, kept


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

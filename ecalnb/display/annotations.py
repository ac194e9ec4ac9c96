"""Events that somebody has kept while looking at them, each with a note: a table keyed by event."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from .._atomic import replacing
from .events import KEY

__all__ = ["KeptEvents"]

Key = tuple[int, int]


class KeptEvents:
    """Kept events and their notes.

    Parameters
    ----------
    path : path, optional
        A table written by :meth:`save`, to go on with.

    Raises
    ------
    ValueError
        If that is not such a table.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._notes: dict[Key, str] = {}
        if path is not None:
            table = _read(Path(path))
            keys = zip(table["file_id"].astype("int64"), table["entry"].astype("int64"), strict=True)
            self._notes = {
                (int(file), int(entry)): note for (file, entry), note in zip(keys, table["note"], strict=True)
            }

    def __len__(self) -> int:
        return len(self._notes)

    def __contains__(self, key: Key) -> bool:
        return key in self._notes

    def keep(self, key: Key, note: str = "") -> None:
        """Keep an event, or give a kept one another note."""
        self._notes[key] = note

    def drop(self, key: Key) -> None:
        """Keep an event no longer."""
        self._notes.pop(key, None)

    def note(self, key: Key) -> str:
        """Note of an event; empty for one that is not kept."""
        return self._notes.get(key, "")

    def table(self) -> pd.DataFrame:
        """Columns ``file_id``, ``entry`` and ``note``, in the order of keeping."""
        keys = pd.DataFrame(list(self._notes), columns=list(KEY), dtype="int64")
        return keys.assign(note=pd.Series(list(self._notes.values()), dtype="string"))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the table, whole or not at all.

        Parameters
        ----------
        path : path
            A ``.csv`` or ``.parquet`` file; one that is there is replaced if it is a table of kept events.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the name is another, the file there is something else, or nothing is kept.
        """
        target = Path(path).expanduser()
        if target.suffix not in (".csv", ".parquet"):
            raise ValueError(f"{target} is neither a .csv nor a .parquet file; expected for example kept.csv")
        if not self._notes:
            raise ValueError("no event is kept yet; there is nothing to save")
        if target.exists():
            _read(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, ValueError) as temporary:
            if target.suffix == ".csv":
                self.table().to_csv(temporary, index=False)
            else:
                self.table().to_parquet(temporary, index=False)
        return target


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, keep_default_na=False) if path.suffix == ".csv" else pd.read_parquet(path)
    except Exception as error:  # pandas and pyarrow raise many kinds
        raise ValueError(f"{path} is not a readable table of kept events: {' '.join(str(error).split())}") from None
    if missing := [name for name in (*KEY, "note") if name not in table]:
        raise ValueError(f"{path} is not a table of kept events; it has no column {', '.join(missing)}")
    try:
        return table.astype(dict.fromkeys(KEY, "int64"))
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} is not a table of kept events; a key in it is no integer ({error})") from None

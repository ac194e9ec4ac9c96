"""The folder of a store before and after shards are written to it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._atomic import remove_leftovers, writing
from ._describe import to_text
from .errors import StoreError
from .manifest import MANIFEST, list_shards, write_manifest
from .shard import FORMAT, SUFFIX, Shard

__all__ = ["finish", "prepare", "refuse_nothing"]


def prepare(folder: Path, overwrite: bool) -> None:
    """Make the folder, or see that it is a store; remove what killed processes left and, if told, the store."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; expected the folder of a store, or a new one")
    with writing(folder, StoreError):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    shards = [path for path in inside if path.suffix == SUFFIX]
    if inside and not shards and not _is_manifest(folder / MANIFEST):
        raise StoreError(f"{folder} is not a store: it holds {inside[0].name}; expected a store or a new folder")
    if overwrite and inside:
        if not _is_manifest(folder / MANIFEST):
            list_shards(folder)  # refuses Arrow files that are not ours
        with writing(folder, StoreError):
            for path in (folder / MANIFEST, *shards):
                path.unlink(missing_ok=True)


def _is_manifest(path: Path) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return bool(json.loads(path.read_bytes()).get("format") == FORMAT)
    return False


def finish(folder: Path, common: dict[str, Any]) -> None:
    """Write the manifest, or leave no trace of a store without shards."""
    if any(folder.glob(f"*{SUFFIX}")) or (folder / MANIFEST).exists():
        write_manifest(folder, common)
    else:
        with suppress(OSError):  # something else is in there, or another process has begun
            folder.rmdir()


def refuse_nothing(folder: Path, made: list[Shard], selection: Any) -> None:
    """Refuse a store without a single event, and take back the empty shards."""
    if not made or any(shard.n_events for shard in list_shards(folder).shards):
        return
    for shard in made:
        (folder / shard.name).unlink(missing_ok=True)
    n_read = sum(source.get("n_read", 0) for shard in made for source in shard.sources)
    names = ", ".join(str(source["file"]) for shard in made[:3] for source in shard.sources) + ", ..." * (len(made) > 3)
    reason = f"; the selection is {to_text(selection)}" if selection is not None else ""
    raise StoreError(f"none of the {n_read} events of {names} is left to store in {folder}{reason}")

"""The manifest of a store: what its shards are and what they have in common.

Every shard describes itself, so the manifest holds nothing that could not be had from the shards: it saves opening
thousands of files, and it knows which shards there should be. Any number of processes may add shards to one store at
once. Each writes the manifest as it finds the folder when it has finished, under a temporary name, and the last one
wins; a shard that it did not see yet is found by the next that looks. No lock is needed, which matters on the network
file systems of clusters.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._atomic import write_json
from ._describe import to_text
from .errors import DamagedShard, StoreError
from .shard import SUFFIX, Shard, check_version, read_shard

__all__ = ["MANIFEST", "Listing", "difference", "list_shards", "write_manifest"]

MANIFEST = "manifest.json"


@dataclass
class Listing:
    """What is in the folder of a store.

    Parameters
    ----------
    common : dict or None
        ``format``, ``version``, ``geometry`` and ``options``; None if this is no store (yet).
    shards : list of Shard
        The shards, sorted by `Shard.place`.
    missing : list of Shard
        Those that the manifest lists and that are not there.
    damaged : dict
        What is wrong with each file that should be a shard, by its name.
    """

    common: dict[str, Any] | None = None
    shards: list[Shard] = field(default_factory=list)
    missing: list[Shard] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)

    def check(self, folder: Path) -> None:
        """Raise `StoreError` unless all shards are there and whole."""
        for message in self.damaged.values():
            raise StoreError(message)
        for shard in self.missing:
            sources = ", ".join(str(source["file"]) for source in shard.sources) or "its source"
            raise StoreError(
                f"{folder / shard.name}, a shard of {shard.n_events} events, is missing; convert {sources} again, or "
                f"delete {folder / MANIFEST} to do without it"
            )


def list_shards(folder: Path) -> Listing:
    """List the folder of a store; shards are opened only if the manifest does not know them as they are.

    Raises
    ------
    StoreError
        If the manifest cannot be read, or a shard is of another version, geometry or conversion than the others.
    """
    listing = Listing()
    known: dict[str, Shard] = {}
    manifest = folder / MANIFEST
    if manifest.is_file():
        try:
            content = json.loads(manifest.read_bytes())
            entries = content.pop("shards")
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, AttributeError, TypeError) as error:
            raise StoreError(
                f"{manifest} cannot be read ({error}); delete it to have it made from the shards"
            ) from error
        check_version(content, manifest)
        listing.common = content
        if not isinstance(entries, list):
            raise StoreError(f"{manifest}: shards is {entries!r}; expected a list")
        known = {shard.name: shard for shard in (Shard.from_entry(entry, content, manifest) for entry in entries)}
    if not folder.is_dir():
        return listing
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        shard = known.pop(path.name, None)
        status = path.stat()
        if shard is None or (shard.n_bytes, shard.modified) != (status.st_size, status.st_mtime_ns):
            try:
                shard = read_shard(path)
            except DamagedShard as error:
                listing.damaged[path.name] = str(error)
                continue
        listing.common = shard.common if listing.common is None else listing.common
        if text := difference(listing.common, shard.common):
            raise StoreError(f"{path} does not belong to its store: {text}")
        listing.shards.append(shard)
    listing.shards.sort(key=lambda shard: shard.place)
    listing.missing = list(known.values())
    return listing


def difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """Name the first thing that the common parts of two stores or shards differ in; empty if nothing."""
    for part in ("geometry", "options"):
        one, other = expected[part], found[part]
        for key in {**one, **other}:
            if one.get(key) != other.get(key):
                return f"{key} = {to_text(other.get(key))}, in the store {to_text(one.get(key))}"
    return ""


def write_manifest(folder: Path, common: dict[str, Any]) -> None:
    """Write the manifest of what is in the folder now; shards that were listed and have gone stay listed as missing."""
    listing = list_shards(folder)
    shards = sorted([*listing.shards, *listing.missing], key=lambda shard: shard.place)
    write_json(folder / MANIFEST, {**common, "shards": [shard.entry() for shard in shards]}, StoreError)

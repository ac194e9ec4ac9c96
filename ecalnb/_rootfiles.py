"""Files on disk: finding them, their checksum, and whether they are whole ROOT files at all."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path

__all__ = ["RootError", "check_header", "chunk_entries", "file_id", "find_files", "first_line"]

HEADER_BYTES = 4096  # hashed into the event key: the file's header with its UUID, its directory and its first data


class RootError(ValueError):
    """A file that cannot be read or written; the message names it and says why."""


def find_files(patterns: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Files that match paths or wildcards (``*``, ``?``, ``[...]``, ``**``), each once, sorted.

    Raises
    ------
    RootError
        If a pattern matches nothing, or is a directory.
    """
    patterns = [patterns] if isinstance(patterns, (str, os.PathLike)) else list(patterns)
    if not patterns:
        raise RootError("no files were given; expected ROOT files")
    found: dict[Path, Path] = {}
    for pattern in (os.path.expanduser(os.fspath(pattern)) for pattern in patterns):
        if os.path.isdir(pattern):
            raise RootError(
                f"{pattern} is a directory; expected ROOT files, for example {os.path.join(pattern, '*.root')}"
            )
        if os.path.exists(pattern):
            paths = [pattern]
        elif glob.has_magic(pattern):
            paths = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
            if not paths:
                raise RootError(f"no file matches {pattern}")
        else:
            raise RootError(f"{pattern}: no such file")
        found |= {Path(path).resolve(): Path(path) for path in paths}
    return sorted(found.values())


def file_id(path: Path) -> int:
    """Hash a file's beginning and size to a non-negative integer of 63 bits, the first half of the event key."""
    with open(path, "rb") as file:
        header = file.read(HEADER_BYTES)
    digest = hashlib.blake2b(header + path.stat().st_size.to_bytes(8, "little"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def chunk_entries(chunk: int | str, bytes_per_entry: int) -> int:
    """Entries of a chunk, given as their number or as a size such as ``"100 MB"``.

    Raises
    ------
    ValueError
        If it is neither, or not positive.
    """
    if isinstance(chunk, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kMG]?)B\s*", chunk)
        if not match:
            raise ValueError(f"chunk {chunk!r} is not a size; expected for example '100 MB', or a number of events")
        size = float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]]
        return max(1, int(size // bytes_per_entry))
    if chunk < 1:
        raise ValueError(f"chunk {chunk!r} is not a positive number of events")
    return int(chunk)


def check_header(path: Path) -> None:
    """Refuse what is not a whole ROOT file, in words that say what it is instead."""
    if not path.exists():
        raise RootError(f"{path}: no such file")
    if path.is_dir():
        raise RootError(f"{path} is a directory; expected a ROOT file")
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise RootError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise RootError(f"{path} is empty (0 bytes); expected a ROOT file")
    if head[:4] != b"root"[: len(head)]:
        raise RootError(f"{path} is not a ROOT file; it begins with {head[:4]!r}, expected b'root'")
    size = path.stat().st_size
    if len(head) < 64:
        raise RootError(f"{path} is truncated: it has {size} bytes, less than the header of a ROOT file")
    # ROOT file format: version at byte 4, fBEGIN (100) at byte 8, fEND at byte 12, of 4 bytes and from version 1000000
    # on of 8.
    version, begin = struct.unpack(">ii", head[4:12])
    if not 64 <= begin <= HEADER_BYTES:  # for example a text that begins with "root"
        raise RootError(f"{path} is not a ROOT file; it begins with {head[:12]!r}, which is no header of one")
    (end,) = struct.unpack(">q", head[12:20]) if version >= 1_000_000 else struct.unpack(">i", head[12:16])
    if size < end:
        raise RootError(f"{path} is truncated: it has {size} bytes, its header says {end}")


def first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__

"""ROOT files: finding, opening, reading in chunks and writing, whatever their layout.

A TTree and an RNTuple look the same here. What branches mean is not known here: see :mod:`ecalnb.schema` for that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot

from ._atomic import replacing
from ._rootfiles import RootError, check_header, chunk_entries, file_id, find_files, first_line
from ._toml import near

__all__ = ["RootError", "Tree", "chunk_entries", "file_id", "find_files", "open_tree", "write_tree"]

log = logging.getLogger(__name__)

BASKET_BYTES = 8_000_000  # of one branch, before compression: bounds what a reader has to hold


@dataclass(frozen=True)
class Tree:
    """An open TTree or RNTuple.

    Parameters
    ----------
    path : Path
        Its file.
    name : str
        Its name in the file.
    source : object
        What uproot made of it.
    notes : dict of str
        Texts that stand beside the tree in the file, by name.
    """

    path: Path
    name: str
    source: Any
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_rntuple(self) -> bool:
        """Whether this is an RNTuple, not a TTree."""
        return not isinstance(self.source, uproot.TTree)

    @property
    def entries(self) -> int:
        """Number of entries."""
        return int(self.source.num_entries)

    def branches(self) -> list[str]:
        """Names of the branches."""
        return list(self.source.keys(recursive=not self.is_rntuple))

    def require(self, branch: str) -> None:
        """Raise `RootError` unless there is a branch of that name."""
        if branch not in (there := self.branches()):
            raise RootError(f"{self.path}: the tree {self.name!r} has no branch {branch!r}{near(branch, there)}")

    def element_type(self, branch: str) -> tuple[np.dtype[Any], tuple[int, ...]] | None:
        """Type and shape of an entry of a branch of numbers or of fixed arrays; None for anything else."""
        if self.is_rntuple:
            with self._errors(branch, 0, self.entries):
                form = self.source[branch].to_akform()[0]
            form = form.content(branch) if isinstance(form, ak.forms.RecordForm) and branch in form.fields else form
            shape: list[int] = []
            while isinstance(form, ak.forms.RegularForm):
                shape.append(form.size)
                form = form.content
            return (np.dtype(form.primitive), tuple(shape)) if isinstance(form, ak.forms.NumpyForm) else None
        interpretation = self.source[branch].interpretation
        if not isinstance(interpretation, uproot.AsDtype) or interpretation.from_dtype.names is not None:
            return None
        inner = interpretation.from_dtype
        return inner.subdtype if inner.subdtype is not None else (inner, ())

    def iterate(
        self, branches: Iterable[str], step: int, start: int = 0, stop: int | None = None
    ) -> Iterator[dict[str, ak.Array]]:
        """Values of branches, ``step`` entries at a time, as awkward arrays."""
        names = set(branches)
        stop = self.entries if stop is None else stop
        if not names:
            yield from ({} for _ in range(start, stop, step))
            return
        # A branch of a split object, as in "event/en3d", comes back under its own name alone.
        own = {name: name if self.is_rntuple else name.rpartition("/")[2] for name in names}
        if len(set(own.values())) < len(own):
            raise RootError(f"{self.path}: of {', '.join(sorted(names))} two have the same name in different objects")
        with self._errors(", ".join(sorted(names)), start, stop):
            for arrays in self.source.iterate(
                filter_name=lambda name: name in names, step_size=step, entry_start=start, entry_stop=stop, library="ak"
            ):
                yield {name: arrays[own[name]] for name in names}

    def blocks(self, branch: str, start: int = 0, stop: int | None = None) -> Iterator[npt.NDArray[Any]]:
        """Values of a branch of fixed arrays as they lie in the file, uncopied: big-endian blocks of whatever length.

        Only for a TTree and a branch that has an `element_type`.
        """
        kind = self.element_type(branch)
        if self.is_rntuple or kind is None:
            raise TypeError(f"{self.path}: the branch {branch!r} has no blocks of fixed arrays")
        dtype, shape = kind
        stop = self.entries if stop is None else stop
        source = self.source[branch]
        with self._errors(branch, start, stop):
            for number in range(source.num_baskets):
                first, last = source.basket_entry_start_stop(number)
                if last <= start or first >= stop:
                    continue
                basket = source.basket(number)
                data = np.asarray(basket.data)[: basket.border]
                block = data.view(dtype).reshape(-1, *shape)
                if len(block) != last - first:
                    raise ValueError(f"basket {number} holds {len(block)} entries, not {last - first}")
                yield block[max(start - first, 0) : stop - first]

    @contextmanager
    def _errors(self, branches: str, start: int, stop: int) -> Iterator[None]:
        # A damaged file makes uproot fail in as many ways as there are places to be damaged in.
        try:
            yield
        except (RootError, GeneratorExit, MemoryError):
            raise
        except Exception as error:
            raise RootError(
                f"{self.path}: entries {start} to {stop} of {branches} cannot be read; the file is damaged "
                f"({first_line(error)})"
            ) from error


@contextmanager
def open_tree(path: Path, name: str) -> Iterator[Tree]:
    """Open a tree of a ROOT file: a TTree or RNTuple, and of several cycles the highest.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the tree, with its directory if it is in one.

    Raises
    ------
    RootError
        If the file is missing, is not a whole ROOT file, or has no such tree.
    """
    check_header(path)
    try:
        file = uproot.open(path, object_cache=None, array_cache=None)
    except Exception as error:
        raise RootError(f"{path} cannot be opened; the file is damaged or truncated ({first_line(error)})") from error
    with file:
        try:
            classes = file.classnames(recursive=True, cycle=True)
            trees = [
                key for key, kind in classes.items() if kind in ("TTree", "TNtuple", "TNtupleD") or "RNTuple" in kind
            ]
            cycles = sorted(int(key.rpartition(";")[2]) for key in trees if key.rpartition(";")[0] == name)
            if len(cycles) > 1:
                log.info("%s: the tree %r has cycles %s; reading the highest", path, name, ", ".join(map(str, cycles)))
            source = file[f"{name};{cycles[-1]}"] if cycles else None
            if source is not None:  # an RNTuple reads its own header when it is first asked
                source.num_entries, source.keys(recursive=False)
            texts = [key.rpartition(";")[0] for key, kind in classes.items() if kind == "TObjString"]
            notes = {key: str(file[key]) for key in texts}
        except Exception as error:
            raise RootError(f"{path}: its trees cannot be read; the file is damaged ({first_line(error)})") from error
        if source is None:
            there = sorted({key.rpartition(";")[0] for key in trees})
            raise RootError(f"{path} has no tree {name!r}; it has {', '.join(map(repr, there)) or 'no tree at all'}")
        yield Tree(path, name, source, notes)


def write_tree(
    path: Path,
    name: str,
    chunks: Iterable[Mapping[str, Any]],
    *,
    title: str = "",
    notes: Mapping[str, str] | None = None,
    level: int = 5,
    overwrite: bool = False,
) -> int:
    """Write a TTree, compressed with zstd, under a temporary name that becomes ``path`` when all is written.

    Parameters
    ----------
    path : Path
        The file.
    name, title : str
        Of the tree.
    notes : dict of str, optional
        Texts to write beside the tree, by name.
    chunks : iterable of dict
        Arrays of equal length by branch: numpy (n,) or (n, m), or awkward for a branch of variable length, which
        gets a counter branch ``n<branch>``. All chunks have the branches of the first.
    level : int
        Compression level of zstd, 1 to 19.
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    int
        Entries written.

    Raises
    ------
    FileExistsError, RootError
        If ``path`` exists, or cannot be written (no such directory, disk full).
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; expected a new file, or overwrite=True")
    if not path.parent.is_dir():  # uproot would make it
        raise RootError(f"{path} cannot be written: there is no directory {path.parent}")
    entries = 0
    with (
        replacing(path, RootError) as temporary,
        uproot.recreate(temporary, compression=uproot.ZSTD(level)) as file,
    ):
        tree = None
        for chunk in chunks:
            arrays = {key: value if isinstance(value, ak.Array) else np.asarray(value) for key, value in chunk.items()}
            length = len(next(iter(arrays.values())))
            tree = tree or file.mktree(name, {key: _branch_type(value) for key, value in arrays.items()}, title=title)
            widths = [value.nbytes // max(length, 1) for value in arrays.values() if isinstance(value, np.ndarray)]
            step = max(1, BASKET_BYTES // max([8, *widths]))
            for start in range(0, length, step):
                tree.extend({key: value[start : start + step] for key, value in arrays.items()})
            entries += length
        if tree is None:
            raise RootError(f"{path} is not written: there are no events")
        for key, text in (notes or {}).items():
            file[key] = text
    return entries


def _branch_type(values: Any) -> Any:
    if isinstance(values, ak.Array):
        return f"var * {ak.type(values).content.content}"
    return np.dtype((values.dtype, values.shape[1:])) if values.ndim > 1 else values.dtype

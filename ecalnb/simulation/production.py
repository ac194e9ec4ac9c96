"""Running the blocks of a simulation, several at a time, into memory or into a ROOT file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from .. import _atomic, ntuples
from .._progress import progress
from ..ntuples.reader import PROVENANCE
from ..rootio import RootError
from ..showers import Showers
from .run import Run

__all__ = ["in_memory", "to_file"]

_ABOUT = "run.json"


def in_memory(run: Run, jobs: int = 1) -> Showers:
    """All events of a run."""
    parts: dict[int, Showers] = {}
    _each(run, range(run.blocks), jobs, parts.__setitem__)
    return Showers.concatenate([parts[block] for block in range(run.blocks)])


def to_file(run: Run, path: Path, jobs: int = 1, *, overwrite: bool = False) -> int:
    """Write the events of a run to a ROOT file in AMS's layout.

    Blocks are kept in the folder ``<path>.parts`` until the file is whole: the same call after a kill goes on there.

    Parameters
    ----------
    run : Run
        The simulation.
    path : Path
        The file.
    jobs : int
        Blocks to simulate at the same time.
    overwrite : bool
        Replace a file that is there, and throw away blocks of another run.

    Returns
    -------
    int
        Events written.

    Raises
    ------
    FileExistsError
        If there is such a file already.
    RootError
        If it cannot be written, or there are blocks of another run.
    """
    if path.exists() and not overwrite:
        if entries := _whole(run, path):  # a kill came after the file was written
            shutil.rmtree(_folder(path))
            return entries
        raise FileExistsError(f"{path} exists; expected a new file, or overwrite=True")
    if not path.parent.is_dir():
        raise RootError(f"{path} cannot be written: there is no directory {path.parent}")
    parts = _parts(run, path, overwrite)
    files = _blocks(run, path)

    def keep(block: int, showers: Showers) -> None:
        ntuples.write(showers, files[block], overwrite=True)

    missing = [block for block, file in enumerate(files) if not file.exists()]
    try:
        _each(run, missing, jobs, keep)
    except BaseException:
        if not any(file.exists() for file in files):  # nothing that is worth to be gone on with
            shutil.rmtree(parts)
        raise
    blocks = (showers for file in files for showers in ntuples.iterate(file))
    written = ntuples.write(blocks, path, overwrite=overwrite)
    shutil.rmtree(parts)
    return written


def _folder(path: Path) -> Path:
    """Where the blocks of a file are kept until it is whole."""
    return path.with_name(f"{path.name}.parts")


def _blocks(run: Run, path: Path) -> list[Path]:
    """Files of the blocks."""
    return [_folder(path) / f"block-{block:06d}-{run.size(block)}.root" for block in range(run.blocks)]


def _whole(run: Run, path: Path) -> int:
    """Events of a file, if the blocks beside it are all of this run and the file holds no more and no less; else 0."""
    about, files = _folder(path) / _ABOUT, _blocks(run, path)
    if not about.exists() or json.loads(about.read_text()) != run.description:
        return 0
    if not all(file.exists() for file in files):
        return 0
    (made,) = ntuples.count(path).values()
    first = ntuples.read(path, n_max=1)
    same = first.metadata.get(PROVENANCE) == run.description
    return made if same and made == sum(sum(ntuples.count(file).values()) for file in files) else 0


def _parts(run: Run, path: Path, overwrite: bool) -> Path:
    """Folder of the blocks, which says what they are."""
    folder = _folder(path)
    about = folder / _ABOUT
    if about.exists():
        there = json.loads(about.read_text())
        differs = [key for key, value in run.description.items() if there.get(key) != value]
        if not differs:
            return folder
        if not overwrite:
            raise RootError(
                f"{folder} holds blocks of an unfinished run with other {', '.join(differs)}; give the same settings "
                "to go on with it, another file name, or overwrite=True"
            )
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    _atomic.write_json(about, run.description, RootError)
    return folder


def _each(run: Run, blocks: range | list[int], jobs: int, use: Callable[[int, Showers], None]) -> None:
    """Simulate blocks, ``jobs`` at a time, and hand each over when it is there.

    Threads do, because neither engine holds Python's lock: one is compiled, and the other runs in other processes.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs!r}; expected 1 or more")
    total = sum(run.size(block) for block in blocks)
    with (
        progress(total=total, description=f"Simulating {run.name}") as bar,
        ThreadPoolExecutor(jobs) as pool,
        _cancelling(pool),
    ):
        waiting: Iterator[int] = iter(blocks)
        running: dict[Future[Showers], int] = {}
        while True:
            while len(running) < jobs and (block := next(waiting, None)) is not None:
                running[pool.submit(run.simulate, block, bar.advance)] = block
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                use(running.pop(future), future.result())


@contextmanager
def _cancelling(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Begin nothing more after an error or an interrupt."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise

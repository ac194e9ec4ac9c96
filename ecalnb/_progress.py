"""Progress bars: in a terminal and in a live notebook, and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Bar", "progress", "wanted"]

_shown: Progress | None = None  # rich draws one live display at a time: an inner bar is a second line of it


def wanted() -> bool:
    """Whether somebody is looking: a terminal on stderr or a live notebook, and not a batch run."""
    if os.environ.get("ECALNB_BATCH") == "1":  # set by the papermill runner
        return False
    if "ipykernel" in sys.modules and "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        return shell is not None and getattr(shell, "kernel", None) is not None
    return sys.stderr is not None and sys.stderr.isatty()


class Bar:
    """A progress bar, or nothing at all when nobody is looking; made by `progress`.

    As a context manager it appears and disappears. Iterating over it passes on the items, one step each.
    """

    def __init__(self, items: Iterable[Any] | None, total: float | None, description: str, unit: str) -> None:
        self.items, self.total, self.description, self.unit = items, total, description, unit
        self.done = 0.0
        self._progress: Progress | None = None
        self._outermost = False
        self._task: Any = None

    def __enter__(self) -> Bar:
        global _shown
        if wanted():
            if _shown is None:
                _shown = _make()
                _shown.start()
                self._outermost = True
            self._progress = _shown
            self._task = _shown.add_task(self.description, total=self.total, unit=self.unit)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        global _shown
        if self._progress is None:
            return
        if self._outermost:
            self._progress.stop()
            _shown = None
        else:
            self._progress.remove_task(self._task)
        self._progress = None

    def __iter__(self) -> Iterator[Any]:
        for item in self.items or ():
            yield item
            self.advance()

    def advance(self, steps: float = 1) -> None:
        """Say that ``steps`` more are done."""
        self.done += steps
        if self._progress is not None:
            self._progress.advance(self._task, steps)


def progress(
    items: Iterable[Any] | None = None, *, total: float | None = None, description: str = "", unit: str = "events"
) -> Bar:
    """Progress bar as a context manager with a method ``advance(n)``; iterating over it goes through ``items``.

    It is drawn on stderr when that is a terminal, in a notebook when that is live, and never when the environment
    variable ``ECALNB_BATCH`` is 1.

    Parameters
    ----------
    items : iterable, optional
        What to iterate over.
    total : float, optional
        Number of steps; the length of ``items`` if that has one.
    description, unit : str
        What is done, and what is counted.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    return Bar(items, total, description, unit)


def _make() -> Progress:
    from rich import progress as bars
    from rich.console import Console

    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),  # copes with an unknown total
        bars.TextColumn("{task.fields[unit]}"),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )

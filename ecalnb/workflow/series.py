"""The notebook series: which notebooks there are, what each needs and what it makes.

That is written down beside the notebooks, in ``series.toml``:

.. code-block:: toml

    [04_proton_rejection]
    inputs = ["scores/geant4_sample.parquet"]   # what must exist before, relative to the output directory
    datasets = []                               # datasets whose ROOT files it reads itself, without a store
    outputs = []                                # what it makes beside its metrics and figures
    figures = ["rejection"]                     # each as figures/04_rejection.png and .svg
    threads = 1                                 # the most that it makes use of
    mem_mb = 4000                               # memory and time that a batch system is asked for
    minutes = 240

Every notebook ``NN_topic`` makes ``metrics/NN_topic.json``. A notebook without a section has no inputs and no figures.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import ecalnb

__all__ = ["SCALES", "Notebook", "datasets_file", "file_of", "load_series", "notebooks_folder", "resources", "select"]

SCALES = ("smoke", "demo", "paper")
"""Sizes of a run, from seconds to a cluster."""


@dataclass(frozen=True)
class Notebook:
    """A notebook of the series.

    Parameters
    ----------
    path : Path
        The notebook.
    inputs, datasets, outputs, figures : tuple of str
        As in ``series.toml``.
    threads : int
        The most threads that it makes use of.
    mem_mb, minutes : int
        Memory and time that a batch system is asked for.
    """

    path: Path
    inputs: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    threads: int = 1
    mem_mb: int = 4000
    minutes: int = 240

    @property
    def name(self) -> str:
        """Number and topic, ``NN_topic``."""
        return self.path.stem

    @property
    def metrics(self) -> str:
        """The file of its numbers, relative to the output directory."""
        return f"metrics/{self.name}.json"

    @property
    def targets(self) -> tuple[str, ...]:
        """All that it makes, relative to the output directory."""
        figures = (f"figures/{self.name[:2]}_{figure}.{kind}" for figure in self.figures for kind in ("png", "svg"))
        return (self.metrics, *self.outputs, *figures)


def notebooks_folder() -> Path:
    """Folder of the notebooks: inside the installed package, or beside it in a checkout.

    Raises
    ------
    FileNotFoundError
        If it is in neither place.
    """
    package = Path(ecalnb.__file__).resolve().parent
    places = (package / "notebooks", package.parent / "notebooks")
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"the notebooks are neither in {places[0]} nor in {places[1]}; install ecalnb again")


def load_series(folder: Path | None = None) -> list[Notebook]:
    """Notebooks of a folder (the packaged ones unless told), in their order.

    Raises
    ------
    FileNotFoundError
        If there is no notebook ``NN_topic.ipynb``.
    ValueError
        If ``series.toml`` names a notebook or a setting that does not exist, or a number is there twice.
    """
    folder = notebooks_folder() if folder is None else Path(folder).resolve()
    paths = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not paths:
        raise FileNotFoundError(f"no notebook NN_topic.ipynb in {folder}")
    numbers = [name[:2] for name in paths]
    if twice := {number for number in numbers if numbers.count(number) > 1}:
        raise ValueError(
            f"{folder} has several notebooks with the number {', '.join(sorted(twice))}; expected one each"
        )
    described = folder / "series.toml"
    sections = tomllib.loads(described.read_text()) if described.is_file() else {}
    if unknown := sorted(set(sections) - set(paths)):
        raise ValueError(f"{described} describes {', '.join(unknown)}, which is not in {folder}")
    known = {field.name for field in fields(Notebook)} - {"path"}
    for name, section in sections.items():
        if unknown := sorted(set(section) - known):
            raise ValueError(
                f"{described}, [{name}]: unknown {', '.join(unknown)}; expected {', '.join(sorted(known))}"
            )
    return [_notebook(path, sections.get(name, {})) for name, path in paths.items()]


def _notebook(path: Path, section: dict[str, Any]) -> Notebook:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}
    return Notebook(path, **values)


def file_of(target: str) -> str:
    """File that stands for a target: what is written last of a store or a training; else the target itself.

    The folder of a store cannot stand for it: Snakemake removes what a killed job has left, and the shards that are
    whole are to be kept.
    """
    if re.fullmatch(r"runs/[^/]+/[^/]+", target):
        return f"{target}/weights.json"
    return f"{target}/manifest.json" if re.fullmatch(r"stores/[^/]+", target) else target


def resources(mem_mb: int, minutes: int) -> dict[str, Callable[..., int]]:
    """Memory and time for a batch system, in the words of each; every attempt asks for as much more.

    HTCondor's plugin looks at neither ``mem_mb`` nor ``runtime``; ``+MaxRuntime`` is what CERN's pool reads, in s.
    """

    def scaled(value: int) -> Callable[..., int]:
        return lambda wildcards, attempt: value * attempt  # noqa: ARG005  # Snakemake's signature

    return {
        "mem_mb": scaled(mem_mb),
        "runtime": scaled(minutes),
        "htcondor_request_mem_mb": scaled(mem_mb),
        "classad_MaxRuntime": scaled(60 * minutes),
    }


def select(series: Sequence[Notebook], asked: Iterable[str]) -> list[Notebook]:
    """Notebooks asked for by number (``4``, ``04``) or name; all of them if none is asked for.

    Raises
    ------
    ValueError
        If there is no such notebook.
    """
    chosen = []
    for word in asked:
        number = f"{int(word):02d}_" if re.fullmatch(r"[0-9]{1,2}", word) else None
        name = Path(word).stem
        found = [book for book in series if (book.name.startswith(number) if number else book.name == name)]
        if not found:
            raise ValueError(f"there is no notebook {word!r}; the series is {', '.join(book.name for book in series)}")
        chosen += found
    return [book for book in series if book in chosen] if chosen else list(series)


def datasets_file(data_dir: str | Path) -> Path:
    """Path of the ``datasets.toml`` that describes the files of a folder.

    Raises
    ------
    FileNotFoundError
        If the folder has none.
    """
    path = Path(data_dir).expanduser().resolve() / "datasets.toml"
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}; a data directory has a datasets.toml that describes its files")
    return path

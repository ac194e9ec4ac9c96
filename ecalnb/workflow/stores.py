"""Conversion of a whole dataset: every part with its own files, label and schema."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets import Dataset, load_datasets
from ..rootio import find_files
from .series import datasets_file

if TYPE_CHECKING:
    from ..store import Store

__all__ = ["convert_dataset", "dataset_files", "find_dataset"]


def find_dataset(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Dataset of the packaged ``datasets.toml``, or of the one in ``data_dir``.

    Raises
    ------
    ValueError
        If there is no such dataset.
    """
    described = None if data_dir is None else datasets_file(data_dir)
    datasets = load_datasets(described)
    if name not in datasets:
        where = "the packaged datasets.toml" if described is None else described
        raise ValueError(f"there is no dataset {name!r} in {where}; it has {', '.join(sorted(datasets))}")
    return datasets[name]


def dataset_files(name: str, data_dir: str | Path | None = None) -> list[Path]:
    """Return the ROOT files of a dataset."""
    return find_files([file for part in find_dataset(name, data_dir).parts() for file in part.files])


def convert_dataset(
    name: str, output: str | Path, data_dir: str | Path | None = None, *, overwrite: bool = False, **options: Any
) -> Store:
    """Convert a dataset into a store, of which shards that are there and whole are kept.

    Parameters
    ----------
    name : str
        The dataset.
    output : path
        Folder of the store.
    data_dir : path, optional
        Folder with another ``datasets.toml`` than the packaged one.
    overwrite : bool
        Remove a store that is there first.
    options
        Handed on to :func:`ecalnb.store.convert`.
    """
    from ..store import convert

    if overwrite and Path(output).exists():
        from ..store import Store

        Store(output)  # raises, rather than removing a folder that is something else
        shutil.rmtree(output)
    dataset = find_dataset(name, data_dir)
    for part in dataset.parts():
        schema = options.get("schema") or part.schema
        store = convert(
            list(part.files),
            output,
            label=part.label,
            dataset=part.name,
            kind=part.kind,
            **{**options, "schema": schema},
        )
    return store

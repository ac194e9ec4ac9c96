"""Datasets in the workflow: the files of productions, and stores."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets import Dataset, load_datasets
from ..rootio import file_id, find_files
from .series import datasets_file

if TYPE_CHECKING:
    from ..productions import Production
    from ..store import Shard, Store

__all__ = [
    "PRODUCTIONS",
    "convert_one",
    "description",
    "facts",
    "file_jobs",
    "find_dataset",
    "make_file",
    "production",
    "update_store",
]

logger = logging.getLogger("ecalnb.workflow")

PRODUCTIONS = Path("productions")
"""Folder of the files of productions, in the output directory."""


def description(data_dir: str | Path | None = None) -> Path:
    """Path of the ``datasets.toml`` in ``data_dir``, or of the packaged one."""
    return Path(__file__).parent.parent / "data" / "datasets.toml" if data_dir is None else datasets_file(data_dir)


def find_dataset(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Dataset of the packaged ``datasets.toml``, or of the one in ``data_dir``.

    Raises
    ------
    ValueError
        If there is no such dataset.
    """
    path = description(data_dir)
    datasets = load_datasets(path)
    if name not in datasets:
        raise ValueError(f"there is no dataset {name!r} in {path}; it has {', '.join(sorted(datasets))}")
    return datasets[name]


def production(name: str, data_dir: str | Path | None = None) -> Production:
    """Return what a dataset simulates.

    Raises
    ------
    ValueError
        If there is no such dataset, or it has files of its own.
    """
    found = find_dataset(name, data_dir).production
    if found is None:
        raise ValueError(f"the dataset {name!r} is not one that is simulated; {description(data_dir)} has its files")
    return found


def make_file(name: str, path: Path, data_dir: str | Path | None = None) -> int:
    """Simulate one of the files of a production; returns the number of events in it.

    Blocks of a run that was killed are used, unless they are of another simulation.
    """
    from ..simulation import simulate_to_file

    path.parent.mkdir(parents=True, exist_ok=True)
    return simulate_to_file(path, overwrite=True, **production(name, data_dir).arguments(path.name))


def file_jobs(name: str, scale: str, data_dir: str | Path | None = None) -> dict[str, tuple[Dataset, Path]]:
    """Return the files of a dataset by the names of their jobs, each with the part of the dataset that it is of."""
    parts = find_dataset(name, data_dir).located(PRODUCTIONS, scale).parts()
    found = [(part, path) for part in parts for path in _files(part)]
    names = [re.sub(r"[^A-Za-z0-9._+-]+", "_", f"{part.name}.{path.stem}") for part, path in found]
    twice = {word for word, number in Counter(names).items() if number > 1}
    for number, (_, path) in enumerate(found):
        if names[number] in twice:
            names[number] += "-" + hashlib.blake2b(os.fsencode(path), digest_size=4).hexdigest()
    return dict(zip(names, found, strict=True))


def facts(part: Dataset) -> dict[str, Any]:
    """Return what a store remembers of the files of a dataset: other facts make their shards again."""
    names = ("label", "kind", "simulation", "weight")
    return {"dataset": part.name, **{name: getattr(part, name) for name in names}}


def convert_one(name: str, job: str, output: Path, scale: str, data_dir: str | Path | None = None) -> Shard:
    """Convert one file of a dataset into its shard of the store."""
    from ..store import convert_file

    part, path = file_jobs(name, scale, data_dir)[job]
    return convert_file(replace(part, files=(str(path),)), output)


def update_store(name: str, output: Path, scale: str, data_dir: str | Path | None = None) -> Store:
    """Finish the store of a dataset, whose files have been converted by jobs of their own, or do what is missing.

    In the workflow a store is what the dataset is now: shards of other files, or with another label, are removed.
    """
    from ..store import convert

    dataset = find_dataset(name, data_dir).located(PRODUCTIONS, scale)
    _remove_others(output, dataset)
    return convert(dataset, output)


def _files(part: Dataset) -> list[Path]:
    """Files of a part; those of productions relative to the output directory, there or not."""
    return [
        file
        for name in part.files
        for file in ([Path(name)] if Path(name).is_relative_to(PRODUCTIONS) else find_files([name]))
    ]


def _remove_others(output: Path, dataset: Dataset) -> None:
    """Remove shards of events that the dataset does not have, or has in another shard."""
    from ..store import Store, StoreError

    try:
        shards = Store(output).shards
    except (StoreError, OSError):
        return  # nothing there yet, or only a part: `convert` says what is wrong, if anything is
    expected = {f"{file_id(path):016x}": facts(part) for part in dataset.parts() for path in find_files(part.files)}
    seen: set[str] = set()
    for shard in shards:
        keys = {source["key"] for source in shard.sources}
        known = all(expected.get(source["key"], {"": 0}).items() <= source.items() for source in shard.sources)
        if not known or keys & seen:
            logger.info("%s is not what the dataset %s has now; removing it", shard.name, dataset.name)
            (output / "manifest.json").unlink(missing_ok=True)
            (output / shard.name).unlink()
        seen |= keys

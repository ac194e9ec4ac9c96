"""Datasets in the workflow: the files of productions, and stores."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ..datasets import Dataset, load_datasets
from ..rootio import file_id, find_files
from .series import datasets_file

if TYPE_CHECKING:
    from ..productions import Production
    from ..store import Store

__all__ = ["PRODUCTIONS", "dataset_files", "description", "find_dataset", "make_file", "production", "update_store"]

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


def dataset_files(name: str, scale: str, data_dir: str | Path | None = None) -> list[Path]:
    """Return the ROOT files of a dataset; those of productions relative to the output directory, there or not."""
    parts = find_dataset(name, data_dir).located(PRODUCTIONS, scale).parts()
    return [
        file
        for part in parts
        for name in part.files
        for file in ([Path(name)] if Path(name).is_relative_to(PRODUCTIONS) else find_files([name]))
    ]


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


def update_store(name: str, output: Path, scale: str, data_dir: str | Path | None = None) -> Store:
    """Make the store of a dataset in the output directory, or bring it up to date.

    Shards of the dataset's files that are whole stay, so that a killed conversion goes on. If the store has events of
    other files, or with another label, it is made anew: in the workflow a store is what the dataset is now.
    """
    from ..store import Store, convert

    dataset = find_dataset(name, data_dir).located(PRODUCTIONS, scale)
    if _is_of_other_events(output, dataset):
        logger.info("%s has other events than the dataset %s has now; making it anew", output, name)
        return convert(dataset, output, overwrite=True)
    convert(dataset, output)
    return Store(output)


def _is_of_other_events(output: Path, dataset: Dataset) -> bool:
    from ..store import Store, StoreError

    try:
        shards = Store(output).shards
    except (StoreError, OSError):
        return False  # nothing there yet, or only a part: `convert` says what is wrong, if anything is
    facts = ("label", "dataset", "kind", "simulation", "weight")
    expected = {
        f"{file_id(path):016x}": (part.label, part.name, part.kind, part.simulation, part.weight)
        for part in dataset.parts()
        for path in find_files(part.files)
    }
    found = {source["key"]: tuple(source.get(fact) for fact in facts) for shard in shards for source in shard.sources}
    return any(expected.get(key) != values for key, values in found.items())

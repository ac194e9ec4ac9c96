"""Datasets: named sets of files, with what is known about their events. Written as TOML.

The packaged ``data/datasets.toml`` describes the packaged events, and its comments explain every key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ._toml import DATA, check_keys, near, packaged_or_path, read_toml
from .productions import Production
from .splits import Split, load_splits

__all__ = ["Dataset", "load_datasets"]

Kind = Literal["mc", "flight"]


@dataclass(frozen=True)
class Dataset:
    """A named set of files, or of other datasets, or what to simulate. Load the known ones with `load_datasets`.

    Parameters
    ----------
    name : str
        Its name.
    files : tuple of str
        Paths or wildcards, absolute.
    members : tuple of Dataset
        The datasets that this one consists of, instead of files.
    production : Production or None
        What to simulate, if there are no files yet; `located` says where they are once they are made.
    label : str or None
        What the events are; None when that is unknown (flight data) or stands in the files.
    kind : {"mc", "flight"}
        Simulated, or recorded by AMS.
    weight : float
        Weight of each event.
    schema : str
        Schema of the files: name of a packaged one, or an absolute path.
    simulation : str
        Which simulation made the events; empty for flight data.
    split : Split
        The split that its events follow.

    Raises
    ------
    ValueError
        If it has not just one of files, members and production, an unknown kind, or is simulated by nobody knows what.
    """

    name: str
    files: tuple[str, ...] = ()
    members: tuple[Dataset, ...] = ()
    label: str | None = None
    kind: Kind = "mc"
    weight: float = 1.0
    schema: str = "ams"
    simulation: str = ""
    split: Split | None = None
    production: Production | None = None

    def __post_init__(self) -> None:
        where = f"dataset {self.name!r}"
        if bool(self.files) + bool(self.members) + bool(self.production) != 1:
            there = " and ".join(name for name in ("files", "members", "production") if getattr(self, name))
            raise ValueError(f"{where} has {there or 'no files'}; expected files, members or a production")
        if self.kind not in ("mc", "flight"):
            raise ValueError(f"{where}: kind {self.kind!r} is not one of 'mc', 'flight'")
        if not self.weight > 0:
            raise ValueError(f"{where}: weight {self.weight!r} is not a positive number")
        if self.files and self.kind == "mc" and not self.simulation:
            raise ValueError(f"{where} is simulated; its 'simulation' must say by what")

    def parts(self) -> Iterator[Dataset]:
        """Yield the datasets with files that it consists of: itself, or those of its members."""
        if not self.members:
            yield self
        for member in self.members:
            yield from member.parts()

    def with_files(self) -> Iterator[Dataset]:
        """Yield `parts`, whose files are there to be read.

        Raises
        ------
        ValueError
            If one is simulated on demand.
        """
        for part in self.parts():
            if part.production:
                raise ValueError(
                    f"the dataset {part.name!r} is simulated on demand: `ecalnb make stores/{part.name}` makes its "
                    "files and a store of them"
                )
            yield part

    def located(self, folder: str | Path, scale: str) -> Dataset:
        """Return the dataset with the files of its productions, which are in ``folder/<name>``.

        Raises
        ------
        ValueError
            If a production has no events for the scale.
        """
        if self.members:
            return replace(self, members=tuple(member.located(folder, scale) for member in self.members))
        if self.production is None:
            return self
        try:
            files = tuple(str(Path(folder) / self.name / file) for file in self.production.files(scale))
        except ValueError as error:
            raise ValueError(f"dataset {self.name!r}: {error}") from None
        return replace(self, files=files, production=None)


def load_datasets(path: str | Path | None = None) -> dict[str, Dataset]:
    """Read datasets by name.

    Parameters
    ----------
    path : str or Path, optional
        A datasets file; the packaged one unless told. Paths in it are relative to it.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it has an unknown key, dataset, split or value; the message names file and key.
    """
    path = DATA / "datasets.toml" if path is None else Path(path).expanduser().resolve()
    content = read_toml(path)
    check_keys(content, ("datasets", "splits"), str(path), required=("datasets",))
    splits = load_splits()
    for name, split in load_splits(path).items():
        if splits.setdefault(name, split) != split:
            raise ValueError(f"{path}: the split {name!r} is frozen in the package; give yours another name")
    entries: dict[str, dict[str, Any]] = content["datasets"]
    datasets: dict[str, Dataset] = {}
    for name in entries:
        _load(name, entries, datasets, splits, path, ())
    return datasets


def _load(
    name: str,
    entries: dict[str, dict[str, Any]],
    datasets: dict[str, Dataset],
    splits: dict[str, Split],
    path: Path,
    above: tuple[str, ...],
) -> Dataset:
    """Dataset ``name``, after its members; ``above`` are the datasets that it is a member of."""
    where = f"{path}, [datasets.{name}]"
    if name in datasets:
        return datasets[name]
    if name not in entries:
        raise ValueError(f"{path}, [datasets.{above[-1]}]: no dataset is named {name!r}{near(name, entries)}")
    if name in above:
        raise ValueError(f"{where}: the dataset is a member of itself")
    entry = dict(entries[name])
    if "members" in entry:
        check_keys(entry, ("members",), where)
        if not isinstance(entry["members"], list) or not all(isinstance(each, str) for each in entry["members"]):
            raise ValueError(f"{where}: members is {entry['members']!r}; expected a list of names of datasets")
        members = tuple(_load(member, entries, datasets, splits, path, (*above, name)) for member in entry["members"])
        kinds = {part.kind for member in members for part in member.parts()}
        if len(kinds) > 1:
            raise ValueError(f"{where}: its members are of different kinds, mc and flight; expected one kind")
        common: dict[str, Any] = {"members": members}
        for key in ("kind", "label", "simulation", "schema", "split"):
            values = {getattr(member, key) for member in members}
            if len(values) == 1:
                common[key] = values.pop()
        datasets[name] = Dataset(name, **common)
        return datasets[name]
    keys = ("files", "production", "label", "kind", "weight", "schema", "simulation", "split")
    check_keys(entry, keys, where, required=("kind",))
    if isinstance(entry.get("files"), str):
        raise ValueError(f"{where}: files is {entry['files']!r}; expected a list")
    for key in ("label", "kind", "simulation", "split"):
        if not isinstance(entry.get(key, ""), str):
            raise ValueError(f"{where}: {key} is {entry[key]!r}; expected text")
    split = entry.get("split", "default")
    if split not in splits:
        raise ValueError(f"{where}: no split is named {split!r}; expected one of {', '.join(splits)}")
    schema = str(entry.get("schema", "ams"))
    if schema.endswith(".toml"):
        schema = str(path.parent / Path(schema).expanduser())
    try:
        packaged_or_path(schema, DATA / "schemas", "schema")
        entry["files"] = tuple(str(path.parent / Path(file).expanduser()) for file in entry.get("files", ()))
        if "production" in entry:
            production = Production.from_toml(entry["production"], f"{where}, production")
            entry |= {"production": production, "simulation": entry.get("simulation", production.description)}
        datasets[name] = Dataset(name, **{**entry, "schema": schema, "split": splits[split]})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from None
    return datasets[name]

"""Splits of events into samples that share no event, as functions of the event key.

A split is a hash of the event key with a salt, cut at fixed fractions, so that an event belongs to the same sample
wherever and whenever its file is read, copied, skimmed or merged. The definitions stand in ``data/datasets.toml``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._toml import DATA, check_keys, read_toml

__all__ = ["SAMPLES", "Split", "load_splits", "split_of", "uniform_hash"]

SAMPLES = ("fit", "train", "validation", "test")
"""The samples: fit of the simulation, training, validation (early stopping, choices), test (results)."""


@dataclass(frozen=True)
class Split:
    """A division of all events into the four samples.

    Parameters
    ----------
    name : str
        Name of the split.
    salt : str
        Text that goes into the hash: another salt is another, independent division.
    fit, train, validation, test : float
        Fraction of the events in each sample; they add up to 1.

    Raises
    ------
    ValueError
        If a fraction is negative or they do not add up to 1.
    """

    name: str
    salt: str
    fit: float
    train: float
    validation: float
    test: float

    def __post_init__(self) -> None:
        fractions = self.fractions
        if min(fractions.values()) < 0 or abs(sum(fractions.values()) - 1) > 1e-9:
            raise ValueError(
                f"fractions of the split {self.name!r} are {fractions}; expected a sum of 1, none negative"
            )

    @property
    def fractions(self) -> dict[str, float]:
        """Fraction of the events in each sample, in the order of `SAMPLES`."""
        return {sample: float(getattr(self, sample)) for sample in SAMPLES}


def load_splits(path: str | Path | None = None) -> dict[str, Split]:
    """Read splits by name, from the table ``[splits]`` of a datasets file (the packaged one unless told)."""
    path = DATA / "datasets.toml" if path is None else Path(path)
    keys = ("salt", *SAMPLES)
    splits = {}
    for name, entry in read_toml(path).get("splits", {}).items():
        check_keys(entry, keys, f"{path}, [splits.{name}]", required=keys)
        splits[name] = Split(name, **entry)
    return splits


def split_of(file_id: npt.ArrayLike, entry: npt.ArrayLike, split: str | Split = "default") -> npt.NDArray[np.str_]:
    """Sample that each event belongs to.

    Parameters
    ----------
    file_id, entry : array_like of int, shape (n,)
        The event key: columns ``file_id`` and ``entry`` of an event table.
    split : str or Split
        A split, or the name of a packaged one.

    Returns
    -------
    array of str, shape (n,)
        ``fit``, ``train``, ``validation`` or ``test``.

    Raises
    ------
    ValueError
        If no packaged split has that name.
    """
    if isinstance(split, str):
        packaged = load_splits()
        if split not in packaged:
            raise ValueError(f"no packaged split is named {split!r}; expected one of {', '.join(packaged)}")
        split = packaged[split]
    uniform = uniform_hash(file_id, entry, split.salt)
    borders = np.cumsum(list(split.fractions.values()))[:-1]
    return np.array(SAMPLES)[np.searchsorted(borders, uniform, side="right")]


def _integers(values: npt.ArrayLike, name: str) -> npt.NDArray[np.uint64]:
    array = np.atleast_1d(np.asarray(values))
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"{name} has dtype {array.dtype}; the event key is made of integers")
    return array.astype(np.int64).view(np.uint64)


def uniform_hash(file_id: npt.ArrayLike, entry: npt.ArrayLike, salt: str) -> npt.NDArray[np.float64]:
    """Hash of event keys and a salt, uniform in [0, 1): shape (n,)."""
    seed: Any = np.frombuffer(hashlib.blake2b(salt.encode(), digest_size=8).digest(), dtype="<u8")
    mixed = _mix(_mix(_mix(_integers(file_id, "file_id") ^ seed) ^ _integers(entry, "entry")) + seed)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Finaliser of the SplitMix64 generator (Steele, Lea and Flood, OOPSLA 2014, fig. 16)."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))

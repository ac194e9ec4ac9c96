"""Events of nuclei: their variables, and what is known of the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .parameters import Nucleus, pick
from .schema import NucleiSchema, load_nuclei_schema

__all__ = ["CLASSES", "PLACES", "NucleiSample", "class_names", "concatenate"]

PLACES = ("above L1", "L1 to L2", "L2 to L8", "below L8", "nowhere")
"""Places of the first break-up, by their code."""

CLASSES = ("above L1", "L1 to L2", "intact")
"""Classes of each species: broke up above L1, between L1 and L2, or below L2 if at all."""

IntArray = npt.NDArray[np.int64]


def class_names(species: Sequence[Nucleus]) -> list[str]:
    """Names of the classes of species: three each, in the order of `CLASSES`."""
    return [f"{each.name} {place}" for each in species for place in CLASSES]


@dataclass(frozen=True)
class NucleiSample:
    """Events.

    Parameters
    ----------
    values : array, shape (n, columns)
        Variables in the order of the packaged schema, float32; NaN where nothing was measured.
    missing : tuple of str
        Variables that the files did not have at all.
    charge, place : array of int, shape (n,), or None
        True charge, and code of the place of the first break-up (`PLACES`); None for flight data.
    rigidity : array, shape (n,), or None
        True rigidity of the nucleus, GV.
    keys : array of int, shape (n, 2), or None
        Event keys: identity of the file, or the seed, and number in it.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the truth is not consistent.
    """

    values: npt.NDArray[np.float32]
    missing: tuple[str, ...] = ()
    charge: IntArray | None = None
    place: IntArray | None = None
    rigidity: npt.NDArray[np.float64] | None = None
    keys: IntArray | None = None

    def __post_init__(self) -> None:
        columns = len(self.schema.columns)
        if self.values.ndim != 2 or self.values.shape[1] != columns:
            raise ValueError(f"values have shape {self.values.shape}; expected {columns} columns, those of the schema")
        truth = {"charge": self.charge, "place": self.place, "rigidity": self.rigidity}
        there = {name: array for name, array in truth.items() if array is not None}
        if there and len(there) < len(truth):
            absent = ", ".join(sorted(set(truth) - set(there)))
            raise ValueError(f"the truth has {', '.join(there)} but not {absent}; expected all of it, or none")
        for name, array in there.items():
            if array.shape != (len(self),):
                raise ValueError(f"{name} has shape {array.shape}; expected one for each of the {len(self)} events")
        if there:
            self._check_truth()

    def _check_truth(self) -> None:
        charge, place, rigidity = self.truth
        known = [each.charge for each in pick()]
        for name, array, good in (
            ("charge", charge, np.isin(charge, known)),
            ("place", place, (place >= 0) & (place < len(PLACES))),
            ("rigidity", rigidity, np.isfinite(rigidity) & (rigidity > 0)),
        ):
            if not good.all():
                value = array[~good][0]
                raise ValueError(
                    f"the true {name} of {np.count_nonzero(~good)} of {len(self)} events is no known one, such as "
                    f"{value:g}; expected {_EXPECTED[name]}"
                )
        if (broken := (charge == 1) & (place != len(PLACES) - 1)).any():
            raise ValueError(
                f"{np.count_nonzero(broken)} events of charge 1 broke up; expected their place to be 4, {PLACES[-1]}"
            )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def schema(self) -> NucleiSchema:
        """The packaged schema, whose columns these are."""
        return load_nuclei_schema()

    @property
    def truth(self) -> tuple[IntArray, IntArray, npt.NDArray[np.float64]]:
        """True charge, place and rigidity.

        Raises
        ------
        ValueError
            If the events have none.
        """
        if self.charge is None or self.place is None or self.rigidity is None:
            raise ValueError("these events have no truth; expected simulated ones")
        return self.charge, self.place, self.rigidity

    def __getitem__(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> NucleiSample:
        arrays = {name: getattr(self, name) for name in (*_EXPECTED, "keys")}
        picked: dict[str, Any] = {name: None if array is None else array[which] for name, array in arrays.items()}
        return replace(self, values=self.values[which], **picked)

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """Values of a column, such as ``trk_q_x_1``.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name not in self.schema.columns:
            raise ValueError(f"no variable is named {name!r}; expected a column of the schema, such as trk_q_l1")
        return self.values[:, self.schema.columns.index(name)]

    def classes(self, species: Sequence[Nucleus]) -> IntArray:
        """Class of each event, a number in `class_names`; -1 for a species that is not among those given."""
        charge, place, _ = self.truth
        number = np.full(max(each.charge for each in pick()) + 1, -1)
        number[[each.charge for each in species]] = np.arange(len(species))
        found = number[charge]
        return np.where(found >= 0, len(CLASSES) * found + np.minimum(place, len(CLASSES) - 1), -1)


_EXPECTED = {
    "charge": "the charge of a species of data/nuclei.toml",
    "place": f"a code from 0 to {len(PLACES) - 1} ({', '.join(PLACES)})",
    "rigidity": "GV above 0",
}


def concatenate(samples: Sequence[NucleiSample]) -> NucleiSample:
    """Put samples one after another. Truth is kept if all have it.

    Raises
    ------
    ValueError
        If there is none, or the files of some lack variables that others have.
    """
    if not samples:
        raise ValueError("there are no samples to put together; expected one or more")
    if len({each.missing for each in samples}) > 1:
        texts = [", ".join(each.missing) or "none" for each in samples]
        raise ValueError(f"samples lack different variables ({'; '.join(texts)}); expected the same of all")
    known = all(each.charge is not None for each in samples)
    truth = zip(*(each.truth for each in samples), strict=True) if known else ()
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in zip(_EXPECTED, truth, strict=False)}
    if (keys := [each.keys for each in samples if each.keys is not None]) and len(keys) == len(samples):
        arrays["keys"] = np.concatenate(keys)
    return NucleiSample(np.concatenate([each.values for each in samples]), samples[0].missing, **arrays)

"""The whole validation of a candidate against a reference, species by species."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .._atomic import replacing, write_json
from ..showers import Showers
from .comparison import compare_correlations, compare_profiles, compare_quantities, energy_edges, select_sample
from .conditions import ValidationError, match
from .electromagnetic import VISIBLE_EDGES, classifier_survivors, simple_survivors
from .judges import JUDGES, EvaluateOn, Judgement
from .summary import judged_in_bins

__all__ = ["THRESHOLDS", "Validation", "validate"]

THRESHOLDS = (0.0, 2e-3)
"""Cell thresholds with which the judges are asked, GeV."""


@dataclass(frozen=True)
class Validation:
    """Result of `validate`.

    Parameters
    ----------
    tables : dict of DataFrame
        ``quantities``, ``profiles``, ``profile_tests``, ``correlations`` (:mod:`ecalnb.validation.comparison`);
        ``judges`` and ``judges_in_bins``, unless there are none; ``electromagnetic`` and ``electromagnetic_classifier``
        where both samples have electrons and protons.
    judgements : list of Judgement
        With the scores.
    settings : dict
        What was asked for, and the numbers of events.
    """

    tables: dict[str, pd.DataFrame]
    judgements: list[Judgement] = field(repr=False)
    settings: dict[str, Any]

    def write(self, folder: str | Path) -> list[Path]:
        """Write ``validation.json`` with everything, and each table as Parquet; return the paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "settings": self.settings,
            "tables": {
                name: table.astype(object).where(table.notna(), None).to_dict("records")
                for name, table in self.tables.items()
            },
        }
        write_json(folder / "validation.json", content)
        paths = [folder / "validation.json"]
        for name, table in self.tables.items():
            paths.append(folder / f"{name}.parquet")
            with replacing(paths[-1]) as temporary:
                table.to_parquet(temporary, index=False)
        return paths


def validate(
    reference: Showers,
    candidate: Showers,
    *,
    judges: Sequence[str] = ("bdt", "cnn"),
    thresholds: Sequence[float] = THRESHOLDS,
    evaluate_on: EvaluateOn = "test",
    seed: int = 1,
    threads: int = 1,
) -> Validation:
    """Compare a candidate with a reference by everything that this package knows.

    Parameters
    ----------
    reference, candidate : Showers
        Events of one or more species, under the same conditions for each.
    judges : sequence of {"bdt", "cnn"}
        Judges to ask; none for the physical quantities alone.
    thresholds : sequence of float
        Cell thresholds for the judges, GeV.
    evaluate_on : {"test", "validation"}
        Sample that is compared and judged; ``validation`` leaves ``test`` unseen while a simulation is developed.
    seed, threads : int
        Of the judges.

    Raises
    ------
    ValidationError
        If no species is in both, or samples of one cannot be compared.
    """
    if unknown := [judge for judge in judges if judge not in JUDGES]:
        raise ValidationError(f"judge {unknown[0]!r} is not one of {', '.join(JUDGES)}")
    species = {name: _species(name, showers) for name, showers in (("reference", reference), ("candidate", candidate))}
    common = [label for label in species["reference"] if label in species["candidate"]]
    if not common:
        raise ValidationError(
            f"no species is in both samples: the reference holds {', '.join(species['reference'])}, the candidate "
            f"{', '.join(species['candidate'])}"
        )
    tables: dict[str, list[pd.DataFrame]] = {}
    judgements: list[Judgement] = []
    numbers, edges = {}, {}
    for label in common:
        whole = match(species["reference"][label], species["candidate"][label])
        pair = select_sample(whole, evaluate_on)
        edges[label] = energy_edges(pair)
        numbers[label] = {"reference": len(pair.reference), "candidate": len(pair.candidate), "twins": pair.twins}
        points, tests = compare_profiles(pair)
        found = {
            "quantities": compare_quantities(pair), "profiles": points, "profile_tests": tests,
            "correlations": compare_correlations(pair),
        }  # fmt: skip
        for judge in judges:
            for threshold in thresholds:
                judgements.append(
                    JUDGES[judge](whole.reference, whole.candidate, seed=seed, threshold=threshold,
                                  evaluate_on=evaluate_on, threads=threads)
                )  # fmt: skip
        for name, table in found.items():
            tables.setdefault(name, []).append(table)
        species["reference"][label], species["candidate"][label] = whole.reference, whole.candidate
    if judgements:
        tables["judges"] = [pd.DataFrame([judgement.to_dict() for judgement in judgements])]
        tables["judges_in_bins"] = [judged_in_bins(judgements, edges)]
    if {"electron", "proton"} <= set(common):
        tables["electromagnetic"] = [simple_survivors(species, edges["proton"], evaluate_on=evaluate_on)]
        tables["electromagnetic_classifier"] = [
            classifier_survivors(species, VISIBLE_EDGES, evaluate_on=evaluate_on, seed=seed, threads=threads)
        ]
    settings = {
        "evaluate_on": evaluate_on, "seed": seed, "judges": list(judges), "thresholds": list(thresholds),
        "events": numbers,
    }  # fmt: skip
    joined = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    return Validation(joined, judgements, settings)


def _species(name: str, showers: Showers) -> dict[str, Showers]:
    """Events of each species."""
    if "label" not in showers.table or showers.table["label"].isna().any():
        raise ValidationError(f"the {name} has events without a label; expected simulated events of known species")
    labels = showers.table["label"].astype(str)
    return {label: showers[(labels == label).to_numpy()] for label in sorted(labels.unique())}

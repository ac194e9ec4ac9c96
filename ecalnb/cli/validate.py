"""``ecalnb validate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..showers import Showers
    from ..validation import Validation

__all__ = ["validate"]


class EvaluateOn(StrEnum):
    """Events that are compared and judged."""

    test = "test"
    validation = "validation"


class Judges(StrEnum):
    """Judges to ask."""

    both = "both"
    bdt = "bdt"
    cnn = "cnn"
    none = "none"


def validate(
    reference: Annotated[str, typer.Argument(help="A ROOT file, a store, or a dataset such as geant4_sample.")],
    candidate: Annotated[
        str,
        typer.Argument(
            help="The same; or `fast`: simulate with the fast engine at the energies and tracks of the reference."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for tables and figures.")] = Path("validation"),
    judges: Annotated[
        Judges, typer.Option(help="Classifiers that try to tell the two apart; none: physical quantities alone.")
    ] = Judges.both,
    evaluate_on: Annotated[
        EvaluateOn,
        typer.Option(
            help="test: final numbers, on events that nothing was tuned on; validation: while developing a simulation."
        ),
    ] = EvaluateOn.test,
    detector: Annotated[str, typer.Option(help="With the candidate `fast`: detector response.")] = "ideal",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the judges, and of the candidate `fast`.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the judges.")] = 1,
) -> None:
    """Compare a simulation with a reference: physical quantities, and classifiers that try to tell them apart.

    Writes tables (Parquet, and all in validation.json) and figures, and prints a summary. For example

        ecalnb validate geant4_sample fast -o validation

    compares the fast simulation with the packaged Geant4 events.
    """
    from ..validation import validate as compare

    first = _read(reference)
    second = _twins(first, detector, seed) if candidate == "fast" else _read(candidate)
    chosen = {"both": ("bdt", "cnn"), "none": ()}.get(judges.value, (judges.value,))
    result = compare(first, second, judges=chosen, evaluate_on=evaluate_on.value, seed=seed, threads=threads)
    result.write(output)
    _draw(result, output)
    _show(result, output)


def _read(text: str) -> Showers:
    """Events of a file, a store or a dataset."""
    from .. import ntuples
    from ..datasets import load_datasets
    from ..store import Store

    if Path(text).is_dir():
        return Store(text).showers(slice(None))
    if text.endswith(".root") or Path(text).exists():
        return ntuples.read(text)
    datasets = load_datasets()
    if text not in datasets:
        raise ValueError(f"{text!r} is neither a file, a store nor a dataset; the datasets are {', '.join(datasets)}")
    return ntuples.read(datasets[text])


def _twins(reference: Showers, detector: str, seed: int) -> Showers:
    """Fast events at the energies and tracks of the reference, species by species."""
    from ..showers import Showers
    from ..validation import simulate_twins

    labels = reference.table["label"].astype(str)
    parts = []
    for label in sorted(labels.unique()):
        part = reference[(labels == label).to_numpy()]
        parts.append(simulate_twins(part, detector=detector, seed=seed))
    return Showers.concatenate(parts)


def _draw(result: Validation, folder: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from .. import plots

    with plt.style.context(plots.style()):
        for label in result.settings["events"]:
            quantities, points = (
                table[table["label"] == label] for table in (result.tables["quantities"], result.tables["profiles"])
            )
            fig, ax = plt.subplots(figsize=(8, 9))
            plots.quantity_differences(ax, quantities)
            _close(fig, f"{label}_quantities", folder)
            for profile in ("longitudinal", "lateral"):
                fig, axes = plt.subplots(2, 1, figsize=(7, 7), height_ratios=(3, 1), sharex=True)
                plots.profile_comparison(axes, points, profile)
                _close(fig, f"{label}_{profile}", folder)
        for judgement in result.judgements:
            fig, ax = plt.subplots()
            plots.judge_scores(ax, judgement.scores)
            ax.set_title(f"{judgement.label}, {judgement.judge}: AUC {judgement.auc.value:.3f}")
            _close(fig, f"{judgement.label}_{judgement.judge}_{1e3 * judgement.threshold:g}MeV", folder)


def _close(fig: Any, name: str, folder: Path) -> None:
    import matplotlib.pyplot as plt

    from .. import plots

    plots.save(fig, name, folder)
    plt.close(fig)


def _show(result: Validation, folder: Path) -> None:
    """Print a summary: the judges, the profiles, and the quantities that differ most."""
    from rich.console import Console
    from rich.table import Table

    from ..validation import largest_pulls

    console = Console(width=max(Console().width, 120))  # narrower, numbers are torn apart
    for label, numbers in result.settings["events"].items():
        kind = "at the same energies and tracks" if numbers["twins"] else "independent"
        first, second = f"{numbers['reference']:,}", f"{numbers['candidate']:,}"
        console.print(f"{label}: {first} events of the reference, {second} of the candidate ({kind})")
    if "judges" in result.tables:
        table = Table("species", "judge", "cells above", "AUC", "68 % interval", "trained on", box=None, pad_edge=False)
        for row in result.tables["judges"].to_dict("records"):
            table.add_row(row["label"], row["judge"], f"{1e3 * row['threshold']:g} MeV", f"{row['auc']:.3f}",
                          f"{row['auc_low']:.3f} to {row['auc_high']:.3f}", f"{row['n_train']:,}")  # fmt: skip
        console.print(table)
    table = Table("species", "quantity", "statistic", "GeV", "reference", "candidate", "difference", "in errors",
                  box=None, pad_edge=False)  # fmt: skip
    for row in largest_pulls(result.tables["quantities"]).to_dict("records"):
        table.add_row(
            row["label"], row["quantity"], row["statistic"], f"{row['low']:g}-{row['high']:g}",
            f"{row['reference']:.4g} ± {row['reference_error']:.2g}",
            f"{row['candidate']:.4g} ± {row['candidate_error']:.2g}",
            f"{row['difference']:+.3g} ± {row['difference_error']:.2g}", f"{row['pull']:+.1f}",
        )  # fmt: skip
    console.print(table)
    console.print(f"each quantity where it differs most; all in {folder / 'validation.json'}", soft_wrap=True)

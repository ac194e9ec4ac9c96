"""Training on ROOT files: the split, the mixture, a search if it is wanted, and the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._atomic import replacing
from .abundances import natural_weights
from .model import NucleiModel, train_model
from .ntuples import iterate_nuclei
from .parameters import Nucleus
from .protocol import Prior, in_sample, mix
from .sample import CLASSES, NucleiSample, concatenate
from .search import search

__all__ = ["natural_prior", "train_on_files"]


def natural_prior(sample: NucleiSample, species: Sequence[Nucleus]) -> Prior:
    """Shares of the classes of simulated events at natural abundance."""
    labels = sample.classes(species)
    own = sample[labels >= 0]
    return Prior.of(own.values, labels[labels >= 0], len(CLASSES) * len(species), natural_weights(own))


def train_on_files(
    files: str | Path | Sequence[str | Path],
    output: str | Path,
    kind: str,
    species: tuple[Nucleus, ...],
    *,
    flight: Sequence[str | Path] = (),
    flight_share: float = 0.2,
    trials: int = 0,
    seed: int = 0,
    threads: int = 2,
    schema: str | Path = "default",
    overwrite: bool = False,
) -> NucleiModel:
    """Train a model on the training events of files, and write it into a folder.

    Parameters
    ----------
    files : path, wildcard, or several
        Simulated events.
    output : path
        Folder of the model, and of the search.
    kind : str
        Kind of model.
    species : tuple of Nucleus
        Species of the classes.
    flight : sequence of path
        Flight events, of which those that pass tight cuts are mixed in.
    flight_share : float
        See :func:`ecalnb.nuclei.protocol.mix`.
    trials : int
        Trainings of a search of hyper-parameters.
    seed, threads : int
        Seed, and threads.
    schema : str or Path
        Layout of the files.
    overwrite : bool
        Whether a model that is there may be replaced.

    Raises
    ------
    FileExistsError
        If there is a model that may not be replaced.
    ValueError
        If the files have no truth, or no events of a species.
    """
    output = Path(output)
    if (output / "model.json").exists() and not overwrite:
        raise FileExistsError(f"{output} has a model; expected a new folder, or overwrite=True")
    pieces = list(iterate_nuclei(files, schema=schema))
    flown = list(iterate_nuclei(flight, schema=schema)) if flight else []
    parts = {
        name: mix(
            concatenate([in_sample(piece, name) for piece in pieces]),
            species,
            concatenate([in_sample(piece, name) for piece in flown]) if flown else None,
            flight_share,
        )
        for name in ("train", "validation")
    }
    train, validation = parts["train"], parts["validation"]
    settings: dict[str, Any] = {}
    if trials:
        settings, table = search(kind, train, validation, species, output, trials, seed=seed, threads=threads)
        with replacing(output / "trials.csv") as temporary:
            table.to_csv(temporary, index=False)
    model = train_model(kind, train, validation, species, seed=seed, threads=threads, **settings)
    model = replace(model, natural=natural_prior(concatenate([in_sample(piece, "train") for piece in pieces]), species))
    model.save(output)
    return model

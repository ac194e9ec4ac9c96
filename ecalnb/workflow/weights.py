"""The weights that come with the package: made from nothing, one training after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.special import expit

from .._toml import DATA, check_keys, near, read_toml
from ..productions import parameters_fingerprint
from ..store import Store
from ..training import (
    Batch,
    EcalDataModule,
    Recipe,
    TrainingRun,
    is_for_tracks,
    load_network,
    load_track_predictor,
    save_weights,
    train,
)
from ..training.inputs import NeedsColumns
from . import WorkflowError, ensure
from .stores import find_dataset

__all__ = ["PackagedTraining", "load_trainings", "package", "train_all_weights"]

log = logging.getLogger(__name__)

LARGEST_CHANGE = 5e-3
"""Weights are kept in bfloat16 where no score (0 to 1) of the validation events looked at moves by this much."""

LARGEST_SHIFT = 0.1
"""The same for numbers of the track, such as those of an axis: in units of their predicted errors."""

LOOKED_AT = 2000

LARGE = 100_000
"""Numbers of a tensor from which it is rounded: those of the first layers are few, and rounding them costs the most."""

LARGE_FOR_TRACKS = 1000
"""The same for numbers of the track, whose errors are much larger than what rounding moves them by."""


_FACTS = ("dataset", "scale", "recipe", "seed")
"""Of a training, each of which a model may have of its own."""


@dataclass(frozen=True)
class PackagedTraining:
    """How one of the packaged weights is made.

    Parameters
    ----------
    name : str
        Of the weights, ``<model>.<tag>``.
    dataset, scale : str
        The events: a dataset, and the scale of its production.
    recipe : str
        Recipe of the training.
    seed : int
        Seed of the training.
    settings : dict
        What differs from the recipe.
    """

    name: str
    dataset: str
    scale: str
    recipe: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """Name of the architecture."""
        return self.name.partition(".")[0]


def load_trainings(path: str | Path | None = None) -> dict[str, PackagedTraining]:
    """Read how the packaged weights are made, by name.

    Raises
    ------
    ValueError
        If the file (the packaged ``weights.toml`` unless told) has an unknown key.
    """
    path = DATA / "weights.toml" if path is None else Path(path)
    trainings = {}
    for tag, content in read_toml(path).items():
        keys = ("description", *_FACTS, "settings", "models")
        check_keys(content, keys, f"{path}, [{tag}]", required=(*_FACTS, "models"))
        for model, own in content["models"].items():
            name = f"{model}.{tag}"
            facts = {key: own.get(key, content[key]) for key in _FACTS}
            # What differs from one recipe says nothing about another.
            shared = {} if "recipe" in own else content.get("settings", {})
            settings = {key: value for key, value in own.items() if key not in _FACTS}
            trainings[name] = PackagedTraining(name, **facts, settings={**shared, **settings})
    return trainings


def train_all_weights(
    output: str | Path,
    names: Iterable[str] = (),
    *,
    device: str = "auto",
    threads: int | None = None,
    path: str | Path | None = None,
) -> list[Path]:
    """Make the packaged weights from nothing: simulate, convert, train and package.

    Whatever is whole already is not made again, and a training that was stopped goes on.

    Parameters
    ----------
    output : str or Path
        Folder of the productions, stores and runs; the weights end up in its folder ``weights``.
    names : iterable of str
        Only these weights; all unless told.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    threads : int, optional
        Threads of torch.
    path : str or Path, optional
        Another file than the packaged ``weights.toml``.

    Returns
    -------
    list of Path
        The safetensors files.

    Raises
    ------
    WorkflowError
        If there are no such weights, or the events could not be made.
    TrainingError
        If a training failed.
    """
    output = Path(output)
    trainings = load_trainings(path)
    for name in (names := list(names) or list(trainings)):
        if name not in trainings:
            raise WorkflowError(
                f"no packaged weights are called {name!r}; there are {', '.join(trainings)}{near(name, trainings)}"
            )
    files = []
    for number, training in enumerate((trainings[name] for name in names), 1):
        log.info("%s (%d of %d)", training.name, number, len(names))
        store = Store(ensure(f"stores/{training.dataset}", output, training.scale))
        run = train(
            store,
            training.model,
            output / "runs" / training.name,
            recipe=training.recipe,
            seed=training.seed,
            device=device,
            threads=threads,
            **training.settings,
        )
        files.append(package(run, store, output / "weights", training))
    return files


def package(run: TrainingRun, store: Store, folder: Path, training: PackagedTraining) -> Path:
    """Write the weights of a run as they come with the package: in bfloat16 where the scores bear it.

    Returns
    -------
    Path
        The safetensors file, ``folder / <model>.<tag>.safetensors``.
    """
    path = folder / f"{training.name}.safetensors"
    tensors = load_file(run.weights)
    stored, change = _rounded(run, tensors, store)
    what = "largest shift in errors" if is_for_tracks(run.path) else "largest score change"
    info = {
        **{key: value for key, value in run.info.items() if key not in ("format", "environment")},
        "dataset": {"name": training.dataset, "scale": training.scale, "simulation": _simulations(training)},
        "training": run.info["environment"],
        "precision": {"stored": "bfloat16" if change else "float32", what: change},
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(path, stored, info)
    log.info("%s: %s, %.1f MB", path, info["precision"], path.stat().st_size / 1e6)
    return path


def _rounded(run: TrainingRun, tensors: dict[str, torch.Tensor], store: Store) -> tuple[dict[str, torch.Tensor], float]:
    """Round large tensors to bfloat16, without the smallest of them while a prediction moves too much."""
    tracks = is_for_tracks(run.path)
    largest_change, allowed = (_largest_shift, LARGEST_SHIFT) if tracks else (_largest_change, LARGEST_CHANGE)
    large = LARGE_FOR_TRACKS if tracks else LARGE
    names = sorted(
        (name for name, tensor in tensors.items() if tensor.numel() >= large), key=lambda name: tensors[name].numel()
    )
    while names:
        short = {name: tensor.bfloat16() if name in names else tensor for name, tensor in tensors.items()}
        if (change := largest_change(run, short, store)) < allowed:
            return short, change
        names.pop(0)
    return tensors, 0.0


def _simulations(training: PackagedTraining) -> dict[str, Any]:
    """Say which simulations made the events, with the hash of the parameters where they are ours."""
    parts = list(find_dataset(training.dataset).parts())
    made_here = any(part.production is not None for part in parts)
    return {
        "fingerprint": parameters_fingerprint() if made_here else None,
        **{part.name: part.simulation for part in parts},
    }


def _largest_change(run: TrainingRun, short: dict[str, torch.Tensor], store: Store) -> float:
    """Largest change of a validation event's score when the weights are rounded to `short`."""
    exact, rounded = (load_network(run.path, name=name) for name in ("exact", "rounded"))
    rounded.model.load_state_dict({name: tensor.float() for name, tensor in short.items()})
    largest = 0.0
    for batch in _looked_at(run, store, exact.inputs):
        first, second = (expit(classifier.logits(batch).numpy()) for classifier in (exact, rounded))
        largest = max(largest, float(np.abs(first - second).max()))
    return largest


def _largest_shift(run: TrainingRun, short: dict[str, torch.Tensor], store: Store) -> float:
    """Largest change of a number of a validation event's track, in its errors, when the weights are rounded to `short`.

    Of networks that predict no errors, in units of the root mean square of that number among the events.
    """
    exact, rounded = (load_track_predictor(run.path, name=name) for name in ("exact", "rounded"))
    rounded.model.load_state_dict({name: tensor.float() for name, tensor in short.items()})
    largest = 0.0
    for batch in _looked_at(run, store, exact.inputs):
        (first, errors), (second, _) = exact.predict(batch), rounded.predict(batch)
        unit = np.where(np.isfinite(errors), errors, np.sqrt(np.mean(first**2, axis=0)))
        largest = max(largest, float(np.abs((first - second) / unit).max()))
    return largest


def _looked_at(run: TrainingRun, store: Store, inputs: NeedsColumns) -> Iterator[Batch]:
    """Batches of the validation events that rounding is tried on."""
    recipe = Recipe(**run.info["recipe"])
    rows = EcalDataModule(store, recipe, inputs=inputs).rows["validation"][:LOOKED_AT]
    columns = store.table(list(inputs.columns))
    for some in np.array_split(rows, -(-len(rows) // 128)):
        batch = {name: torch.from_numpy(columns[name].to_numpy(np.float32)[some]) for name in inputs.columns}
        batch["cells"] = torch.from_numpy(store.dense(some))
        yield batch

"""Training and use of the experiment's own methods: the same events, run directories and scores as for networks.

Nothing is resumed here: a training takes seconds to minutes, and one that was stopped begins anew.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from .._atomic import replacing, write_json
from ..geometry import Calorimeter
from ..metrics import rejection_curve, roc_auc
from ..models.conventional import METHODS, BDTOptions, ShowerBDT, ShowerLikelihood, VariableTable
from ..models.conventional.standardisation import Standardisation
from ..models.errors import forbid_unknown
from ..showers import Showers
from . import _runtime
from .data import EcalDataModule, EventSource, Selection
from .errors import TrainingError
from .losses import Loss, make_loss
from .recipes import Recipe
from .rundir import TrainingRun, check_folder, locked, prepare
from .scales import Batch
from .weight_files import FORMAT, geometry_to_dict, save_weights

__all__ = ["ShowerClassifier", "ShowerColumns", "check_overrides", "load_method", "train_method"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]
Row = dict[str, float]

_USED = (
    *("name", "description", "signal", "background", "labels", "split", "train_sample", "validation_sample"),
    *("energy_min", "energy_max", "validation_energy_min", "validation_energy_max"),
    *("train_events", "validation_events", "model_options"),
)

_CHUNK = 10_000  # events whose images are in memory together
_CURVE_POINTS = 100


@dataclass(frozen=True)
class ShowerColumns:
    """What the methods need of an event beside the cells: reconstructed energy and track."""

    columns: ClassVar[tuple[str, ...]] = ("en3d", "track_x", "track_y", "track_inclination", "track_azimuth")

    def to_dict(self) -> dict[str, Any]:
        """Name and columns, for the record."""
        return {"name": "showers", "columns": list(self.columns)}

    def showers(self, batch: Mapping[str, torch.Tensor], geometry: Calorimeter) -> Showers:
        """Make showers of a batch."""
        table = pd.DataFrame({name: batch[name].cpu().numpy() for name in self.columns})
        return Showers(batch["cells"].cpu().numpy(), table, geometry)


@dataclass(frozen=True)
class ShowerClassifier:
    """A trained BDT or likelihood, ready to score; used like a network (:class:`ecalnb.training.EventClassifier`).

    Parameters
    ----------
    name : str
        Name of the run, and of its column in a scores table.
    method : ShowerBDT or ShowerLikelihood
        What was trained; ``method.value(showers)`` of a likelihood has the sign of AMS's.
    inputs : ShowerColumns
        What it needs of an event.
    geometry : Calorimeter
        The calorimeter it was trained on.
    info : dict
        Content of the JSON file.
    path : Path
        The file of the trees, or of the templates and densities.
    """

    name: str
    method: ShowerBDT | ShowerLikelihood = field(repr=False)
    inputs: ShowerColumns
    geometry: Calorimeter = field(repr=False)
    info: dict[str, Any] = field(repr=False)
    path: Path

    def logits(self, batch: Batch) -> torch.Tensor:
        """Scores of a batch, (n,), float32, high for electrons."""
        scores = self.method.logits(self.inputs.showers(batch, self.geometry))
        return torch.from_numpy(scores.astype(np.float32))

    def to(self, device: str | torch.device) -> ShowerClassifier:  # noqa: ARG002
        """Return itself: the methods work on the CPU."""
        return self


def check_overrides(model: str, overrides: Collection[str], **others: Any) -> None:
    """Refuse settings that a method would not read.

    Parameters
    ----------
    model : str
        Name of the method.
    overrides : collection of str
        Names of the settings that were given by hand.
    **others
        Arguments of `train` that are for networks; refused where they say anything.

    Raises
    ------
    TrainingError
        If one of them is not for this method.
    """
    unread = [name for name in overrides if name not in _USED] + [name for name, value in others.items() if value]
    if unread:
        raise TrainingError(
            f"{model} does not use {', '.join(sorted(unread))}, which is for networks; it uses {', '.join(_USED[2:])}"
        )


def train_method(
    store: EventSource,
    model: str,
    output: Path,
    settings: Recipe,
    *,
    seed: int = 1,
    resume: bool = True,
    selection: Selection | None = None,
    threads: int | None = None,
) -> TrainingRun:
    """Train a BDT or a likelihood into a run directory.

    Parameters
    ----------
    store : EventSource
        The events, with ``en3d`` and tracks.
    model : str
        One of :data:`ecalnb.models.conventional.METHODS`.
    output : Path
        The run directory: ``config.json``, ``metrics.csv``, and ``weights.ubj`` (trees, in xgboost's format) or
        ``weights.safetensors`` (templates and densities) with ``weights.json``.
    settings : Recipe
        Which events, with what labels and in which windows of energy; ``model_options`` of a BDT are the fields of
        :class:`~ecalnb.models.conventional.BDTOptions`. The settings of networks do not count.
    seed : int
        Seed of the trees; the likelihood has nothing random.
    resume : bool
        Keep a finished training that is there; otherwise repeat it.
    selection : callable, optional
        Cut on the event table.
    threads : int, optional
        Threads for the trees, which do not depend on it; as many as torch uses unless told.

    Raises
    ------
    TrainingError
        If the store has no events for it, or the run directory belongs to another training.
    ModelError
        If an option does not exist or makes no sense.
    """
    forbid_unknown(model, settings.model_options, asdict(BDTOptions()) if model == "shower_bdt" else {})
    options = asdict(BDTOptions(**settings.model_options)) if model == "shower_bdt" else {}
    check_folder(output)
    data = EcalDataModule(store, settings, inputs=ShowerColumns(), seed=seed, selection=selection)
    loss = make_loss("weighted_bce", *data.counts("train"))
    with _runtime.thread_number(threads) as used, locked(output):
        config = {
            "model": model,
            "title": METHODS[model],
            "model_options": options,
            "inputs": ShowerColumns().to_dict(),
            "loss": loss.to_dict(),
            "recipe": {key: value for key, value in settings.to_dict().items() if key in _USED},
            "seed": seed,
            "geometry": geometry_to_dict(store.geometry),
            "data": data.describe(),
            "environment": {"device": "cpu", "threads": used, "versions": _versions()},
        }
        prepare(output, config, resume)
        if (output / "weights.json").is_file():
            log.info("%s is finished already", output)
            return TrainingRun.load(output)
        write_json(output / "config.json", config, TrainingError)
        log.info("training %s on %d signal and %d background events", METHODS[model], *data.counts("train"))
        method: ShowerBDT | ShowerLikelihood
        if model == "shower_bdt":
            method, rows, best = _fit_bdt(data, BDTOptions(**options), loss, seed, used)
        else:
            method, rows, best = _fit_likelihood(data, loss)
        with replacing(output / "metrics.csv", TrainingError) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)
        info = {**config, "epochs": len(rows), "validation": best}
        _save(output, method, info)
        log.info("%s: validation loss %.5f, AUC %.5f", output, best["val_loss"], best["val_auc"])
    return TrainingRun.load(output)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("xgboost", "scipy", "numpy")}


def _parts(data: EcalDataModule, name: str) -> Iterator[tuple[Showers, npt.NDArray[np.bool_]]]:
    """Showers of the training or validation events, some at a time, and which of them are signal."""
    table = data.store.table(list(ShowerColumns.columns))
    for start in range(0, len(data.rows[name]), _CHUNK):
        rows = data.rows[name][start : start + _CHUNK]
        # Rounded like the events that are scored.
        columns = table.iloc[rows].astype(np.float32)
        yield Showers(data.store.dense(rows), columns, data.store.geometry), data.target[rows] == 1


def _row(epoch: int, margins: Sequence[FloatArray], targets: Sequence[npt.NDArray[np.bool_]], loss: Loss) -> Row:
    """One row of the learning curve, from the logits of training and validation events."""
    losses = [
        float(loss(torch.from_numpy(logits), {"target": torch.from_numpy(target.astype(float))}))
        for logits, target in zip(margins, targets, strict=True)
    ]
    signal, background = margins[1][targets[1]], margins[1][~targets[1]]
    return {
        "epoch": epoch,
        "step": epoch + 1,
        "train_loss": losses[0],
        "val_loss": losses[1],
        "val_auc": roc_auc(signal, background).value,
        "val_background_90": 1 / float(rejection_curve(signal, background, [0.9])["rejection"].iloc[0]),
    }


def _fit_bdt(
    data: EcalDataModule, options: BDTOptions, loss: Loss, seed: int, threads: int
) -> tuple[ShowerBDT, list[Row], Row]:
    """Grow the trees; the learning curve has a row for each of some numbers of trees, with the best among them."""
    tables, targets = [], []
    for name in ("train", "validation"):
        values = [(VariableTable.of(showers), signal) for showers, signal in _parts(data, name)]
        tables.append(VariableTable.concatenate([table for table, _ in values]))
        targets.append(np.concatenate([signal for _, signal in values]))
    # A further thread pays for every so many events only.
    threads = min(threads, 1 + len(targets[0]) // 50_000)
    weights = loss.to_dict()
    bdt = ShowerBDT.fit(
        (tables[0], targets[0]),
        (tables[1], targets[1]),
        weights=(weights["signal_weight"], weights["background_weight"]),
        options=options,
        seed=seed,
        threads=threads,
    )
    grown = bdt.booster.num_boosted_rounds()
    wanted = {bdt.rounds - 1, *np.linspace(0, grown - 1, min(grown, _CURVE_POINTS)).round().astype(int).tolist()}
    curves = zip(*(bdt.learning_curve(table, threads) for table in tables), strict=True)
    rows = {tree: _row(tree, margins, targets, loss) for tree, margins in enumerate(curves) if tree in wanted}
    return bdt, list(rows.values()), rows[bdt.rounds - 1]


def _fit_likelihood(data: EcalDataModule, loss: Loss) -> tuple[ShowerLikelihood, list[Row], Row]:
    """Make templates and densities; the learning curve has one row."""
    likelihood = ShowerLikelihood.fit(lambda: _parts(data, "train"))
    margins, targets = [], []
    for name in ("train", "validation"):
        values = [(likelihood.logits(showers), signal) for showers, signal in _parts(data, name)]
        margins.append(np.concatenate([logits for logits, _ in values]))
        targets.append(np.concatenate([signal for _, signal in values]))
    row = _row(0, margins, targets, loss)
    return likelihood, [row], row


def _save(output: Path, method: ShowerBDT | ShowerLikelihood, info: dict[str, Any]) -> None:
    """Write the weights, and last the JSON file that marks a whole run."""
    if isinstance(method, ShowerLikelihood):
        tensors = {name: torch.from_numpy(np.array(values)) for name, values in method.to_arrays().items()}
        save_weights(output / "weights.safetensors", tensors, info)
        return
    trees = method.to_bytes()
    with replacing(output / "weights.ubj", TrainingError) as temporary:
        temporary.write_bytes(trees)
    standardisation = {name: values.tolist() for name, values in method.standardisation.to_arrays().items()}
    extra = {
        "trees": method.rounds,
        "importances": method.importances(),
        "standardisation": standardisation,
        "sha256": hashlib.sha256(trees).hexdigest(),
    }
    write_json(output / "weights.json", {"format": FORMAT, **info, **extra}, TrainingError)


def load_method(file: Path, info: dict[str, Any], geometry: Calorimeter, name: str) -> ShowerClassifier:
    """Read the weights of a trained BDT or likelihood, whose JSON file has been read.

    Raises
    ------
    TrainingError
        If the file does not hold them.
    """
    method: ShowerBDT | ShowerLikelihood
    try:
        if info["model"] == "shower_bdt":
            standardisation = Standardisation.from_arrays(info["standardisation"])
            method = ShowerBDT.from_bytes(file.read_bytes(), standardisation)
        else:
            method = ShowerLikelihood.from_arrays(load_file(file))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise TrainingError(f"{file} does not hold a {METHODS[info['model']]}: {error}") from None
    return ShowerClassifier(name, method, ShowerColumns(), geometry, info, file)

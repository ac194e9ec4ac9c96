"""A trained model of the classes of nuclei: training, prediction, and its files."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._atomic import replacing, write_json
from .parameters import Nucleus, pick
from .protocol import Prior, TrainingSet
from .sample import NucleiSample, class_names
from .schema import load_nuclei_schema

__all__ = ["MODELS", "NucleiModel", "load_model", "train_model"]

log = logging.getLogger(__name__)

MODELS = ("xgboost", "mlp", "cnn", "transformer")
"""Kinds of models."""

_KEYS = ("kind", "species", "columns", "prior", "natural", "settings", "history", "seconds")


@dataclass(frozen=True)
class NucleiModel:
    """A trained model.

    Parameters
    ----------
    kind : str
        One of `MODELS`.
    species : tuple of Nucleus
        Species of its classes.
    prior : Prior
        Mixture of classes that it was trained on, which its probabilities belong to.
    settings : dict
        Hyper-parameters.
    history : pandas.DataFrame
        Losses of each epoch or round.
    seconds : float
        Time of the training.
    core : object
        The trees, or network and scaling.
    natural : Prior or None
        The natural mixture of classes, if it was worked out with the training.
    """

    kind: str
    species: tuple[Nucleus, ...]
    prior: Prior
    settings: dict[str, Any]
    history: pd.DataFrame = field(repr=False)
    seconds: float
    core: Any = field(repr=False)
    natural: Prior | None = field(default=None, repr=False)

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return class_names(self.species)

    def predict(self, sample: NucleiSample, prior: Prior | None = None, *, threads: int = 2) -> npt.NDArray[np.float64]:
        """Probabilities of the classes, shape (n, classes).

        Parameters
        ----------
        sample : NucleiSample
            Events. Trees do with variables that are missing altogether, networks do not.
        prior : Prior, optional
            Mixture of classes that the probabilities shall belong to; that of the training unless told.
        threads : int
            Threads.

        Raises
        ------
        ValueError
            If the model is a network and the files lack variables.
        """
        if self.kind == "xgboost":
            from .trees import predict_trees

            probabilities = predict_trees(self.core, sample.values, threads)
        else:
            from .network_training import predict_network

            if sample.missing:
                raise ValueError(
                    f"the model {self.kind} needs {', '.join(sample.missing)}, which the files have not; expected all "
                    "variables, or the model xgboost, which does without"
                )
            network, scaling = self.core
            probabilities = predict_network(network, scaling, sample.values, threads)
        if prior is None:
            return np.asarray(probabilities, dtype=float)
        return prior.correct(probabilities, sample.values, self.prior)

    def save(self, folder: str | Path) -> None:
        """Write ``model.json`` and ``trees.ubj`` or ``weights.safetensors`` into a folder, which is made."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "kind": self.kind,
            "species": [each.name for each in self.species],
            "columns": list(load_nuclei_schema().columns),
            "prior": _written(self.prior),
            "natural": None if self.natural is None else _written(self.natural),
            "settings": self.settings,
            "history": self.history.to_dict("list"),
            "seconds": self.seconds,
        }
        if self.kind == "xgboost":
            weights = bytes(self.core.save_raw("ubj"))
        else:
            from safetensors.torch import save

            network, scaling = self.core
            content["scaling"] = {"middle": scaling.middle.tolist(), "width": scaling.width.tolist()}
            weights = save(network.state_dict())
        (folder / "model.json").unlink(missing_ok=True)  # it must never describe weights that it was not written for
        with replacing(folder / _file(self.kind)) as temporary:
            temporary.write_bytes(weights)
        write_json(folder / "model.json", {**content, "sha256": hashlib.sha256(weights).hexdigest()})


def train_model(
    kind: str,
    train: TrainingSet,
    validation: TrainingSet,
    species: tuple[Nucleus, ...],
    *,
    seed: int = 0,
    threads: int = 2,
    **settings: Any,
) -> NucleiModel:
    """Train a model.

    Parameters
    ----------
    kind : str
        One of `MODELS`.
    train, validation : TrainingSet
        Events to train on and to stop by, of the same species.
    species : tuple of Nucleus
        Their species.
    seed, threads : int
        Seed, and threads.
    **settings
        Hyper-parameters: of :class:`ecalnb.nuclei.trees.TreeSettings`, or of
        :class:`ecalnb.nuclei.network_training.NetworkSettings`.

    Raises
    ------
    ValueError
        If no model is of that kind, or it has no such setting.
    """
    if kind not in MODELS:
        raise ValueError(f"no model is named {kind!r}; expected one of {', '.join(MODELS)}")
    begin = time.perf_counter()
    core: Any
    if kind == "xgboost":
        from .trees import TreeSettings, train_trees

        resolved: Any = _settings(TreeSettings, settings, kind)
        core, history = train_trees(train, validation, resolved, seed=seed, threads=threads)
    else:
        from .network_training import NetworkSettings, train_network

        resolved = _settings(NetworkSettings, settings, kind)
        network, scaling, history = train_network(kind, train, validation, resolved, seed=seed, threads=threads)
        core = network, scaling
    seconds = time.perf_counter() - begin
    log.info("%s: %.1f s, log-loss %.4f on validation events", kind, seconds, history["val_loss"].min())
    return NucleiModel(kind, species, train.prior, asdict(resolved), history, seconds, core)


def _settings(made: type, given: dict[str, Any], kind: str) -> Any:
    from .._toml import check_keys

    check_keys(given, made.__dataclass_fields__, f"settings of {kind}")  # type: ignore[attr-defined]
    return made(**given)


def load_model(folder: str | Path) -> NucleiModel:
    """Read a model that `NucleiModel.save` has written.

    Raises
    ------
    ValueError
        If there is none, it has other variables than this version of the package, or its files are damaged.
    """
    from ..training.weight_files import read_checked, read_json

    folder = Path(folder)
    side = folder / "model.json"
    if not side.is_file():
        raise ValueError(f"{folder} has no model of nuclei; expected model.json in it")
    content = read_json(side)
    if lacking := [key for key in _KEYS if key not in content]:
        raise ValueError(f"{side} lacks {', '.join(lacking)}; it does not describe a model of nuclei")
    columns = list(load_nuclei_schema().columns)
    if content["columns"] != columns:
        raise ValueError(f"{folder}: the model has {len(content['columns'])} other variables; expected the schema's")
    if content["kind"] not in MODELS:
        raise ValueError(f"{side} describes a model {content['kind']!r}; expected one of {', '.join(MODELS)}")
    species = pick(content["species"])
    prior = _read(content["prior"])
    natural = None if content["natural"] is None else _read(content["natural"])
    file = folder / _file(content["kind"])
    weights = read_checked(file, content, side.name)
    core = _trees(file, weights) if content["kind"] == "xgboost" else _network(file, weights, content, prior)
    history = pd.DataFrame(content["history"])
    kind, settings, seconds = (content[name] for name in ("kind", "settings", "seconds"))
    return NucleiModel(kind, species, prior, settings, history, seconds, core, natural)


def _file(kind: str) -> str:
    return "trees.ubj" if kind == "xgboost" else "weights.safetensors"


def _trees(file: Path, weights: bytes) -> Any:
    import xgboost

    try:
        return xgboost.Booster(model_file=bytearray(weights))
    except xgboost.core.XGBoostError as error:
        raise ValueError(f"{file} holds no trees of xgboost: {str(error).strip().splitlines()[-1]}") from None


def _network(file: Path, weights: bytes, content: dict[str, Any], prior: Prior) -> tuple[Any, Any]:
    """Network in evaluation mode, and the scaling of its inputs."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    from ..training.weight_files import check_fits
    from .network_training import Scaling
    from .networks import make_network

    kind, network_settings = content["kind"], content["settings"]["network"]
    network = make_network(kind, len(content["columns"]), prior.shares.shape[1], **network_settings)
    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise ValueError(f"{file} is not a readable safetensors file: {error}") from None
    check_fits(file, f"the model {kind}", network, tensors)
    network.load_state_dict(tensors)
    middle, width = (np.array(content["scaling"][name], np.float32) for name in ("middle", "width"))
    return network.eval(), Scaling(middle, width)


def _written(prior: Prior) -> dict[str, Any]:
    return {"shares": prior.shares.tolist(), "edges": prior.edges[:-1].tolist()}  # the last is infinity


def _read(entry: dict[str, Any]) -> Prior:
    return Prior(np.array(entry["shares"]), np.array([*entry["edges"], np.inf]))

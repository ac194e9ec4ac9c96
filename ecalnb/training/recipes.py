"""Recipes: the named sets of hyper-parameters, and how they are overridden.

A setting comes from the command line, else from the recipe's part for the model, else from the recipe, else from the
defaults of :class:`Recipe`. A key that nobody reads is an error.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .._toml import DATA, check_keys, near, read_toml
from .errors import TrainingError
from .inputs import MergedInputs, default_inputs
from .targets import ClassTarget, monitors

__all__ = ["MONITORS", "Recipe", "list_recipes", "parse_settings", "resolve_recipe"]

log = logging.getLogger(__name__)

MONITORS = {"val_loss": "min", "val_auc": "max", "val_background_90": "min"} | dict.fromkeys(
    ("val_space_angle_68", "val_inclination_68", "val_x_68", "val_y_68"), "min"
)
"""What can choose the best epoch, and whether it should be small or large: loss; of classifiers the area under the ROC
curve, and the fraction of background that passes at 90 % signal efficiency; of what predicts numbers of the track the
space angle and inclination (degrees) and the distances in x and y (mm) that 68 % of the events stay below; all on
validation events."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. Every field is a key of a recipe in TOML and an override of ``train``.

    Parameters
    ----------
    name, description : str
        Name of the recipe, and what it is for.
    inputs, normalisation : str
        Inputs of the model and scale of the cells; see :mod:`ecalnb.training.inputs`. Unless a recipe or an override
        says which inputs, they are those that the model is made for.
    scalars : tuple of str
        Numbers of an event, such as ``total_energy``, that the model gets as further channels.
    quantity : str
        What the model is trained to predict: ``class``, or numbers of the track: ``theta``, ``position`` or ``axis``
        (:mod:`ecalnb.training.targets`).
    reference : str
        Which track that is: ``true``, or ``track`` for that of the tracker, in the columns ``true_x``, ``track_x``, ...
    signal, background : tuple of str
        Labels of the two classes; events with another label, or none, do not take part. For numbers of the track only
        `signal` counts.
    labels : dict of str to list of str
        For events without a label, such as flight data: the packaged selections that an event must pass to be given a
        label, instead of the labels in the store. See :func:`ecalnb.training.label_events`.
    split, train_sample, validation_sample : str
        Split of the events (:mod:`ecalnb.splits`) and its samples for training and for early stopping.
    energy_min, energy_max : float or None
        Window of ``en3d``, GeV: energy_min <= en3d < energy_max.
    validation_energy_min, validation_energy_max : float or None
        Window of the validation sample, where that is another one.
    train_events, validation_events : int
        Take part of the sample only: so many events, chosen by a hash of their keys (:mod:`ecalnb.training.subsets`),
        so that smaller choices lie inside larger ones. Each seed of a training has its own choice of training events;
        the validation events are the same for all. 0 takes all.
    batch_size : int
        Largest number of events in a training batch; batches of an epoch differ by one event at most.
    epoch_events : int
        Training events in an epoch, which ends with a validation; 0 takes each once. Of more than there are, each is
        taken several times, so that few events make as many steps as many do; fewer are a part, and the next epoch goes
        on with the others.
    optimiser : str
        ``adam`` or ``adamw``.
    learning_rate, weight_decay : float
        Of the optimiser.
    schedule : str
        ``constant``, or ``cosine``: the learning rate falls to 0 over `max_epochs`.
    loss : str
        Name of the loss; see :mod:`ecalnb.training.losses`, and for numbers of the track
        :mod:`ecalnb.training.regression`.
    resolution_epochs : int
        Epochs after which the loss ``resolution_weighted`` finds the resolution as a function of energy anew.
    max_epochs, patience, tolerance : int, int, float
        Training stops after `max_epochs`, or when `monitor` has not got better by more than `tolerance` for `patience`
        epochs.
    monitor : str
        What says on validation events which epoch is the best, whose weights are kept: one of :data:`MONITORS`. The
        loss also asks for probabilities that are right, which they need not be at energies beyond the training events'.
    augmentation : tuple of str
        Changes that leave the physics alone, drawn for each event of a batch; see :mod:`ecalnb.training.augment`.
    planing : bool
        Weight training events so that both species have the same spectrum (:mod:`ecalnb.training.planing`).
    penalty : dict
        Name and parameters of an addition to the training loss (:mod:`ecalnb.training.penalties`), for example
        ``{name = "distance_correlation", weight = 1.0}``.
    adaptation : dict
        Name and settings of a domain adaptation (:mod:`ecalnb.training.adaptation`), for example ``{name = "dann"}``;
        it needs a target.
    batch_norm_events : int
        Training events from which the moments of batch normalisation are computed anew before each validation
        (:mod:`ecalnb.training.batchnorm`); 0 keeps the running means of the training.
    precision : str
        ``32``, or ``bf16-mixed``: products of matrices in bfloat16, twice as fast on a CPU or GPU made for it.
    start_from : str
        Trained weights of the same architecture to begin with: a run, a file or a packaged name; random ones unless
        told.
    model_options : dict
        Options of the architecture, for example ``drop_rate``.

    Raises
    ------
    TrainingError
        If a value has the wrong type or makes no sense.
    """

    name: str = "default"
    description: str = ""
    inputs: str = "merged"
    normalisation: str = "log"
    scalars: tuple[str, ...] = ()
    quantity: str = "class"
    reference: str = "true"
    signal: tuple[str, ...] = ("electron", "positron")
    background: tuple[str, ...] = ("proton",)
    labels: dict[str, Any] = field(default_factory=dict)
    split: str = "default"
    train_sample: str = "train"
    validation_sample: str = "validation"
    energy_min: float | None = None
    energy_max: float | None = None
    validation_energy_min: float | None = None
    validation_energy_max: float | None = None
    train_events: int = 0
    validation_events: int = 0
    batch_size: int = 128
    epoch_events: int = 0
    optimiser: str = "adam"
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    schedule: str = "constant"
    loss: str = "weighted_bce"
    resolution_epochs: int = 5
    max_epochs: int = 200
    patience: int = 20
    tolerance: float = 1e-5
    monitor: str = "val_loss"
    augmentation: tuple[str, ...] = ()
    planing: bool = False
    penalty: dict[str, Any] = field(default_factory=dict)
    adaptation: dict[str, Any] = field(default_factory=dict)
    batch_norm_events: int = 0
    precision: str = "32"
    start_from: str = ""
    model_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for setting in fields(self):
            object.__setattr__(self, setting.name, _typed(setting.name, str(setting.type), getattr(self, setting.name)))
        for name in ("batch_size", "learning_rate", "max_epochs", "patience", "resolution_epochs"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} is {getattr(self, name)}; expected a positive number")
        for name in (
            "train_events",
            "validation_events",
            "epoch_events",
            "weight_decay",
            "tolerance",
            "batch_norm_events",
        ):
            if not getattr(self, name) >= 0:
                raise TrainingError(f"{name} is {getattr(self, name)}; expected zero or a positive number")
        for low, high in (self.window("train"), self.window("validation")):
            if low is not None and high is not None and not low < high:
                raise TrainingError(f"the energy window {low} to {high} GeV is empty")
        labels = {label: list(_typed(f"labels.{label}", "tuple", names)) for label, names in self.labels.items()}
        object.__setattr__(self, "labels", labels)
        if self.monitor not in (allowed := monitors(self.quantity)):
            raise TrainingError(f"monitor is {self.monitor!r}; expected one of {', '.join(allowed)}")
        if self.reference not in ("true", "track"):
            raise TrainingError(f"reference is {self.reference!r}; expected 'true' or 'track'")
        for name in ("planing", "penalty", "adaptation"):
            if getattr(self, name) and self.quantity != ClassTarget.name:
                raise TrainingError(f"{name} is for the quantity {ClassTarget.name!r}, not {self.quantity!r}")
        if self.precision not in ("32", "bf16-mixed"):
            raise TrainingError(f"precision is {self.precision!r}; expected '32' or 'bf16-mixed'")
        if both := set(self.signal) & set(self.background):
            raise TrainingError(f"label {', '.join(sorted(both))} is both signal and background")

    def window(self, sample: str) -> tuple[float | None, float | None]:
        """Window of ``en3d`` of the training (``"train"``) or validation sample, GeV; None where it has no end."""
        if sample == "validation" and (self.validation_energy_min, self.validation_energy_max) != (None, None):
            return self.validation_energy_min, self.validation_energy_max
        return self.energy_min, self.energy_max

    @property
    def input_settings(self) -> dict[str, Any]:
        """What :func:`ecalnb.training.inputs_from` makes the inputs from."""
        return {"name": self.inputs, "normalisation": self.normalisation, "scalars": self.scalars}

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values that JSON holds."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


_SETTINGS = {setting.name: str(setting.type) for setting in fields(Recipe) if setting.name != "name"}


def _typed(name: str, kind: str, value: Any) -> Any:
    """`value` as the type that the setting has, or an error that says which that is."""
    if value is None and "None" in kind:
        return None
    if kind.startswith("float") and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str):
        return value
    if kind.startswith("tuple"):
        value = (value,) if isinstance(value, str) else value
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
    if kind.startswith("dict") and isinstance(value, Mapping):
        return dict(value)
    expected = {
        "int": "an integer",
        "str": "text",
        "tupl": "a list of texts",
        "dict": "a table",
        "bool": "true or false",
    }.get(kind[:4].strip())
    raise TrainingError(f"{name} is {value!r}; expected {expected or 'a number'}")


def _read(path: str | Path | None) -> tuple[Path, dict[str, Any]]:
    path = DATA / "recipes.toml" if path is None else Path(path)
    return path, read_toml(path)


def list_recipes(path: str | Path | None = None) -> dict[str, str]:
    """Names of the recipes in a TOML file (the packaged one unless told) with their descriptions."""
    file, recipes = _read(path)
    for name, content in recipes.items():
        if not isinstance(content, dict):
            raise TrainingError(f"{file}: {name} is {content!r}; expected a recipe, which is a table")
    return {name: str(content.get("description", "")) for name, content in recipes.items()}


def resolve_recipe(
    recipe: str | Path | Recipe = "geant4_sample", model: str = "", overrides: Mapping[str, Any] | None = None
) -> Recipe:
    """Put the settings of a training together.

    Overrides win over the recipe's part for the model, that over the recipe, and that over the defaults, among them the
    inputs that the model is made for.

    Parameters
    ----------
    recipe : str, Path or Recipe
        Name of a packaged recipe; or a TOML file that holds one recipe, or ``file.toml:name``; or the settings.
    model : str
        Name of the model; the recipe's table ``models.<model>`` holds for that model only.
    overrides : mapping, optional
        Settings that win over the recipe. ``model_options`` are merged, not replaced.

    Raises
    ------
    TrainingError
        If there is no such recipe, a key is unknown or a value is wrong.
    """
    overrides = dict(overrides or {})
    if isinstance(recipe, Recipe):
        settings = {key: value for key, value in asdict(recipe).items() if key != "name"}
        name, where = recipe.name, f"recipe {recipe.name}"
    else:
        name, where, settings = _named(recipe, model)
    try:
        check_keys(settings, _SETTINGS, where)
        check_keys(overrides, _SETTINGS, "overrides of the recipe")
    except ValueError as error:
        raise TrainingError(str(error)) from None
    options = {**settings.get("model_options", {}), **overrides.pop("model_options", {})}
    natural = default_inputs(model)
    inputs = {"inputs": natural}
    if isinstance(recipe, Recipe) and natural not in (MergedInputs.name, {**settings, **overrides}["inputs"]):
        log.warning("%s is made for the inputs %s; the recipe given has %s", model, natural, recipe.inputs)
    return Recipe(name=name, **{**inputs, **settings, **overrides, "model_options": options})


def _named(recipe: str | Path, model: str) -> tuple[str, str, dict[str, Any]]:
    """Name of a recipe, where it stands, and its settings for a model."""
    text = str(recipe)
    file, _, name = (
        text.rpartition(":") if ".toml:" in text else (text, "", "") if text.endswith(".toml") else ("", "", text)
    )
    path, recipes = _read(file or None)
    if file and not name:
        if len(recipes) != 1:
            raise TrainingError(
                f"{path} holds {len(recipes)} recipes ({', '.join(recipes)}); choose one by {file}:name"
            )
        name = next(iter(recipes))
    if name not in recipes:
        raise TrainingError(
            f"no recipe is called {name!r} in {path.name}; there are {', '.join(recipes)}{near(name, recipes)}"
        )
    settings = dict(recipes[name])
    special = settings.pop("models", {})
    for entry in special:
        try:
            check_keys(special[entry], _SETTINGS, f"{path}, [{name}.models.{entry}]")
        except ValueError as error:
            raise TrainingError(str(error)) from None
    own = special.get(model, {})
    merged = {**settings, **own}
    merged["model_options"] = {**settings.get("model_options", {}), **own.get("model_options", {})}
    return name, f"{path}, [{name}]", merged


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Read settings typed as ``key=value``; the value is read as TOML, and as text where it is none.

    ``model_options.drop_rate=0.1`` sets an option of the model.

    Raises
    ------
    TrainingError
        If a text has no ``=``.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise TrainingError(f"setting {text!r} is not of the form key=value")
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value.strip()
        head, dot, option = key.strip().partition(".")
        if dot:
            settings.setdefault(head, {})[option] = parsed
        else:
            settings[head] = parsed
    return settings

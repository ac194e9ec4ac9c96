"""Settings of a domain adaptation, by the name of its method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._toml import near
from ..errors import TrainingError

__all__ = ["METHODS", "adaptation_settings", "list_adaptations"]

_EVENTS: dict[str, Any] = {"window": None, "sample": None}
_PENALTY: dict[str, Any] = {"weight": 1.0, "ramp_epochs": 10, "prior": "source"}

METHODS: dict[str, dict[str, Any]] = {
    "none": {**_EVENTS},
    "response": {**_EVENTS, "electrons": ()},
    "batch_norm": {**_EVENTS, "events": 10_000},
    "coral": {**_EVENTS, **_PENALTY},
    "mmd": {**_EVENTS, **_PENALTY},
    "dann": {**_EVENTS, **_PENALTY, "hidden": 100},
    "mcc": {**_EVENTS, "weight": 1.0, "ramp_epochs": 10, "temperature": 2.5},
}
"""Methods, and their settings with the defaults.

``window``
    Two energies, GeV: target events with ``en3d`` from the first to below the second. That of training unless told.
``sample``
    Sample of the target's events, by the split of the recipe. That of the training events unless told.
``electrons``
    Packaged selections, or TOML files, that all have to be passed: they choose the electrons of the target.
``events``
    Number of target events, at most, that moments are computed from.
``weight``
    Factor of the penalty, or of the reversed gradient.
``ramp_epochs``
    Epochs in which the ramp 2 / (1 + exp(-10 p)) - 1 goes from p = 0 to 1.
``prior``
    How source events count in the alignment: ``source``, each the same; ``estimate``, so that they mix the classes as
    the target seems to, estimated anew after each epoch; or a number, the target's share of signal.
``hidden``
    Width of the hidden layer of the domain classifier.
``temperature``
    What logits are divided by.
"""


def list_adaptations() -> list[str]:
    """Names of the methods of domain adaptation."""
    return list(METHODS)


def adaptation_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a method with the defaults for those that are not given.

    Raises
    ------
    TrainingError
        If there is no such method or setting, or a value makes no sense.
    """
    name = given.get("name")
    if name not in METHODS:
        raise TrainingError(f"adaptation is {name!r}; expected one of {', '.join(METHODS)}{near(str(name), METHODS)}")
    known = METHODS[name]
    if unknown := [key for key in given if key != "name" and key not in known]:
        raise TrainingError(
            f"the adaptation {name} has no setting {', '.join(unknown)}; expected some of {', '.join(known)}"
        )
    settings = {"name": name, **known, **given}
    for key in ("weight", "ramp_epochs", "hidden", "events", "temperature"):
        if key in settings and not _positive(settings[key], whole=key in ("hidden", "events")):
            raise TrainingError(f"{key} of the adaptation {name} is {settings[key]!r}; expected a positive number")
    prior = settings.get("prior", "source")
    if prior not in ("source", "estimate") and not (_positive(prior) and prior < 1):
        raise TrainingError(
            f"prior of the adaptation {name} is {prior!r}; expected source, estimate, or a number between 0 and 1"
        )
    if (window := settings["window"]) is not None:
        if not (isinstance(window, list | tuple) and len(window) == 2 and all(map(_positive, window))):
            raise TrainingError(f"window of the adaptation {name} is {window!r}; expected two energies in GeV")
        if not window[0] < window[1]:
            raise TrainingError(f"the energy window {window[0]} to {window[1]} GeV of the target is empty")
        settings["window"] = list(window)
    if "electrons" in settings:
        electrons = [settings["electrons"]] if isinstance(settings["electrons"], str) else list(settings["electrons"])
        if not electrons:
            raise TrainingError(
                "response matching needs electrons of the target; expected names of selections in its setting electrons"
            )
        settings["electrons"] = electrons
    return settings


def _positive(value: Any, *, whole: bool = False) -> bool:
    kinds = int if whole else int | float
    return isinstance(value, kinds) and not isinstance(value, bool) and value > 0

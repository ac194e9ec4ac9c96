"""Making models by name, on top of timm's registry.

timm accepts keyword arguments that nobody reads, and fits a checkpoint of one channel to a model of another without a
word. Both are mistakes in a measurement, so the architectures of this package go through :func:`build`, which forbids
them, and :func:`create` checks names and options before anything is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, model_entrypoint, resolve_pretrained_cfg
from torch import nn

from . import padding
from .errors import ModelError, forbid_unknown, suggest
from .pretrained import list_weights, weights_file

__all__ = [
    "ModelError",
    "ModelInfo",
    "build",
    "count_parameters",
    "create",
    "default_cfg",
    "list_models",
    "options_of",
    "packaged_cfgs",
]

PREFIX = "ecal_"

# What timm's factory hands to every architecture beside the options of the architecture itself.
_TIMM_ARGUMENTS = {"pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}

# Arguments that `create` sets from the input size, or that say where weights come from.
_NOT_OPTIONS = {"pretrained", "in_chans", "img_size", "num_classes"}


@dataclass(frozen=True)
class ModelInfo:
    """One line of the list of models.

    Parameters
    ----------
    name : str
        Name in timm's registry.
    parameters : int
        Trainable parameters with the outputs that it is made for.
    description : str
        What it is, in a sentence.
    input_size : tuple of 3 int
        Channels, layers and cells of the input that it is made for.
    """

    name: str
    parameters: int
    description: str
    input_size: tuple[int, int, int]


def default_cfg(**changes: Any) -> dict[str, Any]:
    """Return the timm configuration of a model of AMS showers: one channel of 18 x 72 cells and one logit."""
    cfg = {"url": "", "input_size": (1, 18, 72), "num_classes": 1, "fixed_input_size": False, "license": "bsd-3-clause"}
    return {**cfg, **changes}


def packaged_cfgs(architectures: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return what timm wants to know of architectures: for each a configuration for every packaged weights of it.

    Parameters
    ----------
    architectures : mapping of str to mapping
        The configuration of each architecture, as `default_cfg` gives it.
    """
    tagged = {
        tag: {**cfg, "file": str(weights_file(tag))} if tag != name else cfg
        for name, cfg in architectures.items()
        for tag in (list_weights(name) or [name])
    }
    return generate_default_cfgs(tagged)


def build(
    model_class: type[nn.Module], variant: str, pretrained: bool, timm_arguments: Mapping[str, Any], **options: Any
) -> nn.Module:
    """Make a registered architecture: what each entry point calls, instead of timm's own builder.

    Parameters
    ----------
    model_class : type
        The module's class.
    variant : str
        Name of the architecture.
    pretrained : bool
        Load the weights that the timm configuration points to.
    timm_arguments : mapping
        Arguments of the entry point that are not options of the architecture.
    **options
        Arguments of `model_class`, among them ``in_chans`` and ``num_classes``.

    Raises
    ------
    ModelError
        If an argument is unknown, or the weights have another number of channels or outputs than the model.
    """
    if unread := set(timm_arguments) - _TIMM_ARGUMENTS:
        forbid_unknown(variant, unread, options_of(variant))
    if pretrained:
        source = {key: timm_arguments.get(key) for key in ("pretrained_cfg", "pretrained_cfg_overlay")}
        cfg = resolve_pretrained_cfg(variant, **source)
        for what, asked, stored in (
            ("input channels", options["in_chans"], cfg.input_size[0]),
            ("outputs", options["num_classes"], cfg.num_classes),
        ):
            if asked != stored:
                raise ModelError(f"the weights of {variant} have {stored} {what}, not {asked}; they cannot be adapted")
    return build_model_with_cfg(model_class, variant, pretrained, **timm_arguments, **options)


def create(
    name: str, *, input_size: Sequence[int] | None = None, num_classes: int | None = None, **options: Any
) -> nn.Module:
    """Make a model, with fresh weights.

    Parameters
    ----------
    name : str
        One of :func:`list_models`, for example ``"ecal_simple_cnn"``, or one of timm's own with ``timm:`` before its
        name, for example ``"timm:convnext_atto"``; its images are padded, see :class:`ecalnb.models.PaddedModel`.
    input_size : sequence of 3 int, optional
        Channels, layers and cells of the input; by default what the model is made for, (1, 18, 72) for timm's.
    num_classes : int, optional
        Number of outputs; by default what the model is made for, mostly one logit.
    **options
        Options of the architecture, for example ``drop_rate=0.1``.

    Returns
    -------
    torch.nn.Module
        Takes (n, channels, layers, cells), returns (n, num_classes).

    Raises
    ------
    ModelError
        If the model or an option does not exist, or the model cannot take such an input.

    Examples
    --------
    >>> import ecalnb.models
    >>> ecalnb.models.count_parameters(ecalnb.models.create("ecal_simple_cnn"))
    106317
    """
    forbid_unknown(name, options, options_of(name))
    if num_classes is None:
        num_classes = _own_cfg(name)["num_classes"]
    channels, *image = (int(size) for size in input_size or _own_input_size(name))
    if len(image) != 2 or min(channels, *image) < 1:
        raise ModelError(f"input size {tuple(input_size or ())} of {name} is not (channels, layers, cells)")
    if name.startswith(padding.PREFIX):
        return padding.create_padded(name, channels, image, num_classes, options)
    arguments: dict[str, Any] = {"in_chans": channels, "num_classes": num_classes, **options}
    if "img_size" in inspect.signature(model_entrypoint(name)).parameters:
        arguments["img_size"] = tuple(image)
    return timm.create_model(name, pretrained=False, **arguments)


def options_of(name: str) -> dict[str, Any]:
    """Options that an architecture takes beside the input size, with their defaults.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    if name.startswith(padding.PREFIX):
        return padding.padded_options(name)
    names = timm.list_models(f"{PREFIX}*")
    if name not in names:
        others = f"there are {', '.join(names)}, and timm's own as {padding.PREFIX}<name>"
        raise ModelError(f"no model is called {name!r}; {suggest(name, names, others)}")
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(model_entrypoint(name)).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in _NOT_OPTIONS
    }


def list_models() -> list[ModelInfo]:
    """List the models of this package with their numbers of trainable parameters."""
    models = []
    for name in timm.list_models(f"{PREFIX}*"):
        with torch.device("meta"):  # sizes only: no memory, no random numbers
            parameters = count_parameters(create(name))
        text = inspect.getdoc(model_entrypoint(name)) or ""
        models.append(ModelInfo(name, parameters, text.splitlines()[0] if text else "", _own_input_size(name)))
    return models


def count_parameters(model: nn.Module) -> int:
    """Count the trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _own_cfg(name: str) -> dict[str, Any]:
    """Return the timm configuration of a model, or of timm's own on padded images."""
    return default_cfg() if name.startswith(padding.PREFIX) else timm.get_pretrained_cfg(name).to_dict()


def _own_input_size(name: str) -> tuple[int, int, int]:
    """Channels, layers and cells of the input that a model is made for."""
    return _own_cfg(name)["input_size"]

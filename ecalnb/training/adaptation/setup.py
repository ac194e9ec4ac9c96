"""From the settings of an adaptation, a source and a target to what a training needs of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from ...selection import Selection as NamedSelection
from ..batches import EventSource
from ..data import EcalDataModule
from ..errors import TrainingError
from ..inputs import Inputs
from ..recipes import Recipe
from ..task import EcalTask
from .guard import PriorGuard
from .penalties import PENALTIES, DomainPenalty
from .response import MatchedSource, ResponseMatching, fit_response
from .settings import adaptation_settings
from .target import TargetEvents

__all__ = ["Adaptation", "prepare_adaptation"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adaptation:
    """How a training is adapted to a target.

    Parameters
    ----------
    settings : dict
        Method and its settings.
    source : EventSource
        The events to train on, corrected if that is the method.
    target : TargetEvents
        Events of the target.
    response : ResponseMatching, optional
        The corrections.
    """

    settings: dict[str, Any]
    source: EventSource = field(repr=False)
    target: TargetEvents = field(repr=False)
    response: ResponseMatching | None = None

    @property
    def paired(self) -> bool:
        """Whether training batches hold events of both domains."""
        return self.settings["name"] in PENALTIES

    def penalty(self, network: nn.Module, inputs: Inputs, n_signal: int, n_background: int) -> DomainPenalty | None:
        """Penalty for a network that is trained on so many events; None for a method of another kind.

        Raises
        ------
        TrainingError
            If the method is for batch normalisation and the network has none.
        """
        name = self.settings["name"]
        if name == "batch_norm" and not _has_batch_norm(network):
            raise TrainingError("the model has no batch normalisation, so that there is nothing to adapt by batch_norm")
        if not self.paired:
            return None
        parameters: dict[str, Any] = {
            key: self.settings[key] for key in ("hidden", "temperature") if key in self.settings
        }
        if name == "dann":
            parameters["n_features"] = _feature_size(network, inputs)
        prior = self.settings.get("prior", "source")
        source_share = n_signal / (n_signal + n_background)
        penalty = PENALTIES[name](
            weight=self.settings["weight"],
            ramp_epochs=self.settings["ramp_epochs"],
            source_share=source_share,
            reweight=prior != "source",
            **parameters,
        )
        if not isinstance(prior, str):
            penalty.target_share.fill_(prior)
        return penalty

    def guard(self, task: EcalTask) -> PriorGuard:
        """Guard of the classes' shares, which sets those of the penalty if it is to follow them."""
        estimated = self.settings.get("prior") == "estimate"
        return PriorGuard(self.target, task.adaptation if estimated else None)  # type: ignore[arg-type]

    def finish(self, task: EcalTask, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights as they are left by a training: with the moments of the target, if that is the method."""
        if self.settings["name"] != "batch_norm":
            return dict(state)
        task.model.load_state_dict(state)
        with torch.no_grad():
            images = (
                task.image({name: values.to(task.device) for name, values in batch.items()})
                for batch in self.target.some(self.settings["events"])
            )
            update_bn(images, task.model)
        log.info("moments of batch normalisation are those of the target's events")
        return dict(task.model.state_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return method, settings, target and corrections as plain values that JSON holds."""
        more: dict[str, Any] = {} if self.response is None else {"response": self.response.to_dict()}
        if self.settings["name"] == "batch_norm":  # its moments change after the last validation
            more["validation_moments"] = "source"
        return {**self.settings, "target": self.target.describe(), **more}


def prepare_adaptation(
    settings: Mapping[str, Any],
    source: EventSource,
    target: EventSource | None,
    recipe: Recipe,
    inputs: Inputs,
    selection: Any = None,
) -> Adaptation | None:
    """Put an adaptation together; None if there is none.

    Parameters
    ----------
    settings : mapping
        ``name``, one of :func:`list_adaptations`, and settings of :data:`METHODS`.
    source, target : EventSource
        The labelled events, and those without labels.
    recipe : Recipe
        Of the training: its split, sample and energies hold for the target too unless `settings` says otherwise.
    inputs : Inputs
        Of the model.
    selection : callable, optional
        Cut on the source events.

    Raises
    ------
    TrainingError
        If the settings are wrong, or there is no target, or none that fits.
    """
    if not settings:
        if target is not None:
            raise TrainingError("there is a target, but no adaptation; name one (adaptation, --adapt)")
        return None
    chosen = adaptation_settings(settings)
    if target is None:
        if chosen["name"] == "none":
            return None
        raise TrainingError(
            f"the adaptation {chosen['name']} needs events of the target; expected a store of them (target, --target)"
        )
    chosen["window"] = chosen["window"] or list(recipe.window("train"))
    chosen["sample"] = chosen["sample"] or recipe.train_sample
    where: dict[str, Any] = {"split": recipe.split, "sample": chosen["sample"], "window": chosen["window"]}
    events = TargetEvents(target, source, inputs, **where)
    if chosen["name"] != "response":
        return Adaptation(chosen, source, events)
    matching = _fit(source, target, events, recipe, chosen["electrons"], selection)
    log.info("response: showers shifted by %.3f layers, %.3f of a cell to its neighbours, gains %.3f to %.3f, "
             "noise %.2g GeV, %d dead cells",
             matching.shift, matching.width, min(matching.gains), max(matching.gains), matching.noise,
             len(matching.dead))  # fmt: skip
    return Adaptation(chosen, MatchedSource(source, matching), events, matching)


def _fit(
    source: EventSource,
    target: EventSource,
    events: TargetEvents,
    recipe: Recipe,
    electrons: list[str],
    selection: Any,
) -> ResponseMatching:
    """Fit the corrections on the electrons of both domains, at most 20,000 of each."""
    cuts = [NamedSelection.load(name) for name in electrons]
    if missing := sorted({column for cut in cuts for column in cut.columns} - set(target.columns)):
        raise TrainingError(f"the event table of the target has no column {', '.join(missing)} to select electrons by")
    table = target.table(sorted({"en3d", *(c for cut in cuts for c in cut.columns)}))
    passed = np.logical_and.reduce([np.asarray(cut(table), dtype=bool) for cut in cuts])
    theirs = events.rows[passed[events.rows]][:20_000]
    data = EcalDataModule(source, recipe, selection=selection)
    rows = data.rows["train"]
    ours = rows[data.target[rows] > 0.5][:20_000]
    log.info("response: fitted on %d electrons of the source and %d of the target", len(ours), len(theirs))
    return fit_response(
        source.dense(ours),
        target.dense(theirs),
        source.geometry,
        source_energy=source.table(["en3d"])["en3d"].to_numpy()[ours],
        target_energy=table["en3d"].to_numpy()[theirs],
    )


def _has_batch_norm(network: nn.Module) -> bool:
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


def _feature_size(network: nn.Module, inputs: Inputs) -> int:
    """Return the number of features that the last layer is applied to."""
    training = network.training
    network.eval()
    with torch.no_grad():
        maps = network.forward_features(torch.zeros(1, *inputs.shape))  # type: ignore[operator]
        features = network.forward_head(maps, pre_logits=True)  # type: ignore[operator]
    network.train(training)
    return int(features.flatten(1).shape[1])

"""Moments of batch normalisation before validation: those of the weights as they are."""

import numpy as np
import pytest
import pytorch_lightning as lightning
import torch
from toy_training import toy_showers

from ecalnb.store import from_showers
from ecalnb.training import train


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return from_showers(toy_showers(300), tmp_path_factory.mktemp("data") / "store")


class Watch(lightning.Callback):
    """Note the first layer's moments when the validation begins, and what they should be."""

    def on_validation_epoch_start(self, trainer, pl_module):
        model, data = pl_module.model, trainer.datamodule
        self.kept = model.bn1.running_mean.clone(), model.bn1.running_var.clone()
        with torch.no_grad():
            maps = [model.conv1(pl_module.image(batch)) for batch in data.sample_of_training(80)]
        self.events = sum(len(part) for part in maps)
        moments = [(part.mean(dim=(0, 2, 3)), part.var(dim=(0, 2, 3))) for part in maps]
        self.expected = tuple(torch.stack(kind).mean(dim=0) for kind in zip(*moments, strict=True))


@pytest.mark.parametrize("events", [0, 80])
def test_moments_are_those_of_the_present_weights(store, tmp_path, events):
    watch = Watch()
    settings = {"batch_size": 16, "learning_rate": 1e-2, "max_epochs": 1, "threads": 1, "batch_norm_events": events}
    train(store, "ecal_resnet10", tmp_path / "run", callbacks=[watch], **settings, energy_min=None, energy_max=None)
    assert watch.events == 80
    agree = [bool(torch.allclose(*pair, rtol=1e-3, atol=1e-6)) for pair in zip(watch.kept, watch.expected, strict=True)]
    assert agree == [events > 0] * 2


def test_the_training_itself_does_not_change(store, tmp_path):
    settings = {"batch_size": 16, "max_epochs": 1, "threads": 1, "energy_min": None, "energy_max": None}
    runs = [
        train(store, "ecal_resnet10", tmp_path / str(events), batch_norm_events=events, **settings)
        for events in (0, 80)
    ]
    weights = [torch.load(run.path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in runs]
    for name, tensor in weights[0].items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(tensor, weights[1][name])
    assert runs[0].history["train_loss"][0] == runs[1].history["train_loss"][0]
    assert not np.isclose(runs[0].history["val_loss"][0], runs[1].history["val_loss"][0])

"""Domain adaptation in a training: what it does to a known shift, what it records, and that it can be resumed."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.optim.swa_utils import update_bn
from toy_training import SETTINGS, run_until_killed, toy_showers
from typer.testing import CliRunner

from ecalnb.cli import app
from ecalnb.geometry import AMS
from ecalnb.simulation.response import Circumstances, Noise, ShowerDepth, ShowerWidth
from ecalnb.store import Store, from_showers
from ecalnb.training import TrainingError, TrainingRun, load_network, train
from ecalnb.training.adaptation import (
    MatchedSource,
    ResponseMatching,
    fit_response,
)

pytestmark = pytest.mark.filterwarnings("error")

DANN = {"name": "dann", "prior": "estimate", "ramp_epochs": 3}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return from_showers(toy_showers(), tmp_path_factory.mktemp("source") / "store")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Other showers without labels."""
    showers = toy_showers(300, seed=6)
    showers.table["label"] = None
    return from_showers(showers, tmp_path_factory.mktemp("target") / "store")


@pytest.fixture(scope="module")
def plain(source: Store, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return train(source, output=tmp_path_factory.mktemp("runs") / "toy", **SETTINGS)


@pytest.fixture(scope="module")
def adapted(source: Store, target: Store, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    output = tmp_path_factory.mktemp("runs") / "adapted"
    return train(source, output=output, target=target, adaptation=DANN, **SETTINGS)


def test_killed_adaptation_ends_in_the_same_bits(
    source: Store, target: Store, adapted: TrainingRun, tmp_path: Path
) -> None:
    run = tmp_path / "adapted"
    run_until_killed(source, run, "in mid-epoch", {"target": str(target.path), "adaptation": DANN})
    assert not (run / "weights.json").exists()
    resumed = train(source, output=run, target=target, adaptation=DANN, **SETTINGS)
    assert resumed.weights.read_bytes() == adapted.weights.read_bytes()
    assert (run / "metrics.csv").read_bytes() == (adapted.path / "metrics.csv").read_bytes()
    assert resumed.info["adaptation"] == adapted.info["adaptation"]
    ours, theirs = (torch.load(one / "checkpoints" / "last.ckpt", weights_only=True) for one in (run, adapted.path))
    for name, tensor in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], tensor), name


def test_domain_classifier_is_trained_and_kept_in_checkpoints_only(adapted: TrainingRun, plain: TrainingRun) -> None:
    assert load_file(adapted.weights).keys() == load_file(plain.weights).keys()
    assert adapted.weights.read_bytes() != plain.weights.read_bytes()
    last, best = (
        torch.load(adapted.path / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("last", "best")
    )
    own = [name for name in last["state_dict"] if name.startswith("adaptation.")]
    assert "adaptation.classifier.0.weight" in own
    assert last["state_dict"]["adaptation.classifier.0.weight"].shape == (100, 200)
    assert "adaptation.target_share" in best["state_dict"]


def test_what_a_target_is_stands_with_the_weights(adapted: TrainingRun, target: Store) -> None:
    record = adapted.info["adaptation"]
    assert {key: record[key] for key in DANN} == DANN
    assert record["target"]["store"] == target.fingerprint()
    assert record["target"]["events"] == int((target.splits() == "train").sum())
    assert len(record["shares"]) == len(adapted.history)
    assert record["shares"][-1][0] == pytest.approx(0.4, abs=4 * record["shares"][-1][1])
    config = json.loads((adapted.path / "config.json").read_text())
    assert config["recipe"]["adaptation"] == DANN
    assert load_network(adapted.path).name == "adapted"


def test_none_is_a_training_without_adaptation(
    source: Store, target: Store, plain: TrainingRun, tmp_path: Path
) -> None:
    none = train(source, output=tmp_path / "none", target=target, adaptation={"name": "none"}, **SETTINGS)
    assert none.weights.read_bytes() == plain.weights.read_bytes()
    assert none.info["adaptation"]["shares"]
    alone = train(source, output=tmp_path / "alone", adaptation={"name": "none"}, **SETTINGS, resume=False)
    assert alone.weights.read_bytes() == plain.weights.read_bytes()


def test_batch_normalisation_has_the_moments_of_the_target(source: Store, target: Store, tmp_path: Path) -> None:
    settings = {**SETTINGS, "model": "ecal_resnet10", "max_epochs": 1}
    run = train(source, output=tmp_path / "run", target=target, adaptation={"name": "batch_norm"}, **settings)
    network = load_network(run.path)
    best = torch.load(run.path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    images = network.inputs({"cells": torch.from_numpy(target.dense(np.flatnonzero(target.splits() == "train")))})
    expected = load_network(run.path).model
    expected.load_state_dict({name.removeprefix("model."): best[name] for name in best if name.startswith("model.")})
    update_bn([images.contiguous(memory_format=torch.channels_last)], expected)
    for (name, ours), theirs in zip(network.model.state_dict().items(), expected.state_dict().values(), strict=True):
        if "num_batches" not in name:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=name)
    assert not torch.equal(network.model.state_dict()["bn1.running_mean"], best["model.bn1.running_mean"])
    assert run.info["adaptation"]["validation_moments"] == "source"


# --- Response ---


def electrons(n: int, seed: int) -> np.ndarray:
    """Showers of a smooth profile in depth, narrow and in two tails, on whole quanta of energy."""
    rng = np.random.default_rng(seed)
    layer = np.arange(18)
    peak = rng.normal(7, 0.7, n)[:, None]
    profile = np.exp(-0.5 * ((layer - peak) / 3.0) ** 2)
    middle = rng.uniform(25, 46, (n, 1, 1))
    lateral = np.exp(-abs(np.arange(72) - middle) / 1.2)
    images = profile[:, :, None] * lateral
    images *= 40 / images.sum(axis=(1, 2), keepdims=True)
    return (rng.poisson(images / 0.002) * 0.002).astype(np.float32)


def test_response_of_known_effects_is_found() -> None:
    source, target = electrons(3000, 1), electrons(3000, 2).astype(np.float64)
    gains = 1 + 0.03 * np.cos(np.arange(18) * 2.5)
    circumstances = Circumstances(AMS, np.random.default_rng(3), np.random.default_rng(4))
    target = ShowerWidth(0.06)(ShowerDepth(0.3)(target, circumstances), circumstances) * gains[:, None]
    target = Noise(0.0003, 0.0007)(target, circumstances)
    target[:, 6, 36] = target[:, 10, 30] = 0
    found = fit_response(source, target.astype(np.float32), AMS)
    assert found.shift == pytest.approx(0.3, abs=0.04)
    assert found.width == pytest.approx(0.06, abs=0.01)
    assert found.dead == ((6, 36), (10, 30))
    # Gains are relative, and what is like a shift in depth is in the shift.
    depth = np.arange(18) - 7.0
    usual = slice(2, 14)
    ratio = (np.asarray(found.gains) / gains)[usual]
    trend = np.polyval(np.polyfit(depth[usual], ratio, 2), depth[usual])
    assert ratio / trend == pytest.approx(np.ones(12), abs=0.01)
    assert found.noise == pytest.approx(0.0003, rel=0.05)
    assert found.threshold == pytest.approx(0.0007, rel=0.02)
    again = ResponseMatching.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    corrected = found(source, AMS, np.random.default_rng(5))
    for layer in (4, 8, 12):
        assert corrected[:, layer].mean() == pytest.approx(target[:, layer].mean(), rel=0.01)


def test_electrons_are_weighted_to_the_spectrum_of_the_target() -> None:
    """Deeper showers of higher energy are no shift, if the spectra are known."""
    rng = np.random.default_rng(1)

    def sample(n: int, power: float) -> tuple[np.ndarray, np.ndarray]:
        energy = 10 * (1 - rng.random(n) * (1 - 10.0**power)) ** (1 / power)
        images = np.zeros((n, *AMS.shape), np.float32)
        depth = 5 + np.log(energy) + rng.normal(0, 0.3, n)
        images[:, :, 36] = np.exp(-0.5 * ((np.arange(18) - depth[:, None]) / 3) ** 2)
        return images, energy

    (source, e_source), (target, e_target) = sample(4000, 0.5), sample(4000, -1.5)
    weighted = fit_response(source, target, AMS, source_energy=e_source, target_energy=e_target)
    assert abs(weighted.shift) < 0.05
    assert fit_response(source, target, AMS).shift > 0.4
    # Target electrons beyond the energies of the source would pull the fit to greater depths.
    low = e_source < 40
    limited = fit_response(source[low], target, AMS, source_energy=e_source[low], target_energy=e_target)
    assert abs(limited.shift) < 0.05
    beyond = {"source_energy": np.linspace(10, 12, 60), "target_energy": np.full(len(target), 50.0)}
    with pytest.raises(TrainingError, match="the target from 10 to 12 GeV has 0 electrons"):
        fit_response(source[:60], target, AMS, **beyond)


def test_response_matching_is_before_training_and_stays_with_the_weights(
    source: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    showers = toy_showers(700, seed=8)
    wider = ShowerWidth(0.2)(showers.images.astype(np.float64), Circumstances(AMS, *2 * [np.random.default_rng(0)]))
    showers.images = wider.astype(np.float32)
    showers.table["trd"] = (showers.table["label"] == "electron").astype(float)  # another detector tells electrons
    target = from_showers(showers, tmp_path / "target")
    cut = tmp_path / "electrons.toml"
    cut.write_text('[selections.electrons]\ncuts = [{label = "radiates", expression = "trd > 0.5"}]\n')
    settings = {"name": "response", "electrons": [str(cut)]}
    with caplog.at_level(logging.INFO, logger="ecalnb"):
        run = train(source, output=tmp_path / "run", target=target, adaptation=settings, **SETTINGS)
    matching = ResponseMatching.from_dict(run.info["adaptation"]["response"])
    assert "electrons of the source" in caplog.text
    assert 0 < matching.width < 0.5  # of the toy with its 88 electrons; the test above is the exact one
    matched = MatchedSource(source, matching)
    assert run.info["data"]["store"] == matched.fingerprint() != source.fingerprint()
    rows = np.array([5, 2, 9])
    np.testing.assert_array_equal(matched.dense(rows)[1:], matched.dense(rows[1:]))


# --- Errors, warnings, command ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adaptation": {"name": "dann"}, "target": None}, "dann needs events of the target"),
        ({}, "there is a target, but no adaptation"),
        ({"adaptation": {"name": "batch_norm"}}, "the model has no batch normalisation"),
        ({"adaptation": {"name": "coral", "sample": "nothing"}}, "no event in the sample 'nothing'"),
        ({"adaptation": {"name": "coral"}, "model": "shower_bdt", "augmentation": [], "model_options": {}}, "not use"),
    ],
)
def test_what_cannot_be_adapted(
    source: Store, target: Store, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(source, output=tmp_path / "run", **{**SETTINGS, "target": target, **changes})


def test_target_of_one_class_is_warned_of(source: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    showers = toy_showers(900, seed=9)
    protons = showers.select(lambda table: table["label"] == "proton")
    target = from_showers(protons, tmp_path / "target")
    run = train(source, output=tmp_path / "run", target=target, adaptation={"name": "mmd"}, **SETTINGS)
    assert "the target seems to be background only" in caplog.text
    assert run.info["adaptation"]["shares"][-1][0] < 0.01


def test_command_adapts(source: Store, target: Store, tmp_path: Path) -> None:
    arguments = [
        "train",
        str(source.path),
        "-o",
        str(tmp_path / "run"),
        "--adapt",
        "coral",
        "--target",
        str(target.path),
    ]
    options = {"adaptation.weight": 0.5, "max_epochs": 1, "energy_min": 0, "energy_max": 1e6, "batch_size": 32}
    settings = [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    result = CliRunner().invoke(app, [*arguments, *settings])
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "run" / "weights.json").read_text())["adaptation"]
    assert (record["name"], record["weight"]) == ("coral", 0.5)

"""Domain adaptation: distances, reversal, shares of the classes, settings, and the target's events."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from torch.nn import functional
from toy_training import toy_showers

from ecalnb.geometry import AMS, Calorimeter
from ecalnb.store import Store, from_showers
from ecalnb.training import BatchLoader, MergedInputs, Outputs, TrainingError
from ecalnb.training.adaptation import (
    METHODS,
    Coral,
    DomainAdversary,
    TargetEvents,
    adaptation_settings,
    class_confusion,
    coral_distance,
    domain_probabilities,
    importance_weighted_loss,
    maximum_mean_discrepancy,
    mean_entropy,
    ramp,
    reverse_gradient,
    share_by_confusion,
    share_by_expectation,
)
from ecalnb.training.batches import PairedLoader


def features(n: int, d: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64) + shift


# --- Distances ---


def test_reversed_gradient_has_the_other_sign_and_the_factor() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.3)
    assert torch.equal(y, x)
    (y * torch.tensor([5.0, 7.0])).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([-1.5, -2.1]))


def test_coral_distance_is_that_of_the_covariances() -> None:
    source, target = features(40, 3, 1), features(30, 3, 2) * 2
    expected = np.sum((np.cov(source.numpy().T) - np.cov(target.numpy().T)) ** 2) / (4 * 3**2)
    assert float(coral_distance(source, target)) == pytest.approx(expected)
    # A whole weight is a repeated event; numpy's weights of the reliability kind have the same correction.
    weights = torch.arange(1.0, 41, dtype=torch.float64)
    covariance = np.cov(source.numpy().T, aweights=weights.numpy())
    expected = np.sum((covariance - np.cov(target.numpy().T)) ** 2) / (4 * 3**2)
    assert float(coral_distance(source, target, weights)) == pytest.approx(expected)


def test_discrepancy_is_that_of_the_kernels_without_the_diagonals() -> None:
    source, target = features(25, 4, 1).numpy(), features(35, 4, 2, 0.5).numpy()
    both = np.concatenate([source, target])
    squared = ((both[:, None] - both[None]) ** 2).sum(axis=-1)
    scale = squared[~np.eye(60, dtype=bool)].mean()

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.mean([rbf_kernel(x, y, gamma=1 / (f * scale)) for f in (0.25, 0.5, 1, 2, 4)], axis=0)

    k_s, k_t = kernel(source, source), kernel(target, target)
    expected = (
        (k_s.sum() - np.trace(k_s)) / (25 * 24)
        + (k_t.sum() - np.trace(k_t)) / (35 * 34)
        - 2 * kernel(source, target).mean()
    )
    assert float(maximum_mean_discrepancy(torch.tensor(source), torch.tensor(target))) == pytest.approx(expected)


def test_discrepancy_of_gaussians_is_the_closed_form() -> None:
    # A. Gretton et al., section 6: for a Gaussian kernel of variance s² and unit Gaussians m apart in one dimension,
    # E k = s / sqrt(s² + 2) exp(-m² / (2 (s² + 2))).
    n, shift = 1500, 1.0
    source, target = features(n, 1, 3), features(n, 1, 4, shift)
    scale = (n * (n - 1) * 2 * 2 + 2 * n**2 * (2 + shift**2)) / (2 * n * (2 * n - 1))  # of the mean squared distance
    expected = 0.0
    for factor in (0.25, 0.5, 1, 2, 4):
        s2 = factor * scale / 2
        expected += 2 * np.sqrt(s2 / (s2 + 2)) * (1 - np.exp(-(shift**2) / (2 * (s2 + 2)))) / 5
    assert float(maximum_mean_discrepancy(source, target)) == pytest.approx(expected, rel=0.15)
    same = [float(maximum_mean_discrepancy(features(100, 1, k), features(100, 1, k + 1000))) for k in range(60)]
    assert np.mean(same) == pytest.approx(0, abs=4 * np.std(same) / np.sqrt(60))
    assert min(same) < 0


def test_weights_make_a_discrepancy_vanish_that_is_only_one_of_the_mixture() -> None:
    electrons, protons = features(400, 2, 1, 2.0), features(400, 2, 2, -2.0)
    source = torch.cat([electrons, protons])  # one to one; the target is one to nine
    target = torch.cat([features(80, 2, 3, 2.0), features(720, 2, 4, -2.0)])
    weights = torch.cat([torch.full((400,), 0.2), torch.full((400,), 1.8)]).double()
    assert float(maximum_mean_discrepancy(source, target)) > 0.05
    assert abs(float(maximum_mean_discrepancy(source, target, weights))) < 0.002


def test_class_confusion_is_none_where_the_model_is_sure_and_largest_where_it_knows_nothing() -> None:
    sure = torch.tensor([60.0, -60.0, 70.0, -50.0])
    assert float(class_confusion(sure)) == pytest.approx(0, abs=1e-6)
    assert float(class_confusion(torch.zeros(6))) == pytest.approx(0.5)
    # By hand, for two events with p and 1 - p: their weights are equal, C = [[p² + q², 2 p q], [2 p q, p² + q²]].
    p = 0.8
    logits = torch.tensor([1.0, -1.0]) * 2.5 * np.log(p / (1 - p))
    assert float(class_confusion(logits)) == pytest.approx(2 * p * (1 - p), rel=1e-5)


def test_ramp_is_that_of_the_paper() -> None:
    assert [ramp(p) for p in (0, 0.1, 0.5, 1)] == pytest.approx([0, 0.462117, 0.986614, 0.999909], abs=1e-6)


# --- Penalties ---


def pair(n: int = 6) -> tuple[Outputs, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(7)
    outputs = Outputs(
        torch.randn(2 * n, generator=generator), torch.randn(2 * n, 3, generator=generator).requires_grad_()
    )
    target = torch.cat([(torch.arange(n) < n // 2).float(), torch.full((n,), torch.nan)])
    return outputs, {"target": target, "domain": (torch.arange(2 * n) >= n).float(), "cells": torch.zeros(2 * n, 1, 1)}


def test_adversary_pulls_the_features_and_the_domain_classifier_apart() -> None:
    torch.manual_seed(1)
    penalty = DomainAdversary(n_features=3, hidden=5, weight=2.0, ramp_epochs=10, source_share=0.5, reweight=False)
    outputs, batch = pair()
    loss = penalty(outputs, batch, 5.0)
    domain = penalty.classifier(outputs.features).squeeze(-1)
    expected = functional.binary_cross_entropy_with_logits(domain, batch["domain"])
    torch.testing.assert_close(loss, expected)
    plain = torch.autograd.grad(expected, [outputs.features, *penalty.parameters()])
    found = torch.autograd.grad(loss, [outputs.features, *penalty.parameters()])
    torch.testing.assert_close(found[0], -2 * ramp(0.5) * plain[0])
    for one, other in zip(found[1:], plain[1:], strict=True):
        torch.testing.assert_close(one, other)
    # At the beginning the features are left alone, and the classifier learns already.
    start = torch.autograd.grad(penalty(outputs, batch, 0.0), [outputs.features, penalty.classifier[0].weight])
    assert not start[0].any()
    assert start[1].any()


def test_source_events_are_weighted_to_the_share_of_the_target() -> None:
    penalty = Coral(weight=1.0, ramp_epochs=1, source_share=0.5, reweight=True)
    penalty.target_share.fill_(0.1)
    target = torch.tensor([1.0, 0.0, 1.0, 0.0])
    weights = penalty.source_weights({"target": target})
    torch.testing.assert_close(weights, torch.tensor([0.2, 1.8, 0.2, 1.8]))
    assert float((weights * target).sum() / weights.sum()) == pytest.approx(0.1)
    planed = penalty.source_weights({"target": target, "event_weight": torch.tensor([2.0, 1.0, 1.0, 1.0])})
    torch.testing.assert_close(planed, weights * torch.tensor([2.0, 1.0, 1.0, 1.0]))


# --- Shares of the classes ---


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9])
def test_share_of_signal_is_found_from_scores(share: float) -> None:
    rng = np.random.default_rng(int(share * 100))
    # Logits of two unit Gaussians 3 apart, for equal numbers: 3 x - 4.5.
    signal, background = 3 * rng.normal(3, 1, 4000) - 4.5, 3 * rng.normal(0, 1, 4000) - 4.5
    n = int(4000 * share)
    target = np.concatenate([3 * rng.normal(3, 1, n) - 4.5, 3 * rng.normal(0, 1, 4000 - n) - 4.5])
    for estimate in (share_by_confusion(signal, background, target), share_by_expectation(target)):
        assert 0 < estimate.error < 0.02
        assert abs(estimate.value - share) < 4 * estimate.error


def test_shares_of_nothing_are_refused() -> None:
    with pytest.raises(TrainingError, match="n > 0"):
        share_by_confusion([1.0], [], [0.0])
    with pytest.raises(TrainingError, match="more than 0 and less than 1"):
        share_by_expectation([0.0], source_share=1.0)
    assert share_by_confusion([0.0, 0.0], [0.0, 0.0], [0.0]).error == 0.5


# --- Numbers without labels ---


def test_entropy_of_certain_and_uncertain_predictions() -> None:
    assert mean_entropy(np.zeros(4)) == pytest.approx(np.log(2))
    assert mean_entropy([800.0, -800.0]) == 0


def test_domains_are_told_as_well_as_by_another_logistic_regression() -> None:
    source, target = features(600, 3, 1).numpy(), features(600, 3, 2, 0.7).numpy()
    ours = domain_probabilities(source, target)
    accuracy = (np.mean(ours[0] < 0.5) + np.mean(ours[1] >= 0.5)) / 2
    x, y = np.concatenate([source, target]), np.repeat([0, 1], 600)
    other = LogisticRegression().fit(x[::2], y[::2]).score(x[1::2], y[1::2])
    assert accuracy == pytest.approx(other, abs=0.03)
    same = domain_probabilities(source[:300], source[300:])
    assert (np.mean(same[0] < 0.5) + np.mean(same[1] >= 0.5)) / 2 == pytest.approx(0.5, abs=0.06)


def test_weighted_loss_is_that_of_the_target_for_a_shift_of_the_features() -> None:
    # Source N(0, 1), target N(0.5, 1), loss x²: 1.25 on the target; the density ratio is known.
    x = np.random.default_rng(1).normal(size=20_000)
    ratio = np.exp(0.5 * x - 0.125)
    loss, effective = importance_weighted_loss(x**2, ratio / (1 + ratio))
    assert loss == pytest.approx(1.25, abs=0.03)
    assert effective == pytest.approx(20_000 / np.exp(0.25), rel=0.03)  # E w² = exp(0.25)


# --- Settings and target ---


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "dan"}, "did you mean 'dann'"),
        ({}, "expected one of none, response"),
        ({"name": "coral", "hidden": 3}, "has no setting hidden"),
        ({"name": "dann", "weight": -1}, "weight of the adaptation dann is -1"),
        ({"name": "mmd", "ramp_epochs": True}, "expected a positive number"),
        ({"name": "mmd", "prior": 1.5}, "expected source, estimate, or a number"),
        ({"name": "mmd", "window": [3]}, "expected two energies"),
        ({"name": "mmd", "window": [3, 2]}, "window 3 to 2 GeV of the target is empty"),
        ({"name": "response"}, "needs electrons of the target"),
    ],
)
def test_wrong_settings_are_refused(given: dict, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        adaptation_settings(given)


def test_every_method_has_its_defaults() -> None:
    for name in METHODS:
        needed = {"electrons": "flight_electrons"} if name == "response" else {}
        settings = adaptation_settings({"name": name, **needed})
        assert settings.keys() == {"name", *METHODS[name]}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    folder = tmp_path_factory.mktemp("data")
    return from_showers(toy_showers(300), folder / "source"), from_showers(toy_showers(130, seed=6), folder / "target")


def test_labels_of_the_target_are_ignored_and_it_is_said(
    stores: tuple[Store, Store], caplog: pytest.LogCaptureFixture
) -> None:
    source, target = stores
    with caplog.at_level(logging.INFO, logger="ecalnb"):
        events = TargetEvents(target, source, MergedInputs())
    assert f"{len(events)} of {len(events)} target events have labels; they are ignored" in caplog.text
    assert set(target.splits()[events.rows]) == {"train"}
    assert next(events.some(20)).keys() == {"cells"}


def test_wrong_targets_are_refused(stores: tuple[Store, Store], tmp_path: Path) -> None:
    source, target = stores
    with pytest.raises(TrainingError, match=r"no event with en3d from 1e\+06 to inf GeV in the sample 'train'"):
        TargetEvents(target, source, MergedInputs(), window=(1e6, None))
    other = Calorimeter(**{**AMS.__dict__, "name": "swapped", "views": AMS.swap_views().views})
    swapped = from_showers(toy_showers(30, geometry=other), tmp_path / "swapped")
    with pytest.raises(TrainingError, match="the target has showers of swapped"):
        TargetEvents(swapped, source, MergedInputs())


def test_batches_of_both_domains_go_on_where_they_were(stores: tuple[Store, Store]) -> None:
    """Fewer target than source events: they come again and again, in new orders, each equally often."""
    source, target = stores
    events = TargetEvents(target, source, MergedInputs())
    rows = np.flatnonzero(source.splits() == "train")

    def loader() -> PairedLoader:
        ours = BatchLoader(source, rows, {"target": np.ones(len(rows))}, 16, seed=3)
        return PairedLoader(ours, events.loader(ours, 16))

    whole = loader()
    batches = [batch for _ in range(3) for batch in whole]
    assert all(torch.isnan(batch["target"][batch["domain"] == 1]).all() for batch in batches)
    assert all((batch["domain"] == 0).sum() == (batch["domain"] == 1).sum() for batch in batches)
    seen = torch.cat([batch["cells"][batch["domain"] == 1] for batch in batches]).sum(dim=(1, 2)).numpy()
    counts = np.unique(seen, return_counts=True)[1]
    assert len(counts) == len(events)
    assert counts.max() - counts.min() <= 1

    stopped = loader()
    iterator = iter(stopped)
    for _ in range(4):
        next(iterator)
    resumed = loader()
    resumed.load_state_dict(stopped.state_dict())
    rest = list(resumed) + list(resumed)
    for one, other in zip(rest, batches[4:], strict=False):
        for name in one:
            torch.testing.assert_close(one[name], other[name], equal_nan=True, rtol=0, atol=0)

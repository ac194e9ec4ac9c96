"""Linear classifiers: the kernel that random features stand for, and what trains on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel

from ecalnb.models import ModelError, create
from ecalnb.models.linear import FourierFeatures


@given(
    cells=st.integers(1, 200),
    length_scale=st.floats(0.1, 20),
    spread=st.floats(0.01, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_scalar_product_is_the_gaussian_kernel(cells: int, length_scale: float, spread: float, seed: int) -> None:
    """Against scikit-learn's exact kernel: unbiased, with at most the error of a mean of cosines."""
    torch.manual_seed(seed)
    number = 4096
    features = FourierFeatures(cells, 2 * number, length_scale)
    points = torch.randn(8, cells) * spread * length_scale / math.sqrt(cells)
    made = features(points)
    exact = rbf_kernel(points.double().numpy(), gamma=1 / (2 * length_scale**2))
    off = (made @ made.T).numpy() - exact
    np.testing.assert_allclose(np.diag(off), 0, atol=1e-4)  # cos^2 + sin^2
    # Variance of cos(w d) for a normal w d: (1 - k^2)^2 / 2 with the kernel k.
    sigma = np.sqrt((1 - exact**2) ** 2 / 2 / number)
    assert (abs(off) < 6 * sigma + 1e-4).all()


def test_error_falls_with_the_root_of_the_number_of_features() -> None:
    torch.manual_seed(5)
    points = torch.randn(40, 100)
    exact = torch.from_numpy(rbf_kernel(points.numpy(), gamma=1 / 200)).float()
    errors = []
    for number in (256, 1024, 4096):
        made = FourierFeatures(100, number, 10.0)(points)
        errors.append(float((made @ made.T - exact).square().mean().sqrt()))
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.25)


def test_frequencies_are_saved_not_trained_and_come_from_the_seed() -> None:
    torch.manual_seed(1)
    model = create("ecal_svm")
    assert {name for name, _ in model.named_parameters()} == {"head.weight", "head.bias"}
    assert model.state_dict()["features.frequencies"].shape == (18 * 72, 4096)
    torch.manual_seed(1)
    again = create("ecal_svm")
    assert torch.equal(again.features.frequencies, model.features.frequencies)
    other = create("ecal_svm")
    assert not torch.equal(other.features.frequencies, model.features.frequencies)
    other.load_state_dict(model.state_dict())
    image = torch.rand(2, 1, 18, 72)
    assert torch.equal(other(image), model(image))


def test_svm_learns_what_a_line_cannot_separate() -> None:
    """A ring about a disc, by the hinge loss; a linear layer on the two coordinates is left with about half."""
    torch.manual_seed(2)
    angle, inner = torch.rand(400) * 2 * math.pi, torch.arange(400) < 200
    points = torch.stack([angle.cos(), angle.sin()], 1) * torch.where(inner, 0.5, 1.5)[:, None]
    images, sign = points.reshape(-1, 1, 1, 2), torch.where(inner, 1.0, -1.0)
    right = {}
    for name, options in (("ecal_svm", {"features": 512, "length_scale": 0.7}), ("ecal_linear", {})):
        model = create(name, input_size=(1, 1, 2), **options)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
        for _ in range(100):
            loss = (1 - sign * model(images).squeeze(1)).clamp(min=0).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        right[name] = float((model(images).squeeze(1) * sign > 0).float().mean())
    assert right["ecal_svm"] == 1
    assert right["ecal_linear"] < 0.75


def test_linear_model_is_a_scalar_product() -> None:
    model = create("ecal_linear", input_size=(2, 3, 4))
    image = torch.randn(5, 2, 3, 4)
    expected = (image.reshape(5, -1) * model.head.weight).sum(1, keepdim=True) + model.head.bias
    torch.testing.assert_close(model(image), expected)


def test_precision_of_phases_does_not_follow_autocast() -> None:
    model = create("ecal_svm")
    image = torch.rand(2, 1, 18, 72)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(model.forward_features(image), model.forward_features(image.float()), rtol=0, atol=0)
        assert model.forward_features(image).dtype is torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 7}, "number of features is 7; expected an even number"),
        ({"features": 0}, "ecal_svm needs random features"),
        ({"length_scale": 0.0}, "length_scale is 0.0; expected a positive number"),
    ],
)
def test_features_that_cannot_be(options: dict[str, float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create("ecal_svm", **options)

"""The two-view network: what it shares, what it does not see, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ecalnb.geometry import AMS
from ecalnb.models import ModelError, create
from ecalnb.models.two_view import TwoViewNet


def trained_like() -> TwoViewNet:
    """Weights of a network whose normalisations have seen something."""
    torch.manual_seed(6)
    model = create("ecal_two_view")
    model(torch.rand(64, 1, 18, 72) ** 8)
    return model.eval()


MODEL = trained_like()


def test_both_views_have_the_same_weights() -> None:
    """Which of the two coordinates a layer measures is a name only."""
    swapped = create("ecal_two_view", views="".join(AMS.swap_views().views)).eval()
    swapped.load_state_dict(MODEL.state_dict())
    image = torch.rand(4, 1, 18, 72)
    with torch.inference_mode():
        torch.testing.assert_close(swapped(image), MODEL(image))


@given(shifts=st.tuples(st.integers(-4, 4), st.integers(-4, 4)))
def test_place_of_the_shower_in_either_view_does_not_matter(shifts: tuple[int, int]) -> None:
    """By multiples of the four cells that the strides skip, away from the sides."""
    image = torch.zeros(1, 1, 18, 72)
    image[..., 30:42] = torch.rand(18, 12, generator=torch.Generator().manual_seed(1))
    moved = image.clone()
    for view, shift in zip(("x", "y"), shifts, strict=True):
        layers = torch.from_numpy(AMS.layers(view))
        moved[:, :, layers] = image[:, :, layers].roll(4 * shift, dims=-1)
    with torch.inference_mode():
        torch.testing.assert_close(MODEL(moved), MODEL(image))
        assert not torch.allclose(MODEL(image.flip(2)), MODEL(image))  # depth does


@pytest.mark.parametrize("layer", range(18))
def test_features_of_a_superlayer_come_from_layers_near_it(layer: int) -> None:
    """Of its own view those within one superlayer, of both views those of the superlayers next to it in depth."""
    image = torch.rand(1, 1, 18, 72, requires_grad=True)
    seen = [
        float(
            torch.autograd.grad(MODEL.forward_features(image)[0, :, superlayer].sum(), image)[0][0, 0, layer]
            .abs()
            .sum()
        )
        > 0
        for superlayer in range(9)
    ]
    own = [s for s in range(9) if AMS.views[2 * s] == AMS.views[layer]]
    place = own.index(layer // 2)
    reached = {near for o in own[max(place - 1, 0) : place + 2] for near in (o - 1, o, o + 1)}
    assert {s for s, is_seen in enumerate(seen) if is_seen} <= reached
    assert seen[layer // 2]


def test_smaller_calorimeter_and_other_widths() -> None:
    model = create("ecal_two_view", input_size=(2, 6, 5), views="xxyyxx", channels=[2, 3, 4], hidden=7).eval()
    with torch.inference_mode():
        assert model.forward_features(torch.rand(3, 2, 6, 5)).shape == (3, 4, 3)
        assert model(torch.rand(3, 2, 6, 5)).shape == (3, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": (1, 16, 72)}, "images of 16 layers do not fit ecal_two_view with 18 views"),
        ({"views": "xyxy"}, "views are 'xyxy'; expected an x or y for each layer, two layers of each alike"),
        ({"views": "xxyyx"}, "two layers of each alike"),
        ({"views": "xxxx"}, "expected an x or y"),
        ({"channels": (3, 4)}, "are not the three of its convolutions"),
    ],
)
def test_what_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create("ecal_two_view", **arguments)

"""Shower variables on images whose values are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecalnb.geometry import AMS, Tracks
from ecalnb.showers import Showers
from ecalnb.variables import crossing_probability, lateral_tail, mean_depth, mip_deposit, mip_like


def crossing(**track):
    """Return one event: 10 MeV in each layer, in the cell that the track goes through."""
    values = {"x": 12.0, "y": -40.0, "inclination": 0.3, "azimuth": 1.0, **track}
    cells = AMS.cell_at(AMS.project(Tracks(12.0, -40.0, 0.3, 1.0)))[0].astype(int)
    image = np.zeros((1, *AMS.shape))
    image[0, np.arange(AMS.n_layers), cells] = 0.010
    return Showers(image, pd.DataFrame({f"track_{name}": [value] for name, value in values.items()}))


def test_a_track_of_small_deposits_is_mip_like():
    assert mip_like(crossing()).tolist() == [True]


@pytest.mark.parametrize(("cells", "expected"), [(6, True), (7, False)])
def test_cells_off_the_track_tell_an_interaction(cells, expected):
    event = crossing()
    event.images[0, 10, :cells] = 0.003
    assert mip_like(event).tolist() == [expected]
    event.images[0, 10, :cells] = 0.001  # below the threshold
    assert mip_like(event).tolist() == [True]


def test_cells_beside_the_track_do_not_count():
    event = crossing()
    event.images[0] += 0.3 * np.roll(event.images[0], 1, axis=1) + 0.3 * np.roll(event.images[0], -1, axis=1)
    assert mip_like(event).tolist() == [True]


def test_deposit_and_probability_of_a_crossing_follow_the_slant():
    np.testing.assert_allclose(mip_deposit(crossing()), 0.010 * np.cos(0.3), rtol=1e-6)
    np.testing.assert_allclose(crossing_probability(crossing()), np.exp(-0.63 / np.cos(0.3)), rtol=1e-12)
    assert np.isnan([mip_deposit(crossing(x=np.nan)), crossing_probability(crossing(x=np.nan))]).all()


def test_much_energy_is_not_mip_like():
    event = crossing()
    event.images *= 2.6  # 0.468 GeV
    assert mip_like(event).tolist() == [False]


def test_without_the_right_track_nothing_is_mip_like():
    assert mip_like(crossing(x=-200.0)).tolist() == [False]
    assert mip_like(crossing(x=np.nan)).tolist() == [False]


def test_mean_depth_is_the_centre_of_gravity():
    event = crossing()
    assert mean_depth(event) == pytest.approx([8.5])  # the same energy in all layers: the middle of 17 X0
    event.images[0, :17] = 0
    assert mean_depth(event) == pytest.approx([17 * 17.5 / 18])
    event.images[:] = 0
    assert np.isnan(mean_depth(event)).all()


def test_lateral_tail_is_the_energy_away_from_the_track():
    event = crossing()
    assert lateral_tail(event, 4.51).tolist() == [0]
    event.images[0] += 0.25 * np.roll(event.images[0], 3, axis=1)  # a fifth of all, 22.5 to 31.5 mm away
    assert lateral_tail(event, 22) == pytest.approx([0.2])
    assert lateral_tail(event, 32) == pytest.approx([0])
    assert np.isnan(lateral_tail(crossing(x=np.nan), 5)).all()

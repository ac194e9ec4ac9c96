"""Time of flight and anti-coincidence counters, against closed forms and published resolutions."""

import numpy as np
import pytest
from scipy import stats

from ecalnb.simulation.subdetectors.incident import Incident
from ecalnb.simulation.subdetectors.parameters import parameters
from ecalnb.simulation.subdetectors.tof import inverse_beta_error, measure_tof, time_resolution

TOF = parameters().tof
N = 20_000


def measured(momentum, pdg, inclination=0.0, energy=10.0, seed=1):
    incident = Incident.of(np.full(N, float(momentum)), pdg)
    return incident, measure_tof(
        incident, np.full(N, inclination), np.full(N, energy), TOF, np.random.default_rng(seed)
    )


@pytest.mark.parametrize(("charge", "published"), [(1, 0.04), (2, 0.02)])
def test_beta_resolution_is_the_published_one(charge, published):
    error = inverse_beta_error(np.array([charge]), np.zeros(1), np.ones((1, 4), dtype=bool), TOF)
    assert error[0] == pytest.approx(published, rel=0.15)
    # The same by hand: 1.27 m at the speed of light, two planes at either end.
    assert error[0] == pytest.approx(time_resolution(np.array([charge]), TOF)[0] / (1273 / 299.792458), rel=1e-9)


@pytest.mark.parametrize(("momentum", "inclination"), [(1.0, 0.0), (20.0, 0.4)])
def test_inverse_beta_is_gaussian_about_the_truth(momentum, inclination):
    incident, columns = measured(momentum, 2212, inclination)
    whole = columns["betah_pattern"] == 4444
    error = inverse_beta_error(np.ones(1), np.full(1, inclination), np.ones((1, 4), dtype=bool), TOF)[0]
    pulls = (1 / columns["beta"][whole] - 1 / incident.beta[whole]) / error
    assert stats.kstest(pulls, stats.norm.cdf).pvalue > 0.001


def test_pattern_and_flag_follow_the_planes():
    _, columns = measured(20, 2212)
    digits = columns["betah_pattern"][:, None] // [1000, 100, 10, 1] % 10
    assert set(np.unique(digits)) == {0, 4}
    planes = (digits == 4).sum(axis=1)
    assert (columns["betah_pattern"] == 4444).mean() == pytest.approx(TOF.efficiency**4, abs=0.01)
    assert (columns["good_beta"] <= (planes >= 3)).all()
    assert (np.isnan(columns["beta"]) == ((digits[:, :2] == 0).all(axis=1) | (digits[:, 2:] == 0).all(axis=1))).all()


@pytest.mark.parametrize(("pdg", "charge"), [(11, 1), (2212, 1), (1000020040, 2), (1000060120, 6)])
def test_charge(pdg, charge):
    _, columns = measured(100, pdg)
    assert np.nanmedian(columns["tof_charge"]) == pytest.approx(charge, rel=0.02)


def test_counters_fire_more_often_at_high_energy():
    low, high = (measured(100, 11, energy=energy)[1]["acc_counters"] for energy in (10.0, 1000.0))
    assert low.mean() == pytest.approx(TOF.accidental + TOF.splash_light * 0.1**TOF.splash_power, rel=0.15)
    assert high.mean() == pytest.approx(TOF.accidental + TOF.splash_light * 10**TOF.splash_power, rel=0.05)
    assert high.max() <= TOF.counters

"""TRD: the model's distributions against drawn ones, and the rejection that it was tuned to."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ecalnb.simulation.subdetectors import trd as trd_module
from ecalnb.simulation.subdetectors.incident import Incident
from ecalnb.simulation.subdetectors.parameters import parameters
from ecalnb.simulation.subdetectors.trd import BIN, LOG_GAMMA, Spectra, measure_trd

TRD = parameters().trd
SPECTRA = Spectra(TRD)


def measured(momentum, pdg, n, seed=1):
    incident = Incident.of(np.full(n, float(momentum)), pdg)
    rigidity = incident.momentum / incident.charge
    energy = incident.momentum if pdg == 11 else incident.momentum / 2
    return measure_trd(incident, rigidity, energy, TRD, np.random.default_rng(seed))


def rejection(momentum, n):
    """Rejection at 90 % electron efficiency with its relative error."""
    electrons, protons = (measured(momentum, pdg, size, seed)["trd_lik_0"] for pdg, size, seed in
                          ((11, 20_000, 1), (2212, n, 2)))  # fmt: skip
    survivors = (protons < np.quantile(electrons, 0.9)).sum()
    return n / survivors, 1 / np.sqrt(survivors)


class TestModel:
    def test_landau_is_that_of_scipy(self):
        pytest.importorskip("scipy", minversion="1.15")
        # SciPy's has the scale 1 where Landau's own is pi/2, which moves it too; the most probable value comes to 0.
        landau = stats.landau(loc=0.22278 + np.log(np.pi / 2), scale=np.pi / 2)
        x, cumulative = trd_module._landau()
        inside = x < 100
        np.testing.assert_allclose(cumulative[inside], landau.cdf(x[inside]), atol=1e-3)
        drawn = trd_module._draw_landau((20_000, 1), np.random.default_rng(2))[:, 0]
        assert stats.kstest(drawn, landau.cdf).pvalue > 0.001
        assert landau.median() == pytest.approx(trd_module.LANDAU_MEDIAN, abs=1e-3)

    @pytest.mark.parametrize("charge", [1, 2])
    @pytest.mark.parametrize("row", [8, 40, 80])
    def test_table_holds_the_distribution_of_drawn_energies(self, charge, row):
        table = np.exp(SPECTRA.tabulate(charge)[row])
        assert table.sum() == pytest.approx(1, abs=1e-6)
        n = 4000
        gamma = np.full(n, 10 ** LOG_GAMMA[row])
        drawn = SPECTRA.draw(gamma, np.full(n, float(charge)), np.random.default_rng(3)).ravel()
        column = np.minimum(drawn / BIN, len(table) - 1).astype(int)
        # Bins are merged such that about 200 energies are expected in each.
        group = np.unique((np.cumsum(table) * len(drawn) / 200).astype(int), return_inverse=True)[1]
        expected = np.bincount(group, table) * len(drawn)
        found = np.bincount(group[column], minlength=len(expected))
        chi2 = ((found - expected) ** 2 / expected).sum()
        # Sums within a bin are not spread exactly: 2 % of its content are allowed for that.
        assert chi2 < stats.chi2.ppf(0.999, len(expected)) + (0.02**2 * expected).sum()

    def test_radiation_rises_between_the_published_lorentz_factors(self):
        # Obermeier and Korsmeier, arXiv:1411.3329: from the level of ionisation at about 500 to saturation above 1e4.
        share = SPECTRA.photons(np.array([100.0, 500, 1000, 20_000, 1e6])) / TRD.photons
        assert share[0] < 0.01
        assert share[1] < 0.1
        assert 0.1 < share[2] < 0.3
        assert (share[3:] > 0.95).all()

    def test_ionisation_rises_to_the_plateau(self):
        gamma = np.array([3.5, 20, 100, 1e4, 1e6])
        relative = SPECTRA.most_probable(gamma) / TRD.ionisation
        assert (np.diff(relative) > 0)[:3].all()
        assert relative[-1] == pytest.approx(TRD.plateau, rel=0.01)
        slow = SPECTRA.most_probable(np.array([1.2]))[0]  # beta^2 = 0.31
        assert slow == pytest.approx(TRD.ionisation / (1 - 1 / 1.44), rel=1e-9)


class TestLikelihoods:
    def test_ratios_of_electrons_are_about_a_half_and_of_protons_about_one(self):
        for momentum in (10, 50):
            assert np.median(measured(momentum, 11, 2000)["trd_lik_0"]) == pytest.approx(0.5, abs=0.1)
            assert np.median(measured(momentum, 2212, 2000)["trd_lik_0"]) == pytest.approx(0.95, abs=0.1)

    def test_ratios_are_those_of_the_likelihoods(self):
        columns = measured(100, 2212, 500)
        electron, proton, helium = (columns[f"trd_likelihood_{name}"] for name in ("electron", "proton", "helium"))
        np.testing.assert_allclose(columns["trd_lik_0"], -np.log(electron / (electron + proton)), atol=1e-7)
        np.testing.assert_allclose(columns["trd_lik_1"], -np.log(electron / (electron + helium)), atol=1e-7)
        np.testing.assert_allclose(columns["trd_lik_2"], -np.log(proton / (proton + helium)), atol=1e-7)
        total = sum(columns[f"trd_probability_{name}"] for name in ("electron", "proton", "helium"))
        np.testing.assert_allclose(total, 1)

    def test_helium_is_told_from_protons(self):
        helium, protons = measured(40, 1000020040, 2000), measured(20, 2212, 2000)
        assert np.quantile(helium["trd_lik_2"], 0.01) > np.quantile(protons["trd_lik_2"], 0.99)
        assert np.median(helium["trd_charge"]) == pytest.approx(2, abs=0.15)
        assert np.median(protons["trd_charge"]) == pytest.approx(1, abs=0.05)

    def test_rejection_is_near_the_published_one_that_the_model_was_tuned_to(self):
        # A tuning target, not a prediction: about 2000 at 15 GeV and 140 at 250 GeV, at 90 % efficiency (prototype).
        for momentum, published, n in ((15, 2000, 300_000), (250, 140, 60_000)):
            value, error = rejection(momentum, n)
            assert error < 0.15
            assert 0.5 < value / published < 2

    def test_rejection_fades_and_protons_radiate_near_a_tev(self):
        values = [rejection(momentum, 60_000)[0] for momentum in (50, 250, 1000)]
        assert values[0] > 2 * values[1] > 6 * values[2]
        silent = replace(TRD, onset_gamma=1e5)
        protons = np.hypot(1, np.full(4000, 1000 / 0.938272))
        spectra = [Spectra(each).draw(protons, np.ones(4000), np.random.default_rng(5)) for each in (TRD, silent)]
        assert spectra[0].mean() > 1.1 * spectra[1].mean()

    def test_too_few_hits_give_no_likelihood(self):
        empty = replace(TRD, efficiency=0.0)
        columns = measure_trd(
            Incident.of(np.full(20, 50.0), 11), np.full(20, -50.0), np.full(20, 50.0), empty, np.random.default_rng(1)
        )
        assert np.isnan(columns["trd_lik_0"]).all()
        assert (columns["trd_k_status"] == -9).all()
        assert (columns["trdh_tracks"] == 0).all()

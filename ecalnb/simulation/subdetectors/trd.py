"""Transition radiation detector: 20 layers of straws behind fleece radiators, and the likelihoods of three hypotheses.

In each layer a particle leaves ionisation, which follows a Landau distribution whose most probable value rises with the
particle's own Lorentz factor up to the Fermi plateau, and absorbed transition-radiation photons: a Poisson number whose
mean rises from about gamma = 500 and saturates above 1e4, each with a gamma-distributed energy. Both go as Z^2.

The likelihood of a hypothesis takes the same model at the rigidity (or ECAL energy) that was *measured*, so it fades as
protons reach the plateau, and again as they radiate. AMS's TrdK uses geometric means over the layers,
``P = (prod p_i)^(1/n)``, and the ratios ``-ln(P_a / (P_a + P_b))``: about 0.5 for electrons, 1 for protons.

It is a model with a few numbers tuned to a published rejection (``data/subdetectors.toml``), not AMS's detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special

from .charge import median_of
from .draws import stream
from .incident import Incident
from .parameters import TrdParameters, parameters

__all__ = ["Spectra", "log_likelihoods", "measure_trd", "ratios"]

FloatArray = npt.NDArray[np.float64]

HYPOTHESES = (("electron", 0.000511, 1), ("proton", 0.938272, 1), ("helium", 3.727379, 2))  # mass in GeV, charge
BIN = 0.125  # keV; spectra are tabulated in such steps
LOG_GAMMA = np.linspace(0, 7, 113)  # decimal; beyond its ends the spectra do not change
MOST_PHOTONS = 40  # in one layer: a helium nucleus at saturation has a dozen or so
LANDAU_LOW = -2.5  # below, the asymptotic form of Landau's density is good to a percent
LANDAU_MEDIAN = 1.578  # of Landau's distribution, above its most probable value
LEAST_ENERGY = 0.1  # GeV; what the calorimeter takes for the energy of a shower at least
VIEWS = 2  # segments of a track: one in each projection
OFF_TRACK_SEGMENT = 4  # hits off the track that make a segment of their own
LEAST_PROBABILITY = 1e-12  # in a bin: where the table's rounding ends


@cache
def _landau() -> tuple[FloatArray, FloatArray]:
    """Landau's distribution function, and its argument, from the integral representation of the density.

    L. Landau, J. Phys. USSR 8 (1944) 201; the argument is shifted such that the most probable value is 0. The lower
    tail has the asymptotic form (K. Koelbig and B. Schorr, Comput. Phys. Commun. 31 (1984) 97): without it a layer with
    little energy would be impossible under one hypothesis and not under another.
    """
    t = np.linspace(1e-9, 40, 40_001)
    low, rest = np.linspace(-4.5, LANDAU_LOW, 100, endpoint=False), np.linspace(LANDAU_LOW, 12, 751)
    argument = np.concatenate([low, rest, np.geomspace(12.05, 2000, 700)])
    weight = np.exp(-t * np.log(t)) * np.sin(np.pi * t) / np.pi
    asymptotic = np.exp((-low - 1) / 2 - np.exp(-low - 1)) / np.sqrt(2 * np.pi)
    integral = [np.trapezoid(weight * np.exp(-x * t), t) for x in argument[len(low) :]]
    density = np.concatenate([asymptotic, integral]).clip(0)
    rise = np.diff(argument) * (density[1:] + density[:-1]) / 2
    cumulative = np.concatenate([[0.0], np.cumsum(rise)])
    return argument + 0.22278, cumulative / cumulative[-1]


def _draw_landau(shape: tuple[int, int], generator: np.random.Generator) -> FloatArray:
    argument, cumulative = _landau()
    return np.interp(generator.random(shape), cumulative, argument)


@dataclass(frozen=True)
class Spectra:
    """Energies that a particle leaves in a layer, as functions of its Lorentz factor and charge."""

    trd: TrdParameters

    def most_probable(self, gamma: FloatArray) -> FloatArray:
        """Most probable ionisation of charge 1, keV: minimum, logarithmic rise, plateau."""
        gamma = np.maximum(gamma, 1.0001)
        minimum = 3.5
        rise = np.log(gamma / minimum) - 0.5 * np.log1p((gamma / self.trd.plateau_gamma) ** 2)
        slope = (self.trd.plateau - 1) / np.log(self.trd.plateau_gamma / minimum)
        beta2 = 1 - 1 / gamma**2
        return self.trd.ionisation * (1 + slope * np.maximum(rise, 0)) / beta2

    def photons(self, gamma: FloatArray) -> FloatArray:
        """Mean number of photons of charge 1 that are absorbed in a layer."""
        return self.trd.photons / (1 + (self.trd.onset_gamma / gamma) ** self.trd.onset_power)

    def draw(self, gamma: FloatArray, charge: FloatArray, generator: np.random.Generator) -> FloatArray:
        """Energies in the layers, keV, shape (n, layers); up to the saturation of the readout."""
        shape = (len(gamma), self.trd.layers)
        landau = _draw_landau(shape, stream(generator))
        peak = (self.most_probable(gamma) * charge**2)[:, None]
        number = stream(generator).poisson((self.photons(gamma) * charge**2)[:, None], shape)
        radiation = stream(generator).standard_gamma(self.trd.photon_shape * number)
        radiation *= self.trd.photon_energy / self.trd.photon_shape
        energies: FloatArray = peak * np.maximum(1 + self.trd.width * landau, 0.0) + radiation
        return np.minimum(energies, self.trd.saturation)

    def tabulate(self, charge: int) -> FloatArray:
        """Logarithm of the probability of each energy bin at each of `LOG_GAMMA`, shape (n_gamma, n_bins)."""
        gamma = 10**LOG_GAMMA
        bins = round(self.trd.saturation / BIN) + 1  # the last one holds what saturates
        edges = BIN * np.arange(1, bins)
        argument, cumulative = _landau()
        scaled = (edges / (self.most_probable(gamma) * charge**2)[:, None] - 1) / self.trd.width
        ionisation = _steps(np.interp(scaled, argument, cumulative))
        number = np.arange(1, MOST_PHOTONS + 1)
        # Energy bins of the radiation are centred on multiples of the bin, so that the sum's bins are those of the sum.
        centred = (edges - BIN / 2) * self.trd.photon_shape / self.trd.photon_energy
        radiation = _steps(special.gammainc(self.trd.photon_shape * number[:, None], centred))
        poisson = _poisson(self.photons(gamma) * charge**2, number)
        nothing = np.zeros((1, bins))
        nothing[0, 0] = 1
        mixed = poisson @ np.concatenate([nothing, radiation])
        size = 2 * bins
        both = np.fft.irfft(np.fft.rfft(ionisation, size) * np.fft.rfft(mixed, size), size)
        table = both[:, :bins].copy()
        table[:, -1] += both[:, bins:].sum(axis=1)
        return np.log(np.maximum(table, LEAST_PROBABILITY))


def _steps(cumulative: FloatArray) -> FloatArray:
    """Probabilities between the borders of a distribution function, below the first and above the last too."""
    padded = np.pad(cumulative, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
    return np.diff(padded, axis=1)


def _poisson(mean: FloatArray, number: npt.NDArray[np.int_]) -> FloatArray:
    """Probabilities of 0 and each number, shape (n_means, 1 + n_numbers); the last one takes the rest."""
    several = special.pdtr(np.concatenate([[0], number]), mean[:, None])
    return np.diff(np.pad(several, ((0, 0), (1, 0))), axis=1)


@cache
def _tables() -> tuple[FloatArray, FloatArray]:
    """Tables of charge 1 and 2."""
    spectra = Spectra(parameters().trd)
    return spectra.tabulate(1), spectra.tabulate(2)


def log_likelihoods(energies: FloatArray, hit: npt.NDArray[np.bool_], momenta: FloatArray) -> FloatArray:
    """Mean logarithm of the probabilities of the layers that were hit, under each hypothesis.

    Parameters
    ----------
    energies : array, shape (n, layers)
        keV.
    hit : array of bool, shape (n, layers)
        The layers that count.
    momenta : array, shape (n, 3)
        Momentum of an electron, a proton and a helium nucleus, GeV.

    Returns
    -------
    array, shape (n, 3)
        ``ln P`` of electron, proton, helium; NaN without a hit.
    """
    column = np.minimum(energies / BIN, _tables()[0].shape[1] - 1).astype(np.intp)
    number = hit.sum(axis=1)
    result = np.empty((len(energies), len(HYPOTHESES)))
    step = LOG_GAMMA[1] - LOG_GAMMA[0]
    for i, (_, mass, charge) in enumerate(HYPOTHESES):
        table = _tables()[charge - 1]
        log_gamma = 0.5 * np.log10(1 + (momenta[:, i] / mass) ** 2)
        place = np.clip(log_gamma / step, 0, len(LOG_GAMMA) - 1.001)
        row = place.astype(np.intp)
        share = (place - row)[:, None]
        values = (1 - share) * table[row[:, None], column] + share * table[row[:, None] + 1, column]
        result[:, i] = np.divide(
            np.where(hit, values, 0).sum(axis=1), number, out=np.full(len(energies), np.nan), where=number > 0
        )
    return result


def ratios(log_p: FloatArray) -> FloatArray:
    """TrdK's ratios electron/proton, electron/helium and proton/helium, ``-ln(P_a / (P_a + P_b))``, shape (n, 3)."""
    pairs = ((0, 1), (0, 2), (1, 2))
    with np.errstate(invalid="ignore"):  # events without likelihoods
        return np.column_stack([np.logaddexp(0, log_p[:, b] - log_p[:, a]) for a, b in pairs])


def measure_trd(
    incident: Incident,
    rigidity: FloatArray,
    ecal_energy: FloatArray,
    trd: TrdParameters,
    generator: np.random.Generator,
) -> dict[str, npt.NDArray[np.generic]]:
    """Likelihoods, charge and counters of charged particles.

    Parameters
    ----------
    incident : Incident
        Charged particles.
    rigidity : array, shape (n,)
        The tracker's, GV.
    ecal_energy : array, shape (n,)
        Energy in the calorimeter, GeV.
    trd : TrdParameters
        Parameters.
    generator : numpy.random.Generator
        For everything.
    """
    spectra = Spectra(trd)
    energies = spectra.draw(incident.gamma, incident.charge, generator)
    hit = stream(generator).random(energies.shape) < trd.efficiency
    off = stream(generator).poisson(np.where(incident.light, trd.off_track_light, trd.off_track_heavy))
    off_energy = trd.ionisation * stream(generator).standard_gamma(np.maximum(off, 1)) * (off > 0)
    on = hit.sum(axis=1)
    valid = on >= trd.least_hits
    momenta = abs(rigidity)[:, None] * [charge for _, _, charge in HYPOTHESES]
    log_p = log_likelihoods(energies, hit & valid[:, None], momenta)
    # TrdK takes the energy of the calorimeter for electrons and twice that for protons and helium.
    shower = np.maximum(ecal_energy, LEAST_ENERGY)[:, None] * [1, 2, 2]
    by_rigidity, by_energy = ratios(log_p), ratios(log_likelihoods(energies, hit & valid[:, None], shower))
    p = np.exp(log_p)
    charge, spread = _charge(energies, hit, abs(rigidity), spectra)
    segments = np.where(valid, VIEWS, 0) + (off >= OFF_TRACK_SEGMENT)
    columns: dict[str, npt.NDArray[np.generic]] = {
        **{f"trd_lik_{i}": by_rigidity[:, i] for i in range(3)},
        **{f"trd_like_{i}": by_energy[:, i] for i in range(3)},
        **{f"trd_likelihood_{name}": p[:, i] for i, (name, _, _) in enumerate(HYPOTHESES)},
        **{f"trd_probability_{name}": p[:, i] / p.sum(axis=1) for i, (name, _, _) in enumerate(HYPOTHESES)},
        "trd_charge": charge,
        "trd_k_charge": charge,
        "trd_k_charge_rms": spread,
        "trd_k_status": np.where(valid, 1, -9),
        "trd_k_hits": np.where(valid, on, 0),
        "trd_k_hits_off_track": off,
        "trd_k_amplitude_off_track": off_energy,
        "trd_raw_hits": on + off,
        "trd_clusters": on + off,
        "trd_segments": segments,
        "trdh_segments": segments,
        "trdh_tracks": valid.astype(np.int64),
        "trdh_track_hits": np.where(valid, on, 0),
    }
    return columns


def _charge(
    energies: FloatArray, hit: npt.NDArray[np.bool_], rigidity: FloatArray, spectra: Spectra
) -> tuple[FloatArray, FloatArray]:
    """Charge from the median layer, as if it were a proton of this rigidity, and the charges' standard deviation."""
    peak = spectra.most_probable(np.hypot(1, rigidity / HYPOTHESES[1][1]))
    median = 1 + spectra.trd.width * LANDAU_MEDIAN
    charges = np.where(hit, np.sqrt(energies / (peak * median)[:, None]), np.nan)
    number = np.maximum(hit.sum(axis=1), 1)
    mean = np.where(hit, charges, 0).sum(axis=1) / number
    variance = np.where(hit, (charges - mean[:, None]) ** 2, 0).sum(axis=1) / number
    return median_of(charges), np.where(hit.any(axis=1), np.sqrt(variance), np.nan)

"""Reduced Geant4 data sets, written from formulas, for where the official ones cannot be had.

Enough for electromagnetic and hadronic showers above about 1 GeV in lead, polystyrene and epoxy. No number is from the
official data sets. What is approximate: bremsstrahlung below 1 GeV (Tsai's formula, crude below 2 MeV), cross-sections
of slow neutrons and of light ions (interpolated between a few points that follow evaluated data to 10-20 %), no nuclear
levels, so no nuclear gamma lines.

References
----------
Y.-S. Tsai, Rev. Mod. Phys. 46 (1974) 815, eqs. 3.38-3.44 and table B.2: bremsstrahlung.
W. T. Elam, B. D. Ravel and J. R. Sieber, Radiat. Phys. Chem. 63 (2002) 121, through xraydb: photons.
B. L. Berman and S. C. Fultz, Rev. Mod. Phys. 47 (1975) 713: giant dipole resonance.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import constants
from scipy.optimize import nnls

from .data import DATASETS

__all__ = ["bremsstrahlung", "write_reduced_data"]

FloatArray = npt.NDArray[np.float64]

SYMBOLS = {1: "H", 6: "C", 7: "N", 8: "O", 18: "Ar", 29: "Cu", 82: "Pb"}  # elements of the calorimeter, air and copper
MAX_Z = 94
ELECTRON_MASS = constants.physical_constants["electron mass energy equivalent in MeV"][0]
MILLIBARN, BARN = 1e-25, 1e-22  # mm2, Geant4's unit
PHOTON_MODELS = ("livermore/phot_epics2014", "epics2017/phot"), ("livermore/rayl", "epics2017/rayl")
LARGEST_ENERGY = 2e4  # MeV: above it Geant4 uses its own formulas

# Neutron cross-sections in barn at energies in MeV: points read off evaluated data, interpolated in log-log.
INELASTIC: dict[int, tuple[list[float], list[float]]] = {
    1: ([1e-5, 290, 400, 600, 800, 1000, 1500, 20000], [1e-12, 1e-12, 2e-3, 8e-3, 0.017, 0.022, 0.028, 0.030]),
    6: (
        [1e-5, 4.7, 5.5, 8, 14, 20, 40, 60, 100, 200, 500, 1000, 20000],
        [1e-12, 1e-12, 0.12, 0.35, 0.52, 0.47, 0.34, 0.28, 0.23, 0.205, 0.20, 0.225, 0.228],
    ),
    7: (
        [1e-5, 0.5, 1.5, 4, 8, 14, 20, 40, 100, 200, 500, 1000, 20000],
        [1e-3, 1e-2, 0.1, 0.3, 0.6, 0.65, 0.58, 0.42, 0.27, 0.24, 0.235, 0.26, 0.262],
    ),
    8: (
        [1e-5, 3, 6, 8, 14, 20, 40, 100, 200, 500, 1000, 20000],
        [1e-12, 1e-3, 0.2, 0.4, 0.65, 0.62, 0.47, 0.30, 0.27, 0.265, 0.29, 0.293],
    ),
    82: (
        [1e-5, 0.55, 0.8, 1.5, 2.6, 3.5, 5, 8, 10, 14, 20, 40, 60, 100, 200, 500, 1000, 20000],
        [1e-12, 1e-12, 0.12, 0.4, 0.8, 1.5, 2.0, 2.35, 2.5, 2.55, 2.5, 2.25, 2.0, 1.75, 1.65, 1.63, 1.73, 1.75],
    ),
}
ELASTIC: dict[int, tuple[list[float], list[float]]] = {
    1: (
        [1e-5, 1e-3, 0.1, 1, 3, 10, 20, 50, 100, 200, 500, 1000, 20000],
        [20.4, 20.3, 12.5, 4.2, 2.2, 0.93, 0.48, 0.165, 0.073, 0.042, 0.033, 0.017, 0.009],
    ),
    6: (
        [1e-5, 0.1, 1, 3, 5, 8, 14, 20, 40, 100, 200, 500, 1000, 20000],
        [4.73, 4.4, 2.6, 1.6, 1.2, 1.2, 0.82, 0.95, 0.85, 0.27, 0.11, 0.09, 0.12, 0.1],
    ),
    7: (
        [1e-5, 0.1, 1, 3, 8, 14, 20, 40, 100, 200, 500, 1000, 20000],
        [10, 5, 1.9, 1.5, 1.2, 0.95, 0.95, 0.95, 0.33, 0.14, 0.11, 0.14, 0.12],
    ),
    8: (
        [1e-5, 0.1, 1, 3, 8, 14, 20, 40, 100, 200, 500, 1000, 20000],
        [3.8, 3.6, 3.0, 1.5, 1.2, 0.95, 0.95, 1.05, 0.4, 0.17, 0.13, 0.16, 0.14],
    ),
    82: (
        [1e-5, 0.1, 0.5, 1, 3, 5, 8, 14, 20, 40, 80, 100, 200, 500, 1000, 20000],
        [11.2, 11.0, 7.0, 5.0, 6.5, 5.6, 3.7, 2.9, 3.3, 2.6, 2.8, 2.6, 1.5, 1.3, 1.6, 1.7],
    ),
}
THERMAL_CAPTURE = {1: 0.3326, 6: 0.0035, 7: 0.075, 8: 0.00019, 18: 0.675, 29: 3.78, 82: 0.171}
LIGHT_IONS = {"proton": (1, 1), "deuteron": (1, 2), "triton": (1, 3), "He3": (2, 3), "alpha": (2, 4)}


def write_reduced_data(folder: Path) -> None:
    """Write all data sets into ``folder``: 8 MB, a few seconds.

    Raises
    ------
    ModuleNotFoundError
        If xraydb is not installed (extra ``geant4``).
    """
    import xraydb

    masses = {z: float(xraydb.atomic_mass(z)) for z in range(1, MAX_Z + 1)}
    for name in DATASETS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "README").write_text("Written by ecalnb from formulas; not the official data set.\n")
    for z, symbol in SYMBOLS.items():
        _write_bremsstrahlung(folder / "G4EMLOW8.8", z)
        for files in _photon_files(z, symbol, masses[z]):
            for name, text in files.items():
                _write(folder / "G4EMLOW8.8" / name, text)
    for z, mass in masses.items():
        for name, text in {**_neutron_files(z, masses), **_ion_files(z, mass), **_gamma_file(z, mass)}.items():
            _write(folder / "G4PARTICLEXS4.2" / name, text)
    ground_states = [f"{z} {a} 0 - -1 0 0" for z in range(1, 101) for a in range(z, 3 * z + 4)]
    _write(folder / "G4ENSDFSTATE3.0" / "ENSDFSTATE.dat", "\n".join(ground_states) + "\n")


def bremsstrahlung(z: int, energy: float, fraction: npt.ArrayLike) -> FloatArray:
    """Bremsstrahlung cross-section as Geant4 tabulates it: beta^2 / Z^2 times k dsigma/dk, in mb.

    Parameters
    ----------
    z : int
        Atomic number.
    energy : float
        Kinetic energy of the electron, MeV.
    fraction : array_like
        Photon energy over ``energy``.

    Returns
    -------
    array
        mb, by Tsai's formula with Thomas-Fermi screening and the Coulomb correction, atomic electrons included.
    """
    k = np.minimum(np.asarray(fraction, dtype=float), 0.99999)
    remaining = np.maximum((energy + ELECTRON_MASS) * (1 - k), 1e-3)
    gamma = 100 * ELECTRON_MASS * k / (remaining * z ** (1 / 3))
    epsilon = 100 * ELECTRON_MASS * k / (remaining * z ** (2 / 3))
    phi = 16.863 - 2 * np.log(1 + 0.311877 * gamma**2) + 2.4 * np.exp(-0.9 * gamma) + 1.6 * np.exp(-1.5 * gamma)
    psi = 24.34 - 2 * np.log(1 + 13.111641 * epsilon**2) + 2.8 * np.exp(-8 * epsilon) + 1.2 * np.exp(-29.2 * epsilon)
    phi_difference = 2 / (3 + 19.5 * gamma + 18 * gamma**2)
    psi_difference = 2 / (3 + 120 * epsilon + 1200 * epsilon**2)
    a2 = (z * constants.fine_structure) ** 2
    coulomb = a2 * (1 / (1 + a2) + 0.20206 - 0.0369 * a2 + 0.0083 * a2**2 - 0.002 * a2**3)
    nucleus = phi / 4 - np.log(z) / 3 - coulomb
    electrons = (psi / 4 - 2 * np.log(z) / 3) / z
    shape = (1 - k + 0.75 * k**2) * (nucleus + electrons) + (1 - k) * (phi_difference + psi_difference / z) / 8
    electron_radius_mb = constants.physical_constants["classical electron radius"][0] ** 2 * 1e31
    unit = 16 / 3 * constants.fine_structure * electron_radius_mb
    beta2 = 1 - 1 / (1 + energy / ELECTRON_MASS) ** 2
    return unit * np.maximum(shape, 0.3) * (beta2 if energy > 2 else np.sqrt(beta2))


def _write_bremsstrahlung(folder: Path, z: int) -> None:
    fractions = np.array(
        [1e-12, 0.025, 0.05, 0.075, *np.arange(0.1, 0.875, 0.05), 0.9, 0.925, 0.95, 0.97, 0.99, 0.995, 0.999, 0.9995,
         0.9999, 0.99995, 0.99999, 1]
    )  # fmt: skip
    logs = np.log(np.geomspace(1e-3, 1e4, 57))
    table = np.array([bremsstrahlung(z, np.exp(log), fractions) for log in logs])
    lines = [f"4 {len(fractions)} {len(logs)}", _row(fractions, "g"), _row(logs, "g"), *(_row(r, ".5E") for r in table)]
    _write(folder / "brem_SB" / f"br{z}", "\n".join(lines) + "\n")


def _photon_files(z: int, symbol: str, mass: float) -> list[dict[str, str]]:
    """Photo-electric effect and Rayleigh scattering."""
    import xraydb

    barn_per_atom = mass / constants.Avogadro * 1e24  # from cm2/g

    def elam(energies: FloatArray, process: str) -> FloatArray:
        return np.array([float(xraydb.mu_elam(symbol, e * 1e6, kind=process)) for e in energies]) * barn_per_atom

    low = np.geomspace(1e-3, 0.2, 1500)
    photoelectric = elam(low, "photo")
    # Above 200 keV Geant4 takes a sum of a_n / E^n: fitted with a_n >= 0, so that it stays positive.
    high = np.geomspace(0.2, 0.75, 40)
    powers = np.stack([high**-n for n in range(1, 5)], axis=1)
    factors, _ = nnls(powers / elam(high, "photo")[:, None], np.ones_like(high))
    factors *= photoelectric[-1] / sum(a * 0.2**-n for n, a in enumerate(factors, 1))
    parameters = "1 1 0.2\n0.001 " + _row(np.append(factors, [0, 0]), ".8g") + "\n"
    table = "\n".join(f"{e:.8g} {s * e**3:.8g}" for e, s in zip(low, photoelectric, strict=True))
    edges = np.geomspace(1e-3, 0.8, 200)
    coherent = elam(edges, "coh") * BARN * edges**2
    files = []
    for photo, rayleigh in zip(*PHOTON_MODELS, strict=True):
        files.append(
            {
                f"{photo}/pe-cs-{z}.dat": f"{low[0]:.8g} {low[-1]:.8g} {len(low)}\n{len(low)}\n{table}\n",
                f"{photo}/pe-low-{z}.dat": parameters,
                f"{photo}/pe-high-{z}.dat": parameters,
                f"{rayleigh}/re-cs-{z}.dat": f"{edges[0]:.8g} {edges[-1]:.8g} {len(edges)}\n{len(edges)}\n"
                + "\n".join(f"{e:.8g} {s:.8g}" for e, s in zip(edges, coherent, strict=True))
                + "\n",
            }
        )
    return files


def _neutron_files(z: int, masses: dict[int, float]) -> dict[str, str]:
    """Cross-sections of an element without points of its own: those of the nearest that has, scaled as A^(2/3)."""
    nearest = min(INELASTIC, key=lambda known: abs(known - z)) if z > 1 else 1
    nearest = 6 if z > 1 and nearest == 1 else nearest
    scale = (masses[z] / masses[nearest]) ** (2 / 3)
    capture = THERMAL_CAPTURE.get(z, 0.5)

    def captured(energies: FloatArray) -> FloatArray:  # 1/v, and falling faster above the resonances
        thermal = 2.53e-8
        return capture * np.sqrt(thermal / np.minimum(energies, 0.1)) * np.minimum(1, 0.1 / energies)

    return {
        f"neutron/inel{z}": _log_table(1e-5, LARGEST_ENERGY, 400, lambda e: scale * _points(*INELASTIC[nearest])(e)),
        f"neutron/el{z}": _log_table(1e-5, LARGEST_ENERGY, 300, lambda e: scale * _points(*ELASTIC[nearest])(e)),
        f"neutron/cap{z}": _log_table(1e-11, 20, 200, captured),
    }


def _ion_files(z: int, mass: float) -> dict[str, str]:
    """Protons and light ions: geometric cross-sections above the Coulomb barrier."""
    files = {}
    for name, (charge, nucleons) in LIGHT_IONS.items():
        radius = 1.2 * mass ** (1 / 3) + 0.35 if nucleons == 1 else 1.15 * (mass ** (1 / 3) + nucleons ** (1 / 3))  # fm
        geometric = 0.01 * np.pi * radius**2 * (0.75 if nucleons == 1 else 1)
        barrier = 1.44 * charge * z / (1.3 * (mass ** (1 / 3) + nucleons ** (1 / 3)) + 1)
        start = max(0.1, 0.3 * barrier)
        if z == 1 and nucleons == 1:
            geometric, barrier = 0.030, 290.0  # pion production
        files[f"{name}/inel{z}"] = _log_table(start, LARGEST_ENERGY, 200, _above_barrier(geometric, barrier))
    return files


def _above_barrier(geometric: float, barrier: float) -> Callable[[FloatArray], FloatArray]:
    return lambda energies: geometric * np.maximum(1 - barrier / energies, 1e-9)


def _gamma_file(z: int, mass: float) -> dict[str, str]:
    """Photonuclear: giant dipole resonance (a Lorentzian) and the quasi-deuteron tail."""
    energies = np.linspace(2, 130, 257)
    if z == 1:
        sigma = np.full_like(energies, 1e-12)
    else:
        position, width = 31.2 * mass ** (-1 / 3) + 20.6 * mass ** (-1 / 6), 4.5
        pairs = (mass - z) * z / mass
        peak = 1.2 * 60 * pairs * 2 / (np.pi * width) * 1e-3
        resonance = peak / (1 + ((energies**2 - position**2) / (energies * width)) ** 2)
        above = np.maximum(energies - 2.224, 0)
        deuteron = 6.5 * pairs * 61.2e-3 * above**1.5 / energies**3 * np.exp(-60 / energies)
        sigma = resonance * (energies > 6) + deuteron * (energies > 3)
    values = " ".join(f"{e:.6g} {s * BARN:.6g}" for e, s in zip(energies, sigma, strict=True))
    return {f"gamma/inel{z}": f"2 130 257 257 {values}\n"}


def _points(energies: list[float], values: list[float]) -> Callable[[FloatArray], FloatArray]:
    logs = np.log(energies), np.log(np.maximum(values, 1e-12))
    return lambda e: np.exp(np.interp(np.log(e), *logs))


def _log_table(low: float, high: float, n: int, sigma: Callable[[FloatArray], FloatArray]) -> str:
    """Geant4's vector format: first, last, length, and length pairs of MeV and mm2."""
    energies = np.geomspace(low, high, n)
    values = np.maximum(sigma(energies), 0) * BARN
    pairs = " ".join(f"{e:.10g} {s:.8g}" for e, s in zip(energies, values, strict=True))
    return f"{low:.10g} {high:.10g} {n} {n} {pairs}\n"


def _row(values: npt.ArrayLike, form: str) -> str:
    return " ".join(f"{value:{form}}" for value in np.asarray(values))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

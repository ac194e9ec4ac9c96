"""How fast the engines are on one core, from energies and tracks to dense images.

The yardsticks are the aimed rates, and Geant4 itself, with explicit fibres and homogenised, where it is installed.
"""

import importlib.util
import time

from ratios import Ratio, in_turns

from ecalnb.simulation import make_run, production

# Particle, kinetic energy in GeV, events of a round and of Geant4 (with fibres, homogenised), aimed events a second.
CASES = (
    ("electron", 10.0, 4000, (10, 30), None),
    ("electron", 100.0, 3000, (3, 6), 5000.0),
    ("electron", 1000.0, 2000, (0, 2), 1000.0),
    ("proton", 100.0, 2000, (15, 30), None),
    ("proton", 1000.0, 1000, (10, 10), 1000.0),
)


def rows(quick: bool) -> list[Ratio]:
    """Events a CPU second; of two jobs by the clock."""
    cases = [("electron", 10.0, 50, (1, 1), 100.0)] if quick else CASES
    for particle in ("electron", "proton"):
        production.in_memory(make_run(particle, 10, energy=100.0, detector="ideal"))  # compiles
    installed = importlib.util.find_spec("geant4_pybind") is not None
    found = []
    for particle, energy, n, geant4, aim in cases:
        what = f"{particle}s of {energy:g} GeV"
        own = rates(particle, energy, n, 3)
        if aim:
            found.append(Ratio(what, f"aim of {aim:,.0f}", own, (aim,), 1.0))
        for events, homogenised in zip(geant4, (False, True), strict=True):
            yardstick = f"Geant4, {'homogenised' if homogenised else 'with fibres'}"
            if events:
                slow = rates(particle, energy, events, 1, engine="geant4", homogenised=homogenised) if installed else ()
                found.append(Ratio(what, yardstick, own, slow))
    return [*found, two_jobs(200 if quick else 6000)]


def rates(particle: str, energy: float, n: int, rounds: int, **options: object) -> tuple[float, ...]:
    """Events a CPU second in each round."""
    run = make_run(particle, n, energy=energy, detector="ideal", seed=1, **options)
    return in_turns(n, {"": lambda: production.in_memory(run)}, rounds)[""]


def two_jobs(n: int) -> Ratio:
    """Gain of two jobs over one, for protons."""
    run = make_run("proton", n, energy=300.0, detector="ideal")
    times = []
    for jobs in (1, 2):
        start = time.perf_counter()
        production.in_memory(run, jobs)
        times.append(time.perf_counter() - start)
    return Ratio("two jobs, protons of 300 GeV, by the clock", "one job", (n / times[1],), (n / times[0],))

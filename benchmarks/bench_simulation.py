"""How fast the engines are: events a second on one core, from energies and tracks to dense images.

The yardstick is Geant4 itself, with explicit fibres and homogenised, in the same run. Beside it stand the rates that
the fast engine is meant to reach, and what two jobs gain over one.
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import resource
import sys
import time

os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

from ecalnb.simulation import make_run, production

ROUNDS = 3
# Particle, kinetic energy in GeV, events of a fast round, events of Geant4 (with fibres, homogenised), events a second.
CASES = (
    ("electron", 10.0, 4000, (10, 30), None),
    ("electron", 100.0, 3000, (3, 6), 5000),
    ("electron", 1000.0, 2000, (0, 2), 1000),
    ("proton", 100.0, 2000, (15, 30), None),
    ("proton", 1000.0, 1000, (10, 10), 1000),
    ("proton", 10_000.0, 300, (0, 0), None),
)


def cpu() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)


def seconds(particle: str, energy: float, n: int, rounds: int = 1, **options: object) -> float:
    """CPU seconds an event: of several rounds the least."""
    best = float("inf")
    for number in range(rounds):
        run = make_run(particle, n, energy=energy, detector="ideal", seed=number, **options)
        start = cpu()
        production.in_memory(run)
        best = min(best, (cpu() - start) / n)
    return best


def scaling() -> float:
    """Gain in time by the clock of two jobs over one, for protons."""
    run = make_run("proton", 6000, energy=300.0, detector="ideal")
    times = []
    for jobs in (1, 2):
        start = time.perf_counter()
        production.in_memory(run, jobs)
        times.append(time.perf_counter() - start)
    return times[0] / times[1]


def main() -> int:
    """Print the table; the exit code says whether the targets were reached."""
    for particle in ("electron", "proton"):
        seconds(particle, 100.0, 10)  # compile
    print("CPU time of one core, everything up to the dense image")
    print(
        f"{'':10}{'GeV':>7}{'fast/s':>9}{'target/s':>10}{'fibres s':>10}{'mean s':>8}{'fast against fibres, mean':>28}"
    )
    missed = []
    for particle, energy, n, geant4, target in CASES:
        fast = seconds(particle, energy, n, ROUNDS)
        slow = [
            seconds(particle, energy, events, engine="geant4", homogenised=homogenised) if events else None
            for events, homogenised in zip(geant4, (False, True), strict=True)
        ]
        times = "".join(
            "-".rjust(width) if s is None else f"{s:{width}.3g}" for s, width in zip(slow, (10, 8), strict=True)
        )
        ratios = ", ".join("-" if s is None else f"{s / fast:,.0f} x" for s in slow)
        print(f"{particle:10}{energy:7g}{1 / fast:9,.0f}{target or '-':>10}{times}{ratios:>28}", flush=True)
        if target and 1 / fast < target:
            missed.append(f"{particle} {energy:g} GeV")
    print(f"two jobs against one, protons of 300 GeV, by the clock: {scaling():.2f} x")
    if missed:
        print(f"below the target: {', '.join(missed)}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())

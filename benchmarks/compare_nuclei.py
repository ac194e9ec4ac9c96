"""Nuclei: events a second and core in simulation and in files, and training on a million events.

python benchmarks/compare_nuclei.py             # simulation, files, and all models on 30,000 events
python benchmarks/compare_nuclei.py 1000000     # and XGBoost on so many events
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

from ecalnb.nuclei.model import MODELS, train_model
from ecalnb.nuclei.ntuples import read_nuclei, simulate_nuclei
from ecalnb.nuclei.parameters import pick
from ecalnb.nuclei.protocol import in_sample, mix
from ecalnb.nuclei.simulation import Beam, simulate, simulate_blocks

AIM = 100_000  # events a second and core
SPECIES = pick(["O", "F", "Ne", "Na", "Mg", "Si"])


def timed(what: str, n: int, begin: float, aim: float | None = None) -> None:
    """Print a rate by CPU time, and its ratio to what is aimed at."""
    rate = n / (time.process_time() - begin)
    print(f"{what:40s} {rate:10,.0f} events/s and core" + (f"  {rate / aim:.2f} of the aim" if aim else ""))


def main() -> None:
    """Measure."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    simulate(100)  # compiles
    for name, beam in (("all species", Beam()), ("O to Si", Beam(SPECIES))):
        begin = time.process_time()
        for _ in simulate_blocks(200_000, beam):
            pass
        timed(f"simulation, {name}", 200_000, begin, AIM)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nuclei.root"
        begin = time.process_time()
        simulate_nuclei(path, 100_000, beam=Beam(SPECIES))
        timed("simulation into a ROOT file", 100_000, begin)
        begin = time.process_time()
        read_nuclei(path)
        timed("reading a ROOT file", 100_000, begin)
    import_module("ecalnb.nuclei.network_training")  # torch takes seconds
    for kind, n in [*((kind, 30_000) for kind in MODELS), *([("xgboost", events)] if events else [])]:
        sample = simulate(n, Beam(SPECIES))
        train, validation, test = (in_sample(sample, name) for name in ("train", "validation", "test"))
        settings = {"rounds": 20} if kind == "xgboost" else {"epochs": 1}
        begin, start = time.process_time(), time.perf_counter()
        model = train_model(kind, mix(train, SPECIES), mix(validation, SPECIES), SPECIES, **settings)
        wall = time.perf_counter() - start
        steps = settings.get("rounds") or settings["epochs"]
        timed(f"{kind}, {steps} passes over {len(train):,}, {wall:.0f} s", len(train) * steps, begin)
        begin = time.process_time()
        model.predict(test)
        timed(f"{kind}, prediction", len(test), begin)
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()

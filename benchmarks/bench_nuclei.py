"""Nuclei: simulation beside the aimed 100,000 events a second and core, reading beside uproot, trees beside xgboost."""

import tempfile
from pathlib import Path

import numpy as np
import uproot
import xgboost
from ratios import Ratio, in_turns

from ecalnb.nuclei.model import train_model
from ecalnb.nuclei.ntuples import read_nuclei, simulate_nuclei
from ecalnb.nuclei.parameters import pick
from ecalnb.nuclei.protocol import in_sample, mix
from ecalnb.nuclei.simulation import Beam, simulate, simulate_blocks

AIM = 100_000.0  # events a second and core
SPECIES = pick(["O", "F", "Ne", "Na", "Mg", "Si"])


def rows(quick: bool) -> list[Ratio]:
    """Events a second."""
    n, rounds = (2_000, 1) if quick else (200_000, 3)
    simulate(100)  # compiles
    beams = {"simulation, all species": Beam(), "simulation, O to Si": Beam(SPECIES)}
    tasks = {name: lambda beam=beam: [None for _ in simulate_blocks(n, beam)] for name, beam in beams.items()}
    found = [Ratio(name, "aim of 100,000", own, (AIM,), 1.0) for name, own in in_turns(n, tasks, rounds).items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nuclei.root"
        simulate_nuclei(path, n, beam=Beam(SPECIES))
        with uproot.open(path) as file:
            tree = next(key for key, kind in file.classnames().items() if kind in ("TTree", "ROOT::RNTuple"))
        tasks = {"ours": lambda: read_nuclei(path), "uproot": lambda: uproot.open(path)[tree].arrays(library="np")}
        rates = in_turns(n, tasks, rounds)
    found.append(Ratio("reading a ROOT file", "uproot: reading alone", rates["ours"], rates["uproot"]))
    return [*found, trees(2_000 if quick else 100_000, rounds)]


def trees(n: int, rounds: int) -> Ratio:
    """Prediction of a BDT, reading of the table included, beside xgboost on a matrix in memory."""
    sample = simulate(n, Beam(SPECIES))
    train, validation, test = (in_sample(sample, name) for name in ("train", "validation", "test"))
    model = train_model("xgboost", mix(train, SPECIES), mix(validation, SPECIES), SPECIES, rounds=5)
    few = np.random.default_rng(0).normal(size=(len(test), 20)).astype(np.float32)
    labels = np.arange(len(test)) % len(SPECIES)
    parameters = {"objective": "multi:softprob", "num_class": len(SPECIES), "nthread": 1, "max_depth": 6}
    bare = xgboost.train(parameters, xgboost.DMatrix(few, labels), num_boost_round=5)
    rates = in_turns(
        len(test), {"ours": lambda: model.predict(test), "bare": lambda: bare.predict(xgboost.DMatrix(few))}, rounds
    )
    return Ratio("prediction with 5 rounds of trees", "xgboost on 20 columns of noise", rates["ours"], rates["bare"])

"""Identification of cosmic-ray nuclei from tracker, TOF and TRD; no calorimeter.

Events are a `NucleiSample`, simulated or read from ROOT files; models and selections are in modules of their own.
"""

from .model import MODELS, NucleiModel, load_model, train_model
from .ntuples import iterate_nuclei, read_nuclei, simulate_nuclei, write_nuclei
from .parameters import DOMAINS, SPECIES, Nucleus, nucleus, pick
from .protocol import Prior, TrainingSet, in_sample, mix, tight_species
from .sample import CLASSES, PLACES, NucleiSample, class_names, concatenate
from .schema import NucleiSchema, load_nuclei_schema
from .selections import Hypercube, contamination, efficiency_and_purity, purity_curve, signal_of, tune_hypercube
from .simulation import Beam, simulate, simulate_blocks

__all__ = [
    "CLASSES",
    "DOMAINS",
    "MODELS",
    "PLACES",
    "SPECIES",
    "Beam",
    "Hypercube",
    "NucleiModel",
    "NucleiSample",
    "NucleiSchema",
    "Nucleus",
    "Prior",
    "TrainingSet",
    "class_names",
    "concatenate",
    "contamination",
    "efficiency_and_purity",
    "in_sample",
    "iterate_nuclei",
    "load_model",
    "load_nuclei_schema",
    "mix",
    "nucleus",
    "pick",
    "purity_curve",
    "read_nuclei",
    "signal_of",
    "simulate",
    "simulate_blocks",
    "simulate_nuclei",
    "tight_species",
    "train_model",
    "tune_hypercube",
    "write_nuclei",
]

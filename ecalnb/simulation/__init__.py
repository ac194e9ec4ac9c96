"""Simulated events: two engines behind one function, `simulate`.

``fast`` is parameterised and fitted to Geant4 events: thousands of events a second. ``geant4`` is Geant4 itself: about
a second an event. Both make what AMS's ntuples hold, so that nothing downstream knows the difference.
"""

from .api import make_run, simulate, simulate_to_file
from .beam import Beam, GivenEvents
from .engines import ENGINES
from .particles import PARTICLES, Particle, find_particle
from .run import Run

__all__ = [
    "ENGINES",
    "PARTICLES",
    "Beam",
    "GivenEvents",
    "Particle",
    "Run",
    "find_particle",
    "make_run",
    "simulate",
    "simulate_to_file",
]

"""Geant4 engine: transport of particles through the fibre calorimeter, by Geant4 itself.

Needs the extra ``geant4``: the package geant4-pybind, which brings Geant4 inside its wheel. Geant4 runs in processes of
its own (:mod:`.worker`), one run each, because it can be initialised only once in a process and may crash when it is
taken down. This process never imports it.
"""

from .data import DataDirectory, data_directory
from .run import Geant4Error, Geant4Events, Geant4Settings, run_geant4, version

__all__ = ["DataDirectory", "Geant4Error", "Geant4Events", "Geant4Settings", "data_directory", "run_geant4", "version"]

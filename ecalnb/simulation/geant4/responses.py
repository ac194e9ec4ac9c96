"""Record with Geant4 what slow particles and soft photons leave in the cells, for the fast simulation's library.

``python -m ecalnb.simulation.geant4.responses -o FILE`` writes what :mod:`ecalnb.simulation.responses` reads. It is a
program for a process of its own, because Geant4 can be initialised only once; ``--part`` chooses which of the two
calorimeters it simulates, so that it is run twice (a minute and a quarter of an hour), and the second run adds to the
file of the first: ``isotropic`` in the calorimeter itself, ``directed`` in one of three times the depth.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

if __name__ != "__main__":
    raise ImportError("ecalnb.simulation.geant4.responses is a program for a process of its own")

from ecalnb.geometry import AMS
from ecalnb.simulation.geant4.data import data_directory
from ecalnb.simulation.ionisation import in_fibre
from ecalnb.simulation.response_library import Sources, read_sources, write_responses
from ecalnb.simulation.responses import responses_provenance
from ecalnb.simulation.scale import FIBRES
from ecalnb.simulation.secondaries import SLOW_ENERGIES

os.environ["GEANT4_DATA_DIR"] = str(data_directory().path)  # before geant4_pybind is imported

import geant4_pybind as g4

from ecalnb.simulation.geant4.detector import DEPOSIT, SENSITIVE, EcalConstruction
from ecalnb.simulation.geant4.physics import EcalPhysics, apply_settings
from ecalnb.simulation.geant4.run import version

CUT = 0.1  # mm
ELECTRON_MASS = 0.51099895e-3  # GeV
AT_REST = 1e-6  # GeV
SOURCE_WIDTH = 36.0  # mm: four cells about the middle
PARTICLES = {"neutron": "neutron", "gamma": "gamma", "proton": "proton", "deuteron": "deuteron", "alpha": "alpha"}
PARTICLES |= {"pi-_at_rest": "pi-", "pi+_at_rest": "pi+", "gamma_down": "gamma", "electron_down": "e-"}
PARTICLES |= {f"{name}_fibre": name for name in ("proton", "deuteron", "alpha")}
SOFT_PHOTONS = tuple(0.008 * 2**i for i in range(11))  # GeV
KNOCKED_ON = tuple(0.25e-3 * 2**i for i in range(13))

# Responses of each species and energy: of all layers together in the first part, of both zones in the second.
ISOTROPIC: dict[tuple[str, float], int] = {
    **{(name, energy): 2700 for name in ("neutron", "gamma") for energy in SLOW_ENERGIES[name]},
    **{(name, energy): 1800 for name in ("proton", "deuteron", "alpha") for energy in SLOW_ENERGIES[name]},
    **{(f"{name}_fibre", energy): 1800 for name in ("proton", "deuteron", "alpha") for energy in SLOW_ENERGIES[name]},
    **{(name, AT_REST): 1800 for name in ("pi-_at_rest", "pi+_at_rest")},
}
DIRECTED: dict[tuple[str, float], int] = {
    **{("gamma_down", energy): 1400 if energy < 1.5 else 700 if energy < 5 else 400 for energy in SOFT_PHOTONS},
    **{("electron_down", energy): 2000 if energy < 3e-3 else 800 for energy in KNOCKED_ON},
}
DEEP = replace(AMS, name="three times the depth", views=AMS.views[:16] * 3 + AMS.views[:6])


class Gun(g4.G4VUserPrimaryGeneratorAction):
    """Shoots the particle that is set from the place that is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gun = g4.G4ParticleGun(1)

    def set(self, name: str, energy: float, position: list[float], direction: list[float]) -> None:
        """Particle, kinetic energy (GeV), position (mm) and direction."""
        self.gun.SetParticleDefinition(g4.G4ParticleTable.GetParticleTable().FindParticle(name))
        self.gun.SetParticleEnergy(energy * g4.GeV)
        self.gun.SetParticlePosition(g4.G4ThreeVector(*position))
        self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(*direction))

    def GeneratePrimaries(self, event: Any) -> None:
        """Do what Geant4 asks for."""
        self.gun.GeneratePrimaryVertex(event)


class Collector(g4.G4UserEventAction):
    """Keeps the cells of the last event: index and energy, MeV."""

    def __init__(self) -> None:
        super().__init__()
        self.hits: list[tuple[int, float]] = []

    def EndOfEventAction(self, event: Any) -> None:
        """Do what Geant4 asks for."""
        collection = g4.G4SDManager.GetSDMpointer().GetCollectionID(f"{SENSITIVE}/{DEPOSIT}")
        self.hits = list(event.GetHCofThisEvent().GetHC(collection))


class Actions(g4.G4VUserActionInitialization):
    """Hands both to Geant4."""

    def __init__(self, gun: Gun, collector: Collector) -> None:
        super().__init__()
        self.gun, self.collector = gun, collector

    def Build(self) -> None:
        """Do what Geant4 asks for."""
        self.SetUserAction(self.gun)
        self.SetUserAction(self.collector)


def direction_of(species: str, energy: float, generator: np.random.Generator) -> list[float]:
    """Down for photons; at the angle of elastic scattering for electrons that are knocked on; else anywhere."""
    if species == "gamma_down":
        return [0.0, 0.0, 1.0]
    if species == "electron_down":
        cosine = math.sqrt(energy / (energy + 2 * ELECTRON_MASS))
    else:
        cosine = generator.uniform(-1, 1)
    azimuth, sine = generator.uniform(0, 2 * math.pi), math.sqrt(1 - cosine**2)
    return [sine * math.cos(azimuth), sine * math.sin(azimuth), cosine]


def response(
    hits: list[tuple[int, float]], start: int, position: list[float], views: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """Cells relative to the start, mirrored so that the start is in the lower half of its cell."""
    if not hits:
        return np.empty((0, 3))
    layer, cell = np.divmod(np.array([index for index, _ in hits]), AMS.n_cells)
    energy = np.array([energy for _, energy in hits]) * (1e-3 / FIBRES)
    place = np.where(np.array(views)[layer] == "x", position[0], position[1]) / AMS.cell_pitch + AMS.n_cells / 2
    side = np.where(place % 1 < 0.5, 1, -1)
    return np.column_stack([layer - start, side * (cell - np.floor(place)), energy])


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(prog="python -m ecalnb.simulation.geant4.responses", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write or to add to, .npz")
    parser.add_argument("--part", choices=("isotropic", "directed"), required=True, help="what to simulate")
    parser.add_argument("--seed", type=int, default=1, help="seed of all random numbers")
    parser.add_argument("--scale", type=float, default=1.0, help="times the packaged number of responses")
    options = parser.parse_args()

    directed = options.part == "directed"
    geometry = DEEP if directed else AMS
    generator = np.random.default_rng(options.seed)
    manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.SerialOnly)
    command = g4.G4UImanager.GetUIpointer().ApplyCommand
    command("/control/verbose 0")
    command("/run/verbose 0")
    construction = EcalConstruction(geometry, homogenised=False)
    manager.SetUserInitialization(construction)
    physics = EcalPhysics("FTFP_BERT")
    manager.SetUserInitialization(physics)
    apply_settings(CUT)
    gun, collector = Gun(), Collector()
    actions = Actions(gun, collector)
    manager.SetUserInitialization(actions)
    seeds = generator.integers(1, 2**31, 2)
    command(f"/random/setSeeds {seeds[0]} {seeds[1]}")
    manager.Initialize()
    sources: Sources = {}
    provenance: dict[str, Any] = {}
    if options.output.is_file():
        sources, provenance = read_sources(options.output), responses_provenance(options.output)
    for (species, energy), number in (DIRECTED if directed else ISOTROPIC).items():
        zones: list[list[npt.NDArray[np.float64]]] = [[] for _ in range(2 if directed else geometry.n_layers)]
        for event in range(max(round(options.scale * number), len(zones))):
            start = event % len(zones) + (16 if directed else 0)
            while True:
                x, y = generator.uniform(-SOURCE_WIDTH / 2, SOURCE_WIDTH / 2, 2)
                z = (start + generator.random()) * geometry.layer_thickness
                if in_fibre(x if geometry.views[start] == "x" else y, z) == species.endswith("_fibre"):
                    break
            position = [float(x), float(y), float(z)]
            gun.set(PARTICLES[species], energy, position, direction_of(species, energy, generator))
            manager.BeamOn(1)
            zones[event % len(zones)].append(response(collector.hits, start, position, geometry.views))
        sources[species, energy] = zones
        print(f"{species} {energy:g} GeV", flush=True)  # noqa: T201  progress
    provenance[options.part] = {
        "geant4": version(),
        "data": data_directory().description,
        "physics": "FTFP_BERT",
        "geometry": f"explicit fibres, {geometry.n_layers} layers",
        "cut_mm": CUT,
        "seed": options.seed,
        "scale": options.scale,
    }
    write_responses(options.output, sources, provenance)


main()
sys.stdout.flush()
os._exit(0)  # Geant4 may crash when it is taken down

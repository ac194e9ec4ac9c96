"""One Geant4 process: ``python -m ecalnb.simulation.geant4.worker FOLDER``; :mod:`.run` starts it.

Reads ``settings.json`` and ``events.npz`` of the folder, prints a line after each event, and writes ``showers.npz``:
``images``, energy deposits by cell in MeV (their light, with Birks' law), shape (n, n_layers, n_cells), float32,
``interaction_depth``, mm, NaN where the primary had no inelastic interaction, and ``weight``, 0 where importance
sampling has ended the event before its time.
"""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

if __name__ != "__main__":
    raise ImportError("ecalnb.simulation.geant4.worker is a program for a process of its own; use run_geant4")

import geant4_pybind as g4

from ecalnb.geometry import Calorimeter
from ecalnb.simulation.geant4.birks import quenching, slow_bins
from ecalnb.simulation.geant4.detector import DEPOSIT, SENSITIVE, EcalConstruction, cell_energies
from ecalnb.simulation.geant4.physics import EcalPhysics, apply_settings
from ecalnb.simulation.geant4.roulette import Roulette

START_ABOVE = 1.0  # mm, so that the particle enters through the front face


class Gun(g4.G4VUserPrimaryGeneratorAction):
    """Shoots the event that is set: (pdg, kinetic energy GeV, x mm, y mm, slope x, slope y)."""

    def __init__(self) -> None:
        super().__init__()
        self.gun = g4.G4ParticleGun(1)
        self.event: tuple[float, ...] = ()

    def GeneratePrimaries(self, event: Any) -> None:
        """Do what Geant4 calls this for."""
        pdg, energy, x, y, slope_x, slope_y = self.event
        self.gun.SetParticleDefinition(particle(int(pdg)))
        self.gun.SetParticleEnergy(energy * g4.GeV)
        self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(slope_x, slope_y, 1).unit())
        start = g4.G4ThreeVector(x - START_ABOVE * slope_x, y - START_ABOVE * slope_y, -START_ABOVE)
        self.gun.SetParticlePosition(start)
        self.gun.GeneratePrimaryVertex(event)


class Collector(g4.G4UserEventAction):
    """Puts the cells of each event into its image: collections of deposits, by name, with their weights."""

    def __init__(self, images: Any) -> None:
        super().__init__()
        self.images = images
        self.number = 0
        self.weights = {DEPOSIT: 1.0}

    def EndOfEventAction(self, event: Any) -> None:
        """Do what Geant4 calls this for."""
        for name, weight in self.weights.items():
            collection = g4.G4SDManager.GetSDMpointer().GetCollectionID(f"{SENSITIVE}/{name}")
            cell_energies(event, collection, self.images[self.number], weight)


class Primary(g4.G4UserTrackingAction):
    """Notes the depth, mm, at which the primary ended in an inelastic interaction."""

    def __init__(self, roulette: Roulette | None) -> None:
        super().__init__()
        self.depth = math.nan
        self.roulette = roulette

    def PostUserTrackingAction(self, track: Any) -> None:
        """Do what Geant4 calls this for."""
        if track.GetTrackID() != 1:
            return
        process = track.GetStep().GetPostStepPoint().GetProcessDefinedStep()
        inelastic = process is not None and process.GetProcessName().endswith("Inelastic")
        self.depth = track.GetPosition().z if inelastic else math.nan
        if self.roulette:
            self.roulette.after_primary(self.depth)


class Actions(g4.G4VUserActionInitialization):
    """Hands them to Geant4."""

    def __init__(self, *actions: Any) -> None:
        super().__init__()
        self.actions = actions

    def Build(self) -> None:
        """Do what Geant4 calls this for."""
        for action in self.actions:
            self.SetUserAction(action)


def particle(pdg: int) -> Any:
    """Particle of a PDG code; nuclei are 10LZZZAAAI."""
    if pdg > 1_000_000_000:
        return g4.G4IonTable.GetIonTable().GetIon(pdg // 10_000 % 1000, pdg // 10 % 1000, 0.0)
    found = g4.G4ParticleTable.GetParticleTable().FindParticle(pdg)
    if found is None:
        raise SystemExit(f"Geant4 knows no particle with the PDG code {pdg}")
    return found


def stopping_power(name: str, energy: float) -> float:
    """Electronic stopping power of polystyrene, MeV/mm, as Geant4 computes it, for a kinetic energy in MeV."""
    found = particle(1_000_060_120) if name == "C12" else g4.G4ParticleTable.GetParticleTable().FindParticle(name)
    material = g4.G4NistManager.Instance().FindOrBuildMaterial("G4_POLYSTYRENE")
    value = g4.G4EmCalculator().ComputeElectronicDEDX(energy * g4.MeV, found, material)
    return float(value / (g4.MeV / g4.mm))


def main(folder: Path) -> None:
    """Run the events of the folder."""
    settings = json.loads((folder / "settings.json").read_text())
    events = np.load(folder / "events.npz")
    geometry = Calorimeter(**settings["geometry"])
    images = np.zeros((len(events["primaries"]), geometry.n_layers * geometry.n_cells))
    depths, weights = np.full(len(images), np.nan), np.ones(len(images))
    manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.SerialOnly)
    command = g4.G4UImanager.GetUIpointer().ApplyCommand
    command("/control/verbose 0")
    command("/run/verbose 0")
    slow = tuple(slow_bins()) if settings["birks"] else ()
    construction = EcalConstruction(geometry, settings["homogenised"], slow)
    manager.SetUserInitialization(construction)
    manager.SetUserInitialization(EcalPhysics(settings["physics"]))
    apply_settings(settings["cut"])
    roulette = Roulette(settings["scale"]) if settings["importance"] else None
    gun, collector, primary = Gun(), Collector(images), Primary(roulette)
    manager.SetUserInitialization(Actions(gun, collector, primary, *([roulette] if roulette else [])))
    manager.Initialize()
    if slow:
        manager.BeamOn(0)  # stopping powers are there only once physics tables are
    # A part of the light is lost: its energy is taken off what all deposits add up to.
    factors = {part.name: quenching(part, settings["birks"], stopping_power) for part in slow}
    collector.weights |= {name: factor - 1 for name, factor in factors.items()}
    for number, (event, seeds) in enumerate(zip(events["primaries"], events["seeds"], strict=True)):
        # Seeds of its own for each event: it is the same in whatever process it is made.
        command(f"/random/setSeeds {seeds[0]} {seeds[1]}")
        gun.event, collector.number = tuple(map(float, event)), number
        if roulette:
            roulette.begin(gun.event, f"{seeds[0]} {seeds[1]}")
        manager.BeamOn(1)
        depths[number] = primary.depth
        weights[number] = roulette.weight if roulette else 1.0
        print("event", number, flush=True)  # noqa: T201  what the parent waits for
    cells = np.maximum(images, 0).reshape(-1, *geometry.shape).astype(np.float32)  # less than 0 by rounding
    np.savez(folder / "showers.npz", images=cells, interaction_depth=depths, weight=weights)


main(Path(sys.argv[1]))
sys.stdout.flush()
os._exit(0)  # Geant4 may crash when it is taken down

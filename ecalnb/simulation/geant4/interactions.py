"""Record inelastic interactions of hadrons with Geant4, for the fast simulation's library.

``python -m ecalnb.simulation.geant4.interactions -o FILE`` writes what :mod:`ecalnb.simulation.interactions` reads. It
is a program for a process of its own, because Geant4 can be initialised only once; it takes some 15 minutes.

Projectiles are shot into a large block of the calorimeter's mean material. The physics list has hadronic inelastic
processes and nothing else, so that a projectile keeps its energy until it interacts and all its secondaries come from
that interaction; they are recorded as they are put on Geant4's stack, and killed.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

if __name__ != "__main__":
    raise ImportError("ecalnb.simulation.geant4.interactions is a program for a process of its own")

from ecalnb.geometry import Calorimeter
from ecalnb.simulation.geant4.data import data_directory
from ecalnb.simulation.interactions import PROJECTILES, pack_interactions
from ecalnb.simulation.secondaries import Secondaries, representative, sort_secondaries

os.environ["GEANT4_DATA_DIR"] = str(data_directory().path)  # before geant4_pybind is imported

import geant4_pybind as g4

from ecalnb.simulation.geant4.detector import EcalConstruction
from ecalnb.simulation.geant4.physics import HADRONIC
from ecalnb.simulation.geant4.run import version

NAMES = {"p": "proton", "n": "neutron", "pi+": "pi+", "pi-": "pi-", "K+": "kaon+", "K-": "kaon-", "K0L": "kaon0L"}
NAMES["pbar"] = "anti_proton"

# Kinetic energies, GeV, and how many interactions of each are packaged. Lengths come from all that are simulated.
PROTON_LOW, PROTON_HIGH = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2), (5, 10, 20, 40, 80, 160, 320, 640, 1300, 2600)
PROTON_EXTREME = (5200, 10400, 25000, 50000)
DOUBLING, QUADRUPLING = tuple(0.1 * 2**i for i in range(18)), tuple(0.1 * 4**i for i in range(9))
PACKAGED: dict[tuple[str, float], int] = {
    **{("p", e): 400 for e in PROTON_LOW},
    **{("p", e): 1200 for e in PROTON_HIGH},
    **{("p", e): 700 for e in PROTON_EXTREME},
    **{("n", e): 280 for e in (0.02, 0.05)},
    **{(name, e): 280 for name in ("n", "pi+", "pi-") for e in DOUBLING},
    **{(name, e): 100 for name in ("K+", "K-", "K0L", "pbar") for e in QUADRUPLING},
}
SIMULATED_PER_PACKAGED = 3
BLOCK = Calorimeter("block", ("x",), 1, 1e5, 1e5, 1e4, 400.0)  # 100 m: nothing leaves it without an interaction
START = 1.0  # mm below the face of the block


class HadronInelastic(g4.G4VModularPhysicsList):
    """Inelastic processes of hadrons, and particles; their decays are turned off once Geant4 is initialised."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._keep: list[Any] = [g4.G4DecayPhysics(), HADRONIC[name]()]
        for constructor in self._keep:
            self.RegisterPhysics(constructor)
        self.SetVerboseLevel(0)


class Gun(g4.G4VUserPrimaryGeneratorAction):
    """Shoots the projectile that is set along the depth."""

    def __init__(self) -> None:
        super().__init__()
        self.gun = g4.G4ParticleGun(1)
        self.gun.SetParticlePosition(g4.G4ThreeVector(0, 0, START))
        self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(0, 0, 1))

    def set(self, name: str, energy: float) -> None:
        """Projectile and kinetic energy, GeV."""
        self.gun.SetParticleDefinition(g4.G4ParticleTable.GetParticleTable().FindParticle(name))
        self.gun.SetParticleEnergy(energy * g4.GeV)

    def GeneratePrimaries(self, event: Any) -> None:
        """Do what Geant4 asks for."""
        self.gun.GeneratePrimaryVertex(event)


@dataclass
class Recorded:
    """Secondaries of the events of a run: event, particle number, kinetic energy (GeV), direction, depth (mm)."""

    event: list[int] = field(default_factory=list)
    pdg: list[int] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)


class Stacking(g4.G4UserStackingAction):
    """Records secondaries as they are made, and kills them."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = Recorded()
        self.event = -1

    def ClassifyNewTrack(self, track: Any) -> Any:
        """Do what Geant4 asks for."""
        if track.GetParentID() == 0:
            self.event += 1
            return g4.G4ClassificationOfNewTrack.fUrgent
        direction = track.GetMomentumDirection()
        self.recorded.event.append(self.event)
        self.recorded.pdg.append(track.GetDefinition().GetPDGEncoding())
        self.recorded.values.append(
            (
                track.GetKineticEnergy() / g4.GeV,
                direction.x,
                direction.y,
                direction.z,
                track.GetPosition().z - START,
            )
        )
        return g4.G4ClassificationOfNewTrack.fKill


class Actions(g4.G4VUserActionInitialization):
    """Hands both to Geant4."""

    def __init__(self, gun: Gun, stacking: Stacking) -> None:
        super().__init__()
        self.gun, self.stacking = gun, stacking

    def Build(self) -> None:
        """Do what Geant4 asks for."""
        self.SetUserAction(self.gun)
        self.SetUserAction(self.stacking)


def entries(recorded: Recorded, packaged: int, generator: np.random.Generator) -> dict[str, Any]:
    """Entries of the library from a run, and the mean path to the interaction, mm."""
    _, event = np.unique(recorded.event, return_inverse=True)
    pdg, values = np.array(recorded.pdg, dtype=np.int64), np.array(recorded.values)
    borders = np.searchsorted(event, np.arange(event[-1] + 2))
    collected = Secondaries()
    for number in representative(event, pdg, values[:, 0], packaged):
        chosen = slice(borders[number], borders[number + 1])
        sort_secondaries(collected, pdg[chosen], values[chosen, 0], values[chosen, 1:4], generator)
    return collected.columns() | {"length": float(values[borders[:-1], 4].mean()), "n": len(borders) - 1}


def smooth_lengths(sets: dict[tuple[str, float], dict[str, Any]]) -> None:
    """Replace the mean paths of a projectile by a polynomial of the fifth order in the logarithm of the energy."""
    for name in PROJECTILES:
        keys = sorted(key for key in sets if key[0] == name)
        logarithm = np.log([energy for _, energy in keys])
        length = np.array([sets[key]["length"] for key in keys])
        weight = np.sqrt([sets[key]["n"] for key in keys]) / length
        smooth = np.polyval(np.polyfit(logarithm, length, 5, w=weight), logarithm)
        for key, value in zip(keys, smooth, strict=True):
            sets[key]["length"] = float(value)


def main() -> None:
    """Simulate, sort and write."""
    parser = argparse.ArgumentParser(prog="python -m ecalnb.simulation.geant4.interactions", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--physics", choices=sorted(HADRONIC), default="FTFP_BERT", help="physics list")
    parser.add_argument("--seed", type=int, default=1, help="seed of all random numbers")
    parser.add_argument("--scale", type=float, default=1.0, help="times the packaged number of interactions")
    options = parser.parse_args()

    generator = np.random.default_rng(options.seed)
    manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.SerialOnly)
    command = g4.G4UImanager.GetUIpointer().ApplyCommand
    for line in ("/control/verbose 0", "/run/verbose 0", "/process/had/verbose 0"):
        command(line)
    construction, physics = EcalConstruction(BLOCK, homogenised=True), HadronInelastic(options.physics)
    manager.SetUserInitialization(construction)
    manager.SetUserInitialization(physics)
    gun, stacking = Gun(), Stacking()
    actions = Actions(gun, stacking)
    manager.SetUserInitialization(actions)
    seeds = generator.integers(1, 2**31, 2)
    command(f"/random/setSeeds {seeds[0]} {seeds[1]}")
    manager.Initialize()
    command("/process/inactivate Decay")
    sets: dict[tuple[str, float], dict[str, Any]] = {}
    for (name, energy), number in PACKAGED.items():
        packaged = max(round(options.scale * number), 1)
        stacking.recorded = Recorded()
        gun.set(NAMES[name], energy)
        manager.BeamOn(SIMULATED_PER_PACKAGED * packaged)
        sets[name, energy] = entries(stacking.recorded, packaged, generator)
        print(f"{name} {energy:g} GeV: {sets[name, energy]['length']:.0f} mm", flush=True)  # noqa: T201  progress
    smooth_lengths(sets)
    provenance = {
        "geant4": version(),
        "data": data_directory().description,
        "physics": f"{options.physics}, inelastic processes only",
        "material": "lead, polystyrene and glue as 1 : 0.57 : 0.15 by volume, mixed",
        "cuts": "none: everything but the projectile is killed when made",
        "seed": options.seed,
        "simulated": {f"{name} {energy:g} GeV": part["n"] for (name, energy), part in sets.items()},
        "interactions": {f"{name} {energy:g} GeV": len(part["light"]) for (name, energy), part in sets.items()},
    }
    pack_interactions(options.output, sets, provenance)


main()
sys.stdout.flush()
os._exit(0)  # Geant4 may crash when it is taken down

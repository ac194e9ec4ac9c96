"""The calorimeter as Geant4 volumes. Imported only where Geant4 runs.

A layer is a row of cells; a cell is a stack of slabs, in which round fibres lie side by side in a mixture of lead and
glue, neighbouring slabs staggered by half a pitch. The borders of slabs and pitches end steps, and that matters: with
the fibres put straight into a layer Geant4 is 1.5 times faster and sees 2 % more energy in them (10.21 +- 0.02 GeV
where it is 10.0 here), because its multiple scattering depends on the length of steps.

In the homogenised calorimeter a cell is filled with the mean material instead, which is several times faster; all
energy deposits then count, and sampling fluctuations are absent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import geant4_pybind as g4

from ...geometry import Calorimeter
from .birks import IONS, SlowBin

__all__ = ["EcalConstruction", "cell_energies"]

# Volumes of lead, fibre and glue: Adloff et al., NIM A 714 (2013) 147. Densities in g/cm3.
VOLUMES = {"lead": 1.0, "fibre": 0.57, "glue": 0.15}
DENSITIES = {"lead": 11.35, "fibre": 1.06, "glue": 1.15}
GLUE = {"C": 0.72, "H": 0.08, "O": 0.20}  # epoxy, fractions of the mass
FIBRE_RADIUS = 0.5  # mm
# Distances that whole numbers of fibres in a cell come closest to: 1.35 mm side by side and 1.73 mm between rows in the
# instrument. Here the product matters, because it sets the share of the fibres in the volume.
PITCH, ROW = 1.29, 1.85  # mm
SENSITIVE = "ecal"
DEPOSIT = "energy"
CLEARANCE = 0.01  # mm, between the end of a fibre and the wall


class EcalConstruction(g4.G4VUserDetectorConstruction):
    """Build the calorimeter with its front face at z = 0 and +z downwards, along ``depth`` of :mod:`ecalnb.geometry`.

    Parameters
    ----------
    geometry : Calorimeter
        Layers, views, cells and their sizes.
    homogenised : bool
        Mean material instead of fibres.
    slow : sequence of SlowBin
        Particles and bins of energy whose energy is added up by itself, too, under the name of the bin.
    """

    def __init__(self, geometry: Calorimeter, homogenised: bool, slow: Sequence[SlowBin] = ()) -> None:
        super().__init__()
        self.geometry = geometry
        self.homogenised = homogenised
        self.slow = slow
        self.sensitive: list[Any] = []
        self.levels = (1, 0, 2) if homogenised else (4, 3, 5)  # of layer, cell and calorimeter above what is sensitive
        self._keep: list[Any] = []  # Geant4 does not own what Python makes

    def Construct(self) -> Any:
        """Build all volumes; called by Geant4."""
        geometry = self.geometry
        width, thickness = geometry.width, geometry.thickness
        self._materials()
        world = self._box("World", 4 * width, 4 * width, 4 * width, self.vacuum)
        calorimeter = self._box("Calorimeter", width, width, thickness, self.filling)
        self._place(calorimeter, world, z=thickness / 2)
        rotation = g4.G4RotationMatrix()
        rotation.rotateZ(-math.pi / 2)  # cells of such a layer follow each other along +y
        self._keep.append(rotation)
        layers = [self._layer(parity) for parity in range(2)]
        for number, view in enumerate(geometry.views):
            z = (number + 0.5) * geometry.layer_thickness - thickness / 2
            self._place(layers[number % 2], calorimeter, z=z, number=number, rotation=rotation if view == "y" else None)
        top = g4.G4PVPlacement(None, g4.G4ThreeVector(0, 0, 0), world, "World", None, False, 0)
        self._keep.append(top)
        return top

    def ConstructSDandField(self) -> None:
        """Let Geant4 add up the energy by cell; called by Geant4."""
        detector = g4.G4MultiFunctionalDetector(SENSITIVE)
        shape = *self.geometry.shape, 1
        deposits = [g4.G4PSEnergyDeposit3D(DEPOSIT, *shape, *self.levels)]
        for part in self.slow:
            deposit, only = g4.G4PSEnergyDeposit3D(part.name, *shape, *self.levels), _filter(part)
            deposit.SetFilter(only)
            deposits.append(deposit)
            self._keep.append(only)
        for deposit in deposits:
            detector.RegisterPrimitive(deposit)
        g4.G4SDManager.GetSDMpointer().AddNewDetector(detector)
        for volume in self.sensitive:
            self.SetSensitiveDetector(volume, detector)
        self._keep += [detector, *deposits]

    def _materials(self) -> None:
        nist = g4.G4NistManager.Instance()
        glue = g4.G4Material("Glue", DENSITIES["glue"] * g4.g / g4.cm3, len(GLUE))
        for symbol, fraction in GLUE.items():
            glue.AddElement(nist.FindOrBuildElement(symbol), fraction)
        self.vacuum = nist.FindOrBuildMaterial("G4_Galactic")
        self.fibre = nist.FindOrBuildMaterial("G4_POLYSTYRENE")
        parts = {"lead": nist.FindOrBuildMaterial("G4_Pb"), "fibre": self.fibre, "glue": glue}
        if not self.homogenised:
            del parts["fibre"]
        volume = sum(VOLUMES[name] for name in parts)
        mass = sum(VOLUMES[name] * DENSITIES[name] for name in parts)
        self.filling = g4.G4Material("Filling", mass / volume * g4.g / g4.cm3, len(parts))
        for name, material in parts.items():
            self.filling.AddMaterial(material, VOLUMES[name] * DENSITIES[name] / mass)
        self._keep.append(glue)

    def _layer(self, parity: int) -> Any:
        geometry = self.geometry
        size = geometry.width, geometry.layer_thickness
        layer = self._box(f"Layer{parity}", size[0], *size, self.filling)
        cell = self._box(f"Cell{parity}", geometry.cell_pitch, *size, self.filling)
        self._replicate(cell, layer, geometry.n_cells, geometry.cell_pitch)
        if self.homogenised:
            self.sensitive.append(cell)
        else:
            self._fill_with_fibres(cell, parity)
        return layer

    def _fill_with_fibres(self, cell: Any, parity: int) -> None:
        geometry = self.geometry
        rows, columns = round(geometry.layer_thickness / ROW), round(geometry.cell_pitch / PITCH)
        height, pitch = geometry.layer_thickness / rows, geometry.cell_pitch / columns
        upright = g4.G4RotationMatrix()
        upright.rotateX(math.pi / 2)  # along the cell
        self._keep.append(upright)
        slabs = []
        # A slab that is shifted by half a pitch has two half fibres in each pitch.
        for kind, fibres in enumerate(([(0, 360, 0.0)], [(-90, 180, -pitch / 2), (90, 180, pitch / 2)])):
            name = f"{cell.GetName()}Slab{kind}"
            slab = self._box(name, geometry.cell_pitch, geometry.width, height, self.filling)
            lane = self._box(f"{name}Lane", pitch, geometry.width, height, self.filling)
            self._replicate(lane, slab, columns, pitch)
            for start, angle, x in fibres:
                half_length = geometry.width / 2 - CLEARANCE
                solid = g4.G4Tubs(f"{name}Fibre", 0, FIBRE_RADIUS, half_length, start * g4.deg, angle * g4.deg)
                fibre = g4.G4LogicalVolume(solid, self.fibre, f"{name}Fibre")
                self._keep += [solid, fibre]
                self._place(fibre, lane, x=x, rotation=upright)
                self.sensitive.append(fibre)
            slabs.append(slab)
        first = parity * rows  # so that the stagger goes on from layer to layer
        for row in range(rows):
            z = (row + 0.5) * height - geometry.layer_thickness / 2
            self._place(slabs[(first + row) % 2], cell, z=z, number=row)

    def _box(self, name: str, x: float, y: float, z: float, material: Any) -> Any:
        solid = g4.G4Box(name, x / 2, y / 2, z / 2)
        volume = g4.G4LogicalVolume(solid, material, name)
        self._keep += [solid, volume]
        return volume

    def _place(
        self, volume: Any, mother: Any, *, x: float = 0.0, z: float = 0.0, number: int = 0, rotation: Any = None
    ) -> None:
        name = volume.GetName()
        position = g4.G4ThreeVector(x, 0, z)
        self._keep.append(g4.G4PVPlacement(rotation, position, volume, name, mother, False, number))

    def _replicate(self, volume: Any, mother: Any, n: int, step: float) -> None:
        self._keep.append(g4.G4PVReplica(volume.GetName(), volume, mother, g4.EAxis.kXAxis, n, step))


def _filter(part: SlowBin) -> Any:
    if part.particle != "ion":
        only = g4.G4SDParticleWithEnergyFilter(part.name, part.low * g4.MeV, part.high * g4.MeV)
        only.add(part.particle)
        return only
    ions = g4.G4SDParticleFilter(part.name)
    for z, a in IONS:
        ions.addIon(z, a)
    return ions


def cell_energies(event: Any, collection: int, image: Any, weight: float = 1.0) -> None:
    """Add the energy deposits of an event, MeV, times ``weight``, to a flat image."""
    for index, energy in event.GetHCofThisEvent().GetHC(collection):
        image[index] += weight * energy

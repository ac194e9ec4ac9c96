"""Physics lists, put together from their constructors. Imported only where Geant4 runs."""

from __future__ import annotations

from typing import Any

import geant4_pybind as g4

__all__ = ["EcalPhysics", "apply_settings"]

HADRONIC = {"FTFP_BERT": g4.G4HadronPhysicsFTFP_BERT, "QGSP_BERT": g4.G4HadronPhysicsQGSP_BERT}


class EcalPhysics(g4.G4VModularPhysicsList):
    """The reference physics list of a name, from its constructors: the bindings have no processes or models."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._keep: list[Any] = [
            g4.G4EmStandardPhysics(),
            g4.G4EmExtraPhysics(),
            g4.G4DecayPhysics(),
            g4.G4HadronElasticPhysics(),
            HADRONIC[name](),
            g4.G4StoppingPhysics(),
            g4.G4IonPhysics(),
            g4.G4NeutronTrackingCut(),
        ]
        for constructor in self._keep:
            self.RegisterPhysics(constructor)
        self.SetVerboseLevel(0)


def apply_settings(cut: float) -> None:
    """Set the range cut in mm, and turn off what the reduced data sets cannot do and what fills the screen."""
    commands = (
        "/process/em/fluo false",  # atomic de-excitation: its lines do not leave the lead
        "/process/em/auger false",
        "/process/em/pixe false",
        "/process/em/verbose 0",
        "/process/had/verbose 0",
        f"/run/setCut {cut} mm",
    )
    for command in commands:
        g4.G4UImanager.GetUIpointer().ApplyCommand(command)

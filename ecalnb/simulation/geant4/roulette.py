"""Importance sampling inside Geant4: the actions that play Russian roulette. Imported only where Geant4 runs."""

from __future__ import annotations

from typing import Any

import geant4_pybind as g4

from .detector import DEPOSIT, SENSITIVE
from .importance import FAST, Chance, Skeleton, probability_after_hadrons, probability_after_primary

__all__ = ["Roulette"]

URGENT, WAITING = g4.G4ClassificationOfNewTrack.fUrgent, g4.G4ClassificationOfNewTrack.fWaiting
SHOWERING = {22, 11, -11}


class Roulette(g4.G4UserStackingAction):
    """Lets fast hadrons go first, and ends events by chance: after their primary, and after these hadrons.

    Parameters
    ----------
    scale : float
        GeV of the image for a MeV deposited.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.following_hadrons = True
        self.skeleton = Skeleton(0, 0, 0, 0)
        self.chance = Chance("")

    @property
    def weight(self) -> float:
        """Weight of the event; 0 if it has been ended before its time."""
        return self.chance.weight

    def begin(self, primary: tuple[float, ...], seed: str) -> None:
        """Get ready for an event: its primary, as the gun has it, and a seed for its random numbers."""
        self.following_hadrons = True
        self.skeleton = Skeleton(*primary[2:])
        self.chance = Chance(seed)

    def after_primary(self, depth: float) -> None:
        """Decide on an event whose primary has ended, after an interaction at this depth, mm (NaN: none)."""
        if not self.chance.goes_on(probability_after_primary(depth)):
            g4.G4EventManager.GetEventManager().AbortCurrentEvent()
        elif self.weight > 1:
            self.following_hadrons = False  # once is enough

    def ClassifyNewTrack(self, track: Any) -> Any:
        """Let photons, electrons and slow hadrons wait for fast hadrons; called by Geant4."""
        if not self.following_hadrons:
            return URGENT
        if track.GetDefinition().GetPDGEncoding() not in SHOWERING:
            return URGENT if track.GetKineticEnergy() > FAST else WAITING
        at, along = track.GetPosition(), track.GetMomentumDirection()
        self.skeleton.add(track.GetKineticEnergy(), (at.x, at.y, at.z), (along.x, along.y, along.z))
        return WAITING

    def NewStage(self) -> None:
        """Decide on an event whose fast hadrons have ended; called by Geant4 when all that is left has waited."""
        if not self.following_hadrons:
            return
        self.following_hadrons = False
        event = g4.G4EventManager.GetEventManager().GetNonconstCurrentEvent()
        collection = g4.G4SDManager.GetSDMpointer().GetCollectionID(f"{SENSITIVE}/{DEPOSIT}")
        hadronic = self.scale * sum(energy for _, energy in event.GetHCofThisEvent().GetHC(collection))
        probability = probability_after_hadrons(self.skeleton.core, self.skeleton.electromagnetic, hadronic)
        if not self.chance.goes_on(probability):
            g4.G4EventManager.GetEventManager().GetStackManager().clear()

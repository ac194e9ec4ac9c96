"""Importance sampling inside Geant4: the actions that play Russian roulette. Imported only where Geant4 runs."""

from __future__ import annotations

import random
from typing import Any

import geant4_pybind as g4

from .detector import DEPOSIT, SENSITIVE
from .importance import FAST, Skeleton, probability_after_hadrons, probability_after_primary

__all__ = ["Roulette"]

URGENT, WAITING = g4.G4ClassificationOfNewTrack.fUrgent, g4.G4ClassificationOfNewTrack.fWaiting
SHOWERING = {22, 11, -11}


class Roulette(g4.G4UserStackingAction):
    """Lets hadrons go first, and ends events by chance: after their primary, and after their hadrons.

    Parameters
    ----------
    scale : float
        GeV of the image for a MeV deposited.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = 1.0
        self.following_hadrons = True
        self.skeleton = Skeleton(0, 0, 0, 0)
        self.chance = random.Random()

    def begin(self, x: float, y: float, slope_x: float, slope_y: float, seeds: tuple[int, int]) -> None:
        """Get ready for an event: its track, and its seeds, so that it has random numbers of its own."""
        self.weight, self.following_hadrons = 1.0, True
        self.skeleton = Skeleton(x, y, slope_x, slope_y)
        self.chance = random.Random(f"{seeds[0]} {seeds[1]}")

    def after_primary(self, depth: float) -> None:
        """Decide on an event whose primary has ended, after an interaction at this depth, mm (NaN: none)."""
        if not self._goes_on(probability_after_primary(depth)):
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
        """Decide on an event whose hadrons have ended; called by Geant4 when nothing is left but what waits."""
        if not self.following_hadrons:
            return
        self.following_hadrons = False
        event = g4.G4EventManager.GetEventManager().GetNonconstCurrentEvent()
        collection = g4.G4SDManager.GetSDMpointer().GetCollectionID(f"{SENSITIVE}/{DEPOSIT}")
        hadronic = self.scale * sum(energy for _, energy in event.GetHCofThisEvent().GetHC(collection))
        probability = probability_after_hadrons(self.skeleton.core, self.skeleton.electromagnetic, hadronic)
        if not self._goes_on(probability):
            g4.G4EventManager.GetEventManager().GetStackManager().clear()

    def _goes_on(self, probability: float) -> bool:
        goes_on = self.chance.random() < probability
        self.weight = self.weight / probability if goes_on else 0.0
        return goes_on

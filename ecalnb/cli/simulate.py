"""``ecalnb simulate``."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["simulate"]


class EngineName(StrEnum):
    """What simulates."""

    fast = "fast"
    geant4 = "geant4"


class Importance(StrEnum):
    """Importance sampling of Geant4."""

    emlike = "emlike"


class PhysicsList(StrEnum):
    """Hadronic models of Geant4."""

    FTFP_BERT = "FTFP_BERT"
    QGSP_BERT = "QGSP_BERT"


def simulate(
    particle: Annotated[
        str,
        typer.Argument(
            help="electron, positron, photon, proton, pion+, helium4...; electron,proton: mixed by their fluxes."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ROOT file to write.")],
    n: Annotated[int, typer.Option("-n", min=1, help="Number of events.")],
    energy: Annotated[
        str, typer.Option("--energy", "-E", help="Kinetic energy in GeV: 100, or the limits of a spectrum, 5:100.")
    ],
    spectrum: Annotated[
        str, typer.Option(help="Spectrum between the limits: dN/dE proportional to E to this power; or ams, the flux.")
    ] = "-1",
    angle: Annotated[float, typer.Option(help="Largest angle from the vertical, degrees; 0: a vertical beam.")] = 25.0,
    reach: Annotated[
        float, typer.Option(help="Tracks enter and leave within this distance of the axis in x and y, mm.")
    ] = 300.0,
    engine: Annotated[
        EngineName, typer.Option(help="fast: thousands of events a second; geant4: seconds an event.")
    ] = (EngineName.fast),
    detector: Annotated[
        str, typer.Option(help="Detector response: nominal, flight, ideal for none, or a .toml file.")
    ] = "nominal",
    keep: Annotated[
        str, typer.Option(help="Keep events that meet a condition, e.g. 'en3d >= 200'; all unless told.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Blocks of events to simulate at a time.")] = 1,
    homogenised: Annotated[
        bool, typer.Option("--homogenised", help="Geant4: mean material instead of fibres, which is faster.")
    ] = False,
    cut: Annotated[
        float | None, typer.Option(help="Geant4: range cut, mm; 0.1, or 0.7 with --homogenised, unless told.")
    ] = None,
    physics: Annotated[PhysicsList | None, typer.Option(help="Geant4: physics list; FTFP_BERT unless told.")] = None,
    birks: Annotated[
        float | None, typer.Option(help="Geant4: Birks' constant of the fibres, mm/MeV, e.g. 0.123; 0 unless told.")
    ] = None,
    importance: Annotated[
        Importance | None,
        typer.Option(help="Geant4: follow hadrons that begin like an electron, and few others; events get weights."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file and blocks of another run that are there.")
    ] = False,
) -> None:
    """Simulate events into a ROOT file in the layout of AMS's ntuples.

    An interrupted run goes on when it is started again. The same seed gives the same events, whatever --jobs is. For
    example

        ecalnb simulate electron -n 10000 -E 5:100 -o electrons.root
        ecalnb simulate proton -n 100 -E 100 --engine geant4 --jobs 2 -o protons.root
    """
    from ..simulation import simulate_to_file

    names = [name.strip() for name in particle.split(",")]
    settings: dict[str, Any] = {}
    if homogenised:
        settings["homogenised"] = True
    if cut is not None:
        settings["cut"] = cut
    if physics is not None:
        settings["physics"] = physics.value
    if birks is not None:
        settings["birks"] = birks
    if importance is not None:
        settings["importance"] = importance.value
    written = simulate_to_file(
        output,
        names[0] if len(names) == 1 else names,
        n,
        jobs=jobs,
        overwrite=overwrite,
        energy=_energy(energy),
        spectrum=_spectrum(spectrum),
        angle=math.radians(angle),
        reach=reach,
        engine=engine.value,
        detector=detector,
        keep=keep,
        seed=seed,
        **settings,
    )
    typer.echo(f"{output}: {written:,} {particle} events")


def _energy(text: str) -> float | tuple[float, float]:
    try:
        values = [float(part) for part in text.split(":")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise typer.BadParameter(f"--energy is {text!r}; expected a number of GeV, or two limits such as 5:100.")
    return values[0] if len(values) == 1 else (values[0], values[1])


def _spectrum(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

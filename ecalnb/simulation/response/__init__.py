"""Detector response: what the readout, and what a simulation leaves out, make of the energy in the fibres.

A detector is a set of effects in the order of nature, each with parameters of its own, in ``data/detectors.toml`` or a
TOML file of the user's. The response is applied to the events of either engine alike.
"""

from .calibration import Calibration, Equalisation
from .detector import EFFECTS, Detector, find_detector, load_detectors
from .effect import Circumstances, Effect
from .electronics import DeadChannels, Digitisation, Noise, Saturation
from .events import apply, respond
from .light import Attenuation, AttenuationCorrection, CrossTalk, PhotoStatistics
from .showershape import ShowerDepth, ShowerWidth

__all__ = [
    "EFFECTS",
    "Attenuation",
    "AttenuationCorrection",
    "Calibration",
    "Circumstances",
    "CrossTalk",
    "DeadChannels",
    "Detector",
    "Digitisation",
    "Effect",
    "Equalisation",
    "Noise",
    "PhotoStatistics",
    "Saturation",
    "ShowerDepth",
    "ShowerWidth",
    "apply",
    "find_detector",
    "load_detectors",
    "respond",
]

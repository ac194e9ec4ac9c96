"""Particle identification and reconstruction with the AMS-02 electromagnetic calorimeter.

Showers are read from ROOT ntuples (:mod:`ecalnb.ntuples`), selected (:mod:`ecalnb.selection`), put in a training
store (:mod:`ecalnb.store`), scored by a model (:mod:`ecalnb.models`, :mod:`ecalnb.training`) and judged
(:mod:`ecalnb.metrics`). The notebooks tell the story; see ``ecalnb lab``.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]

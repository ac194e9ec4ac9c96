"""The other subdetectors: what tracker, TRD, TOF and anti-coincidence counters record of an event.

They are parameterised: published resolutions where there are any, and models whose few numbers are stated and reasoned
in ``data/subdetectors.toml``. They are not AMS's simulation.
"""

from .measurement import checksum, measure

__all__ = ["checksum", "measure"]

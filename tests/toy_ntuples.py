"""Branches of toy ntuples."""

import awkward as ak
import numpy as np


def vector(values, counts=None) -> ak.Array:
    values = np.asarray(values)
    return ak.unflatten(values, np.ones(len(values), int) if counts is None else np.asarray(counts))

"""How good a classifier is, in numbers with uncertainties.

Every function takes plain arrays, so that scores of this package, of the experiment and of anybody else's model are
judged alike. Interval statistics are those of :mod:`ecalnb.intervals`.
"""

from ..intervals import clopper_pearson, effective_counts
from .rejection import REJECTION_COLUMNS, rejection_curve, rejection_in_bins
from .roc import Auc, roc_auc

__all__ = [
    "REJECTION_COLUMNS",
    "Auc",
    "clopper_pearson",
    "effective_counts",
    "rejection_curve",
    "rejection_in_bins",
    "roc_auc",
]

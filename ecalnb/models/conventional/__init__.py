"""The experiment's own methods beside the networks: a BDT on shower variables, and a likelihood.

They take :class:`~ecalnb.showers.Showers`, not images alone, and are not modules of torch. They are made after AMS's
and are not AMS's, whose own scores are branches of its ntuples.
"""

from .bdt import BDTOptions, ShowerBDT, VariableTable
from .likelihood import LIKELIHOOD_VARIABLES, ShowerLikelihood
from .momentum import MomentumLikelihood

__all__ = ["LIKELIHOOD_VARIABLES", "METHODS", "BDTOptions", "MomentumLikelihood", "ShowerBDT", "ShowerLikelihood"]
__all__ += ["VariableTable"]

METHODS = {"shower_bdt": "BDT, 19 variables", "shower_likelihood": "likelihood"}
"""Names of the methods, and their titles in tables and figures."""

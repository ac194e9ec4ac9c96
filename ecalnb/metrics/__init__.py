"""How good a classifier or a reconstruction is, in numbers with uncertainties.

Every function takes plain arrays, so that scores of this package, of the experiment and of anybody else's model are
judged alike. Interval statistics are those of :mod:`ecalnb.intervals`.
"""

from ..intervals import clopper_pearson, effective_counts
from ._bins import merge_bins
from .binned import rejection_in_bins
from .calibration import (
    RELIABILITY_COLUMNS,
    CalibrationError,
    Temperature,
    calibration_error,
    fit_temperature,
    reliability,
)
from .comparison import FACTOR_COLUMNS, rejection_factors
from .data_efficiency import DataEfficiency, rejection_against_events
from .dependence_table import DEPENDENCE_COLUMNS, efficiency_against_energy, energy_dependence
from .distance_correlation import DistanceCorrelation, distance_correlation
from .energy_dependence import EfficiencySpread, efficiency_spread, energy_correlation, score_profile
from .ensembles import EnsembleGain, ensemble_gain
from .gains import METHOD_COLUMNS, rejection_by_method
from .matched import MatchedSample, rejection_table
from .rejection import REJECTION_COLUMNS, rejection_curve
from .residual_ratios import RATIO_COLUMNS, independent_ratios, resolution_ratios, without_reference
from .residuals import RESIDUAL_COLUMNS, residuals_in_bins, space_angles
from .resolution import RESOLUTION_COLUMNS, EnergyResolution, fit_energy_resolution, resolution_in_bins
from .roc import Auc, roc_auc
from .templates import TemplateFit, fit_templates
from .width import GaussianCore, QuantileResolution, gaussian_core, quantile_resolution

__all__ = [
    "DEPENDENCE_COLUMNS",
    "FACTOR_COLUMNS",
    "METHOD_COLUMNS",
    "RATIO_COLUMNS",
    "REJECTION_COLUMNS",
    "RELIABILITY_COLUMNS",
    "RESIDUAL_COLUMNS",
    "RESOLUTION_COLUMNS",
    "Auc",
    "CalibrationError",
    "DataEfficiency",
    "DistanceCorrelation",
    "EfficiencySpread",
    "EnergyResolution",
    "EnsembleGain",
    "GaussianCore",
    "MatchedSample",
    "QuantileResolution",
    "Temperature",
    "TemplateFit",
    "calibration_error",
    "clopper_pearson",
    "distance_correlation",
    "effective_counts",
    "efficiency_against_energy",
    "efficiency_spread",
    "energy_correlation",
    "energy_dependence",
    "ensemble_gain",
    "fit_energy_resolution",
    "fit_temperature",
    "fit_templates",
    "gaussian_core",
    "independent_ratios",
    "merge_bins",
    "quantile_resolution",
    "rejection_against_events",
    "rejection_by_method",
    "rejection_curve",
    "rejection_factors",
    "rejection_in_bins",
    "rejection_table",
    "reliability",
    "residuals_in_bins",
    "resolution_in_bins",
    "resolution_ratios",
    "roc_auc",
    "score_profile",
    "space_angles",
    "without_reference",
]

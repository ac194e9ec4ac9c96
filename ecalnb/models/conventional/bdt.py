"""Boosted decision trees on nineteen shower variables, after AMS's.

The variables are those of :func:`ecalnb.variables.shower_variables`, each standardised by the mean and spread that it
has for electrons of the energy of the event (:mod:`~ecalnb.models.conventional.standardisation`); the energy itself is
not among them. The trees are xgboost's (T. Chen and C. Guestrin, proc. 22nd ACM SIGKDD (2016) 785). It is not AMS's
BDT: other definitions of the variables, other trees, other training events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...showers import Showers
from ...variables import SHOWER_VARIABLES, shower_variables
from ..errors import ModelError
from .standardisation import Standardisation

if TYPE_CHECKING:
    import xgboost

__all__ = ["BDTOptions", "ShowerBDT", "VariableTable"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BDTOptions:
    """Options of the trees: ``model_options`` of a recipe.

    Parameters
    ----------
    rounds : int
        Most trees.
    patience : int
        Stop when the loss of the validation events has not fallen for so many trees; the best number is kept.
    learning_rate, max_depth, min_child_weight, subsample, colsample_bytree, reg_lambda : float
        As xgboost calls them: shrinkage of each tree, its depth, least weight of a leaf, shares of events and variables
        that a tree sees, and regularisation of the leaves.

    Raises
    ------
    ModelError
        If a value makes no sense.
    """

    rounds: int = 2000
    patience: int = 50
    learning_rate: float = 0.05
    max_depth: int = 4
    min_child_weight: float = 1.0
    subsample: float = 0.8
    colsample_bytree: float = 0.8
    reg_lambda: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            whole = name in ("rounds", "patience", "max_depth")
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not value >= 0:
                expected = "a whole number" if whole else "a number"
                raise ModelError(f"{name} of the trees is {value!r}; expected {expected}, not negative")
            if value == 0 and name not in ("min_child_weight", "reg_lambda"):
                raise ModelError(f"{name} of the trees is 0; expected a positive number")
            if value > 1 and name in ("subsample", "colsample_bytree"):
                raise ModelError(f"{name} of the trees is {value!r}; expected a share of at most 1")

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that xgboost takes."""
        return {key: value for key, value in asdict(self).items() if key not in ("rounds", "patience")}


@dataclass(frozen=True, eq=False)
class VariableTable:
    """Variables of some events.

    Parameters
    ----------
    values : array, shape (n, 19)
        `ecalnb.variables.SHOWER_VARIABLES`; NaN where one is not defined.
    energy : array, shape (n,)
        Reconstructed energy, GeV.
    """

    values: FloatArray
    energy: FloatArray

    @classmethod
    def of(cls, showers: Showers) -> VariableTable:
        """Variables of showers with tracks and ``en3d``."""
        return cls(shower_variables(showers).to_numpy(), showers.table["en3d"].to_numpy(dtype=float))

    @classmethod
    def concatenate(cls, tables: Sequence[VariableTable]) -> VariableTable:
        """Put tables together."""
        return cls(np.concatenate([table.values for table in tables]), np.concatenate([t.energy for t in tables]))


Sample = tuple[VariableTable, npt.NDArray[np.bool_]]
"""Events, and which of them are electrons."""


@dataclass(frozen=True, eq=False)
class ShowerBDT:
    """Trees and what their variables are standardised by.

    Parameters
    ----------
    booster : xgboost.Booster
        The trees.
    standardisation : Standardisation
        Of the nineteen variables.
    """

    booster: xgboost.Booster = field(repr=False)
    standardisation: Standardisation = field(repr=False)

    @classmethod
    def fit(
        cls,
        train: Sample,
        validation: Sample,
        *,
        weights: tuple[float, float] = (1.0, 1.0),
        options: BDTOptions | None = None,
        seed: int = 1,
        threads: int = 1,
    ) -> ShowerBDT:
        """Grow trees until the validation events gain nothing more.

        Parameters
        ----------
        train, validation : tuple of VariableTable and array of bool
            The events, and which of them are electrons.
        weights : tuple of float
            Weights of an electron and of a proton in the loss.
        options : BDTOptions, optional
            Settings of the trees.
        seed : int
            Seed of the shares of events and variables.
        threads : int
            Threads of xgboost; the trees do not depend on it.

        Raises
        ------
        ValueError
            If there is no electron with a positive energy among the training events.
        """
        import xgboost

        chosen = BDTOptions() if options is None else options
        table, electron = train
        standardisation = Standardisation.fit(table.values[electron], table.energy[electron])
        matrices = [
            xgboost.DMatrix(
                standardisation(table.values, table.energy),
                electron,
                weight=np.where(electron, *weights),
                nthread=threads,
            )
            for table, electron in (train, validation)
        ]
        booster = xgboost.train(
            {
                **chosen.parameters(),
                "objective": "binary:logistic",
                "eval_metric": "logloss",
                "base_score": 0.5,
                "tree_method": "hist",
                "seed": seed,
                "nthread": threads,
            },
            matrices[0],
            chosen.rounds,
            evals=[(matrices[1], "validation")],
            early_stopping_rounds=chosen.patience,
            verbose_eval=False,
        )
        booster.feature_names = list(SHOWER_VARIABLES)
        return cls(booster, standardisation)

    @property
    def rounds(self) -> int:
        """Number of trees that count: those up to the best for the validation events."""
        return int(self.booster.best_iteration) + 1

    def margins(self, table: VariableTable, threads: int = 1, rounds: tuple[int, int] | None = None) -> FloatArray:
        """Logits of events, shape (n,): the sum of the leaves that they fall into.

        Parameters
        ----------
        table : VariableTable
            The events.
        threads : int
            Threads of xgboost.
        rounds : tuple of int, optional
            First tree, and the one to stop before; those that count unless told.
        """
        self.booster.set_param({"nthread": threads})
        standardised = self.standardisation(table.values, table.energy)
        chosen = (0, self.rounds) if rounds is None else rounds
        margins = self.booster.inplace_predict(
            standardised, iteration_range=chosen, predict_type="margin", validate_features=False
        )
        return np.asarray(margins, dtype=float)

    def learning_curve(self, table: VariableTable, threads: int = 1) -> Iterator[FloatArray]:
        """Logits of events with the first tree, with two, and so on with all that were grown."""
        margins = np.zeros(len(table.energy))
        for tree in range(self.booster.num_boosted_rounds()):
            margins = margins + self.margins(table, threads, (tree, tree + 1))
            yield margins

    def logits(self, showers: Showers) -> FloatArray:
        """Score of showers with tracks and ``en3d``, high for electrons, shape (n,)."""
        return self.margins(VariableTable.of(showers))

    def importances(self) -> dict[str, float]:
        """Share of the gain in the loss that each variable brings; they add up to 1."""
        gains = self.booster.get_score(importance_type="total_gain")
        total = sum(gains.values()) or 1.0
        shares = {name: float(gains.get(name, 0.0)) / total for name in SHOWER_VARIABLES}
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def to_bytes(self) -> bytes:
        """Trees in xgboost's own format (UBJSON)."""
        return bytes(self.booster.save_raw("ubj"))

    @classmethod
    def from_bytes(cls, trees: bytes, standardisation: Standardisation) -> ShowerBDT:
        """Make it from what `to_bytes` gave.

        Raises
        ------
        ValueError
            If these are no trees of nineteen variables.
        """
        import xgboost

        try:
            booster = xgboost.Booster(model_file=bytearray(trees))
            names = booster.feature_names
        except xgboost.core.XGBoostError as error:
            raise ValueError(f"not trees of xgboost: {str(error).strip().splitlines()[-1]}") from None
        if names != list(SHOWER_VARIABLES) or booster.attr("best_iteration") is None:
            raise ValueError(f"the trees are of the variables {names}; expected {', '.join(SHOWER_VARIABLES)}")
        return cls(booster, standardisation)

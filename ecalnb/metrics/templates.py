"""Template fits: how many events of each kind a sample has, from the distribution of one variable.

A selection of data has no truth, but its kinds have known shapes in a variable that the selection does not use. The fit
finds how many of each make the observed histogram; what passes a cut on the variable then has a purity that no
simulation has told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from iminuit import Minuit
from iminuit.cost import Template
from scipy.stats import chi2 as chi2_distribution

from ..intervals import FloatArray
from ._bins import check_edges
from .scores import check_numbers

__all__ = ["TemplateFit", "fit_templates"]


@dataclass(frozen=True)
class TemplateFit:
    """Result of `fit_templates`.

    Parameters
    ----------
    names : tuple of str
        The kinds.
    edges : array, shape (bins + 1,)
        Bins of the variable.
    counts : array, shape (bins,)
        The data.
    shapes : array, shape (kinds, bins)
        Share of each kind in each bin.
    yields, covariance : array, shape (kinds,) and (kinds, kinds)
        Events of each kind inside the bins, and their covariance, in which the templates' own statistics count.
    p_value : float
        Goodness of the fit.
    """

    names: tuple[str, ...]
    edges: FloatArray
    counts: FloatArray
    shapes: FloatArray
    yields: FloatArray
    covariance: FloatArray
    p_value: float

    @property
    def errors(self) -> FloatArray:
        """Standard errors of the yields."""
        return np.sqrt(np.diag(self.covariance))

    def purity(self, name: str, below: float | None = None) -> tuple[float, float]:
        """Share of a kind among the events below an edge, or among all, and its standard error.

        The error is that of the yields; how many events of a template lie below the edge is taken as known.

        Raises
        ------
        ValueError
            If there is no such kind, or ``below`` is not the upper edge of a bin.
        """
        if name not in self.names:
            raise ValueError(f"{name!r} is not one of {', '.join(map(repr, self.names))}")
        stop = len(self.counts)
        if below is not None:
            matches = np.flatnonzero(np.isclose(self.edges[1:], below))
            if not len(matches):
                raise ValueError(f"{below!r} is not the upper edge of a bin; expected one of {self.edges[1:].tolist()}")
            stop = int(matches[0]) + 1
        passes = self.shapes[:, :stop].sum(axis=1)
        chosen = np.array([kind == name for kind in self.names])
        selected = self.yields * passes
        total = selected.sum()
        value = float(selected[chosen].sum() / total)
        gradient = passes * (chosen - value) / total
        return value, float(np.sqrt(gradient @ self.covariance @ gradient))


def fit_templates(values: npt.ArrayLike, templates: Mapping[str, npt.ArrayLike], edges: npt.ArrayLike) -> TemplateFit:
    """Fit the shapes of kinds to data, with as many events of each as fits best.

    The likelihood is that of Poisson counts with templates of finite statistics, in the approximation of H. Dembinski
    and A. Abdelmotteleb (Eur. Phys. J. C 82 (2022) 1043), by iminuit.

    Parameters
    ----------
    values : array_like, shape (n,)
        The variable of the data.
    templates : mapping of str to array_like
        The variable of events of each kind: two kinds or more.
    edges : array_like, shape (bins + 1,)
        Edges of the bins, rising. The last bin holds its upper edge; events outside are not used.

    Returns
    -------
    TemplateFit

    Raises
    ------
    ValueError
        If there are fewer than two kinds, one has no event within the edges, or the data have none; or values are NaN.
    RuntimeError
        If the fit does not converge.
    """
    bins = check_edges(edges)
    names = tuple(templates)
    if len(names) < 2:
        raise ValueError(f"there are templates of {', '.join(names) or 'nothing'}; expected two kinds or more")
    counts = np.histogram(check_numbers(values, "values"), bins)[0].astype(float)
    kinds = [
        np.histogram(check_numbers(templates[name], f"template {name!r}"), bins)[0].astype(float) for name in names
    ]
    for what, content in zip(("the data", *names), (counts, *kinds), strict=True):
        if not content.sum():
            raise ValueError(f"{what} has no event between {bins[0]:g} and {bins[-1]:g}")
    cost = Template(counts, bins, kinds, name=names)
    minuit = Minuit(cost, *(counts.sum() / len(names),) * len(names))
    minuit.limits = (0, None)
    minuit.migrad()
    minuit.hesse()
    if not minuit.valid:
        raise RuntimeError(f"the template fit of {', '.join(names)} to {counts.sum():g} events did not converge")
    shapes = np.array([kind / kind.sum() for kind in kinds])
    p_value = float(chi2_distribution.sf(minuit.fval, cost.ndata - len(names)))
    return TemplateFit(names, bins, counts, shapes, np.array(minuit.values), np.array(minuit.covariance), p_value)

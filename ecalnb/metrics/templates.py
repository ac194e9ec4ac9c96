"""Template fits: how many events of each kind a sample has, from the distribution of one variable.

A selection of data has no truth, but its kinds have known shapes in a variable that the selection does not use. The fit
finds how many of each make the observed histogram; what passes a cut on the variable then has a purity that no
simulation has told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from iminuit import Minuit
from iminuit.cost import Template
from scipy.stats import chi2 as chi2_distribution

from ..intervals import FloatArray, clopper_pearson, effective_counts
from ._bins import check_edges
from .scores import check_numbers, check_weights

__all__ = ["TemplateFit", "fit_templates"]


@dataclass(frozen=True)
class TemplateFit:
    """Result of `fit_templates`.

    Parameters
    ----------
    edges : array, shape (bins + 1,)
        Bins of the variable.
    counts : array, shape (bins,)
        The data.
    signal, background : array, shape (bins,)
        Events of either template.
    background_fraction, low, high : float
        Share of the background among the events inside the bins, with its 68 % interval; it ends at 0 or 1.
    p_value : float
        Goodness of the fit.
    background_squares : array, shape (bins,)
        Sums of the squared weights of the background template; its content without weights.
    """

    edges: FloatArray
    counts: FloatArray
    signal: FloatArray
    background: FloatArray
    background_fraction: float
    low: float
    high: float
    p_value: float
    background_squares: FloatArray

    def purity(self, below: float | None = None) -> tuple[float, float, float]:
        """Share of the signal among the events below an edge, or among all, and the ends of an interval.

        The ends take both the interval of the fitted share and the Clopper-Pearson interval of the background
        template's part below the edge, each 68 %, at their worse ends: together they cover more. That of the signal
        counts little.

        Raises
        ------
        ValueError
            If ``below`` is not the upper edge of a bin.
        """
        stop = len(self.counts)
        if below is not None:
            matches = np.flatnonzero(np.isclose(self.edges[1:], below))
            if not len(matches):
                raise ValueError(f"{below!r} is not the upper edge of a bin; expected one of {self.edges[1:].tolist()}")
            stop = int(matches[0]) + 1
        content, squares = self.background, self.background_squares
        passed, total = effective_counts(content[:stop].sum(), squares[:stop].sum(), content.sum(), squares.sum())
        signal, background = self.signal[:stop].sum() / self.signal.sum(), content[:stop].sum() / content.sum()
        fewest, most = clopper_pearson(passed, total, 0.68) if stop < len(self.counts) else (1.0, 1.0)
        ends = (self.background_fraction, background), (self.high, most), (self.low, fewest)
        value, low, high = (float((1 - share) * signal / ((1 - share) * signal + share * part)) for share, part in ends)
        return value, low, high


def fit_templates(
    values: npt.ArrayLike,
    signal: npt.ArrayLike,
    background: npt.ArrayLike,
    edges: npt.ArrayLike,
    *,
    weights: tuple[npt.ArrayLike | None, npt.ArrayLike | None, npt.ArrayLike | None] = (None, None, None),
) -> TemplateFit:
    """Fit the shapes of signal and background to data, in the proportion that fits best.

    The likelihood is that of Poisson counts with templates of finite statistics, in the approximation of H. Dembinski
    and A. Abdelmotteleb (Eur. Phys. J. C 82 (2022) 1043), by iminuit; the interval is that of MINOS, without what the
    numbers of events in the templates add to it: for a share f and templates of S and B events that is
    f (1 - f) sqrt(1/S + 1/B) in quadrature, and only their shapes matter here. With weights the counts are scaled
    Poisson (G. Bohm and G. Zech, Nucl. Instr. Meth. A 748 (2014) 1).

    Parameters
    ----------
    values : array_like, shape (n,)
        The variable of the data. None of these events may be in a template.
    signal, background : array_like, shape (m,) and (k,)
        The variable of events of either kind.
    edges : array_like, shape (bins + 1,)
        Edges of the bins, rising. The last bin holds its upper edge; events outside are not used.
    weights : tuple of array_like or None
        Weights of the data, the signal and the background; None for events of equal weight.

    Returns
    -------
    TemplateFit

    Raises
    ------
    ValueError
        If the data or a template have no event within the edges, or values are NaN.
    RuntimeError
        If the fit does not converge.
    """
    bins = check_edges(edges)
    samples = {"the data": values, "the signal template": signal, "the background template": background}
    contents, squares = [], []
    for (name, sample), own in zip(samples.items(), weights, strict=True):
        numbers = check_numbers(sample, name)
        w = np.ones(len(numbers)) if own is None else check_weights(own, name.removeprefix("the "), len(numbers))
        content, square = (np.histogram(numbers, bins, weights=power)[0] for power in (w, w**2))
        if not content.sum():
            raise ValueError(f"{name} has no event between {bins[0]:g} and {bins[-1]:g}")
        contents.append(content)
        squares.append(square)
    counts, *kinds = contents
    if all(own is None for own in weights):
        cost = Template(counts, bins, kinds)
    else:
        with_variances = [np.column_stack(pair) for pair in zip(contents, squares, strict=True)]
        cost = Template(with_variances[0], bins, with_variances[1:])

    def loss(n: float, share: float) -> float:
        return float(cost(n * (1 - share), n * share))

    minuit = Minuit(loss, counts.sum(), 0.5)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.limits = [(0, None), (0, 1)]
    minuit.migrad()
    if not minuit.valid:
        raise RuntimeError(f"the template fit to {counts.sum():g} events did not converge")
    minuit.minos("share")
    share, errors = float(minuit.values["share"]), minuit.merrors["share"]
    # The likelihood takes the numbers of events in the templates for uncertain too, of which the share does not depend.
    totals = (share * (1 - share)) ** 2 * sum(
        square.sum() / kind.sum() ** 2 for kind, square in zip(kinds, squares[1:], strict=True)
    )
    below, above = (float(np.sqrt(max(error**2 - totals, 0.0))) for error in (errors.lower, errors.upper))
    return TemplateFit(
        edges=bins,
        counts=counts,
        signal=kinds[0],
        background=kinds[1],
        background_fraction=share,
        low=share - below if errors.lower_valid else 0.0,
        high=share + above if errors.upper_valid else 1.0,
        p_value=float(chi2_distribution.sf(minuit.fval, cost.ndata - 2)),
        background_squares=squares[2],
    )

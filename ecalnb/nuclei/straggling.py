"""Fluctuations of energy loss: the distribution of Landau and Vavilov with a largest transfer to an electron.

The loss is a sum of independent transfers with the spectrum ``xi / T^2`` up to the largest, so its characteristic
function is known in closed form, and its quantiles follow by a Fourier transform. The parameter ``kappa``, xi over the
largest transfer, goes from Landau's case (small) to the normal distribution (large); it rises with the square of the
charge. The largest transfer here is that of electrons which stay in the detector, far below the kinematic limit, so the
term with beta^2 in Vavilov's spectrum is left out.

References
----------
P. V. Vavilov, Sov. Phys. JETP 5 (1957) 749; B. Schorr, Comput. Phys. Commun. 7 (1974) 215.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import sici

from .._compiled import jit

__all__ = ["draw_straggling", "straggling_table"]

FloatArray = npt.NDArray[np.float64]

_LOG_FIRST, _LOG_STEP, _NODES = np.log(0.005), 0.25, 36
_QUANTILES, _POINTS = 1024, 1 << 15


@cache
def straggling_table() -> FloatArray:
    """Tabulate quantiles of the loss less its median, in largest transfers.

    Returns
    -------
    array, shape (nodes, quantiles)
        A row for each kappa, columns at equidistant probabilities (middle of each interval).
    """
    return np.array([_quantiles(kappa) for kappa in np.exp(_LOG_FIRST + _LOG_STEP * np.arange(_NODES))])


def _quantiles(kappa: float) -> FloatArray:
    reach = 3.0 + 10 * np.sqrt(kappa)
    step = 2 * reach / _POINTS
    t = np.arange(_POINTS // 2 + 1) * np.pi / reach
    sine, cosine = sici(np.maximum(t, 1e-12))
    real = 1 - np.cos(t) - t * sine
    imaginary = t - np.sin(t) + t * (cosine - np.euler_gamma - np.log(np.maximum(t, 1e-12)))
    characteristic = np.exp(kappa * (real + 1j * imaginary))
    density = np.fft.irfft(np.conj(characteristic) * np.exp(-1j * t * reach), _POINTS).clip(0)
    below = np.cumsum(density) - density / 2
    grid = np.arange(_POINTS) * step - reach
    probability = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    quantiles = np.interp(probability, below / density.sum(), grid)
    return np.asarray(quantiles - np.median(quantiles))


@jit
def draw_straggling(table, kappa, generator):  # type: ignore[no-untyped-def]
    """Draw a loss less its median, in largest transfers."""
    position = min(max((np.log(kappa) - _LOG_FIRST) / _LOG_STEP, 0.0), _NODES - 1.001)
    node = int(position)
    share = position - node
    column = int(generator.random() * _QUANTILES)
    return table[node, column] * (1 - share) + table[node + 1, column] * share

"""Spectra of two samples that are to be matched."""

import numpy as np
import pytest
from scipy.stats import kstest

from ecalnb.selection import (
    common_window,
    matched_bins,
    spectrum_thinning,
    spectrum_weights,
)


def spectra(n=40_000, seed=5):
    rng = np.random.default_rng(seed)
    return rng.uniform(5, 100, n), np.exp(rng.uniform(np.log(2), np.log(60), n))


def test_common_window_is_where_both_have_events():
    a, b = spectra()
    low, high = common_window(a, b)
    assert 4.9 < low < 6.5  # bins of a tenth of a decade
    assert 60 <= high < 64
    edges = np.linspace(0, 120, 25)
    assert common_window(a, b, edges) == (5, 60)
    # b has 40,000 ln(E2/E1) / ln(60/2) events in a bin: 1,950 need E2/E1 > 1.18, which ends at 30 GeV.
    assert common_window(a, b, edges, min_count=1950) == (5, 30)


def test_common_window_takes_the_longest_run():
    a = np.repeat([0.5, 1.5, 3.5, 4.5, 5.5], [50, 5, 50, 50, 50])
    assert common_window(a, a, np.arange(8)) == (3, 6)


def test_weights_give_the_spectrum_of_the_reference():
    a, b = spectra()
    edges = np.geomspace(5, 60, 12)
    weights = spectrum_weights(a, b, edges)
    matched = np.histogram(a, edges, weights=weights)[0]
    wanted = np.histogram(b, edges)[0]
    assert matched / matched.sum() == pytest.approx(wanted / wanted.sum(), rel=1e-12)
    assert (weights[(a < 5) | (a > 60)] == 0).all()
    assert weights[weights > 0].mean() == pytest.approx(1)


def test_weights_of_the_reference_count():
    a, b = spectra()
    given, edges = np.random.default_rng(4).uniform(0.1, 3, len(b)), np.geomspace(5, 60, 12)
    matched = np.histogram(a, edges, weights=spectrum_weights(a, b, edges, reference_weights=given))[0]
    wanted = np.histogram(b, edges, weights=given)[0]
    assert matched / matched.sum() == pytest.approx(wanted / wanted.sum(), rel=1e-12)


def test_weights_that_are_given_count():
    # The upper half of a sample was simulated with a tenth of the events, each of which stands for ten.
    a, b = spectra()
    rng, edges = np.random.default_rng(3), np.geomspace(5, 60, 12)
    given = np.where(a < 20, 1.0, 10.0)
    kept = (a < 20) | (rng.random(len(a)) < 0.1)
    weights = spectrum_weights(a[kept], b, edges, weights=given[kept])
    matched = np.histogram(a[kept], edges, weights=weights)[0]
    wanted = np.histogram(b, edges)[0]
    assert matched / matched.sum() == pytest.approx(wanted / wanted.sum(), rel=1e-12)
    assert weights[weights > 0].mean() == pytest.approx(1)
    # In the bin that is divided, an event above 20 counts ten times one below.
    divided = weights[(a[kept] > edges[np.searchsorted(edges, 20) - 1]) & (a[kept] < edges[np.searchsorted(edges, 20)])]
    assert divided.max() / divided.min() == pytest.approx(10)


def test_bins_without_counterpart_are_excluded_and_reported(caplog):
    a, b = np.array([1.5, 1.5, 2.5, 9.0]), np.array([1.5, 3.5, 3.5])
    weights = spectrum_weights(a, b, [1, 2, 3, 4])
    assert weights.tolist() == [1, 1, 0, 0]
    assert "excludes 2 of 4 events, and 2 of 3 of the reference" in caplog.text
    assert matched_bins(a, b, [1, 2, 3, 4])["used"].tolist() == [True, False, False]


def test_thinning_leaves_the_spectrum_of_the_reference():
    a, b = spectra()
    edges = np.geomspace(5, 60, 60)
    kept = a[spectrum_thinning(a, b, edges, rng=2)]
    inside = b[(b >= 5) & (b <= 60)]
    # Two-sample test within the resolution of the bins; the spectra themselves differ hugely.
    expected = np.sort(inside)
    cdf = lambda x: np.searchsorted(expected, x) / len(expected)  # noqa: E731
    assert kstest(kept, cdf).pvalue > 1e-3
    assert kstest(a[(a >= 5) & (a <= 60)], cdf).pvalue < 1e-9
    assert np.array_equal(spectrum_thinning(a, b, edges, rng=2), spectrum_thinning(a, b, edges, rng=2))


@pytest.mark.parametrize(
    ("a", "b", "edges", "message"),
    [
        ([1.0], [5.0], [0, 2, 6], "no common energy window"),
        ([], [5.0], [0, 2], "first sample have shape"),
        ([1.0], [np.nan], [0, 2], "1 of 1 energies of the second sample are not finite"),
        ([1.0], [1.0], [2, 2], "two or more rising"),
    ],
)
def test_spectra_that_cannot_be_matched(a, b, edges, message):
    with pytest.raises(ValueError, match=message):
        spectrum_weights(a, b, edges)
    with pytest.raises(ValueError, match=message):
        common_window(a, b, edges, min_count=1)


def test_samples_that_do_not_overlap_have_no_window():
    with pytest.raises(ValueError, match=r"from 1 to 2 GeV and from 5 to 6 GeV have no common"):
        common_window([1.0, 2.0], [5.0, 6.0])

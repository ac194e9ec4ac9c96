"""Template fits: coverage on toys with a known answer, and the purity below a cut."""

import numpy as np
import pytest

from ecalnb.metrics import fit_templates

EDGES = np.linspace(0, 2, 41)


def draw(generator, signal, background):
    """Values of a signal about 0.5 and a background about 1, as likelihoods of a transition radiation detector."""
    return np.concatenate([generator.normal(0.5, 0.12, signal), generator.normal(1.0, 0.15, background)])


def fit(generator, signal, background, n_templates=2000):
    templates = draw(generator, n_templates, 0), draw(generator, 0, n_templates)
    return fit_templates(draw(generator, signal, background), *templates, EDGES)


@pytest.mark.parametrize(("signal", "background"), [(300, 900), (500, 5)])
def test_interval_covers_the_expected_fraction(signal, background):
    generator = np.random.default_rng(1)
    toys, expected = 150, background / (signal + background)
    results = [fit(generator, generator.poisson(signal), generator.poisson(background)) for _ in range(toys)]
    fractions = [result.background_fraction for result in results]
    assert np.mean(fractions) == pytest.approx(expected, abs=4 * np.std(fractions) / np.sqrt(toys))
    covered = np.mean([result.low <= expected <= result.high for result in results])
    assert covered == pytest.approx(0.683, abs=3 * np.sqrt(0.683 * 0.317 / toys))


def test_without_background_the_interval_begins_at_0():
    result = fit(np.random.default_rng(5), 400, 0)
    assert result.background_fraction == pytest.approx(0, abs=1e-3)
    assert result.low == pytest.approx(0, abs=1e-6)
    # About half an event: the likelihood of none falls by a factor of exp(-1/2).
    assert 0.2 / 400 < result.high < 3 / 400
    value, low, high = result.purity()
    assert low < value <= high == pytest.approx(1)


def test_purity_below_a_cut_is_right_within_its_interval():
    result = fit(np.random.default_rng(2), 2000, 2000, 20_000)
    value, low, high = result.purity()
    assert value == pytest.approx(0.5, abs=2 * (high - low))
    # Of normal distributions below 0.7: Phi(0.2 / 0.12) and Phi(-0.3 / 0.15).
    value, low, high = result.purity(below=0.7)
    assert value == pytest.approx(0.95221 / (0.95221 + 0.02275), abs=5e-3)
    assert 0 < high - low < 0.01


def test_few_events_of_the_background_below_a_cut_widen_the_interval():
    generator = np.random.default_rng(6)
    data = draw(generator, 1000, 1000)
    few, many = (fit_templates(data, draw(generator, 5000, 0), draw(generator, 0, n), EDGES) for n in (200, 20_000))
    width = [high - low for _, low, high in (result.purity(below=0.7) for result in (few, many))]
    assert width[0] > 2 * width[1]
    assert few.purity(below=0.7)[1] < 0.95221 / (0.95221 + 0.02275) < few.purity(below=0.7)[2]


def test_goodness_of_fit_tells_a_wrong_shape():
    generator = np.random.default_rng(3)
    assert fit(generator, 500, 500).p_value > 1e-3
    wrong = generator.normal(1.3, 0.15, 2000)
    assert fit_templates(draw(generator, 500, 500), draw(generator, 2000, 0), wrong, EDGES).p_value < 1e-6


@pytest.mark.parametrize(
    ("values", "signal", "background", "message"),
    [
        ([5.0], [0.5], [1.0], "the data has no event between 0 and 2"),
        ([0.5], [0.5], [3.0], "the background template has no event"),
        ([0.5], [np.nan], [1.0], "the signal template"),
    ],
)
def test_refuses_what_cannot_be_fitted(values, signal, background, message):
    with pytest.raises(ValueError, match=message):
        fit_templates(values, signal, background, EDGES)


def test_purity_needs_an_edge():
    result = fit(np.random.default_rng(4), 100, 100)
    with pytest.raises(ValueError, match=r"0\.71 is not the upper edge"):
        result.purity(below=0.71)

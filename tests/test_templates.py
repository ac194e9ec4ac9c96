"""Template fits: pulls on toys with a known answer, and the purity below a cut."""

import numpy as np
import pytest

from ecalnb.metrics import fit_templates

EDGES = np.linspace(0, 2, 41)


def draw(generator, signal, background):
    """Values of a signal about 0.5 and a background about 1, as likelihoods of a transition radiation detector."""
    return np.concatenate([generator.normal(0.5, 0.12, signal), generator.normal(1.0, 0.15, background)])


def fit(generator, signal, background, n_templates=2000):
    templates = {"signal": draw(generator, n_templates, 0), "background": draw(generator, 0, n_templates)}
    return fit_templates(draw(generator, signal, background), templates, EDGES)


def test_yields_have_pulls_of_a_standard_normal():
    generator = np.random.default_rng(1)
    pulls = []
    for _ in range(150):
        signal, background = generator.poisson(300), generator.poisson(900)
        result = fit(generator, signal, background)
        pulls.append((result.yields - [300, 900]) / result.errors)
    mean, spread = np.mean(pulls, axis=0), np.std(pulls, axis=0)
    np.testing.assert_allclose(mean, 0, atol=4 / np.sqrt(150))
    np.testing.assert_allclose(spread, 1, atol=4 / np.sqrt(2 * 150))


def test_purity_below_a_cut_is_right_within_its_error():
    generator = np.random.default_rng(2)
    result = fit(generator, 2000, 2000, 20_000)
    assert result.purity("signal")[0] == pytest.approx(0.5, abs=4 * result.purity("signal")[1])
    # Of normal distributions below 0.7: Phi(0.2 / 0.12) and Phi(-0.3 / 0.15).
    expected = 0.95221 / (0.95221 + 0.02275)
    value, error = result.purity("signal", below=0.7)
    assert value == pytest.approx(expected, abs=5e-3)
    assert 0 < error < 5e-3
    assert result.purity("background", below=0.7)[0] == pytest.approx(1 - value)


def test_goodness_of_fit_tells_a_wrong_shape():
    generator = np.random.default_rng(3)
    assert fit(generator, 500, 500).p_value > 1e-3
    templates = {"signal": draw(generator, 2000, 0), "background": generator.normal(1.3, 0.15, 2000)}
    assert fit_templates(draw(generator, 500, 500), templates, EDGES).p_value < 1e-6


@pytest.mark.parametrize(
    ("values", "templates", "message"),
    [
        ([0.5], {"signal": [0.5]}, "templates of signal; expected two kinds"),
        ([5.0], {"signal": [0.5], "background": [1.0]}, "the data has no event between 0 and 2"),
        ([0.5], {"signal": [0.5], "background": [3.0]}, "background has no event"),
    ],
)
def test_refuses_what_cannot_be_fitted(values, templates, message):
    with pytest.raises(ValueError, match=message):
        fit_templates(values, templates, EDGES)


def test_purity_needs_an_edge_and_a_known_kind():
    result = fit(np.random.default_rng(4), 100, 100)
    with pytest.raises(ValueError, match=r"0\.71 is not the upper edge"):
        result.purity("signal", below=0.71)
    with pytest.raises(ValueError, match="'muon' is not one of 'signal', 'background'"):
        result.purity("muon")

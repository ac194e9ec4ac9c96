"""Figures of classifiers: scores, losses, rejections, and domains."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from ecalnb import plots
from ecalnb.metrics import fit_templates


@pytest.fixture
def scores():
    rng = np.random.default_rng(1)
    parts = [
        pd.DataFrame({"label": label, "split": split, "cnn": rng.normal(mean, 2, n)})
        for label, mean in (("electron", 4), ("proton", -4))
        for split, n in (("train", 300), ("test", 100))
    ]
    return pd.concat(parts, ignore_index=True)


def test_score_distributions_are_normalised(ax, scores):
    artists = plots.score_distribution(ax, scores, "cnn")
    stairs = [artist for artist in artists if isinstance(artist, mpl.patches.StepPatch)]
    assert len(stairs) == 2
    for artist in stairs:
        values, edges, _ = artist.get_data()
        assert (values * np.diff(edges)).sum() == pytest.approx(1)
    assert "cnn" in ax.get_xlabel()
    labels = ax.get_legend_handles_labels()[1]
    assert sum("training (300)" in text for text in labels) == 2
    assert sum("test (100)" in text for text in labels) == 2


def test_score_distribution_needs_columns_and_test_events(ax, scores):
    with pytest.raises(KeyError, match="no column resnet"):
        plots.score_distribution(ax, scores, "resnet")
    with pytest.raises(ValueError, match="no event of split 'flight'"):
        plots.score_distribution(ax, scores, "cnn", test="flight")


def test_loss_curves_mark_the_best_epoch(ax):
    history = pd.DataFrame(
        {"epoch": [0, 1, 2, 3], "train_loss": [1.0, 0.5, 0.3, 0.2], "val_loss": [1.0, 0.6, 0.4, 0.5]}
    )
    artists = plots.loss_curves(ax, history, label="cnn")
    np.testing.assert_array_equal(artists[2].get_xydata(), [[2, 0.4]])
    assert ax.get_xlabel() == "epoch"
    with pytest.raises(KeyError, match="train_loss"):
        plots.loss_curves(ax, history.drop(columns="train_loss"))


def test_a_rejection_without_background_left_is_drawn_as_a_limit(ax):
    curve = pd.DataFrame(
        {
            "efficiency": [0.5, 0.7, 0.9],
            "rejection": [np.inf, 400.0, 100.0],
            "low_total": [170.0, 200.0, 80.0],
            "high_total": [np.inf, 900.0, 130.0],
            "is_limit": [True, False, False],
        }
    )
    measured, _, limit, *arrows = plots.rejection_curve(ax, curve, label="CNN")
    np.testing.assert_array_equal(measured.get_ydata(), [np.nan, 400, 100])
    np.testing.assert_array_equal(measured.get_xdata(), [50, 70, 90])
    assert limit.get_ydata()[0] == 170
    assert np.isnan(limit.get_ydata()[1:]).all()
    assert limit.get_linestyle() == "--"
    assert arrows
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("electron efficiency [%]", "proton rejection")
    assert ax.get_yscale() == "log"


def test_the_band_of_a_rejection_is_its_interval(ax):
    curve = pd.DataFrame(
        {
            "efficiency": [0.8, 0.9],
            "rejection": [50.0, 20.0],
            "low_total": [40.0, 15.0],
            "high_total": [60.0, 30.0],
            "is_limit": False,
        }
    )
    artists = plots.rejection_curve(ax, curve)
    (path,) = artists[1].get_paths()
    assert {tuple(v) for v in path.vertices} >= {(80, 40), (80, 60), (90, 15), (90, 30)}
    assert len(artists) == 2  # nothing is drawn as a limit


def test_bins_without_events_are_left_out_and_limits_are_arrows(ax):
    table = pd.DataFrame(
        {
            "energy_low": [10.0, 20.0, 40.0],
            "energy_high": [20.0, 40.0, 80.0],
            "rejection": [100.0, np.inf, np.nan],
            "low_total": [60.0, 150.0, np.nan],
            "high_total": [180.0, np.inf, np.nan],
            "is_limit": [False, True, False],
        }
    )
    plots.rejection_in_bins(ax, table, label="CNN")
    measured, limits = ax.containers
    np.testing.assert_allclose(measured.lines[0].get_xydata(), [[np.sqrt(200), 100]])
    bars = [segment for bar in measured.lines[2] for segment in bar.get_segments()]
    np.testing.assert_allclose(bars[0][:, 0], [10, 20])
    np.testing.assert_allclose(bars[1][:, 1], [60, 180])
    assert limits.lines[0] is None
    (limit_x, *_) = [bar.get_segments() for bar in limits.lines[2]]
    np.testing.assert_allclose(limit_x[0], [[20, 150], [40, 150]])
    assert ax.get_legend_handles_labels()[1] == ["CNN"]
    assert "[GeV]" in ax.get_xlabel()


def test_energy_axes_have_plain_numbers(ax):
    plots.spectrum(ax, [12.0, 30.0, 60.0], [10, 20, 40, 80])
    ax.figure.canvas.draw()
    labels = {text.get_text() for text in (*ax.get_xticklabels(), *ax.get_xticklabels(minor=True))}
    assert {"10", "20", "50"} <= labels


def test_all_models_stay_inside_the_axes(ax):
    """The second curve is higher than the first, and its interval has no upper end."""
    for rejection, high in ((10.0, 20.0), (500.0, np.inf)):
        curve = pd.DataFrame(
            {
                "efficiency": [0.8, 0.9],
                "rejection": [rejection, rejection / 2],
                "low_total": [rejection / 2, rejection / 4],
                "high_total": [high, rejection],
                "is_limit": False,
            }
        )
        artists = plots.rejection_curve(ax, curve)
    assert ax.get_ylim()[0] == 1
    assert ax.get_ylim()[1] > 500
    assert artists[1].get_paths()[0].vertices[:, 1].max() > 500


def test_template_fit_stacks_the_expected_events():
    generator = np.random.default_rng(1)
    electrons, protons = generator.normal(0.5, 0.1, 900), generator.normal(1.0, 0.1, 900)
    data = np.concatenate([electrons[:300], protons[:100]])
    fit = fit_templates(data, electrons[300:], protons[100:], np.linspace(0, 1.6, 17))
    fig, ax = plt.subplots()
    plots.template_fit(ax, fit)
    heights = sum(bar.get_height() for bar in ax.patches)
    assert heights == pytest.approx(400, rel=1e-6)
    assert "electron" in ax.get_legend().get_texts()[0].get_text()
    assert ax.get_ylim()[1] > fit.counts.max()
    plt.close(fig)


def test_a_model_has_one_style_whatever_its_weights():
    assert plots.model_style("ecal_cvt.fast") == plots.model_style("ecal_cvt")
    assert plots.model_style("ecal_cvt")["label"] == "CvT"
    assert plots.model_style("mine")["label"] == "mine"


def test_rejections_of_models_stand_in_rows(ax):
    table = pd.DataFrame(
        {
            "model": ["ecal_cvt", "shower_bdt", "mine"],
            "rejection": [np.inf, 100.0, 20.0],
            "low_total": [400.0, 50.0, 10.0],
            "high_total": [np.inf, np.inf, 40.0],
            "is_limit": [True, False, False],
        }
    )
    plots.rejection_rows(ax, table, label="simulation")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["CvT", "BDT, 19 variables", "mine"]
    open_ends, points, limits = ax.lines
    np.testing.assert_allclose(points.get_xydata(), [[100, 1], [20, 2]])
    np.testing.assert_allclose(limits.get_xydata(), [[400, 0]])
    np.testing.assert_allclose(open_ends.get_ydata(), [0, 1])
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    assert low < 10
    assert high > 800
    assert ax.get_legend_handles_labels()[1] == ["simulation"]


def test_factors_stand_beside_published_ones(ax):
    table = pd.DataFrame(
        {"model": ["ecal_resnet10", "ecal_simple_cnn"], "factor": [2.0, np.nan], "low": [1.5, 1.0], "high": [3.0, 1.0]}
    )
    plots.factor_rows(ax, table.assign(published=[25, 74]), label="here")
    published = next(line for line in ax.lines if line.get_label() == "published")
    np.testing.assert_allclose(published.get_xydata(), [[25, 0]])
    (segments,) = (bar.get_segments() for bar in ax.containers[0].lines[2])
    np.testing.assert_allclose(segments[0][:, 0], [1.5, 3])


def test_a_factor_may_be_an_upper_limit(ax):
    table = pd.DataFrame({"model": ["ecal_cvt"], "factor": [0.0], "low": [0.0], "high": [0.4]})
    plots.factor_rows(ax, table)
    arrow = next(line for line in ax.lines if line.get_marker() == "<")
    np.testing.assert_allclose(arrow.get_xydata(), [[0.2, 0]])
    assert not any(len(line.get_xdata()) for line in ax.lines if line.get_marker() == "o")


def test_a_curve_has_bars_where_they_are_asked_for(ax):
    curve = pd.DataFrame(
        {
            "efficiency": [0.6, 0.7, 0.9],
            "rejection": [90.0, 50.0, 30.0],
            "low_total": [60.0, 40.0, 20.0],
            "high_total": [120.0, 70.0, 45.0],
            "is_limit": [False] * 3,
        }
    )
    plots.rejection_curve(ax, curve, bars_at=(0.6, 0.9), shift=2)
    (segments,) = (bar.get_segments() for bar in ax.containers[0].lines[2])
    np.testing.assert_allclose(segments, [[[61, 60], [61, 120]], [[91, 20], [91, 45]]])


def test_domains_have_the_same_species_in_paler_colours(ax):
    rng = np.random.default_rng(1)
    scores = {"source": rng.normal(0, 1, 300), "target": rng.normal(0.5, 1, 200)}
    labels = {domain: np.where(values > 0, "electron", "proton") for domain, values in scores.items()}
    plots.domain_scores(ax, scores, labels, bins=20)
    names = [text for _, text in zip(*ax.get_legend_handles_labels(), strict=True)]
    assert sum(int(name.split("(")[1].rstrip(")")) for name in names) == 500
    assert {name.split(" (")[0] for name in names} == {
        f"{domain} {species}" for domain in ("source", "target") for species in ("electron", "proton")
    }
    fig, other = plt.subplots()
    features = {domain: np.column_stack([values, 3 * values, rng.normal(size=len(values))]) for domain, values in
                scores.items()}  # fmt: skip
    plots.domain_features(other, features, labels)
    x = np.concatenate([line.get_xdata() for line in other.lines])
    along = np.concatenate([values @ [1, 3, 0] / np.sqrt(10) for values in features.values()])
    # The first component is the direction in which both domains together vary most.
    assert x.std() == pytest.approx(along.std(), rel=0.02)
    plt.close(fig)


def test_the_ratio_of_a_variable_is_that_of_target_to_source():
    fig, axes = plt.subplots(2)
    rng = np.random.default_rng(2)
    source = rng.uniform(0, 1, 40_000)
    values = np.append(rng.beta(2, 1, 40_000), np.nan)
    plots.variable_ratio(axes, values, {"source": source, "tilted": source}, weights={
        "source": np.ones(len(source)), "tilted": 2 * source})  # fmt: skip
    flat, tilted = (container.lines[0].get_xydata() for container in axes[1].containers)
    assert flat[:, 1] == pytest.approx(2 * flat[:, 0], abs=0.15)
    assert tilted[:, 1] == pytest.approx(1, abs=0.15)
    plt.close(fig)


def test_methods_stand_in_rows_and_limits_have_no_point(ax):
    table = pd.DataFrame(
        {"method": ["source_only", "dann"] * 2, "efficiency": [0.9, 0.9, 0.95, 0.95],
         "rejection": [100.0, np.inf, 50.0, 60.0], "low_total": [80.0, 200.0, 40.0, 50.0],
         "high_total": [130.0, np.inf, 60.0, np.inf], "gain": [1.0, np.nan, 1.0, 1.2],
         "gain_low": [np.nan, np.nan, np.nan, 1.1], "gain_high": [np.nan, np.nan, np.nan, 1.3]}
    )  # fmt: skip
    plots.method_rows(ax, table)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["source only", "dann"]
    assert [len(container.lines[0].get_xdata()) for container in ax.containers] == [1, 2]
    assert any(list(line.get_xdata()) == [200.0] for line in ax.lines)
    plots.method_rows(ax, table, value="gain")
    assert list(ax.containers[-1].lines[0].get_xdata()) == [1.2]

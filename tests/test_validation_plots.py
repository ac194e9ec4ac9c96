"""Figures of the validation."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from ecalnb import plots


@pytest.fixture
def axes() -> Iterator[list[Axes]]:
    with plt.style.context(plots.style()):
        fig, pair = plt.subplots(2, 1)
        yield list(pair)
        plt.close(fig)


def points(profile: str) -> pd.DataFrame:
    x = np.arange(4.0)
    return pd.DataFrame(
        {
            "profile": profile, "low": 5, "high": 10, "x": x, "reference": x + 1, "reference_error": 0.1,
            "candidate": 1.1 * (x + 1), "candidate_error": 0.1,
        }
    )  # fmt: skip


def test_the_ratio_is_candidate_over_reference(axes: list[Axes]) -> None:
    plots.profile_comparison(axes, points("longitudinal"), "longitudinal")
    drawn = axes[1].containers[0][0]
    np.testing.assert_allclose(drawn.get_ydata(), 1.1)
    assert axes[1].get_xlabel() == "layer"
    with pytest.raises(ValueError, match="no points of the profile 'lateral'"):
        plots.profile_comparison(axes, points("longitudinal"), "lateral")


def test_differences_off_the_scale_are_arrows(axes: list[Axes]) -> None:
    table = pd.DataFrame(
        {
            "quantity": ["a", "b"], "statistic": ["mean", "width"], "low": 5.0, "high": 10.0, "reference": [2.0, -1.0],
            "difference": [0.2, 0.9], "difference_error": [0.1, 0.1],
        }
    )  # fmt: skip
    plots.quantity_differences(axes[0], table, limit=0.3)
    np.testing.assert_allclose(axes[0].containers[0][0].get_xdata(), [0.1])
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["a", "b, width"]
    arrows = [line for line in axes[0].lines if line.get_marker() == ">" and len(line.get_xdata())]
    assert len(arrows) == 1


def test_auc_against_momentum_has_the_bins_as_bars(axes: list[Axes]) -> None:
    table = pd.DataFrame({"low": [5.0], "high": [20.0], "auc": [0.8], "auc_low": [0.75], "auc_high": [0.84]})
    plots.auc_against(axes[0], table, "momentum", label="electrons")
    (bar,) = axes[0].containers[0][2][0].get_segments()
    np.testing.assert_allclose(bar[:, 0], [5, 20])
    assert axes[0].get_xlabel() == "momentum [GeV]"


def test_no_survivor_is_an_upper_limit(axes: list[Axes]) -> None:
    table = pd.DataFrame(
        {
            "low": [20.0, 50.0], "high": [50.0, 100.0], "passed": [3, 0], "fraction": [0.03, 0.0],
            "fraction_low": [0.015, 0.0], "fraction_high": [0.05, 0.02],
        }
    )  # fmt: skip
    _, limits = plots.survivor_fractions(axes[0], table, label="protons")
    np.testing.assert_allclose(limits.get_ydata(), [0.02])  # type: ignore[union-attr]


def test_scores_are_normalised(axes: list[Axes], rng: np.random.Generator) -> None:
    scores = pd.DataFrame({"is_reference": rng.random(500) < 0.3, "score": rng.normal(size=500)})
    first, _ = plots.judge_scores(axes[0], scores)
    heights, edges, _ = first.get_data()  # type: ignore[union-attr]
    assert (heights * np.diff(edges)).sum() == pytest.approx(1)


def test_judges_have_one_colour_in_all_figures(axes: list[Axes]) -> None:
    table = pd.DataFrame(
        {
            "kind": ["halves", "all", "all"], "label": ["proton", "proton", "electron"], "judge": ["bdt", "bdt", "cnn"],
            "auc": [0.5, 0.6, 0.55], "auc_low": [0.48, 0.58, 0.5], "auc_high": [0.52, 0.62, 0.6],
            "n_train": [50, 100, 50],
        }
    )  # fmt: skip
    plots.auc_overview(axes[0], table)
    plots.auc_dependence(axes[1], table, "n_train")
    legends = [ax.get_legend_handles_labels() for ax in axes]
    assert legends[0][1] == legends[1][1] == ["electrons, CNN", "protons, BDT"]
    colors = [[handle[0].get_color() for handle in handles] for handles, _ in legends]
    assert colors[0] == colors[1]
    assert len(set(colors[0])) == 2
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["halves", "all"]


def test_a_judge_below_one_half_is_on_the_scale(axes: list[Axes]) -> None:
    table = pd.DataFrame({"n_train": [50.0], "auc": [0.42], "auc_low": [0.4], "auc_high": [0.44]})
    plots.auc_against(axes[0], table, "n_train")
    assert axes[0].get_ylim()[0] == pytest.approx(0.38)


def test_correlations_are_of_the_highest_bin(axes: list[Axes]) -> None:
    rows = [(low, lag, layer) for low in (5, 10) for lag in (1, 2) for layer in range(3)]
    table = pd.DataFrame(rows, columns=["low", "lag", "layer"])
    table = table.assign(reference=table["low"] / 100, candidate=0.2, reference_error=0.01)
    plots.correlation_comparison(axes[0], table, names=("Geant4", "fast"))
    assert {tuple(drawn[0].get_ydata()) for drawn in axes[0].containers} == {(0.1, 0.1, 0.1)}
    assert axes[0].get_legend().get_title().get_text() == "points: Geant4, lines: fast"


def test_survivors_of_two_engines_are_told_apart(axes: list[Axes]) -> None:
    table = pd.DataFrame(
        {
            "engine": ["Geant4", "fast"], "cut": "start", "low": 20.0, "high": 50.0, "passed": 3, "fraction": 0.03,
            "fraction_low": 0.015, "fraction_high": 0.05,
        }
    )  # fmt: skip
    plots.survivors_by_cut(axes[0], table)
    first, second = (drawn[0] for drawn in axes[0].containers)
    assert (first.get_markerfacecolor() == "white", second.get_markerfacecolor() == "white") == (False, True)
    assert first.get_xdata()[0] < second.get_xdata()[0]

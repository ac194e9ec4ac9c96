"""Reports: every number with its uncertainty, JSON that any reader takes, figures where the workflow expects them."""

from __future__ import annotations

import html
import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy.stats import binomtest

from ecalnb.metrics import MatchedSample
from ecalnb.report import Report


@pytest.fixture
def report(tmp_path):
    return Report("01_data_selection", tmp_path, {"scale": "smoke", "seed": 1, "data_dir": None}, source="Toy")


def test_a_number_without_its_uncertainty_is_refused(report):
    with pytest.raises(ValueError, match="'x' needs either low and high, or error"):
        report.number("x", 3.0)
    with pytest.raises(ValueError, match="'x' needs"):
        report.number("x", 3.0, 2.0, 4.0, error=1.0)


def test_fractions_have_clopper_pearson_intervals(report):
    entry = report.fraction("crossing", 30, 100)
    expected = binomtest(30, 100).proportion_ci(0.68, method="exact")
    assert (entry["value"], entry["low"], entry["high"]) == pytest.approx((0.3, expected.low, expected.high))
    assert "30 of 100" in entry["note"]


def test_what_is_written_is_plain_json(report):
    report.exact("events", np.int64(3400))
    report.number("rejection", np.inf, 170.0, np.inf, note="no proton left")
    report.number("mean", np.float32(2.5), error=0.5, unit="mm")
    report.table(
        "cuts", pd.DataFrame({"cut": ["a", "b"], "events": [3, 2], "rejection": [1.5, np.inf], "m": [np.nan, 1]})
    )
    path = report.write()
    assert path.name == "01_data_selection.json"
    assert path.parent.name == "metrics"

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    assert content["parameters"] == {"scale": "smoke", "seed": 1, "data_dir": None}
    assert content["numbers"]["events"]["value"] == 3400
    assert content["numbers"]["mean"] == {
        "value": 2.5, "low": 2.0, "high": 3.0, "is_limit": False, "unit": "mm", "note": "",
    }  # fmt: skip
    limit = content["numbers"]["rejection"]
    assert limit["is_limit"]
    assert (limit["value"], limit["low"], limit["high"]) == (170.0, 170.0, None)
    assert content["tables"]["cuts"][1] == {"cut": "b", "events": 2, "rejection": None, "m": 1.0}
    assert [p.name for p in path.parent.iterdir()] == ["01_data_selection.json"]


def test_the_report_shows_its_numbers_and_figures(report):
    fig, ax = plt.subplots()
    ax.plot([0, 1])
    picture = report.figure(fig, "spectra")
    assert picture._repr_png_() == (report.output_dir / "figures" / "01_spectra.png").read_bytes()
    assert not plt.get_fignums()
    assert sorted(path.name for path in (report.output_dir / "figures").iterdir()) == [
        "01_spectra.png",
        "01_spectra.svg",
    ]
    report.number("rejection <all>", np.inf, 170.0, np.inf)
    report.fraction("crossing", 30, 100)
    page = report._repr_html_()
    assert "rejection &lt;all&gt;" in page
    assert "&gt; 170" in page
    assert "0.3 [" in page
    assert page.count("<img") == 1


@pytest.mark.parametrize("name", ["selection", "1_x", "01_", "01-data"])
def test_a_name_that_is_no_notebook_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="expected the name of a notebook"):
        Report(name, tmp_path)


def test_mean_has_the_error_of_the_mean(report):
    entry = report.mean("depth", [1.0, 2.0, 3.0, 4.0], unit="X0")
    assert (entry["value"], entry["high"] - entry["value"]) == pytest.approx((2.5, np.sqrt(5 / 3) / 2))
    with pytest.raises(ValueError, match="two or more"):
        report.mean("depth", [1.0])


def test_the_interval_of_the_median_covers_it(report):
    """Skewed values whose true median is ln 2: the 68 % interval holds it in about 68 % of the toys."""
    rng = np.random.default_rng(5)
    entries = [report.median("m", rng.exponential(size=200)) for _ in range(600)]
    covered = np.mean([entry["low"] <= np.log(2) <= entry["high"] for entry in entries])
    assert covered == pytest.approx(0.68, abs=4 * np.sqrt(0.68 * 0.32 / 600))


def test_latest_shows_each_number_once(report):
    report.exact("first", 1)
    assert "first" in report.latest()._repr_html_()
    report.exact("second", 2)
    page = report.latest()._repr_html_()
    assert "second" in page
    assert "first" not in page


def test_rows_of_a_table_are_numbers_with_names_of_their_own(report):
    table = pd.DataFrame({"low": [5, 10], "auc": [0.6, 0.7], "auc_low": [0.5, 0.65], "auc_high": [0.7, 0.75]})
    shown = report.rows(table, "AUC from {low:g} GeV", "auc", note="row of {low}")
    assert "AUC from 10 GeV" in shown._repr_html_()
    assert report.numbers["AUC from 5 GeV"] == {
        "value": 0.6, "low": 0.5, "high": 0.7, "is_limit": False, "unit": "", "note": "row of 5",
    }  # fmt: skip
    with pytest.raises(ValueError, match="same name by 'AUC'"):
        report.rows(table, "AUC", "auc")


def test_rows_without_a_value_are_left_out(report):
    table = pd.DataFrame({"what": ["a", "b"], "unit": "mm", "x": [1.0, np.nan], "x_error": [0.1, np.nan]})
    report.rows(table, "{what}", "x", unit="{unit}")
    assert list(report.numbers) == ["a"]
    assert (report.numbers["a"]["low"], report.numbers["a"]["unit"]) == (0.9, "mm")
    report.rows(table[:1], "width {what}", "x", interval=("x_error", "x"))
    assert report.numbers["width a"]["low"] == 0.1


def test_rejections_are_numbers_and_a_table_for_people(report):
    rng = np.random.default_rng(1)
    label = np.repeat(["electron", "proton"], 500)
    scores = pd.DataFrame({"label": label, "en3d": rng.uniform(20, 30, 1000), "split": "test"})
    scores["ecal_cvt"] = rng.normal(label == "electron")
    scores["mine"] = rng.normal(label == "electron")
    sample = MatchedSample.from_scores(scores, 20, 30, n_bins=2)
    table, shown = report.rejections("some", sample, [0.9, 0.5], ["mine", "ecal_cvt"])
    assert list(report.numbers)[:2] == ["some, mine: rejection at 90 %", "some, mine: rejection at 50 %"]
    number, row = report.numbers["some, ecal_cvt: rejection at 50 %"], table.iloc[3]
    assert (number["value"], number["low"], number["high"]) == (row["rejection"], row["low_total"], row["high_total"])
    assert [list(written.values()) for written in report.tables["rejection some"]] == [
        ["mine", *table["text"][:2]],
        ["CvT", *table["text"][2:]],
    ]
    assert html.escape(sample.statement) in shown._repr_html_()
    assert "rejection" not in report.latest()._repr_html_()

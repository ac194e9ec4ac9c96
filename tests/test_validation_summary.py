"""What the tables of a comparison say in short."""

import numpy as np
import pandas as pd
import pytest

from ecalnb import validation
from ecalnb.metrics import Auc
from ecalnb.validation import Judgement


def judgement(label: str, judge: str, importance: dict[str, float] | None = None) -> Judgement:
    rng = np.random.default_rng(1)
    scores = pd.DataFrame(
        {"is_reference": np.arange(200) % 2 == 0, "momentum": np.linspace(5, 50, 200), "score": rng.normal(size=200)}
    )
    return Judgement(judge, label, Auc(0.6, 0.58, 0.62), scores, 300, 50, 0.002, "test", 1, True, False,
                     importance or {})  # fmt: skip


@pytest.fixture
def quantities() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": "proton", "quantity": ["a", "a", "b"], "statistic": "mean", "low": [5, 10, 5],
            "pull": [-3.0, 2.0, np.nan],
        }
    )  # fmt: skip


def test_each_quantity_where_it_differs_most_and_in_its_highest_bin(quantities: pd.DataFrame) -> None:
    assert validation.largest_pulls(quantities)[["quantity", "low"]].to_numpy().tolist() == [["a", 5], ["b", 5]]
    assert validation.highest_bins(quantities)[["quantity", "low"]].to_numpy().tolist() == [["a", 10], ["b", 5]]


def test_the_rms_of_correlations_is_less_the_statistical_error(rng: np.random.Generator) -> None:
    error = 0.05
    noise = rng.normal(0, error, 4000)
    table = pd.DataFrame({"label": "proton", "low": 5, "high": 10, "lag": 1, "difference_error": error,
                          "difference": noise + 0.1 * rng.choice([-1, 1], 4000)})  # fmt: skip
    row = validation.correlation_differences(table).iloc[0]
    assert row["rms"] == pytest.approx(0.1, abs=4 * row["rms_error"])
    assert row["pairs"] == 4000
    assert validation.correlation_differences(table.assign(difference=0.0))["rms"].tolist() == [0]


def test_judgements_become_tables() -> None:
    found = [judgement("electron", "bdt", {"depth": 0.25, "width": 0.1}), judgement("electron", "cnn")]
    table = validation.judgement_table({"all cells": found, "naive": found[:1]})
    assert table[["kind", "judge", "auc", "n_train"]].to_numpy().tolist() == [
        ["all cells", "bdt", 0.6, 300], ["all cells", "cnn", 0.6, 300], ["naive", "bdt", 0.6, 300],
    ]  # fmt: skip
    binned = validation.judged_in_bins(found, {"electron": [5, 20, 60]})
    assert binned["judge"].tolist() == ["bdt", "bdt", "cnn", "cnn"]
    assert (binned["n_reference"] + binned["n_candidate"]).sum() == 400
    features = validation.important_features(found, n=1)
    assert features.to_dict("list") == {"electron": ["depth (25.0 %)"]}


def test_judges_are_asked_about_each_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def judge(reference: str, candidate: str, **options: object) -> str:
        asked.append((reference, candidate, options))
        return "found"

    monkeypatch.setitem(validation.JUDGES, "bdt", judge)
    samples = {"electron": ("a", "b"), "proton": ("c", "d")}
    assert validation.ask_judges(samples, {"bdt": {"seed": 3}}, threshold=0.002) == ["found", "found"]
    assert asked == [("a", "b", {"seed": 3, "threshold": 0.002}), ("c", "d", {"seed": 3, "threshold": 0.002})]

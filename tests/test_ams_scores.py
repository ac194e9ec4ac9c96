"""AMS's own scores beside those of models."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from ecalnb.training import add_ams_scores


@pytest.fixture
def scores() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "label": ["electron", "electron", "proton", "proton"],
            "cnn": [2.0, 1.0, -1.0, -3.0],
            "ecal_bdt": [0.9, 0.4, -0.8, np.nan],
            "ecal_likelihood": [-7.0, 1.0, 12.0, 30.0],
        }
    )
    table.attrs["models"] = {"cnn": {"model": "ecal_simple_cnn"}, "bdt": {"model": "shower_bdt", "title": "BDT"}}
    return table


def test_both_scores_are_high_for_electrons(scores, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        result = add_ams_scores(scores)
    assert result["ams_likelihood"].tolist() == [7, -1, -12, -30]
    assert result["ams_bdt"].tolist() == [0.9, 0.4, -0.8, -np.inf]
    assert "AMS BDT: 1 of 4 events have no ecal_bdt and rank below all others" in caplog.text
    assert list(result) == ["label", "cnn", "ams_bdt", "ams_likelihood"]
    assert "ecal_bdt" in scores  # the caller's table is as it was
    titles = {name: model.get("title") for name, model in result.attrs["models"].items()}
    assert titles == {"cnn": None, "bdt": "BDT", "ams_bdt": "AMS BDT", "ams_likelihood": "AMS likelihood"}


def test_scores_that_no_event_has_are_left_out(scores, caplog) -> None:
    empty = scores.drop(columns="ecal_bdt").assign(ecal_likelihood=np.nan)
    with caplog.at_level(logging.INFO):
        result = add_ams_scores(empty)
    assert list(result) == ["label", "cnn"]
    assert "AMS BDT is left out: no event has ecal_bdt" in caplog.text
    assert "AMS likelihood is left out: no event has ecal_likelihood" in caplog.text

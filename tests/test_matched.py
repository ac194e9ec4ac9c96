import numpy as np
import pandas as pd
import pytest

from ecalnb.metrics import MatchedSample, rejection_curve, rejection_table


def scores(n=4000, seed=1, weighted=True):
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(n) < 0.5, "electron", "proton")
    electron = label == "electron"
    energy = 10 * 10 ** rng.uniform(0, 1, n) ** np.where(electron, 1, 2)
    table = pd.DataFrame({"en3d": energy, "label": label, "split": np.where(rng.random(n) < 0.5, "test", "train")})
    table["weight"] = rng.uniform(0.5, 2, n) if weighted else 1.0
    table["ecal_some"] = rng.normal(np.where(electron, 2, 0) + 0.01 * energy)
    table["shower_other"] = rng.normal(np.where(electron, 1, 0))
    table["note"] = 3.0
    return table


def test_electrons_have_the_spectrum_of_the_weighted_protons():
    table = scores()
    sample = MatchedSample.from_scores(table, 12, 90, n_bins=5)
    edges = np.geomspace(12, 90, 6)
    electrons, protons = (
        np.histogram(events["en3d"], edges, weights=weights)[0]
        for events, weights in zip((sample.electrons, sample.protons), sample.weights, strict=True)
    )
    assert electrons / electrons.sum() == pytest.approx(protons / protons.sum(), rel=1e-12)
    chosen = table.query("label == 'proton' and split == 'test' and 12 <= en3d < 90")
    assert (sample.weights[1] == chosen["weight"]).all()
    assert sample.effective_protons == pytest.approx(chosen["weight"].sum() ** 2 / (chosen["weight"] ** 2).sum())


def test_rejection_is_that_of_events_drawn_from_the_spectrum_of_the_protons():
    # The efficiency depends on the energy: what counts is the spectrum of the protons.
    flat, many = scores(60_000, 2, weighted=False), scores(400_000, 3, weighted=False)
    sample = MatchedSample.from_scores(flat, 12, 90, n_bins=20)
    protons = many.query("label == 'proton' and 12 <= en3d < 90")
    rng = np.random.default_rng(4)
    drawn = rng.normal(2 + 0.01 * protons["en3d"])  # electrons of the protons' energies
    expected = rejection_curve(drawn, protons["ecal_some"], [0.9])["rejection"][0]
    row = sample.curve("ecal_some", [0.9]).iloc[0]
    assert row["low_total"] * 0.97 < expected < row["high_total"] * 1.03
    assert row["rejection"] == pytest.approx(expected, rel=0.05)


def test_models_are_those_that_judged_every_event():
    table = scores()
    assert MatchedSample.from_scores(table, 12, 90).models == ["ecal_some", "shower_other"]
    table.loc[table.query("label == 'proton' and split == 'test' and en3d > 15").index[0], "ecal_some"] = np.nan
    assert MatchedSample.from_scores(table, 12, 90).models == ["shower_other"]


def test_table_says_what_is_known():
    sample = MatchedSample.from_scores(scores(), 12, 90)
    table = rejection_table(sample, [0.5, 0.9])
    assert table["model"].tolist() == ["ecal_some"] * 2 + ["shower_other"] * 2
    assert table["text"][0].startswith(f"{table['rejection'][0]:.3g} (")
    perfect = scores().assign(ecal_some=lambda t: np.where(t["label"] == "electron", 1.0, 0.0))
    limit = rejection_table(MatchedSample.from_scores(perfect, 12, 90), [0.9], ["ecal_some"])
    assert limit["is_limit"].all()
    assert limit["text"][0] == f"> {limit['low_total'][0]:.3g}"


def test_factors_compare_all_models_on_the_same_events():
    factors = MatchedSample.from_scores(scores(), 12, 90).factors("ecal_some")
    assert factors["model"].tolist() == ["shower_other"]
    assert factors["factor"][0] > 1


@pytest.mark.parametrize(
    ("window", "message"), [((90, 12), "rising"), ((500, 600), "0 electrons and 0 protons with 500 <= en3d < 600")]
)
def test_window_without_events_is_an_error(window, message):
    with pytest.raises(ValueError, match=message):
        MatchedSample.from_scores(scores(), *window)

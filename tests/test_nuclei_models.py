"""Training of models of nuclei, the change of prior, selections and what they contain."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ecalnb.cli import main
from ecalnb.intervals import clopper_pearson
from ecalnb.nuclei import selections
from ecalnb.nuclei.abundances import natural_weights
from ecalnb.nuclei.comparison import equal_efficiency, loss_table
from ecalnb.nuclei.evaluation import class_metrics, class_reliability, importance_by, log_loss
from ecalnb.nuclei.model import MODELS, load_model, train_model
from ecalnb.nuclei.parameters import nucleus, pick
from ecalnb.nuclei.protocol import Prior, in_sample, mix, tight_species
from ecalnb.nuclei.sample import class_names
from ecalnb.nuclei.schema import load_nuclei_schema
from ecalnb.nuclei.search import search
from ecalnb.nuclei.simulation import Beam, simulate
from ecalnb.nuclei.studies import fit_l1, looks_like, matched_charge
from ecalnb.nuclei.systematics import correction_systematics
from ecalnb.nuclei.training import natural_prior
from ecalnb.nuclei.trees import tree_contributions

SPECIES = pick(["O", "F", "Ne", "Mg"])
F = nucleus("F")
BEAM = Beam(SPECIES)
SMALL = {"xgboost": {"rounds": 6}, "mlp": {"epochs": 2}, "cnn": {"epochs": 1}}
SMALL["transformer"] = {"epochs": 2, "learning_rate": 5e-3, "batch_size": 64, "network": {"width": 8, "blocks": 1}}


@pytest.fixture(scope="module")
def events():
    return simulate(8000, BEAM, seed=11)


@pytest.fixture(scope="module")
def flight():
    return simulate(20_000, Beam(SPECIES, "natural"), domain="flight", seed=12)


@pytest.fixture(scope="module")
def sets(events, flight):
    return [mix(in_sample(events, name), SPECIES, in_sample(flight, name)) for name in ("train", "validation")]


@pytest.fixture(scope="module")
def trees(sets):
    return train_model("xgboost", *sets, SPECIES, threads=1, rounds=12, eta=0.5)


def values_at(rigidity: float, n: int) -> np.ndarray:
    schema = load_nuclei_schema()
    values = np.zeros((n, len(schema.columns)), dtype=np.float32)
    values[:, schema.offsets["rigidity_inner"]] = rigidity
    return values


def test_the_corrected_prior_is_bayes_theorem():
    x = np.linspace(-3, 4, 50)
    densities = np.column_stack([norm.pdf(x, 0), norm.pdf(x, 1), norm.pdf(x, 2.5)])
    values = values_at(10.0, 50)

    def posterior(shares):
        joint = densities * shares
        return joint / joint.sum(axis=1, keepdims=True)

    trained, natural = (Prior(np.array([s]), np.array([0, np.inf])) for s in ([0.4, 0.3, 0.3], [0.9, 0.08, 0.02]))
    corrected = natural.correct(posterior(trained.shares[0]), values, trained)
    np.testing.assert_allclose(corrected, posterior(natural.shares[0]), rtol=1e-12)


def test_a_prior_has_the_shares_of_its_bins():
    values = np.concatenate([values_at(4.0, 4000), values_at(500.0, 2000)])
    labels = np.concatenate([np.repeat([0, 1], [1000, 3000]), np.repeat([0, 1], [1500, 500])])
    prior = Prior.of(values, labels, 2)
    shares = prior.at(values)
    assert shares[0] == pytest.approx([0.25, 0.75], abs=0.005)
    assert shares[-1] == pytest.approx([0.75, 0.25], abs=0.005)
    np.testing.assert_allclose(prior.shares.sum(axis=1), 1)


def test_training_has_each_species_as_abundant_as_any_other(sets):
    train = sets[0]
    sums = np.bincount(train.labels // 3, train.weights)
    assert sums == pytest.approx(sums.mean() * np.ones(len(SPECIES)), rel=1e-4)


def test_flight_events_get_their_share_of_the_intact_class(events, flight):
    plain, mixed = mix(events, SPECIES), mix(events, SPECIES, flight, flight_share=0.25)
    n = len(plain.labels)
    intact = mixed.labels == 3 * 0 + 2
    from_flight = intact & (np.arange(len(mixed.labels)) >= n)
    assert from_flight.sum() > 1000
    assert mixed.weights[from_flight].sum() / mixed.weights[intact].sum() == pytest.approx(0.25, rel=1e-3)


def test_tight_cuts_are_pure_and_know_no_truth(flight):
    labels = tight_species(flight, SPECIES)
    blind = replace(flight, charge=None, place=None, rigidity=None)
    np.testing.assert_array_equal(tight_species(blind, SPECIES), labels)
    oxygen = labels == 2
    assert oxygen.sum() > 1000
    assert (flight.charge[oxygen] == 8).mean() > 0.99


def test_trees_keep_the_best_round(trees):
    assert trees.core.num_boosted_rounds() == trees.history["val_loss"].argmin() + 1


@pytest.mark.parametrize("kind", MODELS)
def test_models_learn_and_come_back_from_their_files(kind, sets, events, tmp_path):
    model = train_model(kind, *sets, SPECIES, threads=1, **SMALL[kind])
    test = in_sample(events, "test")
    labels, probabilities = test.classes(SPECIES), model.predict(test, threads=1)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    shares = np.bincount(labels, minlength=12) / len(labels)
    assert log_loss(probabilities, labels).value < log_loss(np.tile(shares, (len(labels), 1)), labels).value
    model.save(tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).predict(test, threads=1), probabilities)


def test_damaged_files_of_a_model_are_refused(trees, tmp_path):
    trees.save(tmp_path)
    file, side = tmp_path / "trees.ubj", tmp_path / "model.json"
    whole, description = file.read_bytes(), side.read_text()
    for damaged in (whole[:-100], whole[:500] + bytes([whole[500] ^ 1]) + whole[501:], b""):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"trees.ubj is damaged, or not the file that model.json was written for"):
            load_model(tmp_path)
    file.unlink()
    with pytest.raises(ValueError, match=r"trees.ubj cannot be read: No such file"):
        load_model(tmp_path)
    file.write_bytes(whole)
    for old, new, message in (
        ('"natural"', '"naturel"', "lacks natural; it does not describe a model of nuclei"),
        ('"xgboost"', '"forest"', "describes a model 'forest'; expected one of xgboost"),
    ):
        side.write_text(description.replace(old, new))
        with pytest.raises(ValueError, match=message):
            load_model(tmp_path)


def test_missing_variables_are_for_trees_only(trees, sets, events):
    lacking = replace(events[:100], values=events.values[:100].copy(), missing=("trd_q",))
    assert np.isfinite(trees.predict(lacking, threads=1)).all()
    network = train_model("mlp", *sets, SPECIES, threads=1, epochs=1)
    with pytest.raises(ValueError, match="mlp needs trd_q, which the files have not"):
        network.predict(lacking)


def test_natural_probabilities_are_better_in_nature(trees, events):
    test = in_sample(events, "test")
    table = loss_table({"t": trees}, test, natural_prior(in_sample(events, "train"), SPECIES), natural_weights(test))
    loss = table.set_index("mixture")["log_loss"]
    assert loss["natural abundance"] < loss["natural abundance, not corrected"]


def test_a_search_goes_on(sets, tmp_path):
    few = [
        each._replace(values=each.values[:800], labels=each.labels[:800], weights=each.weights[:800]) for each in sets
    ]
    first, table = search("xgboost", *few, SPECIES, tmp_path, 1, threads=1, rounds=2)
    again, longer = search("xgboost", *few, SPECIES, tmp_path, 2, threads=1, rounds=2)
    assert len(table) == 1
    assert len(longer) == 2
    pd.testing.assert_frame_equal(longer.head(1), table)
    assert longer["loss"].min() == (table if first == again else longer)["loss"].min()
    assert first["rounds"] == 2


def test_contributions_add_up_to_the_logit(trees, events):
    import xgboost

    names = list(load_nuclei_schema().columns)
    some = events.values[:50]
    margins = trees.core.predict(xgboost.DMatrix(some, feature_names=names), output_margin=True)[:, 5]
    contributions = tree_contributions(trees.core, some, 5)
    assert np.ptp(margins - contributions.sum(axis=1)) < 1e-3  # the rest is a constant
    by = importance_by(contributions).set_index("subdetector")["importance"]
    assert set(by.index) == {"tracker", "tof", "trd", "acc"}
    for name in by.index:
        own = contributions[:, load_nuclei_schema().subdetectors == name]
        assert by[name] == pytest.approx(np.abs(own.sum(axis=1)).mean(), rel=1e-5)


def test_efficiency_and_purity_are_fractions_of_counts():
    selected = np.array([1, 1, 1, 0, 0, 1, 0, 1], bool)
    signal = np.array([1, 1, 0, 1, 0, 0, 0, 1], bool)
    row = selections.efficiency_and_purity(selected, signal, np.ones(8)).iloc[0]
    assert (row["efficiency"], row["purity"]) == (3 / 4, 3 / 5)
    assert [row["purity_low"], row["purity_high"]] == pytest.approx([float(x) for x in clopper_pearson(3, 5)])
    halves = selections.efficiency_and_purity(selected, signal, np.ones(8), np.arange(8.0), [0, 4, 8])
    assert halves["n_selected"].tolist() == [3, 2]


def test_a_threshold_has_its_efficiency():
    rng = np.random.default_rng(1)
    score, signal, weights = rng.normal(size=5000), rng.random(5000) < 0.4, rng.random(5000)
    threshold = selections.threshold_at(score, signal, 0.7, weights)
    assert weights[signal & (score >= threshold)].sum() / weights[signal].sum() == pytest.approx(0.7, abs=0.002)


def test_tuned_cuts_are_better_than_wide_ones_and_contents_add_up(events):
    weights, signal = natural_weights(events), selections.signal_of(events, F)
    cuts = selections.tune_hypercube(events, F, weights)
    wide = np.abs(events.column("trk_q_inner") - 9) < 0.5
    tuned, loose = (selections.efficiency_and_purity(s, signal, weights).iloc[0] for s in (cuts.passes(events), wide))
    assert tuned["efficiency"] * tuned["purity"] ** 2 > loose["efficiency"] * loose["purity"] ** 2
    unmeasured = np.isnan(events.column("trk_q_l1"))
    assert unmeasured.any()
    assert not cuts.passes(events)[unmeasured].any()
    table = selections.contamination(wide, events, weights)
    assert table["share"].sum() == pytest.approx(1)
    assert table["n"].sum() == wide.sum()
    assert table["share"].is_monotonic_decreasing


def test_a_model_at_the_efficiency_of_the_cuts(trees, events):
    train, validation = in_sample(events, "train"), in_sample(events, "validation")
    cuts = selections.tune_hypercube(train, F, natural_weights(train))
    edges = [0, 6, np.inf]
    chosen = equal_efficiency({"trees": trees}, natural_prior(train, SPECIES), cuts, validation, edges)
    weights, signal = natural_weights(validation), selections.signal_of(validation, F)
    rigidity = validation.column("rigidity_inner")
    own, other = (
        selections.efficiency_and_purity(select(validation), signal, weights, rigidity, edges)["efficiency"]
        for select in chosen.values()
    )
    assert other.to_numpy() == pytest.approx(own.to_numpy(), abs=0.04)


def test_true_probabilities_are_reliable():
    rng = np.random.default_rng(2)
    p = rng.beta(0.5, 2, 20_000)
    true, weights = rng.random(20_000) < p, np.ones(20_000)
    table = class_reliability(p, true, weights, np.linspace(0, 1, 6))
    assert (np.abs(table["observed"] - table["predicted"]) < 4 * np.sqrt(0.25 / table["n"])).all()


def test_metrics_of_classes_count(events):
    labels = events.classes(SPECIES)
    perfect = np.eye(12)[labels]
    table = class_metrics(perfect, labels, SPECIES)
    assert table["class"].tolist() == class_names(SPECIES)
    assert (table[["efficiency", "purity"]] == 1).all(axis=None)


def test_a_matched_charge_has_the_peak_and_width_of_the_data():
    rng = np.random.default_rng(3)
    own, data = rng.normal(9, 0.3, 20_000), rng.normal(9.09, 0.33, 20_000)
    matched = matched_charge(own, own, data)
    assert np.median(matched) == pytest.approx(9.09, abs=0.01)
    assert np.diff(np.quantile(matched, [0.16, 0.84])) == pytest.approx(
        np.diff(np.quantile(data, [0.16, 0.84])), rel=0.02
    )


def test_the_fit_in_l1_finds_what_is_there():
    simulated = simulate(60_000, BEAM, seed=21)
    weights = natural_weights(simulated)
    data = simulate(120_000, Beam(SPECIES, "natural"), seed=22)
    cuts = selections.tune_hypercube(simulated, F, weights)
    edges = np.arange(7.4, 13.6, 0.2)
    fit = fit_l1(replace(data, charge=None, place=None, rigidity=None), simulated, weights, cuts, edges)
    q = data.column("trk_q_l1")
    inside = cuts.passes(data, without=["trk_q_l1"]) & (q > edges[0]) & (q < edges[-1])
    truth = 1 - looks_like(data, F)[inside].mean()
    assert abs(fit.background_fraction - truth) < 4 * max(fit.high - fit.low, 0.01) / 2
    assert fit.p_value > 1e-3


def test_systematics_of_the_others_abundance_are_their_share():
    cuts = {"inner": lambda sample: np.abs(sample.column("trk_q_inner") - 9) < 0.4}
    table = correction_systematics(F, cuts, BEAM, 10_000)
    rows = table.set_index("variation")
    wrong = 1 - rows["purity"]["nominal"]
    expected = -0.1 * wrong / (1 + 0.1 * wrong)
    # broken F counts neither as signal nor as another species; there is little of it with the charge of F
    assert rows["change"]["other species +10 %"] == pytest.approx(expected, rel=0.1)
    assert len(table) == 7


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda _: train_model("forest", None, None, SPECIES), "no model is named 'forest'; expected one of xgboost"),
        (lambda _: train_model("mlp", None, None, SPECIES, rounds=3), "settings of mlp: unknown key 'rounds'"),
        (lambda e: mix(e, pick(["O", "Fe"])), "no simulated events of Fe to train on"),
        (lambda e: mix(e, SPECIES, flight_share=1.0), "flight_share is 1.0"),
        (lambda e: in_sample(e, "fit"), "sample is 'fit'; expected one of train"),
        (lambda e: e.column("q_track"), "no variable is named 'q_track'"),
        (lambda _: selections.threshold_at([1.0], np.array([True]), 1.5), "efficiency is 1.5"),
        (lambda e: selections.tune_hypercube(e[:50], F, np.ones(50)), "events of F to tune cuts on; expected 100"),
        (lambda _: load_model("nowhere"), "nowhere has no model of nuclei"),
    ],
)
def test_bad_input_is_told(events, action, message):
    with pytest.raises(ValueError, match=message):
        action(events)


def test_the_commands(tmp_path, capsys):
    mc, out, scores = (str(tmp_path / name) for name in ("mc.root", "model", "scores.parquet"))
    assert main(["nuclei", "simulate", "-n", "3000", "--species", "O,F", "-o", mc]) == 0
    assert main(["nuclei", "train", mc, "-o", out, "--species", "O,F", "--threads", "1"]) == 0
    assert main(["nuclei", "predict", out, mc, "-o", scores, "--threads", "1"]) == 0
    assert "xgboost of 6 classes" in capsys.readouterr().out
    table = pd.read_parquet(scores)
    assert len(table) == 3000
    assert table.filter(regex="above_L1|L1_to_L2|intact").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    assert main(["nuclei", "train", mc, "-o", out, "--species", "O,F"]) == 1
    assert "has a model; expected a new folder, or --overwrite" in capsys.readouterr().err
    assert main(["nuclei", "simulate", "-n", "10", "--species", "Flourine", "-o", mc]) == 1
    assert "no species is named 'Flourine'" in capsys.readouterr().err

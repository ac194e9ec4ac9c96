"""The likelihood: templates, densities, their ratio, and its use like any model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gamma, ks_2samp, kstest, multivariate_normal, spearmanr
from toy_showers import CORE, CORE_WEIGHT, TAIL, layer_parts, shares, toy_showers

from ecalnb.geometry import AMS, Tracks
from ecalnb.models import ModelError
from ecalnb.models.conventional import LIKELIHOOD_VARIABLES, ShowerLikelihood
from ecalnb.models.conventional.densities import EnergyDependentDensity
from ecalnb.models.conventional.templates import (
    LateralTemplate,
    LongitudinalTemplate,
    expected_layers,
    layer_residuals,
)
from ecalnb.showers import Showers
from ecalnb.store import Store, from_showers
from ecalnb.training import EventClassifier, Recipe, TrainingError, load_weights, predict, train
from ecalnb.variables import fit_gamma_profiles, mip_like


def energies(n: int, seed: int = 1) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).uniform(np.log(5), np.log(100), n))


def is_electron(showers: Showers) -> np.ndarray:
    return (showers.table["label"] == "electron").to_numpy(bool)


@pytest.fixture(scope="module")
def electrons() -> Showers:
    return toy_showers(1500, 11, proton_share=0.0)


@pytest.fixture(scope="module")
def likelihood() -> ShowerLikelihood:
    showers = toy_showers(2500, 1)
    # In parts, as from a store.
    return ShowerLikelihood.fit(lambda: ((part, is_electron(part)) for part in showers.batches(900)))


# --- templates ---


def test_expected_layers_are_integrals_of_the_gamma_distribution(electrons) -> None:
    some = electrons[:50]
    profiles = fit_gamma_profiles(some)
    expected = expected_layers(some, profiles)
    depth = np.arange(AMS.n_layers + 1) * 17 / AMS.n_layers / np.cos(some.tracks.inclination)[:, None]
    parts = np.diff(gamma.cdf(depth, profiles.shape[:, None], scale=1 / profiles.rate[:, None]), axis=1)
    np.testing.assert_allclose(expected, parts / parts.sum(axis=1, keepdims=True) * some.energies[:, None], rtol=1e-6)
    np.testing.assert_allclose(expected.sum(axis=1), some.energies)


def test_a_shower_that_is_its_template_has_no_residuals() -> None:
    exact = toy_showers(20, 4, proton_share=0.0, quantum=None)
    residuals = layer_residuals(exact, fit_gamma_profiles(exact))
    # Energy that leaves through the sides is the same share of each layer; the fit integrates by a quadrature rule.
    assert abs(residuals).max() < 2e-3


def test_longitudinal_distance_is_1_on_average_and_grows_with_a_residual() -> None:
    rng, energy = np.random.default_rng(2), energies(8000)
    mixing = np.tril(rng.normal(0, 0.5, (6, 6))) + np.eye(6)
    residuals = (rng.standard_normal((8000, 6)) @ mixing.T) * energy[:, None] ** -0.3 + 0.1 * np.log(energy)[:, None]
    template = LongitudinalTemplate.fit(residuals[:4000], energy[:4000])
    distance = template.distance(residuals[4000:], energy[4000:])
    assert distance.mean() == pytest.approx(1, abs=0.05)
    # Six correlated normal residuals: 6 D is a chi2.
    assert kstest(6 * distance, "chi2", args=(6,)).pvalue > 1e-3
    mean, spread = template.standardisation.mean_and_spread(np.full(3, 20.0))
    steps = template.distance(mean + np.outer([0, 2, 4], np.eye(6)[2]) * spread, np.full(3, 20.0))
    assert steps[0] < steps[1] < steps[2]


def test_core_and_tail_of_known_radii_are_found(electrons) -> None:
    template = LateralTemplate.fit([(electrons, fit_gamma_profiles(electrons), electrons.tracks)])
    weight, core, tail = template.at(np.array([0.6, 1.0, 1.6]))
    np.testing.assert_allclose(weight, CORE_WEIGHT, atol=0.02)
    np.testing.assert_allclose(core, CORE, rtol=0.05)
    np.testing.assert_allclose(tail, TAIL, rtol=0.08)


CONSTANT = LateralTemplate(np.array([1.0]), np.array([CORE_WEIGHT]), np.array([CORE]), np.array([TAIL]))


def entropy_by_hand(showers: Showers, axis: Tracks) -> np.ndarray:
    """Relative entropy in thirds of the layers, without the package."""
    result = np.zeros((len(showers), 3))
    for event, image in enumerate(showers.images.astype(float)):
        for group in range(3):
            layers = range(6 * group, 6 * group + 6)
            total = 0.0
            for layer in layers:
                q = shares(AMS.cell_edges() - AMS.project(axis)[event, layer])
                q /= q.sum()
                e = image[layer]
                hit = e > 0
                total += (e[hit] * np.log(e[hit] / e.sum() / q[hit])).sum()
            result[event, group] = total / image[list(layers)].sum()
    return result


def test_lateral_distance_is_the_relative_entropy_of_the_cells(electrons) -> None:
    some = electrons[:12]
    distance = CONSTANT.distance(some, fit_gamma_profiles(some), some.tracks)
    np.testing.assert_allclose(distance, entropy_by_hand(some, some.tracks), rtol=1e-6)
    assert (distance > 0).all()


def test_lateral_distance_vanishes_for_the_template_and_grows_with_the_width() -> None:
    exact = toy_showers(8, 4, proton_share=0.0, quantum=None)
    offset = AMS.cell_edges() - AMS.project(exact.tracks)[:, :, None]
    distances = []
    for core in (CORE, 1.5 * CORE, 3 * CORE):
        images = exact.layer_energies[:, :, None] * shares(offset, CORE_WEIGHT, core, 5 * core)
        wider = Showers(images, exact.table)
        distances.append(CONSTANT.distance(wider, fit_gamma_profiles(wider), wider.tracks))
    assert abs(distances[0]).max() < 1e-5
    assert (distances[1] > 0.01).all()
    assert (distances[2] > distances[1]).all()


def test_no_axis_no_lateral_distance(electrons) -> None:
    some = electrons[:2]
    nowhere = Tracks(np.full(2, np.nan), np.nan, 0, 0)
    assert np.isnan(CONSTANT.distance(some, fit_gamma_profiles(some), nowhere)).all()
    with pytest.raises(ValueError, match="the electrons have no energy near their axes"):
        LateralTemplate.fit([(some, fit_gamma_profiles(some), nowhere)])


# --- densities ---


def normal_events(n: int, seed: int, shift: float = 0.0, rho: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Two correlated normal variables whose means rise, and whose spreads fall, with the energy."""
    energy = energies(n, seed)
    z = np.random.default_rng(seed + 1000).multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
    spread = energy[:, None] ** -0.2 * [1.0, 2.0]
    return shift + np.log(energy)[:, None] + spread * z, energy


def normal_log_density(values: np.ndarray, energy: np.ndarray, shift: float = 0.0, rho: float = 0.6) -> np.ndarray:
    spread = energy[:, None] ** -0.2 * [1.0, 2.0]
    z = (values - shift - np.log(energy)[:, None]) / spread
    return multivariate_normal([0, 0], [[1, rho], [rho, 1]]).logpdf(z) - np.log(spread).sum(axis=1)


def test_density_and_ratio_of_known_normal_distributions() -> None:
    fitted = EnergyDependentDensity.fit(*normal_events(40_000, 1))
    other = EnergyDependentDensity.fit(*normal_events(40_000, 2, shift=0.7, rho=-0.3))
    values, energy = normal_events(4000, 3)
    difference = fitted.log_density(values, energy) - normal_log_density(values, energy)
    assert abs(difference.mean()) < 0.03
    assert difference.std() < 0.1
    ratio = fitted.log_density(values, energy) - other.log_density(values, energy)
    expected = normal_log_density(values, energy) - normal_log_density(values, energy, 0.7, -0.3)
    assert np.corrcoef(ratio, expected)[0, 1] > 0.99
    assert abs(ratio - expected).mean() < 0.15


def test_density_integrates_to_1_and_gives_its_own_samples() -> None:
    rng, energy = np.random.default_rng(5), energies(5000)
    skew = (rng.gamma(2.0, 1.0, 5000) + np.log(energy))[:, None]
    density = EnergyDependentDensity.fit(skew, energy)
    x = np.linspace(-20, 60, 20_001)
    value = np.exp(density.log_density(x[:, None], np.full(len(x), 30.0)))
    assert np.trapezoid(value, x) == pytest.approx(1, abs=0.01)
    drawn = density.sample(np.full(4000, 30.0), rng)[:, 0]
    assert ks_2samp(drawn, rng.gamma(2.0, 1.0, 4000) + np.log(30)).pvalue > 1e-3


def test_samples_have_the_correlation_and_the_mean_ratio_of_densities_is_1() -> None:
    one, two = (EnergyDependentDensity.fit(*normal_events(20_000, seed, shift)) for seed, shift in ((1, 0), (2, 0.3)))
    energy = np.full(20_000, 30.0)
    drawn = two.sample(energy, np.random.default_rng(7))
    assert spearmanr(*drawn.T).statistic == pytest.approx(6 / np.pi * np.arcsin(0.6 / 2), abs=0.03)
    ratio = np.exp(one.log_density(drawn, energy) - two.log_density(drawn, energy))
    assert ratio.mean() == pytest.approx(1, abs=5 * ratio.std() / np.sqrt(len(ratio)) + 0.02)


def test_an_undefined_variable_is_left_out_of_the_density() -> None:
    values, energy = normal_events(2000, 1)
    density = EnergyDependentDensity.fit(values, energy)
    alone = EnergyDependentDensity.fit(values[:, :1], energy)
    hidden = values[:300].copy()
    hidden[:, 1] = np.nan
    expected = alone.log_density(values[:300, :1], energy[:300]) - np.log(alone.complete) + np.log(1 - density.complete)
    np.testing.assert_allclose(density.log_density(hidden, energy[:300]), expected, atol=1e-9)
    nothing = density.log_density(np.full((1, 2), np.nan), [20.0])
    np.testing.assert_allclose(nothing, np.log(1 - density.complete))


def test_nothing_is_impossible_and_far_is_less_likely_than_near() -> None:
    density = EnergyDependentDensity.fit(*normal_events(1000, 1))
    far = density.log_density([[3, 3], [8, 8], [1e3, 1e3], [1e300, -1e300]], [20.0] * 4)
    assert np.isfinite(far).all()
    assert (np.diff(far) < 0).all()


def test_an_event_like_neither_kind_is_as_likely_for_one_as_for_the_other() -> None:
    rng, energy = np.random.default_rng(4), energies(3000)
    narrow = EnergyDependentDensity.fit(rng.standard_normal((3000, 8)), energy)
    wide = EnergyDependentDensity.fit(6 * rng.standard_normal((1000, 8)), energy[:1000])
    strange = np.zeros((2, 8))
    strange[:, :3] = 300.0
    even = narrow.log_even_density(strange, [20.0, 20.0])
    ratio = narrow.log_density(strange, [20.0, 20.0], even) - wide.log_density(strange, [20.0, 20.0], even)
    np.testing.assert_allclose(ratio, np.log(1001 / 3001), atol=0.01)


def test_repeated_values_have_a_density() -> None:
    density = EnergyDependentDensity.fit(np.r_[np.zeros(500), np.ones(20)][:, None], energies(520))
    assert np.isfinite(density.log_density([[0.0], [1.0]], [20.0, 20.0])).all()


# --- the value ---


def test_value_is_low_for_electrons_and_logits_are_high(likelihood) -> None:
    showers = toy_showers(600, 2)
    value, electron = likelihood.value(showers), is_electron(showers)
    assert np.quantile(value[electron], 0.95) < np.quantile(value[~electron], 0.05)
    np.testing.assert_allclose(likelihood.logits(showers), -value / 2)


def test_variables_have_names_and_values(likelihood) -> None:
    table = likelihood.variables(toy_showers(30, 2))
    assert list(table) == list(LIKELIHOOD_VARIABLES)
    assert len(LIKELIHOOD_VARIABLES) == 16
    assert table.notna().all().all()


def test_value_is_the_ratio_of_the_densities(likelihood) -> None:
    showers = toy_showers(100, 2)
    values, energy = likelihood.variables(showers).to_numpy(), showers.table["en3d"].to_numpy()
    even = likelihood.electron.log_even_density(values, energy)
    ratio = likelihood.electron.log_density(values, energy, even) - likelihood.proton.log_density(values, energy, even)
    np.testing.assert_allclose(likelihood.value(showers), -2 * ratio)


def test_electrons_are_distributed_as_the_densities_say(likelihood, electrons) -> None:
    """Lambda of electrons drawn from the fitted densities, and of other electrons from the same templates."""
    energy = electrons.table["en3d"].to_numpy()
    drawn = likelihood.value_from(likelihood.electron.sample(energy, np.random.default_rng(3)), energy)
    real = likelihood.value(electrons)
    spread = (np.quantile(real, 0.84) - np.quantile(real, 0.16)) / 2
    assert abs(np.median(drawn) - np.median(real)) < 0.5 * spread
    cut = np.quantile(drawn, 0.9)  # the efficiency that the densities promise is the one that is found
    assert (real < cut).mean() == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize("kind", ["wider", "deeper", "beside the track"])
def test_value_rises_with_what_electrons_do_not_do(likelihood, kind) -> None:
    base = toy_showers(60, 8, proton_share=0.0)
    tracks, rng, medians = base.tracks, np.random.default_rng(1), []
    for step in range(3):
        maximum = 4.2 + 0.95 * np.log(base.table["en3d"].to_numpy()) + (2.5 * step if kind == "deeper" else 0)
        shift = 2.5 * step if kind == "beside the track" else 0.0
        width = 1 + (0.7 * step if kind == "wider" else 0)
        moved = Tracks(tracks.x + shift, tracks.y + shift, tracks.inclination, tracks.azimuth)
        lateral = shares(AMS.cell_edges() - AMS.project(moved)[:, :, None], CORE_WEIGHT, width * CORE, width * TAIL)
        layers = base.table["en3d"].to_numpy()[:, None] * layer_parts(maximum, tracks.inclination)
        images = rng.poisson(layers[:, :, None] * lateral / 0.005) * 0.005
        medians.append(np.median(likelihood.value(Showers(images, base.table))))
    assert medians[0] < medians[1] < medians[2]


def odd_events() -> Showers:
    """Nothing, one cell, a crossing particle, one without a track, one with no energy, one beyond the side."""
    images = np.zeros((7, *AMS.shape), np.float32)
    images[1, 5, 30] = 3.0
    tracks = pd.DataFrame(
        {"track_x": 3.0, "track_y": -20.0, "track_inclination": 0.1, "track_azimuth": 1.0}, index=range(7)
    )
    tracks["en3d"] = [0.0, 3.0, 0.2, 20.0, 0.0, 20.0, 1e6]
    tracks.loc[3, ["track_x", "track_inclination"]] = np.nan
    tracks.loc[5, "track_x"] = 2000.0
    cells = AMS.cell_at(AMS.project(Tracks(3.0, -20.0, 0.1, 1.0)))[0].astype(int)
    for event, energy in ((2, 0.011), (3, 1.0), (4, 1.0), (5, 1.0), (6, 1000.0)):
        images[event, np.arange(18), cells] = energy
    return Showers(images, tracks)


def test_odd_events_have_a_finite_value_and_are_no_electrons(likelihood) -> None:
    value = likelihood.value(odd_events())
    assert np.isfinite(value).all()
    electrons = likelihood.value(toy_showers(500, 5, proton_share=0.0))
    assert (value > np.quantile(electrons, 0.98)).all()


def test_crossing_protons_are_no_electrons_even_where_the_training_had_none(sample) -> None:
    crossing = mip_like(sample)
    shower = sample[(sample.table["en3d"] > 3).to_numpy() & ~crossing]
    likelihood = ShowerLikelihood.fit(lambda: [(shower, is_electron(shower))])
    value = likelihood.value(sample)
    assert crossing.sum() > 100
    assert np.isfinite(value).all()
    electrons = value[is_electron(sample) & (sample.table["en3d"] > 3).to_numpy()]
    assert np.quantile(value[crossing], 0.01) > np.quantile(electrons, 0.95)


def test_value_of_no_events(likelihood) -> None:
    assert likelihood.value(toy_showers(5, 1)[:0]).shape == (0,)


def test_arrays_round_trip_to_the_bit(likelihood, electrons) -> None:
    back = ShowerLikelihood.from_arrays(likelihood.to_arrays())
    np.testing.assert_array_equal(back.value(electrons[:100]), likelihood.value(electrons[:100]))


def test_both_kinds_are_needed() -> None:
    some = toy_showers(100, 1, proton_share=0.0)

    def parts() -> Iterator[tuple[Showers, np.ndarray]]:
        yield some, is_electron(some)

    with pytest.raises(ValueError, match="none of the 0 events has a positive energy"):
        ShowerLikelihood.fit(parts)


# --- as a model ---

RECIPE = Recipe(name="toy", energy_min=5.0, energy_max=90.0)


@pytest.fixture(scope="module")
def showers() -> Showers:
    return toy_showers(900, 3)


@pytest.fixture(scope="module")
def store(showers, tmp_path_factory) -> Store:
    return from_showers(showers, tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    return train(store, "shower_likelihood", tmp_path_factory.mktemp("runs") / "lhd", recipe=RECIPE, threads=1)


def test_run_directory_of_a_likelihood(run) -> None:
    assert {path.name for path in run.path.iterdir()} >= {
        "config.json", "metrics.csv", "weights.safetensors", "weights.json",
    }  # fmt: skip
    assert run.info["title"] == "likelihood"
    assert len(run.history) == 1
    assert run.best["val_auc"] > 0.99


def test_scores_are_those_of_the_training_events_densities(run, store, showers) -> None:
    table, sample = store.table(), store.splits()
    rows = np.flatnonzero((sample == "train") & (table["en3d"] >= 5) & (table["en3d"] < 90))
    part = store.showers(rows)
    part.table[:] = part.table.assign(
        **{name: part.table[name].astype(np.float32) for name in part.table.select_dtypes("float64")}
    )
    own = ShowerLikelihood.fit(lambda: [(part, is_electron(part))])
    scores = predict(run.path, showers, threads=1, batch_size=100)
    expected = own.logits(showers)
    # The events of a scores table are rounded to float32 first.
    np.testing.assert_allclose(scores["lhd"], expected, rtol=1e-3, atol=0.02)
    classifier = load_weights(run.path)
    assert isinstance(classifier, EventClassifier)
    np.testing.assert_allclose(classifier.method.value(showers), -2 * expected, rtol=1e-3, atol=0.04)  # type: ignore[attr-defined]


def test_options_and_columns_that_are_not_there(store, showers, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="shower_likelihood has no option rounds; its options are none"):
        train(store, "shower_likelihood", tmp_path / "run", recipe=RECIPE, model_options={"rounds": 3})
    lacking = Showers(showers.images, showers.table.drop(columns="track_inclination"))
    with pytest.raises(TrainingError, match="the store has no column track_inclination"):
        train(from_showers(lacking, tmp_path / "s"), "shower_likelihood", tmp_path / "run", recipe=RECIPE)


def test_damaged_weights(run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "weights.json"):
        (copy / name).write_bytes((run.path / name).read_bytes())
    (copy / "weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match=r"is damaged, or not the file that weights.json was written for"):
        load_weights(copy)
    info = json.loads((copy / "weights.json").read_text())
    (copy / "weights.json").write_text(json.dumps({name: value for name, value in info.items() if name != "sha256"}))
    with pytest.raises(TrainingError, match=r"weights.safetensors does not hold a likelihood"):
        load_weights(copy)

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from ecalnb import ntuples
from ecalnb._toml import DATA
from ecalnb.geometry import AMS, Tracks
from ecalnb.showers import Showers
from ecalnb.simulation.decays import MASS, boosted_pair, decay_to_stable, phase_space
from ecalnb.simulation.fit_hadronic import crossing_summary, kinetic_energies
from ecalnb.simulation.hadronic import HADRON_ENERGY_RANGE, load_hadronic, simulate_hadrons
from ecalnb.simulation.interactions import (
    MASSES,
    PROJECTILES,
    interaction_length,
    load_interactions,
    pack_interactions,
)
from ecalnb.simulation.ionisation import in_fibre, load_ionisation, stopping
from ecalnb.simulation.response_library import read_sources, write_responses
from ecalnb.simulation.responses import SPECIES, load_responses, responses_provenance
from ecalnb.simulation.secondaries import Secondaries, is_light, representative, sort_secondaries
from ecalnb.splits import split_of
from ecalnb.variables import mip_like


def vertical(n):
    generator = np.random.default_rng(3)
    return Tracks(generator.uniform(-200, 200, n), generator.uniform(-200, 200, n), np.zeros(n), np.zeros(n))


@pytest.fixture(scope="module")
def twins():
    """Geant4 protons that no fit has seen, and fast ones of the same energies and tracks."""
    geant4 = ntuples.read(DATA / "sample" / "geant4_protons.root")
    unseen = geant4[np.isin(split_of(geant4.table["file_id"], geant4.table["entry"]), ["train", "validation"])]
    images = simulate_hadrons("proton", kinetic_energies(unseen), unseen.tracks, generator=7)
    return unseen, Showers(images, unseen.table)


momenta = st.floats(0.0, 1e4)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([221, 331, 223, 3212]), momenta, st.integers(0, 2**32 - 1))
def test_decays_conserve_energy_and_momentum(pdg, momentum, seed):
    parent = np.array([np.hypot(momentum, MASS[pdg]), 0.0, 0.0, momentum])
    products = decay_to_stable(pdg, parent, np.random.default_rng(seed))
    total = np.sum([vector for _, vector in products], axis=0)
    np.testing.assert_allclose(total, parent, rtol=1e-9, atol=1e-9 * parent[0])
    for code, vector in products:
        mass2 = vector[0] ** 2 - vector[1:] @ vector[1:]
        assert mass2 == pytest.approx(MASS[code] ** 2, abs=1e-9 * parent[0] ** 2)


def test_three_bodies_reach_the_ends_of_their_phase_space():
    parent = np.array([MASS[221], 0.0, 0.0, 0.0])
    generator = np.random.default_rng(1)
    energy = np.array([phase_space(parent, (MASS[111],) * 3, generator)[2, 0] for _ in range(2000)])
    highest = (MASS[221] ** 2 + MASS[111] ** 2 - (2 * MASS[111]) ** 2) / (2 * MASS[221])
    assert energy.min() == pytest.approx(MASS[111], rel=0.02)
    assert energy.max() == pytest.approx(highest, rel=0.02)
    assert energy.mean() == pytest.approx(MASS[221] / 3, rel=0.01)


@pytest.mark.parametrize(("mass", "masses"), [(0.1, (0.2, 0.2)), (1.0, (0.1,) * 4)])
def test_impossible_decays_are_refused(mass, masses):
    with pytest.raises(ValueError, match=r"products"):
        phase_space(np.array([mass, 0, 0, 0]), masses, np.random.default_rng(1))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 1e4), st.integers(0, 2**32 - 1))
def test_a_neutral_pion_gives_two_photons_of_its_mass(kinetic, seed):
    mass = MASSES[-1]
    pair = boosted_pair(mass, 0.0, 0.0, kinetic, 0.6, 0.0, 0.8, np.random.default_rng(seed))
    e1, u1, e2, u2 = pair[0], np.array(pair[1:4]), pair[4], np.array(pair[5:8])
    assert e1 + e2 == pytest.approx(kinetic + mass)
    momentum = e1 * u1 + e2 * u2
    np.testing.assert_allclose(
        momentum, np.sqrt(kinetic * (kinetic + 2 * mass)) * np.array([0.6, 0, 0.8]), atol=1e-6 * (kinetic + mass)
    )


def test_libraries_say_how_they_were_made():
    with np.load(DATA / "simulation" / "interactions_ftfp_bert.npz") as library:
        interactions = json.loads(str(library["provenance"]))
    responses = responses_provenance()
    assert interactions["geant4"].startswith("11.4")
    assert "FTFP_BERT" in interactions["physics"]
    assert interactions["data"]
    assert set(responses) == {"isotropic", "directed"}
    assert all(part["cut_mm"] == 0.1 and part["data"] for part in responses.values())


def test_interactions_of_the_library_conserve_energy():
    library = load_interactions()
    for projectile, name in enumerate(PROJECTILES):
        start = library.set_first[projectile]
        for index in range(start, start + library.set_count[projectile]):
            if library.energy[index] < 5 or name == "pbar":
                continue
            first = library.event_first[index]
            events = range(first, first + library.event_count[index])
            sums = np.array([library.kinetic[library.fast_first[e] : library.fast_first[e + 1]].sum() for e in events])
            # Quantised to a percent; what is missing bound slow particles, masses of mesons, and the nucleus.
            assert sums.max() < 1.02 * library.energy[index] + 2
            assert 0.6 < np.median(sums) / library.energy[index] < 1.01, (name, library.energy[index])


def test_interaction_lengths_are_those_of_hadrons_in_this_material():
    library = load_interactions()
    lengths = {name: interaction_length(library, i, 100.0) for i, name in enumerate(PROJECTILES)}
    assert 235 < lengths["p"] < 262
    assert abs(lengths["n"] / lengths["p"] - 1) < 0.06
    assert lengths["pi+"] > 1.1 * lengths["p"]
    assert interaction_length(library, 0, 1e6) == library.length[library.set_count[0] - 1]


def test_a_library_of_interactions_is_read_as_written(tmp_path):
    generator = np.random.default_rng(1)
    collected = Secondaries()
    pdg = np.array([2212, 111, 2112, 1000822060, 221])
    kinetic = np.array([40.0, 5.0, 0.002, 0.001, 3.0])
    direction = np.tile([0.6, 0.0, 0.8], (5, 1))
    sort_secondaries(collected, pdg, kinetic, direction, generator)
    sets = {(name, 50.0): collected.columns() | {"length": 250.0} for name in PROJECTILES}
    pack_interactions(tmp_path / "library.npz", sets, {"geant4": "none"})
    library = load_interactions(tmp_path / "library.npz")
    assert list(library.fast_first) == [i * collected.n_fast[0] for i in range(len(PROJECTILES) + 1)]
    assert library.kinetic[0] == pytest.approx(40.0, rel=0.006)
    assert library.theta[0] == pytest.approx(np.arccos(0.8), rel=0.011)
    assert not library.light.any()
    assert (library.species == SPECIES.index("neutron")).all()
    with pytest.raises(ValueError, match="no interactions of K\\+"):
        pack_interactions(tmp_path / "other.npz", {k: v for k, v in sets.items() if k[0] != "K+"}, {})
    with pytest.raises(ValueError, match="muon"):
        pack_interactions(tmp_path / "other.npz", sets | {("muon", 1.0): sets["p", 50.0]}, {})


def test_light_targets_are_known_by_their_nucleons():
    assert is_light(np.array([2212, 2212, 211, -211]))
    assert is_light(np.array([2212, 1000060120]))
    assert not is_light(np.array([2212, 2112, 1000822060]))


def test_chosen_interactions_have_the_mean_of_all():
    generator = np.random.default_rng(1)
    event = np.repeat(np.arange(3000), 2)
    pdg = np.tile([111, 2112], 3000)
    kinetic = generator.exponential(10.0, 6000)
    chosen = representative(event, pdg, kinetic, 500)
    assert len(np.unique(chosen)) == 500
    energy = kinetic[::2]
    assert energy[chosen].mean() == pytest.approx(energy.mean(), rel=0.005)
    assert list(representative(event, pdg, kinetic, 5000)) == list(range(3000))


def test_a_library_of_responses_is_read_as_written(tmp_path):
    hits = np.array([[0.0, 0.0, 0.01], [3.0, -2.0, 1e-5]])
    sources = {("neutron", 0.002): [[hits]] * 18, ("gamma_down", 0.1): [[hits, hits[:0]]] * 2}
    write_responses(tmp_path / "responses.npz", sources, {})
    read = read_sources(tmp_path / "responses.npz")
    assert set(read) == set(sources)
    np.testing.assert_allclose(read["neutron", 0.002][17][0], hits, rtol=0.011)
    assert [len(response) for response in read["gamma_down", 0.1][1]] == [2, 0]
    with pytest.raises(ValueError, match="muon"):
        write_responses(tmp_path / "other.npz", {("muon", 1.0): [[hits]] * 2}, {})


def test_responses_of_photons_have_their_energy():
    library = load_responses()
    species = SPECIES.index("gamma_down")
    for bin_ in range(library.n_energies[species]):
        first, number = library.first[species, bin_, 0], library.number[species, bin_].sum()
        begin, end = library.hit_first[first], library.hit_first[first + number]
        mean = library.energy[begin:end].sum() / number
        # In a deep calorimeter all energy is found; on the image scale 10 GeV electrons of 5.7 % leakage are right.
        assert mean / library.energies[species, bin_] == pytest.approx(1.06, abs=0.08)


def test_stopping_power_of_a_minimum_ionising_particle():
    table = load_ionisation(30.0)
    # Lead, polystyrene and glue by volume: minimum 12.7, 2.05 and 2.3 MeV/cm (PDG, atomic and nuclear properties).
    expected = (12.7 + 0.57 * 2.05 + 0.15 * 2.3) / 1.72 * 1e-4
    assert stopping(table.mixture, 2.0, 0.938) == pytest.approx(expected, rel=0.04)
    assert abs(table.landau.mean()) < 1e-9


def test_fluctuations_are_landau_s():
    def density(value):  # L. Landau, J. Phys. USSR 8 (1944) 201
        def integrand(t):
            return np.exp(-t * (np.log(t) + value)) * np.sin(np.pi * t)

        return integrate.quad(integrand, 0, 40, limit=300)[0] / np.pi

    points = np.arange(-3.0, 60.0, 0.02)
    cumulative = integrate.cumulative_trapezoid([density(point) for point in points], points, initial=0)
    quantiles = np.interp([0.05, 0.25, 0.5, 0.75, 0.9], cumulative, points)
    table = load_ionisation(1e6).landau
    drawn = np.quantile(table, [0.05, 0.25, 0.5, 0.75, 0.9])
    np.testing.assert_allclose(np.diff(drawn), np.diff(quantiles), rtol=0.01)


def test_fibres_fill_their_share_of_the_volume():
    generator = np.random.default_rng(1)
    places = generator.uniform((-324, 0), (324, AMS.thickness), (20000, 2))
    inside = [in_fibre(u, z) for u, z in places]
    assert np.mean(inside) == pytest.approx(0.57 / 1.72, abs=0.012)


def test_first_interactions_are_exponential():
    n = 6000
    _, depth = simulate_hadrons("proton", np.full(n, 60.0), vertical(n), generator=1, return_truth=True)
    length = interaction_length(load_interactions(), 0, 60.0) * load_hadronic().length_scale
    crossing = np.isnan(depth).mean()
    expected = np.exp(-AMS.thickness / length)
    assert crossing == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))
    inside = np.sort(depth[np.isfinite(depth)])
    uniform = (1 - np.exp(-inside / length)) / (1 - expected)
    assert np.abs(uniform - (np.arange(len(inside)) + 0.5) / len(inside)).max() < 1.95 / np.sqrt(len(inside))


def test_crossing_protons_are_those_of_geant4(twins):
    geant4, fast = twins
    n = len(geant4)
    difference = mip_like(geant4).mean() - mip_like(fast).mean()
    assert abs(difference) < 4 * np.sqrt(2 * 0.25 / n)
    np.testing.assert_allclose(crossing_summary(fast), crossing_summary(geant4), atol=0.12)


@pytest.mark.parametrize(("low", "high"), [(20, 60), (60, 150), (150, 400)])
def test_visible_energies_are_those_of_geant4(twins, low, high):
    geant4, fast = twins
    energy = kinetic_energies(geant4)
    chosen = (energy >= low) & (energy < high)
    visible = [part.energies[chosen & ~mip_like(part)] / energy[chosen & ~mip_like(part)] for part in (geant4, fast)]
    generator = np.random.default_rng(1)
    for q in (0.25, 0.5, 0.75, 0.95):
        errors = [np.std([np.quantile(generator.choice(v, len(v)), q) for _ in range(100)]) for v in visible]
        difference = np.quantile(visible[0], q) - np.quantile(visible[1], q)
        assert abs(difference) < 4 * np.hypot(*errors), (q, difference, errors)


@pytest.mark.parametrize("particle", ["proton", "antiproton", "neutron", "pion+", "pion-", "kaon+", "kaon-"])
def test_the_same_seed_gives_the_same_events(particle):
    energies = np.array([1.0, 30.0, 3000.0])
    first, again = (simulate_hadrons(particle, energies, vertical(3), generator=11) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.dtype == np.float32
    assert first.shape == (3, *AMS.shape)


def test_energies_beyond_the_fit_give_sensible_events():
    n = 100
    energies = np.full(n, HADRON_ENERGY_RANGE[1])
    images, depth = simulate_hadrons("proton", energies, vertical(n), generator=2, return_truth=True)
    visible = images.sum(axis=(1, 2), dtype=float)
    assert np.isfinite(images).all()
    assert (images >= 0).all()
    assert (visible < 1.1 * energies).all()
    early = depth < 60
    assert 0.05 < np.median(visible[early] / energies[early]) < 0.5


def test_tracks_that_leave_through_a_side_leave_nothing_beyond():
    n = 50
    tracks = Tracks(np.full(n, 300.0), np.zeros(n), np.full(n, 1.2), np.zeros(n))
    parameters = load_hadronic()._replace(length_scale=1e9)
    images = simulate_hadrons("proton", np.full(n, 20.0), tracks, generator=1, parameters=parameters)
    assert (images[:, :1].sum(axis=(1, 2)) > 0).mean() > 0.9
    assert images[:, 6:].sum() < 0.02 * images.sum()


@pytest.mark.parametrize(
    ("particle", "energy", "message"),
    [
        ("muon", 10.0, "'muon'"),
        ("proton", 1e6, "1e\\+06 GeV"),
        ("proton", np.nan, "nan"),
        ("proton", [1.0, 2.0], "shape"),
    ],
)
def test_bad_input_is_refused(particle, energy, message):
    with pytest.raises(ValueError, match=message):
        simulate_hadrons(particle, energy, vertical(1))

"""Cross-sections, straggling and the way of nuclei through the instrument, against formulas and other programs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import landau

from ecalnb.nuclei import cross_sections, straggling
from ecalnb.nuclei.abundances import natural_fluxes, natural_weights
from ecalnb.nuclei.parameters import DOMAINS, SPECIES, Nucleus, nucleus, parameters, pick, varied
from ecalnb.nuclei.sample import NucleiSample
from ecalnb.nuclei.simulation import BLOCK, Beam, simulate
from ecalnb.nuclei.studies import charge_resolutions
from ecalnb.nuclei.systematics import thicker

P = parameters()


@pytest.fixture(scope="module")
def events() -> NucleiSample:
    return simulate(60_000, Beam(pick(["C", "F", "Si"])), seed=3)


def test_epax_gives_the_value_that_its_author_published_as_a_check():
    # in the program that goes with Phys. Rev. C 86 (2012) 014601: 58Ni on 9Be to 48Ni
    value = cross_sections.epax(Nucleus("Ni", 28, 58), 9, 48, 28)
    assert 1e-3 * value == pytest.approx(1.4075e-14, rel=1e-3)  # b


@pytest.mark.parametrize(
    ("name", "expected"),
    [("O", [156.9, 131.1, 100.6]), ("Ne", [159.0, 135.6, 107.0]), ("Fe", [207.7, 162.0, 126.2])],
)
def test_elements_from_carbon_are_those_of_another_implementation(name, expected):
    # pynurex 1.9.3, epax3 summed over isotopes, mb, for one, two and three charges less
    yields = cross_sections.element_yields(nucleus(name), 12)
    assert yields[::-1][:3] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(("name", "glauber"), [("C", 799), ("O", 930), ("Mg", 1143), ("Si", 1196), ("Fe", 1598)])
def test_total_cross_sections_agree_with_a_glauber_calculation(name, glauber):
    # pynurex 1.9.3, charge-changing at 1 GeV a nucleon on carbon, mb; such calculations are good to 5 to 10 %
    value = cross_sections.charge_changing(nucleus(name).mass_number, 12, P.fragmentation)
    assert value == pytest.approx(glauber, rel=0.08)


def test_fragments_have_less_charge_and_probabilities_add_up():
    table = cross_sections.interactions(P.material, P.fragmentation)
    assert np.all(np.diff(table.rate[1:]) > 0)  # heavier nuclei break up more
    for z in range(2, cross_sections.MAX_CHARGE + 1):
        assert table.cumulative[z, z - 1] == pytest.approx(1.0)
        assert np.all(np.diff(table.cumulative[z]) >= 0)


@pytest.mark.parametrize("node", [8, 15, 25, 32])
def test_straggling_has_the_moments_of_the_spectrum_of_transfers(node):
    # transfers with xi/T^2 up to 1: variance kappa, third moment kappa/2
    kappa = np.exp(straggling._LOG_FIRST + straggling._LOG_STEP * node)
    loss = straggling.straggling_table()[node]
    loss = loss - loss.mean()
    assert (loss**2).mean() == pytest.approx(kappa, rel=0.02)
    assert (loss**3).mean() == pytest.approx(kappa / 2, rel=0.06)


def test_straggling_becomes_landau_and_normal():
    table = straggling.straggling_table()
    quartiles = np.interp([0.25, 0.5, 0.75], (np.arange(1024) + 0.5) / 1024, table[0])
    # scipy's Landau variable is 2/pi of the usual one, which is in units of xi
    expected = np.pi / 2 * landau.ppf([0.25, 0.5, 0.75]) * np.exp(straggling._LOG_FIRST)
    assert np.diff(quartiles) == pytest.approx(np.diff(expected), rel=0.03)
    heavy = table[-1]
    assert (np.quantile(heavy, 0.84) - np.quantile(heavy, 0.16)) / 2 == pytest.approx(heavy.std(), rel=0.02)


def test_the_same_seed_gives_the_same_events_whatever_their_number():
    beam = Beam(pick(["O", "F"]))
    few, many = simulate(1000, beam, seed=5), simulate(BLOCK + 500, beam, seed=5)
    np.testing.assert_array_equal(few.values, many.values[:1000])
    assert not np.array_equal(few.values, simulate(1000, beam, seed=6).values, equal_nan=True)


def test_break_ups_are_as_many_as_the_material_says(events):
    charge, place, _ = events.truth
    m = P.material
    upstream = m.above_l1, m.l1_support + m.trd + m.upper_tof + m.l2
    angle = events.column("trk_inclination")
    rate = cross_sections.interactions(m, P.fragmentation).rate
    for each in pick(["C", "F", "Si"]):
        own = charge == each.charge
        above = np.exp(-upstream[0] * rate[each.charge] / np.cos(angle[own])).mean()
        inside = np.exp(-sum(upstream) * rate[each.charge] / np.cos(angle[own])).mean()
        for expected, code in ((1 - above, 0), (above - inside, 1)):
            n = own.sum()
            assert (place[own] == code).mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / n))


def test_charges_are_unbiased_and_as_wide_as_published_for_carbon(events):
    charge, place, _ = events.truth
    for each in pick(["C", "F", "Si"]):
        whole = (charge == each.charge) & (place == 4)
        for name in ("trk_q_l1", "trk_q_inner", "tof_q_upper"):
            assert np.nanmedian(events.column(name)[whole]) == pytest.approx(each.charge, abs=0.05)
    widths = charge_resolutions(events).set_index(["species", "detector"])["width"].loc["C"]
    published = {"L1": 0.30, "inner tracker": 0.12, "upper TOF": 0.16, "TRD": 0.33}  # Kounine 2012
    for detector, value in published.items():
        assert widths[detector] == pytest.approx(value, rel=0.15)


def test_what_broke_up_above_l1_has_its_fragment_charge_everywhere(events):
    charge, place, _ = events.truth
    silicon = (charge == 14) & (events.column("trk_q_inner") < 11.5)
    for code, before in ((0, False), (1, True)):
        own = silicon & (place == code)
        keeps = np.abs(events.column("trk_q_l1")[own] - 14) < 1.5
        assert own.sum() > 50
        assert keeps.mean() == pytest.approx(float(before), abs=0.05)


def test_light_fragments_leave_hits_beside_the_track(events):
    charge, place, _ = events.truth
    hits = events.column("trk_secondary_2")
    assert hits[(charge == 14) & (place == 1)].mean() > 4 * hits[(charge == 14) & (place == 4)].mean()


def test_the_flight_detector_is_worse():
    beam = Beam(pick(["F"]))
    widths = {
        domain: charge_resolutions(simulate(20_000, beam, domain=domain)).set_index("detector")["width"]
        for domain in DOMAINS
    }
    worse = widths["flight"] / widths["mc"]
    assert (worse[["L1", "inner tracker", "upper TOF"]] > 1.02).all()  # the TRD is saturated


def test_a_tenth_more_cross_section_is_a_tenth_more_break_ups():
    beam = Beam(pick(["Ne"]))
    shares = [(simulate(40_000, beam, given=given).truth[1] < 2).mean() for given in (P, thicker(P, 1.1))]
    material = P.material.above_l1 + P.material.l1_support + P.material.trd + P.material.upper_tof + P.material.l2
    mean = material * cross_sections.interactions(P.material, P.fragmentation).rate[10] * 1.05
    assert shares[1] - shares[0] == pytest.approx(0.1 * mean * np.exp(-mean), rel=0.35)


def test_natural_weights_make_the_fluxes():
    sample = simulate(40_000, Beam(pick(["O", "F"]), rigidity=(5.0, 100.0)))
    weights = natural_weights(sample)
    charge = sample.truth[0]
    r = np.geomspace(5, 100, 400)
    integrals = [np.trapezoid(natural_fluxes(z, r), r) for z in (9, 8)]
    assert weights[charge == 9].sum() / weights[charge == 8].sum() == pytest.approx(
        integrals[0] / integrals[1], rel=0.01
    )
    assert 0.01 < integrals[0] / integrals[1] < 0.03  # fluorine is 1 to 2 % of oxygen


def test_natural_events_are_as_abundant_as_the_fluxes():
    sample = simulate(40_000, Beam(pick(["C", "O", "Si"]), "natural", (5.0, 100.0)))
    charge, _, rigidity = sample.truth
    r = np.geomspace(5, 100, 400)
    fluxes = np.array([np.trapezoid(natural_fluxes(z, r), r) for z in (6, 8, 14)])
    counts = np.array([(charge == z).sum() for z in (6, 8, 14)])
    expected = 40_000 * fluxes / fluxes.sum()
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected).max()
    assert ((rigidity >= 5) & (rigidity <= 100)).all()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(SPECIES)), st.integers(2, 27))
def test_no_cross_section_is_negative(name, target):
    each = nucleus(name)
    assert np.all(cross_sections.element_yields(each, target) >= 0)
    assert cross_sections.charge_changing(each.mass_number, target, P.fragmentation) > 0


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: nucleus("Flourine"), "no species is named 'Flourine'; expected one of H, He"),
        (lambda: pick(["F", "F"]), "expected each once"),
        (lambda: Beam(abundance="solar"), "abundance is 'solar'; expected 'equal' or 'natural'"),
        (lambda: Beam(rigidity=(10.0, 5.0)), "expected two rising"),
        (lambda: simulate(0), "n is 0; expected one event or more"),
        (lambda: simulate(10, domain="moon"), "unknown key 'moon'; expected mc, flight"),
        (lambda: varied(P, tracker={"gian_spread": 1.0}), "did you mean 'gain_spread'"),
    ],
)
def test_bad_input_is_told(action, message):
    with pytest.raises(ValueError, match=message):
        action()

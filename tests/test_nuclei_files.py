"""ROOT files of nuclei: layouts, what is missing, and truth that cannot be."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import uproot

from ecalnb.nuclei.comparison import both_domains
from ecalnb.nuclei.ntuples import iterate_nuclei, read_nuclei, simulate_nuclei, write_nuclei
from ecalnb.nuclei.parameters import pick
from ecalnb.nuclei.protocol import in_sample
from ecalnb.nuclei.sample import NucleiSample, concatenate
from ecalnb.nuclei.schema import load_nuclei_schema
from ecalnb.nuclei.simulation import Beam, simulate
from ecalnb.rootio import RootError

BEAM = Beam(pick(["O", "F", "Si"]))


@pytest.fixture(scope="module")
def events() -> NucleiSample:
    return simulate(2000, BEAM, seed=1)


@pytest.fixture
def schema(tmp_path):
    def write(text: str):
        path = tmp_path / "own.toml"
        path.write_text('base = "default"\n' + text)
        return path

    return write


def test_what_is_written_is_read(events, tmp_path):
    assert write_nuclei(tmp_path / "a.root", [events[:500], events[500:]]) == 2000
    again = read_nuclei(tmp_path / "a.root")
    np.testing.assert_array_equal(again.values, events.values)
    for own, other in zip(again.truth, events.truth, strict=True):
        np.testing.assert_array_equal(own, other)


def test_simulating_into_a_file_is_simulating(events, tmp_path):
    simulate_nuclei(tmp_path / "a.root", 2000, beam=BEAM, seed=1)
    np.testing.assert_array_equal(read_nuclei(tmp_path / "a.root").values, events.values)


def test_reading_in_pieces_keeps_the_keys(events, tmp_path):
    write_nuclei(tmp_path / "a.root", [events])
    pieces = list(iterate_nuclei(tmp_path / "a.root", step=300))
    assert [len(piece) for piece in pieces] == 6 * [300] + [200]
    np.testing.assert_array_equal(concatenate(pieces).keys[:, 1], np.arange(2000))


def test_parts_share_no_event(events):
    parts = [in_sample(events, name) for name in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(events)
    keys = np.concatenate([part.keys[:, 1] for part in parts])
    assert len(set(keys.tolist())) == len(events)
    assert len(parts[0]) / len(events) == pytest.approx(0.6, abs=0.05)


def test_files_with_other_names_and_sentinels(events, tmp_path, schema):
    path = schema('tree = "t1"\n[variables.tof_beta]\nbranch = "BetaH"\nmissing = -1.0\n[truth]\ncharge = "Z"\n')
    write_nuclei(tmp_path / "a.root", [events], schema=path)
    with uproot.open({tmp_path / "a.root": "t1"}) as tree:
        assert "tof_beta" not in tree
        beta = tree["BetaH"].array(library="np")
        np.testing.assert_array_equal(tree["Z"].array(library="np"), events.charge)
    assert (beta == -1).sum() == np.isnan(events.column("tof_beta")).sum() > 0
    np.testing.assert_array_equal(read_nuclei(tmp_path / "a.root", schema=path).values, events.values)


def test_flight_events_have_no_truth(events, tmp_path):
    write_nuclei(tmp_path / "a.root", [replace(events, charge=None, place=None, rigidity=None)])
    flight = read_nuclei(tmp_path / "a.root")
    with pytest.raises(ValueError, match="these events have no truth"):
        _ = flight.truth


def written(events, path, **changes):
    """Write a file whose branches differ from the layout."""
    arrays = {
        each.name: events.values[:, events.schema.offsets[each.name] :][:, : each.elements]
        for each in events.schema.variables
    }
    arrays |= {"mc_charge": events.charge, "mc_place": events.place, "mc_rigidity": events.rigidity} | changes
    with uproot.recreate(path) as file:
        kept = {name: np.squeeze(values) for name, values in arrays.items() if values is not None}
        file.mktree("nuclei", {name: (values.dtype, values.shape[1:]) for name, values in kept.items()})
        file["nuclei"].extend(kept)
    return path


def test_both_domains_come_from_a_folder(events, tmp_path):
    blind = replace(events[:300], charge=None, place=None, rigidity=None)
    write_nuclei(tmp_path / "mc_1.root", [events[:1200]])
    write_nuclei(tmp_path / "mc_2.root", [events[1200:]])
    write_nuclei(tmp_path / "flight.root", [blind])
    mc, flight = both_domains(BEAM, 10, data_dir=tmp_path)
    assert (len(mc), len(flight)) == (2000, 300)
    assert len(np.unique(mc.keys, axis=0)) == 2000
    np.testing.assert_array_equal(mc.charge, events.charge)
    assert flight.charge is None


def test_missing_variables_are_named(events, tmp_path, caplog):
    path = written(events, tmp_path / "a.root", trd_q=None, acc_hits=None)
    with caplog.at_level(logging.WARNING, "ecalnb"):
        sample = read_nuclei(path)
    assert sample.missing == ("trd_q", "acc_hits")
    assert "has no trd_q, acc_hits" in caplog.text
    assert np.isnan(sample.column("trd_q_20")).all()
    np.testing.assert_array_equal(sample.column("trk_q_l1"), events.column("trk_q_l1"))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"trk_q_x": np.ones((2000, 7), np.float32)}, RootError, "'trk_q_x' holds 7 numbers an event; expected 9"),
        ({"mc_place": None}, RootError, "the truth is not whole, mc_place is missing"),
        ({"mc_place": np.full(2000, 7)}, ValueError, "the true place of 2000 of 2000 events .* such as 7"),
        (
            {"mc_charge": np.full(2000, 17)},
            ValueError,
            "the true charge .* such as 17; expected the charge of a species",
        ),
        ({"mc_rigidity": np.full(2000, -3.0)}, ValueError, "such as -3; expected GV above 0"),
        ({"mc_charge": np.ones(2000, int)}, ValueError, "events of charge 1 broke up"),
    ],
)
def test_wrong_layouts_and_truths_are_errors(events, tmp_path, changes, error, message):
    path = written(events, tmp_path / "a.root", **changes)
    with pytest.raises(error, match=message):
        read_nuclei(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[variables.trk_q_z]\nbranch = 'q'\n", "unknown key 'trk_q_z'"),
        ("[variables.trk_q_x]\nelements = 8\n", "elements is 8; expected 9"),
        ("[variables.trk_q_x]\nbrunch = 'q'\n", "did you mean 'branch'"),
    ],
)
def test_bad_schemas_are_told(schema, text, message):
    with pytest.raises(ValueError, match=message):
        load_nuclei_schema(schema(text))


def test_another_tree_is_no_file_of_nuclei(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("t1", {"x": "f4"})
        file["t1"].extend({"x": np.ones(3, "f4")})
    with pytest.raises(RootError, match="has no tree 'nuclei'; it has 't1'"):
        read_nuclei(tmp_path / "a.root")

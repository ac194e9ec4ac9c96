"""Cuts, cutflows and packaged selections."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from ecalnb.geometry import AMS, Tracks
from ecalnb.selection import (
    Cut,
    CutFlow,
    Selection,
    SelectionError,
    load_selections,
)


def sample(n=400, seed=1):
    rng = np.random.default_rng(seed)
    energy = rng.exponential(30, n)
    energy[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "en3d": energy,
            "track_x": rng.uniform(-350, 350, n),
            "label": rng.choice(["electron", "proton"], n),
        }
    )


ENERGY = Cut("en3d > 20", label="energy")
TRACK = Cut("abs(track_x) < 300", label="track")
LABEL = Cut("label == 'electron'", label="electrons")


def half(table):
    return table["en3d"] > 20


HALF = Cut(half, label="half", columns=["en3d"])


@pytest.mark.parametrize("energy", [ENERGY, HALF], ids=["text", "function"])
def test_cuts_compose_and_missing_values_never_pass(energy):
    table = sample()
    above, inside = table["en3d"] > 20, table["track_x"].abs() < 300
    known = table["en3d"].notna()
    assert np.array_equal(energy(table), above & known)
    assert np.array_equal((energy & TRACK)(table), above & inside)
    assert np.array_equal((energy | TRACK)(table), above | inside)
    assert np.array_equal((~energy)(table), ~above & known)
    assert np.array_equal((~(energy & TRACK))(table), (~above & known) | ~inside)
    assert np.array_equal((~~energy)(table), above & known)


def test_labels_and_columns_of_compositions():
    assert (ENERGY | TRACK).label == "(energy) or (track)"
    assert (~HALF).label == "not (half)"
    assert (ENERGY | HALF | LABEL).columns == ("en3d", "label")
    assert (HALF | TRACK).labelled("either").label == "either"
    assert [cut.label for cut in (ENERGY & TRACK) & (~LABEL)] == ["energy", "track", "not (electrons)"]
    assert (ENERGY | TRACK).to_dict()["expression"] == "(en3d > 20) or (abs(track_x) < 300)"
    assert (~(ENERGY & HALF)).to_dict()["columns"] == ["en3d"]
    assert "test_selection.half" in (~(ENERGY & HALF)).to_dict()["function"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cut(half), "needs label"),
        (lambda: Cut(half, label="half"), "needs label"),
        (lambda: Cut(3), "neither a text"),
        (lambda: Cut("en3d > 1", columns=["en3d"]), "must be left out"),
        (lambda: Selection([]), "no cuts"),
        (lambda: ENERGY & Cut("en3d > 30", label="energy"), "two cuts have the label 'energy'"),
    ],
)
def test_bad_cuts_are_refused(make, message):
    with pytest.raises(SelectionError, match=message):
        make()


def test_missing_column_names_cut_column_and_close_match():
    cut = Cut("track_z < 3", label="depth")
    with pytest.raises(SelectionError, match=r"cut 'depth' needs the column 'track_z'.*did you mean track_x"):
        cut(sample())
    with pytest.raises(SelectionError, match=r"cut 'half' needs the column 'en3d'"):
        HALF(sample().drop(columns="en3d"))


def test_wrong_type_names_cut():
    with pytest.raises(SelectionError, match=r"cut 'x': .*compares text with a number"):
        Cut("label > 3", label="x")(sample())


def test_function_must_return_a_boolean_for_each_event():
    for function in (lambda t: t["en3d"].to_numpy(), lambda _: np.ones(3, dtype=bool)):
        with pytest.raises(SelectionError, match="expected one boolean for each of 400 events"):
            Cut(function, label="bad", columns=["en3d"])(sample())


def test_cutflow_counts_like_a_loop_over_events():
    table = sample()
    selection = Selection([ENERGY, TRACK, LABEL], name="test")
    flow = selection.cutflow(table)
    passes = [[bool(x > 20), abs(t) < 300, label == "electron"] for x, t, label in table.itertuples(index=False)]
    rows = flow.table
    assert flow.n_events == 400
    assert rows["cut"].tolist() == ["energy", "track", "electrons"]
    for i in range(3):
        assert rows["events_alone"][i] == sum(p[i] for p in passes)
        assert rows["events"][i] == sum(all(p[: i + 1]) for p in passes)
        assert rows["events_others"][i] == sum(all(p[:i] + p[i + 1 :]) for p in passes)
    assert rows["missing"].tolist() == [table["en3d"].isna().sum(), 0, 0]
    assert flow.n_passed == selection(table).sum() == len(selection.select(table))


def test_cutflow_intervals_are_clopper_pearson():
    rows = (ENERGY & TRACK).cutflow(sample(), level=0.9).table
    for row in rows.itertuples():
        for events, of, low, high in (
            (row.events_alone, 400, row.fraction_alone_low, row.fraction_alone_high),
            (row.events, 400, row.fraction_low, row.fraction_high),
            (rows["events"].iloc[-1], row.events_others, row.fraction_last_low, row.fraction_last_high),
        ):
            expected = binomtest(events, of).proportion_ci(0.9, method="exact")
            assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), max_size=4), st.booleans())
def test_cutflows_of_chunks_add_up(stops, weighted):
    table, selection = sample(), ENERGY & TRACK & HALF
    weights = np.arange(400.0) % 7 if weighted else None
    edges = [0, *sorted(stops), 400]
    chunks = [slice(a, b) for a, b in itertools.pairwise(edges)]
    parts = [selection.cutflow(table[c], None if weights is None else weights[c]) for c in chunks]
    assert sum(parts) == selection.cutflow(table, weights)


def test_weighted_cutflow_uses_sums_of_weights():
    table = sample()
    flow = (ENERGY & TRACK).cutflow(table, np.where(table["label"] == "electron", 2.0, 0.0))
    electrons = (ENERGY & TRACK).cutflow(table[table["label"] == "electron"])
    # Events of weight 0 are not there, and a common factor does not matter.
    for column in ("fraction_alone", "fraction", "fraction_low", "fraction_high", "fraction_last_low"):
        assert flow.table[column].to_numpy() == pytest.approx(electrons.table[column].to_numpy())
    assert flow.table["weight"].to_numpy() == pytest.approx(2 * electrons.table["events"].to_numpy())


@pytest.mark.parametrize(
    ("weights", "message"), [(np.ones(3), "one weight for each of 400"), (-np.ones(400), "a weight is -1")]
)
def test_cutflow_refuses_bad_weights(weights, message):
    with pytest.raises(SelectionError, match=message):
        (ENERGY & TRACK).cutflow(sample(), weights)


def test_cutflows_of_different_selections_do_not_add():
    with pytest.raises(SelectionError, match="do not add up"):
        (ENERGY & TRACK).cutflow(sample()) + (ENERGY & LABEL).cutflow(sample())
    with pytest.raises(SelectionError, match="different weighted"):
        (ENERGY & TRACK).cutflow(sample()) + (ENERGY & TRACK).cutflow(sample(), np.ones(400))


def test_cutflow_goes_to_json_and_back(tmp_path):
    flow = (ENERGY & TRACK & HALF).cutflow(sample(), np.linspace(0, 1, 400))
    path = flow.to_json(tmp_path / "metrics" / "flow.json")
    assert CutFlow.from_json(path) == flow
    pd.testing.assert_frame_equal(CutFlow.from_json(path).table, flow.table)
    content = json.loads(path.read_text())
    assert content["cuts"][1]["table"]["fraction"] == pytest.approx(flow.table["fraction"][1])
    assert [p.name for p in path.parent.iterdir()] == ["flow.json"]


def test_cutflow_of_nothing_is_valid_json(tmp_path):
    flow = (ENERGY & TRACK).cutflow(sample()[:0])
    assert flow.table["fraction"].isna().all()
    assert CutFlow.from_json(flow.to_json(tmp_path / "flow.json")) == flow
    assert "no events" in flow._repr_html_()


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', '{"format": "ecalnb cut-flow 1", "cuts": []}'])
def test_what_is_no_cutflow_is_refused(tmp_path, text):
    path = tmp_path / "flow.json"
    path.write_text(text)
    with pytest.raises(SelectionError, match=r"flow\.json"):
        CutFlow.from_json(path)


def test_cutflow_in_a_notebook_shows_numbers_and_escapes_labels():
    flow = Selection([Cut("en3d > 20", label="<b>E</b> & co"), TRACK], name="a<b").cutflow(sample())
    page = flow._repr_html_()
    assert "&lt;b&gt;E&lt;/b&gt; &amp; co" in page
    assert "a&lt;b" in page
    assert "<b>" not in page
    assert f"{flow.n_passed:,} of 400" in page
    assert "missing value" in page
    assert "a<b" in str(flow)


def test_selection_that_leaves_nothing_names_the_cut():
    selection = ENERGY & Cut("en3d < 10", label="upper") & TRACK
    with pytest.raises(
        SelectionError, match=r"leaves none of 400 events: the cut 'upper' \(en3d < 10\) removes the last"
    ):
        selection.select(sample())
    with pytest.raises(SelectionError, match="was given no events"):
        selection.select(sample()[:0])
    empty = sample().assign(en3d=np.nan)
    with pytest.raises(SelectionError, match="400 have a missing value there"):
        (ENERGY & TRACK).select(empty)
    assert (TRACK & LABEL).cutflow(sample()).require_events().n_passed > 0


def test_selections_of_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[selections.window]\ndescription = "d"\ncuts = [{label = "low", expression = "en3d > 20"},'
        ' {label = "high", expression = "en3d < 60"}]\n'
    )
    selection = Selection.load(path)
    assert (selection.name, selection.description, len(selection)) == ("window", "d", 2)
    assert np.array_equal(selection(sample()), sample()["en3d"].between(20, 60, inclusive="neither"))
    assert Selection.load("window", path).to_dict() == selection.to_dict()
    assert Selection.from_dict(selection.to_dict()).to_dict() == selection.to_dict()
    with pytest.raises(SelectionError, match=r"no selection 'windows' in .*mine\.toml; there are window"):
        Selection.load("windows", path)
    path.write_text(path.read_text() + '[selections.b]\ncuts = [{label = "l", expression = "en3d > 2"}]\n')
    with pytest.raises(SelectionError, match="holds the selections window, b"):
        Selection.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selections = 3", "has no selections"),
        ("", "selections' is missing"),
        ("not toml", "is not valid TOML"),
        ("[selection.a]", "unknown key 'selection'"),
        ("[selections]\na = 3", "is 3; expected a table"),
        ("[selections.a]\ncut = []", "'a': unknown key 'cut'"),
        ('[selections.a]\nname = "b"\ncuts = []', "'a': unknown key 'name'"),
        ("[selections.a]", "no list of cuts"),
        ("[selections.a]\ncuts = []", "no list of cuts"),
        ("[selections.a]\ncuts = ['en3d > 1']", "cut 1 is 'en3d > 1'"),
        ('[selections.a]\ncuts = [{expression = "en3d > 1"}]', "expected a label and an expression"),
        ('[selections.a]\ncuts = [{label = "l", expression = 3}]', "expected a label and an expression"),
        (
            '[selections.a]\ncuts = [{label = "l", expression = "x > 1", colour = 3}]',
            "cut 1: unknown key 'colour'",
        ),
        ('[selections.a]\ncuts = [{label = "l", expression = "x >"}]', r"cut 1 \(l\): .*does not parse"),
    ],
)
def test_bad_files_are_explained(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SelectionError, match=message) as error:
        load_selections(path)
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_no_such_file(tmp_path):
    with pytest.raises(SelectionError, match=r"none\.toml: no such file"):
        load_selections(tmp_path / "none.toml")


def test_packaged_track_containment_agrees_with_the_geometry():
    rng = np.random.default_rng(3)
    n = 5000
    tracks = Tracks(rng.uniform(-400, 400, n), rng.uniform(-400, 400, n), rng.uniform(0, 1, n), rng.uniform(-4, 4, n))
    columns = {f"track_{name}": getattr(tracks, name) for name in ("x", "y", "inclination", "azimuth")}
    x, y = tracks.at([0, AMS.thickness])
    inside = ((abs(x) <= 300) & (abs(y) <= 300)).all(axis=1)
    assert np.array_equal(Selection.load("track_contained")(pd.DataFrame(columns)), inside)


def test_packaged_window_holds_no_crossing_proton():
    # A crossing proton leaves at most 0.45 GeV in the packaged Geant4 sample.
    table = pd.DataFrame({"en3d": [0.2, 0.45, 10, 50, 80]})
    assert Selection.load("showering")(table).tolist() == [False, False, True, True, True]
    window = Selection([cut for cut in Selection.load("geant4_rejection") if cut.columns == ("en3d",)])
    assert window(table).tolist() == [False, False, True, True, False]


def test_all_packaged_selections_load_and_describe_themselves():
    for name, selection in load_selections().items():
        assert selection.name == name
        assert selection.description

"""Browsing: sources, joined scores, conditions, sorting, and kept events; and that little of a large store is read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecalnb import ntuples
from ecalnb.display import EventList, Events, KeptEvents
from ecalnb.display.events import open_events
from ecalnb.expressions import ExpressionError
from ecalnb.store import from_showers


@pytest.fixture
def scores(showers):
    """Scores of half of the events, in another order."""
    table = showers.table[["file_id", "entry", "en3d", "label"]].iloc[::-2].reset_index(drop=True)
    return table.assign(split="test", network=np.arange(len(table), dtype=float))


def test_every_source_gives_the_same_events(showers, tmp_path):
    store = from_showers(showers, tmp_path / "store")
    ntuples.write(showers, tmp_path / "file.root")
    sources = [showers, store, tmp_path / "store", tmp_path / "file.root"]
    for events in map(Events, sources):
        assert len(events) == 20
        assert "en3d" in events.columns
        shower = events.shower(7)
        assert len(shower) == 1
        np.testing.assert_allclose(shower.images[0], showers.images[7], rtol=1e-6)
        assert shower.table["momentum"][0] == pytest.approx(showers.table["momentum"][7])
        assert events.table(["en3d"], [3, 1])["en3d"].tolist() == pytest.approx(showers.table["en3d"][[3, 1]].tolist())


def test_bad_cells_of_a_file_keep_the_numbers_of_its_events(showers, tmp_path):
    showers.images[4, 3, 2] = np.nan
    ntuples.write(showers, tmp_path / "file.root")
    events = Events(tmp_path / "file.root")
    assert len(events) == 20
    assert events.shower(5).table["entry"][0] == 5
    assert events.shower(4).metadata["bad_cells"]["nan"] == 1


def test_scores_are_joined_by_the_key(showers, scores):
    events = Events(showers, scores)
    assert events.scores == ("split", "network")
    joined = events.table(["entry", "network"]).set_index("entry")["network"]
    assert joined.notna().sum() == 10
    for entry, score in zip(scores["entry"], scores["network"], strict=True):
        assert joined[entry] == score
    assert events.shower(int(scores["entry"][0])).table["network"][0] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="entry"), "no column entry"),
        (lambda table: pd.concat([table, table]), "an event twice"),
        (lambda table: table.assign(file_id=3), "none of the 10 scored events is among the 20"),
    ],
)
def test_scores_that_cannot_be_joined_are_refused(showers, scores, change, message):
    with pytest.raises(ValueError, match=message):
        Events(showers, change(scores))


def test_sources_that_are_none_are_refused(showers, tmp_path):
    with pytest.raises(ValueError, match="holds no event"):
        Events(showers[:0])
    with pytest.raises(ValueError, match="nothing does not exist"):
        Events(tmp_path / "nothing")
    with pytest.raises(ValueError, match="source is int"):
        Events(3)
    with pytest.raises(ValueError, match="in one place"):
        open_events(Events(showers), pd.DataFrame())


def test_a_condition_leaves_events_and_a_column_orders_them(showers, scores):
    events = EventList(Events(showers, scores))
    events.choose("network > 2.5 and label == 'electron'", "network")
    entries = showers.table["entry"][events.rows].tolist()
    assert entries == scores.sort_values("network", ascending=False)["entry"].tolist()[:7]
    assert events.row == events.rows[0]
    events.choose("", "network", False)
    assert len(events) == 20
    assert showers.table["entry"][events.rows[0]] == scores["entry"][0]
    assert set(showers.table["entry"][events.rows[10:]]).isdisjoint(scores["entry"])  # without a score: last


def test_going_through_the_list_stops_at_both_ends(showers):
    events = EventList(Events(showers), 18)
    assert [events.step(1), events.step(1), events.step(-1), events.step(-100), events.step(5)] == [19, 19, 18, 0, 5]


def test_the_present_event_stays_if_it_is_left(showers):
    events = EventList(Events(showers), 8)
    events.choose("entry > 4")
    assert events.row == 8
    events.choose("entry > 10")
    assert events.row == 11


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ("en3d >", ExpressionError, "does not parse"),
        ("__import__('os')", ExpressionError, "not allowed"),
        ("energy > 3", ExpressionError, "'energy', which the table does not have"),
        ("en3d > 1e9", ValueError, "no event passes 'en3d > 1e9'"),
        ("label > 3", ExpressionError, "text with a number"),
    ],
)
def test_a_condition_that_fails_changes_nothing(showers, where, error, message):
    events = EventList(Events(showers))
    events.choose("entry > 4", "en3d")
    before = (events.rows.tolist(), events.position, events.where, events.sort)
    with pytest.raises(error, match=message):
        events.choose(where, "momentum")
    with pytest.raises(ValueError, match="'energie'"):
        events.choose("entry > 3", "energie")
    assert (events.rows.tolist(), events.position, events.where, events.sort) == before


def test_events_that_do_not_exist_or_are_not_left_are_refused(showers):
    events = EventList(Events(showers))
    for row in (-1, 20):
        with pytest.raises(IndexError, match=f"event {row} does not exist; there are 20 events, numbered from 0"):
            events.jump(row)
        with pytest.raises(IndexError, match="numbered from 0"):
            events.events.shower(row)
    events.choose("entry > 4")
    with pytest.raises(IndexError, match="event 3 is not among the 15 events left by 'entry > 4'"):
        events.jump(3)


class Million:
    """A store of a million events that counts what is read of it."""

    def __init__(self, store):
        self.store, self.read = store, []
        self.geometry, self.shards, self.columns = store.geometry, store.shards, store.columns

    def __len__(self):
        return 1_000_000

    def table(self, columns=None, rows=None):
        n = len(self) if rows is None else len(rows)
        self.read.append((tuple(columns), n))
        keys = np.arange(n) if rows is None else np.asarray(rows)
        return pd.DataFrame({name: keys % 20 if name == "entry" else keys.astype(float) for name in columns})

    def showers(self, rows):
        self.read.append(("images", len(rows)))
        return self.store.showers([row % 20 for row in rows])


def test_of_a_million_events_only_the_columns_asked_for_are_read(showers, tmp_path, monkeypatch):
    from ecalnb.display import events as module
    from ecalnb.display.sources import InStore

    store = Million(from_showers(showers, tmp_path / "store"))
    store.shards = (type("Shard", (), {"n_events": 1_000_000, "sources": ({"kind": "mc"},)})(),)
    monkeypatch.setattr(module, "open_source", InStore)
    events = EventList(Events(store), 500_000)
    assert store.read == []
    events.choose("en3d > 999_000", "momentum")
    assert store.read == [(("en3d",), 1_000_000), (("momentum",), 999)]
    assert (len(events), events.row) == (999, 999_999)
    shower = events.events.shower(events.row)
    assert store.read[2:] == [("images", 1)]
    assert shower.metadata["kind"] == "mc"


def test_kept_events_come_back_from_their_table(tmp_path):
    kept = KeptEvents()
    kept.keep((2**62 + 1, 4), 'looks, "odd"')
    kept.keep((-5, 6))
    kept.keep((7, 8), "no")
    kept.drop((7, 8))
    kept.keep((-5, 6), "NA")
    for name in ("kept.csv", "kept.parquet"):
        again = KeptEvents(kept.save(tmp_path / "folder" / name))
        pd.testing.assert_frame_equal(again.table(), kept.table())
        assert (2**62 + 1, 4) in again
        assert again.note((-5, 6)) == "NA"
        assert again.note((1, 1)) == ""
    assert len(kept) == 2


def test_a_table_that_is_none_of_kept_events_is_neither_read_nor_replaced(tmp_path):
    kept = KeptEvents()
    with pytest.raises(ValueError, match="no event is kept yet"):
        kept.save(tmp_path / "kept.csv")
    kept.keep((1, 2))
    with pytest.raises(ValueError, match=r"neither a \.csv nor a \.parquet"):
        kept.save(tmp_path / "kept.txt")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for action in (kept.save, KeptEvents):
        with pytest.raises(ValueError, match="no column file_id, entry, note"):
            action(tmp_path / "other.csv")
    assert (tmp_path / "other.csv").read_text() == "a,b\n1,2\n"
    with pytest.raises(ValueError, match="not a readable table"):
        KeptEvents(tmp_path / "nothing.parquet")

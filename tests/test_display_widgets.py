"""The display without a browser: what the fields do, what is said, and the page and the pictures that it leaves."""

from __future__ import annotations

import html.parser
import sys

import numpy as np
import pandas as pd
import pytest

from ecalnb import display
from ecalnb.cli import main
from ecalnb.display import EventDisplay, Events, KeptEvents, browser, summary
from ecalnb.geometry import AMS
from ecalnb.showers import Showers
from ecalnb.store import from_showers

PNG = b"\x89PNG\r\n\x1a\n"
EVIL = '<script>alert("1")</script> $x_{ & \'"'


@pytest.fixture
def evil(sample):
    """An event whose texts try to be something else."""
    shower = sample[[0]]
    shower.table = shower.table.assign(label=EVIL, note=EVIL)
    shower.metadata = {"kind": "mc", "simulation": EVIL}
    return shower


@pytest.fixture
def shown(sample):
    pytest.importorskip("k3d")
    made = EventDisplay(sample)
    assert made.widget is made.widget
    return made


def message(shown):
    return shown._controls.message.value


def test_the_summary_says_what_the_table_and_the_image_do(sample):
    lines = summary.summary(sample[[3]], row=3, extra=["pdg"])
    assert lines["event"] == "3"
    assert lines["label"] == "electron"
    assert lines["sum of cells"].startswith(f"{sample.energies[3]:.4g} GeV")
    layer, cell = np.unravel_index(sample.images[3].argmax(), AMS.shape)
    assert lines["largest cell"].startswith(f"layer {layer} ({AMS.views[layer]}), cell {cell}: ")
    assert lines["pdg"] == "11"
    assert set(lines) >= {"track axis", "reconstructed axis", "energy en3d", "key"}


def test_cells_that_are_not_finite_are_counted_and_nothing_breaks(sample):
    shower = sample[[3]]
    shower.images = shower.images.copy()
    shower.images[0, 4, [1, 2]] = np.nan, np.inf
    assert summary.summary(shower)["bad cells"].startswith("2 with an energy")
    assert summary.cell_table(shower)["energy_mev"].map(np.isfinite).all()
    assert display.draw_sheet(shower).axes
    made = EventDisplay(shower)
    assert "2 with an energy" in _text(made)


def _text(made):
    pytest.importorskip("k3d")
    assert made.widget is not None
    return made._panel.summary.value


def test_the_table_of_cells_has_the_whole_energy(sample):
    table = summary.cell_table(sample[[5]])
    assert table["energy_mev"].sum() / 1000 == pytest.approx(sample.energies[5], rel=1e-5)
    assert table["energy_mev"].is_monotonic_decreasing
    first = table.iloc[0]
    assert first["position_mm"] == AMS.cell_centers([first["cell"]])[0]


def test_the_legend_has_the_ends_of_the_scale():
    from ecalnb.display.views import energy_scale

    text = summary.legend_html(energy_scale(np.full(AMS.shape, 2.0)), AMS, ["track"])
    for word in ("cell energy [MeV]", ">0.1<", ">1,000<", "x measured", "y measured", "track axis"):
        assert word in text
    assert ">10,000<" not in text


def test_the_sheet_has_both_views_the_profile_with_its_fit_and_the_lateral_profile(sample):
    figure = display.draw_sheet(sample, 3)
    labels = [ax.get_xlabel() for ax in figure.axes]
    for label in ("x [mm]", "y [mm]", "depth [$X_0$]", "|distance from track| [mm]", "cell energy [MeV]"):
        assert label in labels
    (long,) = (ax for ax in figure.axes if ax.get_xlabel() == "depth [$X_0$]")
    (curve,) = (line for line in long.lines if len(line.get_xdata()) > 100)
    x, y = curve.get_data()
    inside = np.trapezoid(y, x) / (AMS.radiation_lengths / AMS.n_layers) / 1000
    assert inside == pytest.approx(sample.energies[3], rel=0.02)  # the fit keeps the energy in the layers
    with pytest.raises(IndexError, match="event 800 does not exist"):
        display.draw_sheet(sample, 800)


def test_a_sheet_without_track_or_energy_is_drawn_too(sample):
    bare = Showers(sample.images[:1], sample.table[["en3d"]].iloc[:1])
    assert any("shower axis" in ax.get_xlabel() for ax in display.draw_sheet(bare).axes)
    empty = Showers(np.zeros((1, *AMS.shape)), pd.DataFrame({"en3d": [0.0]}))
    assert display.draw_sheet(empty).axes


def test_stepping_jumping_and_filtering_by_the_fields(shown):
    made = shown._controls
    made.next.click()
    made.next.click()
    assert (shown.list.row, made.number.value, made.place.value) == (2, 2, "3 of 800")
    assert ">2<" in shown._panel.summary.value
    made.previous.click()
    made.number.value = 410
    assert shown.list.row == 410
    made.where.value = "label == 'proton' and en3d > 10"
    assert made.place.value.endswith(f"of {len(shown.list)}")
    assert 0 < len(shown.list) < 400
    made.sort.value = "en3d"
    assert shown.list.position == 0
    energies = [float(line.split()[2]) for line, _ in made.listed.options[:5]]
    assert energies == sorted(energies, reverse=True)
    made.listed.value = made.listed.options[3][1]
    assert shown.list.position == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [("label = ", "does not parse"), ("en3d > 1e9", "no event passes"), ("momentun > 3", "did you mean momentum")],
)
def test_a_bad_condition_is_said_beside_the_field_and_nothing_is_lost(shown, text, said):
    made = shown._controls
    made.where.value = "label == 'proton'"
    before = shown._panel.summary.value
    made.where.value = text
    assert said in message(shown)
    assert made.where.value == text
    assert (len(shown.list), shown._panel.summary.value) == (400, before)
    made.where.value = "label == 'electron'"
    assert said not in message(shown)
    assert len(shown.list) == 400


def test_what_is_typed_is_escaped_in_the_message(shown):
    shown._controls.where.value = "en3d > '<b>x</b>'"
    assert "<b>" not in message(shown)
    assert "&lt;b&gt;" in message(shown)


def test_numbers_that_do_not_exist_are_said(shown):
    shown.jump(800)
    assert "event 800 does not exist" in message(shown)
    shown.choose("label == 'proton'")
    shown._controls.number.value = 5
    assert "event 5 is not among the 400 events" in message(shown)


def test_the_threshold_and_the_parts_reach_the_scene(shown):
    made, scene = shown._controls, shown._panel.scene
    before = scene._mesh.indices.size
    made.threshold.value = 2.0
    assert scene.threshold == pytest.approx(0.1)
    assert scene._mesh.indices.size < before
    made.views.value = ("x",)
    made.shown.value = "both"
    assert scene._points.visible
    made.cameras["XZ"].click()
    assert scene.plot.camera[:2] == pytest.approx([0, min(scene.plot.camera)])


def test_kept_events_have_their_notes_and_are_saved(shown, tmp_path):
    made = shown._controls
    shown.jump(5)
    made.keep.value = True
    made.note.value = "odd"
    shown.go(1)
    assert not made.keep.value
    assert made.note.value == ""
    shown.go(-1)
    assert made.keep.value
    assert made.note.value == "odd"
    made.path.value = str(tmp_path / "kept.csv")
    made.save.click()
    assert "1 events are in" in message(shown)
    table = KeptEvents(tmp_path / "kept.csv").table()
    assert table["entry"].tolist() == [shown.events.table(["entry"])["entry"][5]]
    made.path.value = str(tmp_path / "kept.txt")
    made.save.click()
    assert "neither a .csv" in message(shown)


def test_an_event_is_held_beside_the_next_ones(shown):
    shown.jump(7)
    shown._controls.beside.value = True
    shown.go(3)
    held, present = shown._panels()
    assert ">7<" in held.summary.value
    assert ">10<" in present.summary.value
    shown._controls.beside.value = False
    assert shown._panels() == [present]


def test_attributions_colour_the_cells(sample):
    pytest.importorskip("k3d")
    made = EventDisplay(sample, attribute=lambda shower: -shower.images)
    assert made.widget is not None
    plain = made._panel.scene._mesh.colors.copy()
    made._controls.attributed.value = True
    assert (made._panel.scene._mesh.colors != plain).any()
    assert "part in the logit" in made._panel.legend.value


def test_the_display_begins_where_it_is_told_and_refuses_what_it_cannot(sample):
    made = EventDisplay(sample, where="label == 'proton'", event=500)
    assert repr(made) == "<EventDisplay: event 500 of 800, 400 left>"
    with pytest.raises(IndexError, match="event 900"):
        EventDisplay(sample, event=900)
    with pytest.raises(ValueError, match="threshold is -1"):
        EventDisplay(sample, threshold=-1)
    with pytest.raises(ValueError, match="no event passes"):
        EventDisplay(sample, where="en3d < 0")


def test_who_does_not_look_gets_a_picture(sample, monkeypatch):
    assert not browser.is_live()
    bundle = EventDisplay(sample)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png"}
    assert bundle["image/png"].startswith(PNG)
    kernel = type("Shell", (), {"kernel": 1, "history_manager": type("H", (), {"hist_file": "history.sqlite"})()})()
    monkeypatch.setitem(sys.modules, "IPython", type("M", (), {"get_ipython": staticmethod(lambda: kernel)}))
    monkeypatch.delenv("ECALNB_BATCH", raising=False)
    assert browser.is_live()
    kernel.history_manager.hist_file = ":memory:"  # as nbclient starts kernels
    assert not browser.is_live()


class Page(html.parser.HTMLParser):
    """Tags and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.texts, self.inner = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        self.inner = values.get("srcdoc", self.inner)

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_has_all_it_needs_and_escapes_everything(evil, tmp_path):
    pytest.importorskip("k3d")
    path = display.write_html(evil, tmp_path / "event.html", row=12, extra=("note",))
    text = path.read_text("utf-8")
    page = Page(text)
    assert page.tags.count("script") == 1
    assert any(EVIL in words for words in page.texts)
    assert all(link.startswith("data:") for link in page.links)
    assert not [link for link in Page(page.inner).links if not link.startswith("data:")]
    assert "[K3D_SOURCE]" not in page.inner
    assert "alert(" not in page.inner
    assert page.tags.count("tr") > np.count_nonzero(evil.images)  # a row for each cell


def test_the_picture_and_the_page_from_the_command_line(sample, tmp_path, capsys):
    store = from_showers(sample, tmp_path / "store")
    scores = sample.table[["file_id", "entry", "en3d", "label"]].assign(split="test", network=sample.table["en3d"])
    scores.to_parquet(tmp_path / "scores.parquet")
    words = ["display", str(store.path), "--scores", str(tmp_path / "scores.parquet"), "--sort", "network"]
    words += ["--where", "label == 'proton'"]
    assert main([*words, "--png", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    pytest.importorskip("k3d")
    assert main([*words, "--html", str(tmp_path / "a.html")]) == 0
    highest = sample.table[sample.table["label"] == "proton"]["en3d"].idxmax()
    assert f"ECAL event, {highest:,}, proton" in (tmp_path / "a.html").read_text()
    assert "a.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--event", "800"], "event 800 does not exist; there are 800 events, numbered from 0"),
        (["--event", "-1"], "event -1 does not exist"),
        (["--where", "en3d >"], "does not parse"),
        (["--where", "en3d > 1e9"], "no event passes"),
        (["--where", "entry > 5", "--event", "0"], "event 0 is not among"),
        (["--sort", "energy"], "'energy', which the table does not have"),
        (["--png", "a.gif"], "does not end in .png"),
        (["--scores", "nothing.parquet"], "nothing.parquet does not exist"),
    ],
)
def test_bad_input_on_the_command_line_is_one_sentence(sample, tmp_path, capsys, words, said):
    store = from_showers(sample, tmp_path / "store")
    assert main(["display", str(store.path), *words]) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert "not expected" not in error
    assert len(error.strip().splitlines()) == 1


def test_a_browser_is_opened_on_a_page_that_stays(sample, tmp_path, monkeypatch, capsys):
    pytest.importorskip("k3d")
    store, opened = from_showers(sample, tmp_path / "store"), []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or len(opened) == 1)
    assert main(["display", str(store.path), "--event", "12"]) == 0
    (address,) = opened
    assert address.startswith("file:///")
    assert "ECAL event, 12" in next(tmp_path.glob("ecalnb-*/event_12.html")).read_text()
    assert main(["display", str(store.path)]) == 1
    assert "no browser could be opened; open" in capsys.readouterr().err


def test_the_package_is_imported_without_the_widgets():
    import subprocess

    heavy = ("k3d", "ipywidgets", "anywidget", "torch")
    code = f"import sys, ecalnb.display; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_events_can_be_shared_by_displays(sample):
    events = Events(sample)
    assert EventDisplay(events).events is events

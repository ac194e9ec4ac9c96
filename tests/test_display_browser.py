"""The event display in a real browser: notebook 00 in JupyterLab, driven through Chromium, and the exported page.

Pictures are never compared with stored ones: what counts is how much of them is not background, where the colours are,
and that they change when something is asked for. ``make test-browser`` runs this file.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

import ecalnb
from ecalnb.display import write_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PLAYWRIGHT = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"),
]

ROOT = Path(ecalnb.__file__).resolve().parent.parent
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL without a graphics card
LAPTOP = {"width": 1366, "height": 900}
PATIENCE = 240_000  # ms, for what a loaded machine may take
DISPLAY = ".ecalnb-display"
COUNT = """
window.shaderPrograms = 0;
const link = WebGL2RenderingContext.prototype.linkProgram;
WebGL2RenderingContext.prototype.linkProgram = function (program) {
    window.shaderPrograms += 1;
    return link.call(this, program);
};
window.framesDrawn = 0;
const clear = WebGL2RenderingContext.prototype.clear;
WebGL2RenderingContext.prototype.clear = function (mask) {
    window.framesDrawn += 1;
    return clear.call(this, mask);
};
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with PLAYWRIGHT.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of JupyterLab with notebook 00 at scale smoke, on loopback and with a token."""
    folder = tmp_path_factory.mktemp("lab")
    book = nbformat.read(ROOT / "notebooks" / "00_event_display.ipynb", 4)
    (parameters,) = (cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source = parameters.source.replace('scale = "demo"', 'scale = "smoke"')
    (folder / "notebooks").mkdir()
    nbformat.write(book, folder / "notebooks" / "00_event_display.ipynb")
    settings = {
        # Cells out of sight are not in the page otherwise.
        "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
        "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    for name, values in settings.items():
        path = folder / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += ["--ip=127.0.0.1", f"--port={port}", f"--notebook-dir={folder / 'notebooks'}"]
    environment = {
        **os.environ,
        "JUPYTER_TOKEN": token,
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": str(ROOT),
    }
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()
                time.sleep(0.2)
        yield f"{address}/lab/tree/00_event_display.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait(30)


class Watched:
    """A page, and the errors that it has told its console."""

    def __init__(self, page: Any) -> None:
        self.page, self.errors = page, []
        page.set_default_timeout(PATIENCE)
        page.add_init_script(COUNT)
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))


@pytest.fixture(scope="module")
def notebook(chromium: Any, lab: str) -> Iterator[Watched]:
    """Notebook 00, every cell of it run, with two displays in it."""
    watched = Watched(chromium.new_page(viewport=LAPTOP))
    page = watched.page
    page.goto(lab)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell .cm-content")
    # Run before the kernel is there, JupyterLab asks which one it is to be.
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.ready; }")
    page.evaluate("() => { window.jupyterapp.commands.execute('application:toggle-left-area'); }")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    failed = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error'], .jp-OutputArea-error")
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last
    for _ in range(PATIENCE // 500):
        if failed.count() or re.fullmatch(r"\[\d+\]:", last.inner_text()):
            break
        page.wait_for_timeout(500)
    assert not failed.count(), failed.first.inner_text()
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached")
    yield watched
    page.close()


class Shown:
    """One of the displays of the notebook."""

    def __init__(self, page: Any, number: int) -> None:
        self.page, self.root = page, page.locator(DISPLAY).nth(number)
        self.root.scroll_into_view_if_needed()
        self.canvas.first.wait_for()

    @property
    def canvas(self) -> Any:
        return self.root.locator("canvas")

    @property
    def place(self) -> str:
        """Which event of how many, as the toolbar says."""
        return self.root.locator(".widget-label", has_text=" of ").first.inner_text()

    @property
    def words(self) -> str:
        return self.root.inner_text()

    def picture(self) -> np.ndarray:
        """Three-dimensional picture, (height, width, 3), when it has come to rest: two in a row are equal."""
        before = None
        for _ in range(60):
            image = Image.open(io.BytesIO(self.canvas.first.screenshot())).convert("RGB")
            now = np.asarray(image).astype(int)
            if before is not None and now.shape == before.shape and (now == before).all():
                return now
            before = now
            self.page.wait_for_timeout(400)
        raise AssertionError("the picture does not come to rest")

    def press(self, name: str) -> None:
        self.root.get_by_role("button", name=name).first.click()

    def filter(self, text: str) -> None:
        field = self.root.get_by_placeholder("label ==")
        field.fill(text)
        field.press("Enter")

    def until(self, change: Any) -> None:
        for _ in range(PATIENCE // 100):
            if change():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"nothing has changed: {self.words[:500]}")


def drawn(picture: np.ndarray) -> float:
    """Share of the picture that is not background."""
    return float((picture.min(axis=2) < 235).mean())


def colored(picture: np.ndarray) -> np.ndarray:
    """Pixels of bars, points and lines: those with a colour, without the arrows in the corner."""
    mask = np.ptp(picture, axis=2) > 40
    mask[int(0.7 * mask.shape[0]) :, int(0.8 * mask.shape[1]) :] = False
    mask[:, : int(0.25 * mask.shape[1])] = False  # labels, whose letters have coloured edges
    return mask


@pytest.fixture
def first(notebook: Watched) -> Shown:
    return Shown(notebook.page, 0)


def test_the_notebook_shows_a_shower_in_its_calorimeter(first: Shown, tmp_path: Path) -> None:
    picture = first.picture()
    first.page.screenshot(path=tmp_path / "display.png")
    assert 0.1 < drawn(picture) < 0.7
    assert 0.02 < colored(picture).mean() < 0.5
    for text in ("cell energy [MeV]", "x measured", "track axis", "en3d", "electron", "Geant4 simulation"):
        assert text in first.words
    width = first.root.bounding_box()["width"]
    assert width < LAPTOP["width"]
    first.until(lambda: first.root.locator("img").first.evaluate("e => e.naturalWidth") > 1000)  # the sheet below


def test_the_shower_is_where_the_track_is(first: Shown) -> None:
    first.root.locator("select").nth(2).select_option("crossings")
    first.press("top")
    first.page.wait_for_timeout(1000)
    mask = colored(first.picture())
    assert mask.mean() > 1e-4
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    per_pixel = 1.2 * 648 / height  # what the camera from above sees
    x, y = (columns.mean() - width / 2) * per_pixel, (height / 2 - rows.mean()) * per_pixel
    track_x, track_y = map(float, re.search(r"track axis\s+\((-?[\d.]+), (-?[\d.]+)\) mm", first.words).groups())
    assert (x, y) == pytest.approx((track_x, track_y), abs=60)  # inclined by up to 25 degrees over 167 mm
    first.root.locator("select").nth(2).select_option("bars")
    first.press("perspective")


def test_the_threshold_takes_bars_away(first: Shown) -> None:
    before = colored(first.picture()).mean()
    handle = first.root.locator(".noUi-handle").first
    handle.focus()
    for _ in range(20):
        handle.press("ArrowRight")
    first.until(lambda: "200 MeV" in first.words or "199 MeV" in first.words)
    assert colored(first.picture()).mean() < 0.8 * before
    for _ in range(20):
        handle.press("ArrowLeft")
    first.until(lambda: "2 MeV" in first.words)
    assert colored(first.picture()).mean() == pytest.approx(before, rel=0.02)


def test_cameras_change_the_picture(first: Shown) -> None:
    seen = []
    for name in ("top", "XZ", "YZ", "perspective"):
        first.press(name)
        first.page.wait_for_timeout(1000)
        seen.append(first.picture())
        assert drawn(seen[-1]) > 0.03
    for i, one in enumerate(seen):
        assert all((abs(one - other).max(axis=2) > 30).mean() > 0.02 for other in seen[:i])


def test_stepping_by_button_and_by_key(first: Shown) -> None:
    place, before = first.place, first.picture()
    first.press("next")
    first.until(lambda: first.place != place)
    after = first.picture()
    assert (abs(after - before).max(axis=2) > 30).mean() > 0.01
    first.root.focus()
    first.page.keyboard.press("p")
    first.until(lambda: first.place == place)
    assert (abs(first.picture() - before).max(axis=2) > 30).mean() < 0.005  # the camera has stayed
    first.page.keyboard.press("ArrowRight")
    first.until(lambda: first.place != place)
    first.page.keyboard.press("ArrowLeft")
    first.until(lambda: first.place == place)


def test_a_step_compiles_no_shader_and_draws_one_frame(first: Shown) -> None:
    """Without a graphics card compiling takes seconds, a frame a tenth of one, and all else of a step as much."""
    before = first.page.evaluate("window.shaderPrograms")
    assert before > 0
    for name in ("next", "next", "previous", "previous"):
        place, frames = first.place, first.page.evaluate("window.framesDrawn")
        first.press(name)
        first.until(lambda place=place: first.place != place)
        first.picture()
        assert first.page.evaluate("window.framesDrawn") == frames + 1
    assert first.page.evaluate("window.shaderPrograms") == before


def test_a_click_on_a_bar_tells_its_cell(first: Shown) -> None:
    rows, columns = np.nonzero(colored(first.picture()))
    middle = len(rows) // 2
    first.canvas.first.click(position={"x": int(columns[middle]), "y": int(rows[middle])})
    first.until(
        lambda: re.search(r"layer \d+ \([xy]\), cell \d+: [\d.]+ [MG]eV at", first.words.split("largest cell")[0])
    )


def test_filters_and_what_is_wrong_with_them(first: Shown) -> None:
    everything = first.place.split("of")[1]
    first.filter("label == 'proton' and en3d > 50")
    # The summary and the toolbar change one after the other.
    first.until(lambda: "proton" in first.words.split("key")[1][:200] and first.place.split("of")[1] != everything)
    place = first.place
    assert place.startswith("1 of")
    for wrong, said in (("label = ", "does not parse"), ("en3d > 1e9", "no event passes")):
        first.filter(wrong)
        first.until(lambda said=said: said in first.words)
        assert first.place == place
        assert first.root.get_by_placeholder("label ==").input_value() == wrong
    first.filter("label == 'electron' and 40 < en3d < 60")
    first.until(lambda: first.place != place and "no event passes" not in first.words)
    assert "electron" in first.words.split("key")[1][:200]


def test_two_events_beside_each_other(first: Shown, tmp_path: Path) -> None:
    first.press("hold beside")
    first.until(lambda: first.canvas.count() == 2)
    place = first.place
    first.press("next")
    first.until(lambda: first.place != place)
    first.picture()
    first.page.screenshot(path=tmp_path / "beside.png")
    first.press("hold beside")
    first.until(lambda: first.canvas.count() == 1)
    assert drawn(first.picture()) > 0.1


def test_attributions_of_the_proton_that_is_most_like_an_electron(notebook: Watched, tmp_path: Path) -> None:
    second = Shown(notebook.page, 1)
    before = second.picture()
    assert "proton" in second.words
    second.root.get_by_label("attribution").check()
    second.until(lambda: "part in the logit" in second.words)
    after = second.picture()
    assert (abs(after - before).max(axis=2) > 30).mean() > 0.01
    notebook.page.screenshot(path=tmp_path / "attribution.png")


def test_the_console_has_no_error(notebook: Watched) -> None:
    assert notebook.errors == []


def test_the_exported_page_works_without_a_network(chromium: Any, sample: Any, tmp_path: Path) -> None:
    path = write_html(sample[[3]], tmp_path / "event.html", row=3)
    context = chromium.new_context(offline=True, viewport=LAPTOP)
    watched = Watched(context.new_page())
    watched.page.goto(path.as_uri())
    frame = watched.page.locator("iframe")
    watched.page.frame_locator("iframe").locator("canvas").first.wait_for()
    pictures = []
    for name in ("perspective", "top"):
        watched.page.get_by_role("button", name=name).click()
        watched.page.wait_for_timeout(4000)
        image = Image.open(io.BytesIO(frame.screenshot())).convert("RGB")
        pictures.append(np.asarray(image).astype(int))
        assert drawn(pictures[-1]) > 0.1
        assert colored(pictures[-1]).mean() > 0.02
    watched.page.screenshot(path=tmp_path / "page.png")
    assert (abs(pictures[0] - pictures[1]).max(axis=2) > 30).mean() > 0.05
    assert watched.page.locator("table.ecalnb-cells tbody tr").count() == np.count_nonzero(sample.images[3] > 0)
    assert watched.errors == []
    context.close()

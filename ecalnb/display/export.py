"""An event as a page of its own, or as a picture, for those who have no notebook open.

The page needs neither a network nor a kernel: the program of k3d is inside. What only a kernel could answer (which cell
is that?) is a table there.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from pathlib import Path

from .._atomic import replacing
from ..showers import Showers
from .scene import CAMERAS, camera
from .scene3d import Scene
from .sheet import draw_sheet, to_png
from .summary import axes_of, cell_table, finite_image, legend_html, summary, summary_html, table_html
from .views import energy_scale

__all__ = ["page", "write_html", "write_png"]

_TITLE = "ECAL event"
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 0 auto; max-width: 1280px; padding: 8px 16px; color: #222; }
h1 { font-size: 18px; margin: 4px 0; } h2 { font-size: 15px; margin: 14px 0 4px; }
.row { display: flex; flex-wrap: wrap; gap: 16px; }
.picture { flex: 1 1 640px; min-width: 0; } .picture iframe { width: 100%; height: 430px; border: 1px solid #ccc; }
.words { flex: 0 1 400px; font-size: 13px; } .sheet { width: 100%; }
.cells { max-height: 340px; overflow: auto; border: 1px solid #ccc; }
table.ecalnb-cells { border-collapse: collapse; font-size: 12px; width: 100%; }
table.ecalnb-cells th { position: sticky; top: 0; background: #eee; } table.ecalnb-cells td { text-align: right; }
table.ecalnb-cells td, table.ecalnb-cells th { padding: 1px 10px; }
"""
# k3d puts its labels in their places when the camera is set after they have been loaded.
_READY = """
window.ecalnbScene = K3DInstance;
for (const ms of [300, 1500]) setTimeout(() => { K3DInstance.setCamera(%s); K3DInstance.render(); }, ms);
"""
_LOOK = """
const cameras = %s;
for (const button of document.querySelectorAll('button[data-camera]')) {
  button.addEventListener('click', () => {
    const scene = document.querySelector('iframe').contentWindow.ecalnbScene;
    if (scene) { scene.setCamera(cameras[button.dataset.camera]); scene.render(); }
  });
}
"""


def page(shower: Showers, *, row: int | None = None, threshold: float = 0.002, extra: tuple[str, ...] = ()) -> str:
    """One event as a page of HTML: the picture to turn, views and profiles, the summary, and the table of its cells.

    Parameters
    ----------
    shower : Showers
        One event.
    row : int, optional
        Its number in the source.
    threshold : float
        Cells with less energy than this are not drawn in three dimensions, GeV.
    extra : tuple of str
        Further columns for the summary, for example scores.

    Returns
    -------
    str
        The page, with everything inside that it needs; the same event makes the same bytes.

    Raises
    ------
    ModuleNotFoundError
        If k3d is not installed.
    """
    geometry, image, axes = shower.geometry, finite_image(shower), axes_of(shower)
    drawn = Scene(geometry, height=430, threshold=threshold)
    drawn.show(image, axes)
    inner = _picture(drawn, _READY % json.dumps(camera("perspective", geometry)))
    lines = summary(shower, row=row, extra=extra)
    name = html.escape(", ".join(text for text in (_TITLE, lines.get("event"), lines.get("label")) if text))
    sheet = base64.b64encode(to_png(draw_sheet(shower))).decode()
    cameras = {view: camera(view, geometry) for view in CAMERAS}
    buttons = " ".join(f"<button type='button' data-camera='{view}'>{view}</button>" for view in CAMERAS)
    words = html.escape("; ".join(f"{key}: {text}" for key, text in lines.items()), quote=True)
    cells = cell_table(shower)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style></head>
<body>
<h1>{name}</h1>
<div class="row">
<div class="picture">
<iframe title="the event in three dimensions" srcdoc="{html.escape(inner, quote=True)}"></iframe>
<div>{buttons} Bars: cells above {1000 * threshold:g} MeV. Drag to turn, wheel to zoom.</div>
{legend_html(energy_scale(image), geometry, list(axes))}
</div>
<div class="words">{summary_html(lines)}</div>
</div>
<img class="sheet" alt="{words}" src="data:image/png;base64,{sheet}">
<h2>Cells with energy ({len(cells)}), the largest first</h2>
<div class="cells" tabindex="0">{table_html(cells)}</div>
<script>{_LOOK % json.dumps(cameras)}</script>
</body>
</html>
"""


def _picture(drawn: Scene, code: str) -> str:
    """Page of k3d with a scene: the same for the same event, without the time and the addresses in memory."""
    for number, drawable in enumerate(drawn.plot.objects, start=1):
        drawable.id = number
    drawn.plot.snapshot_type = "full"
    text: str = drawn.plot.get_snapshot(additional_js_code=code)
    return re.sub(r"<title>.*?</title>", f"<title>{_TITLE}</title>", text, count=1)


def write_html(
    shower: Showers,
    path: str | os.PathLike[str],
    *,
    row: int | None = None,
    threshold: float = 0.002,
    extra: tuple[str, ...] = (),
) -> Path:
    """Write the page of :func:`page`, whole or not at all, and return its path.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    target = Path(path).expanduser()
    text = page(shower, row=row, threshold=threshold, extra=extra)
    with replacing(target) as temporary:
        temporary.write_text(text, "utf-8")
    return target


def write_png(shower: Showers, path: str | os.PathLike[str], *, half_width: float | None = 150.0) -> Path:
    """Write the sheet of one event (:func:`ecalnb.display.draw_sheet`) as a PNG, and return its path.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    target = Path(path).expanduser()
    picture = to_png(draw_sheet(shower, half_width=half_width), dpi=130)
    with replacing(target) as temporary:
        temporary.write_bytes(picture)
    return target

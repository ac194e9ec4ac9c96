"""``ecalnb display``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["display"]


def display(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A store or a ROOT file.")],
    event: Annotated[
        int | None, typer.Option(help="Number of the event, from 0; the first of those that pass unless told.")
    ] = None,
    where: Annotated[
        str, typer.Option(help="""Only events that pass, for example "label == 'proton' and resnet10 > 4".""")
    ] = "",
    sort: Annotated[str | None, typer.Option(help="The event with the largest value of this column first.")] = None,
    scores: Annotated[Path | None, typer.Option(help="A scores table, joined by the event key.")] = None,
    threshold: Annotated[float, typer.Option(min=0, help="Draw no cells below this energy in 3D, MeV.")] = 2.0,
    html: Annotated[Path | None, typer.Option(help="Write a page that works offline, and open nothing.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture of views and profiles, and open nothing.")] = None,
) -> None:
    """Show one event in the browser, or write it as a page or a picture.

    To go through many events, use notebook 00 (`ecalnb lab`). For example

        ecalnb display protons.root --event 12
        ecalnb display store --scores scores.parquet --where "label == 'proton'" --sort resnet10 --html fake.html
    """
    import tempfile
    import webbrowser

    from ..display.events import EventList, Events
    from ..display.export import write_html, write_png

    for path, ending in ((html, ".html"), (png, ".png")):
        if path is not None and path.suffix != ending:
            raise typer.BadParameter(f"{path} does not end in {ending}.")
    events = Events(source, scores)
    found = EventList(events)
    if where or sort:
        found.choose(where, sort)
    if event is not None:
        try:
            found.jump(event)
        except IndexError as error:
            raise typer.BadParameter(str(error)) from None
    shower = events.shower(found.row)
    extra = (*events.scores, *([sort] if sort else []))
    if png is not None:
        typer.echo(write_png(shower, png))
    if html is not None:
        typer.echo(write_html(shower, html, row=found.row, threshold=threshold / 1000, extra=extra))
    if html is None and png is None:
        # A folder of its own, which stays: the browser reads the page after this command has ended.
        page = Path(tempfile.mkdtemp(prefix="ecalnb-")) / f"event_{found.row}.html"
        typer.echo(write_html(shower, page, row=found.row, threshold=threshold / 1000, extra=extra))
        if not webbrowser.open(page.as_uri()):
            raise OSError(f"no browser could be opened; open {page} in one yourself, or use --html or --png")

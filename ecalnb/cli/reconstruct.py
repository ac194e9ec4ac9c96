"""``ecalnb reconstruct``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["reconstruct"]


class Method(StrEnum):
    """Conventional methods for the axis of a shower."""

    center_of_gravity = "center_of_gravity"
    cell_ratios = "cell_ratios"
    lateral_fit = "lateral_fit"
    shower_fit_3d = "shower_fit_3d"


def reconstruct(
    source: Annotated[list[str], typer.Argument(metavar="EVENTS", help="A store, or ROOT files (.root).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write (.parquet).")],
    method: Annotated[
        Method, typer.Option(help="How; the last one uses all that the cells say.")
    ] = Method.shower_fit_3d,
    calibration: Annotated[
        str, typer.Option(help="Parameters: geant4 (for recorded events), fast (the fast engine's), or a .toml file.")
    ] = "geant4",
    schema: Annotated[
        str | None, typer.Option(help="Branch names and units of ROOT files: a packaged schema (ams) or a .toml file.")
    ] = None,
) -> None:
    """Reconstruct the axis of each shower: direction, position, their errors, and why there is none.

    The table has a row for each event: its key, and columns that begin with axis_. For example

        ecalnb reconstruct store --method cell_ratios -o axes.parquet
    """
    if output.suffix != ".parquet":
        raise typer.BadParameter(f"{output} is no .parquet file.")
    if schema is not None and not source[0].endswith(".root"):
        raise typer.BadParameter(f"--schema goes with ROOT files; {source[0]} is none.")
    import pandas as pd

    from .. import ntuples
    from .._atomic import replacing
    from ..reconstruction import AxisParameters
    from ..reconstruction import reconstruct as find_axes
    from ..store import Store

    parameters = AxisParameters.load(calibration)
    if source[0].endswith(".root"):
        options = {} if schema is None else {"schema": schema}
        parts = ntuples.iterate(source, **options)  # type: ignore[arg-type]
    else:
        if len(source) > 1:
            raise typer.BadParameter("give one store, or any number of ROOT files.")
        store = Store(source[0])
        parts = (store.showers(slice(start, start + 20_000)) for start in range(0, len(store), 20_000))
    tables = []
    for showers in parts:
        axes = find_axes(showers, method.value, calibration=parameters).to_table()
        tables.append(pd.concat([showers.table[["file_id", "entry"]], axes], axis=1))
    if not tables:
        raise ValueError(f"{source[0]} has no events")
    table = pd.concat(tables, ignore_index=True)
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)
    good = int((table["axis_quality"] == 0).sum())
    typer.echo(f"{output}: {len(table):,} events, {good:,} with an axis")

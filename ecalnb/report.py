"""The figures and numbers of a notebook, written where the workflow expects them and shown at its end.

A notebook ``NN_topic`` leaves ``figures/NN_*.png`` and ``.svg`` and ``metrics/NN_topic.json`` in its output directory.
Every number carries its uncertainty; one that has none, such as the number of events in a file, says that it is exact.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._atomic import write_json
from ._shown import Html, Picture, thumbnail
from ._style import save
from .intervals import clopper_pearson

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .metrics import MatchedSample

__all__ = ["Html", "Picture", "Report"]

Number = dict[str, Any]


class Report:
    """Figures and numbers of one notebook.

    Parameters
    ----------
    name : str
        Name of the notebook, ``NN_topic``.
    output_dir : path
        The notebook's output directory.
    parameters : mapping, optional
        What the numbers depend on (scale, seed, data), kept beside them.
    source : str
        Where the events come from, for example ``"Geant4 simulation"``.

    Raises
    ------
    ValueError
        If the name does not begin with the notebook's two digits.

    Examples
    --------
    >>> report = Report("01_data_selection", output_dir, source="Geant4 simulation")
    >>> report.fraction("crossing protons", 6900, 14400)
    >>> report.write()
    """

    def __init__(
        self, name: str, output_dir: str | Path, parameters: Mapping[str, Any] | None = None, *, source: str = ""
    ) -> None:
        if not (name[:2].isdigit() and name[2:3] == "_" and len(name) > 3):
            raise ValueError(f"a report is called {name!r}; expected the name of a notebook, like 01_data_selection")
        self.name = name
        self.output_dir = Path(output_dir)
        self.parameters = dict(parameters or {})
        self.source = source
        self.numbers: dict[str, Number] = {}
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.figures: list[Path] = []
        self._shown = 0

    def figure(self, fig: Figure, topic: str) -> Picture:
        """Save a figure as ``figures/NN_topic``, close it, and hand the picture back for a notebook cell to show."""
        import matplotlib.pyplot as plt

        png, _ = save(fig, f"{self.name[:2]}_{topic}", self.output_dir / "figures")
        if png not in self.figures:
            self.figures.append(png)
        plt.close(fig)
        return Picture(png)

    def number(
        self,
        name: str,
        value: float,
        low: float | None = None,
        high: float | None = None,
        *,
        error: float | None = None,
        unit: str = "",
        note: str = "",
    ) -> Number:
        """Keep a number with its interval, or with a symmetric ``error``.

        An infinite value with a finite ``low`` is a lower limit: ``low`` is kept as the value, with ``is_limit``.

        Raises
        ------
        ValueError
            If there is neither an interval nor an error, or both.
        """
        if error is not None and low is None and high is None:
            low, high = value - error, value + error
        elif error is not None or low is None or high is None:
            raise ValueError(
                f"{name!r} needs either low and high, or error; a number without its uncertainty says little"
            )
        is_limit = math.isinf(value) and math.isfinite(low)
        ends = (("value", low if is_limit else value), ("low", low), ("high", high))
        entry: Number = {key: _finite(number) for key, number in ends}
        entry |= {"is_limit": is_limit, "unit": unit, "note": note}
        self.numbers[name] = entry
        return entry

    def exact(self, name: str, value: int, *, unit: str = "events", note: str = "") -> Number:
        """Keep a number that has no uncertainty, such as the number of events in a file."""
        return self.number(name, value, value, value, unit=unit, note=note or "exact")

    def fraction(self, name: str, passed: int, total: int, *, level: float = 0.68, note: str = "") -> Number:
        """Keep a fraction of events with its Clopper-Pearson interval."""
        low, high = (float(bound) for bound in clopper_pearson(passed, total, level))
        text = f"{passed:,} of {total:,}, Clopper-Pearson {100 * level:g} %" + (f"; {note}" if note else "")
        return self.number(name, passed / total if total else math.nan, low, high, note=text)

    def mean(self, name: str, values: npt.ArrayLike, *, unit: str = "", note: str = "") -> Number:
        """Keep the mean of values with its error, the standard deviation over the root of their number.

        Raises
        ------
        ValueError
            If there are not at least two values to tell the error from.
        """
        sample = np.asarray(values, dtype=float)
        if sample.ndim != 1 or len(sample) < 2:
            raise ValueError(f"{name!r} has values of shape {sample.shape}; a mean with an error needs two or more")
        text = f"{len(sample):,} events, error of the mean" + (f"; {note}" if note else "")
        return self.number(name, sample.mean(), error=sample.std(ddof=1) / len(sample) ** 0.5, unit=unit, note=text)

    def median(self, name: str, values: npt.ArrayLike, *, unit: str = "", note: str = "") -> Number:
        """Keep the median of values with the interval between the order statistics around it.

        How many of n values lie below the true median is binomial whatever their distribution, so the ranks n/2 minus
        and plus half the root of n bound it with 68 %.

        Raises
        ------
        ValueError
            If there are not at least two values.
        """
        sample = np.asarray(values, dtype=float)
        if sample.ndim != 1 or len(sample) < 2:
            raise ValueError(
                f"{name!r} has values of shape {sample.shape}; a median with an interval needs two or more"
            )
        step = 0.5 / len(sample) ** 0.5
        low, middle, high = np.quantile(sample, [max(0.5 - step, 0), 0.5, min(0.5 + step, 1)])
        text = f"{len(sample):,} events, order statistics" + (f"; {note}" if note else "")
        return self.number(name, middle, low, high, unit=unit, note=text)

    def rows(
        self,
        table: pd.DataFrame,
        name: str,
        value: str,
        *,
        interval: tuple[str, str] | None = None,
        unit: str = "",
        note: str = "",
    ) -> Html:
        """Keep a number for each row of a table, and hand them back for a notebook cell to show, as `latest` does.

        Parameters
        ----------
        table : DataFrame
            The rows; one without the value is left out.
        name, unit, note : str
            As of `number`, with columns in braces as of :meth:`str.format`: ``"{label}, {low:g}-{high:g} GeV"``.
        value : str
            Column of the value. Its error is in ``<value>_error``, or its interval in ``<value>_low`` and
            ``<value>_high``.
        interval : tuple of str, optional
            Columns of the interval, if they have other names.

        Raises
        ------
        ValueError
            If two rows have the same name.
        """
        low, high = interval or (f"{value}_low", f"{value}_high")
        given = interval is not None or low in table
        rows = [{str(key): item for key, item in row.items()} for row in table[table[value].notna()].to_dict("records")]
        names = [name.format(**row) for row in rows]
        if len(set(names)) < len(names):
            raise ValueError(f"rows of the table have the same name by {name!r}; expected a name of its own for each")
        for own, row in zip(names, rows, strict=True):
            ends = (row[low], row[high]) if given else (None, None)
            error = None if given else row[f"{value}_error"]
            self.number(own, row[value], *ends, error=error, unit=unit.format(**row), note=note.format(**row))
        return self.latest()

    def rejections(
        self, name: str, sample: MatchedSample, efficiencies: Sequence[float], models: Sequence[str] = ()
    ) -> tuple[pd.DataFrame, Html]:
        """Measure rejections of several models, keep each with its interval, and write them as a table for people.

        Parameters
        ----------
        name : str
            What the numbers begin with, and the name of the table.
        sample, efficiencies, models
            As of :func:`ecalnb.metrics.rejection_table`.

        Returns
        -------
        table : DataFrame
            A row for each model and efficiency.
        shown : Html
            A row for each model, for a notebook cell to show.
        """
        from .metrics import rejection_table
        from .plots import model_style

        table = rejection_table(sample, efficiencies, models)
        note = sample.statement + "; {n_passed:.0f} of {n_background:.0f} protons pass"
        label = f"{name}, {{model}}: rejection at {{percent}} %"
        table["percent"] = (100 * table["efficiency"]).map("{:g}".format)
        self.rows(table, label, "rejection", interval=("low_total", "high_total"), note=note)
        self._shown = len(self.numbers)
        wide = table.pivot_table("text", "model", "percent", aggfunc="first", sort=False)
        wide = wide.rename(columns="{} %".format, index=lambda model: model_style(model)["label"]).reset_index()
        caption = f"<p><b>{html.escape(name)}</b>: {html.escape(sample.statement)}</p>"
        written = self.table(f"rejection {name}", wide).to_html(index=False, border=0)
        return table.drop(columns="percent"), Html(caption + written)

    def latest(self) -> Html:
        """Numbers kept since this was last asked, for a notebook cell to show."""
        names = list(self.numbers)[self._shown :]
        self._shown = len(self.numbers)
        return Html(self._rows(names))

    def table(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Keep a table, and hand it back for a notebook cell to show."""
        self.tables[name] = [
            {str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")
        ]
        return table

    def to_dict(self) -> dict[str, Any]:
        """Everything but the figures, as plain values that JSON holds."""
        return {
            "notebook": self.name,
            "source": self.source,
            "parameters": {key: _plain(value) for key, value in self.parameters.items()},
            "numbers": self.numbers,
            "tables": self.tables,
        }

    def write(self) -> Path:
        """Write ``metrics/<name>.json``, whole or not at all, and return its path."""
        path = self.output_dir / "metrics" / f"{self.name}.json"
        write_json(path, self.to_dict())
        return path

    def _repr_html_(self) -> str:
        pictures = "".join(
            f"<figure style='display:inline-block;margin:4px'><img alt='{path.stem}' "
            f"src='data:image/png;base64,{base64.b64encode(thumbnail(path)).decode()}'>"
            f"<figcaption>figures/{path.name}</figcaption></figure>"
            for path in self.figures
        )
        title = f"<p><b>{html.escape(self.name)}</b> ({html.escape(self.source)})</p>"
        return f"{title}{self._rows(list(self.numbers))}{pictures}"

    def _rows(self, names: list[str]) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(name)}</td><td>{_shown(self.numbers[name])}</td>"
            f"<td style='text-align:left'>{html.escape(self.numbers[name]['note'])}</td></tr>"
            for name in names
        )
        return f"<table><tr><th>quantity</th><th>value</th><th>what it rests on</th></tr>{rows}</table>"


def _finite(value: float) -> float | int | None:
    """Turn a number into one that JSON holds: infinity and NaN become null."""
    plain = _plain(value)
    return plain if isinstance(plain, int | float) else None


def _plain(value: Any) -> Any:
    """Turn numpy scalars into Python's, and what JSON cannot hold (infinity, NaN, missing values) into null."""
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _shown(number: Number) -> str:
    """Write a number with its interval for people."""
    value, low, high = (number[key] for key in ("value", "low", "high"))
    unit = f" {html.escape(number['unit'])}" if number["unit"] else ""
    if number["is_limit"]:
        return f"&gt; {low:,.4g}{unit}"
    if value is None:
        return "not measured"
    if isinstance(value, int) and value == low == high:
        return f"{value:,}{unit}"
    ends = " to ".join("∞" if end is None else f"{end:,.4g}" for end in (low, high))
    return f"{value:,.4g} [{ends}]{unit}"

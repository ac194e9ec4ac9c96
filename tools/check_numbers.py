"""Check that the numbers in README.md and docs are those of the recorded run of the series, or write them anew.

    python tools/check_numbers.py            # fails with a line for each number that differs
    python tools/check_numbers.py --write    # writes what the metrics say

A number of the series has its source behind it, in a comment that does not show::

    2.1 (1.3 - 3.9)<!-- 04 below 1 TeV: ecal_cvt over ecal_simple_mlp at 90 % -->

which is the notebook and the name of the number in ``figures/metrics/NN_*.json``, or for one cell of a table there
``table[column=value; ...] column``. After ``|`` may follow ``%`` (a fraction in percent) or ``passed`` (with the number
of background events that pass, from the number's note). A value is written with its interval, as ``value ± error``, or
alone, as it stood; rounded on the smaller side of its interval (J. Beringer et al., Review of Particle Physics, 2012,
section 5.3: two digits of an error that begins with 100 to 354, else one).

A table of such numbers has one comment before it instead, in TOML: ``rows``, what stands for ``{}`` in ``columns``, the
sources; an option as above may follow. A cell of a number that does not exist is empty; a column without a source is
left as it is.

Any other value with an interval, an error or a limit is a result from elsewhere. A comment
``<!-- measured: by what, when -->`` or ``<!-- cited: from where -->`` holds for all of these up to the next heading.
"""

import argparse
import json
import logging
import math
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
METRICS = ROOT / "figures" / "metrics"
NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
END = rf"(?:{NUMBER}|∞)"
INTERVAL = rf"{NUMBER} ?%? \({END} ?(?:-|to) ?{END}(?:; {NUMBER})?\)"
ERROR = rf"\(?{NUMBER} (?:±|\+-) {NUMBER}\)?"
RESULT = re.compile(rf"(?<![\w.])(?:{INTERVAL}|{ERROR})(?: %)?|(?<![\w.])> {NUMBER}(?= \|)")
SHOWN = rf"(?:{INTERVAL}|{ERROR}|(?:> )?{NUMBER})(?: %)?(?:, {NUMBER})?"
MARKED = re.compile(rf"(?P<text>{SHOWN})(?P<comment><!-- (?P<source>\d\d [^>]+?) -->)")
TABLE = re.compile(r"<!-- numbers\n(?P<toml>.*?)-->\n\n?(?P<table>(?:\|[^\n]*\n)+)", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
ELSEWHERE = re.compile(r"<!-- (?:measured|cited): ")

logger = logging.getLogger("check_numbers")


class SourceError(ValueError):
    """A comment names a number that the recorded run does not have."""


def read_metrics(folder: Path) -> dict[str, dict[str, Any]]:
    """Read all metrics of a run, by the two digits of the notebook."""
    return {path.name[:2]: json.loads(path.read_text()) for path in sorted(folder.glob("[0-9][0-9]_*.json"))}


def find_number(metrics: Mapping[str, Mapping[str, Any]], source: str) -> dict[str, Any]:
    """Return the number that a source such as ``04 name`` or ``07 table[column=value] column`` stands for."""
    notebook, name = source[:2], source[3:].strip()
    if notebook not in metrics:
        raise SourceError(f"no metrics of notebook {notebook!r}; expected one of {', '.join(metrics)}")
    known = metrics[notebook]
    cell = re.fullmatch(r"(.+?)\[(.*)\] (\w+)", name)
    if cell is None:
        if name not in known["numbers"]:
            raise SourceError(f"notebook {notebook} has no number {name!r}")
        return dict(known["numbers"][name])
    table, column = known["tables"].get(cell[1], []), cell[3]
    wanted = dict(part.strip().split("=", 1) for part in cell[2].split(";"))
    rows = [row for row in table if all(f"{row.get(key)}" == value for key, value in wanted.items())]
    if len(rows) != 1 or column not in rows[0]:
        raise SourceError(f"notebook {notebook} has {len(rows)} rows for {name!r}; expected one, with that column")
    (row,) = rows
    ends = {end: row.get(f"{column}_{end}") for end in ("low", "high")}
    return {"value": row[column], **ends, "is_limit": False, "note": ""}


def decimals(value: float, low: float | None, high: float | None) -> int:
    """Return how many decimals are shown: two digits of the error if it begins with 1 to 3.54, else one."""
    sides = [abs(end - value) for end in (low, high) if end is not None and end != value]
    if not sides:
        return 2 - math.floor(math.log10(abs(value))) if value else 0
    error = min(sides)
    first = math.floor(math.log10(error))
    return -first + (error / 10.0**first < 3.55)


def rounded(value: float | None, places: int) -> str:
    """Write a value with so many decimals, three digits at most above a thousand; infinity where there is none."""
    if value is None:
        return "∞"
    if places <= 0 and abs(value) >= 1000:
        places = min(places, 2 - math.floor(math.log10(abs(value))))
    shown = f"{round(value, places):,.{max(places, 0)}f}"
    return shown.removeprefix("-") if float(shown.replace(",", "")) == 0 else shown


def written(number: Mapping[str, Any], option: str = "", like: str = "(") -> str:
    """Write a number as the documentation shows it; ``like`` is the text that it replaces."""
    scale = 100.0 if "%" in option else 1.0
    value, low, high = (None if number[key] is None else number[key] * scale for key in ("value", "low", "high"))
    unit = " %" if "%" in option else ""
    if number["is_limit"]:
        return f"> {rounded(low, 1 - math.floor(math.log10(low)))}{unit}"
    if value is None:
        return "not measured"
    if isinstance(number["value"], int) and low == value == high:
        return f"{number['value']:,}"
    places = decimals(value, low, high)
    text = rounded(value, places)
    if low is None and high is None:
        pass
    elif "±" in like or "+-" in like:
        text += f" ± {rounded((high - low) / 2, places)}"
    elif "(" in like or like.startswith(">"):
        text += f" ({rounded(low, places)} - {rounded(high, places)})"
    passed = re.search(r"([\d.,]+) (?:of [\d.,]+ )?(?:\w+ )?pass", number["note"])
    if "passed" in option and passed:
        text += f", {passed[1].removesuffix('.0')}"
    return text + unit


def table_rows(table: str, spec: str, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Fill the numbers into the rows of a table; its head, its first column and what follows the numbers stay."""
    given = tomllib.loads(spec)
    lines = table.splitlines()
    if len(lines) - 2 != len(given["rows"]):
        raise SourceError(f"a table has {len(lines) - 2} rows; expected {len(given['rows'])}, as its comment has")
    for place, row in enumerate(given["rows"], start=2):
        cells = [cell.strip() for cell in lines[place].strip("|").split("|")]
        for column, template in enumerate(given["columns"], start=1):
            if not template:
                continue
            source, _, option = template.replace("{}", row).partition(" | ")
            try:
                cells[column] = written(find_number(metrics, source), option)
            except SourceError:
                cells[column] = ""
        lines[place] = "| " + " | ".join(cells) + " |"
    if not any(any(cell.strip() for cell in line.split("|")[2:]) for line in lines[2:]):
        raise SourceError(f"no number of {given['columns'][0]!r} is there")
    return "\n".join(lines).replace("|  |", "| |").replace("|  |", "| |") + "\n"


def brought_up(text: str, metrics: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Return a page with the numbers of the metrics, and what its sources name that is not there."""
    faults = []

    def value(match: re.Match[str]) -> str:
        source, _, option = match["source"].partition(" | ")
        try:
            return written(find_number(metrics, source), option, match["text"]) + match["comment"]
        except SourceError as error:
            faults.append(str(error))
            return match[0]

    def rows(match: re.Match[str]) -> str:
        try:
            filled = table_rows(match["table"], match["toml"], metrics)
        except SourceError as error:
            faults.append(str(error))
            return match[0]
        return match[0].removesuffix(match["table"]) + filled

    return MARKED.sub(value, TABLE.sub(rows, text)), faults


def without_source(text: str) -> Iterator[str]:
    """Yield every value with an interval or an error of which the page does not say where it is from."""
    rest = MARKED.sub("", TABLE.sub("", text))
    for section in re.split(r"^(?=#+ )", rest, flags=re.MULTILINE):
        if not ELSEWHERE.search(section):
            yield from (match[0] for match in RESULT.finditer(COMMENT.sub("", section)))
    yield from (comment for comment in re.findall(r"<!-- \d\d [^>]+? -->", rest))


def pages() -> list[Path]:
    """Return README.md and the pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def check(write: bool = False) -> list[str]:
    """Return the faults of all pages; with ``write``, bring their numbers up to the metrics first."""
    metrics = read_metrics(METRICS)
    faults: list[str] = []
    for page in pages():
        name, text = page.relative_to(ROOT), page.read_text()
        new, missing = brought_up(text, metrics)
        faults += [f"{name}: {fault}" for fault in missing]
        if write and new != text:
            page.write_text(new)
        pairs = zip(text.splitlines(), new.splitlines(), strict=True)
        differing = [(i, old, now) for i, (old, now) in enumerate(pairs, 1) if old != now and not write]
        faults += [f"{name}:{i}: has\n    {old}\n  the metrics say\n    {now}" for i, old, now in differing]
        faults += [f"{name}: {found!r} does not say where it is from" for found in without_source(new)]
    return faults


def main() -> int:
    """Check or write the numbers of all pages."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the numbers of figures/metrics into the pages")
    faults = check(parser.parse_args().write)
    for fault in faults:
        logger.error(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""Run all benchmarks and print a table of ratios; ``make bench`` does.

    python benchmarks/run.py                        # keeps the results in build/bench.json
    python benchmarks/run.py store predict --output new.json --compare old.json
    python benchmarks/run.py --quick                # small sizes: does it run?

Every ``bench_*.py`` has a function ``rows(quick)``, which is called in a process of its own. A missed target or a
benchmark that fails stops nothing; the exit code is 1 then, at the end.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1") | {"MPLBACKEND": "agg"}
PACKAGES = ("ecalnb", "numpy", "numba", "torch", "onnxruntime", "uproot", "pyarrow", "scikit-learn", "geant4-pybind")


def main() -> int:
    """Run the benchmarks; 1 if one failed or missed its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these, such as store; all unless told")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"), help="JSON file of the results")
    parser.add_argument("--compare", type=Path, help="results of another run, to show how each ratio has changed")
    parser.add_argument("--quick", action="store_true", help="small sizes, whose ratios say nothing")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder of the benchmarks")
    parser.add_argument("--one", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return one(arguments.folder, arguments.names[0], arguments.one, arguments.quick)
    known = sorted(path.stem.removeprefix("bench_") for path in arguments.folder.glob("bench_*.py"))
    if unknown := sorted(set(arguments.names) - set(known)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    old = read_ratios(arguments.compare) if arguments.compare else {}
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    print(f"{'':56}{'rate 1/s':>12}{'yardstick':>12}{'ratio':>8}{'of rounds':>14}{'target':>8}")
    for name in arguments.names or known:
        print(name, flush=True)
        try:
            found = run(arguments.folder, name, arguments.quick)
        except RuntimeError as error:
            failed[name] = str(error)
            print(f"  FAILED: {error}")
            continue
        for row in found:
            print(line(row, old.get((name, row["what"], row["yardstick"]))), flush=True)
        rows += [{"benchmark": name, **row} for row in found]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({**conditions(), "quick": arguments.quick, "rows": rows}, indent=1) + "\n")
    missed = [row["what"] for row in rows if row["met"] is False]
    print(f"{len(rows)} ratios in {arguments.output}; {len(missed)} targets missed, {len(failed)} benchmarks failed")
    return int(bool(missed or failed))


def run(folder: Path, name: str, quick: bool) -> list[dict[str, Any]]:
    """Rows of one benchmark, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "rows.json"
        command = [sys.executable, __file__, name, f"--folder={folder}", f"--one={file}", *["--quick"] * quick]
        ended = subprocess.run(command, env={**os.environ, **ONE_CORE}, capture_output=True, text=True)
        if ended.returncode:
            said = ended.stderr.strip().splitlines()
            raise RuntimeError(said[-1] if said else f"it ended with {ended.returncode}")
        return list(json.loads(file.read_text()))


def one(folder: Path, name: str, file: Path, quick: bool) -> int:
    """Measure one benchmark, in this process."""
    sys.path[:0] = [str(folder), str(HERE)]
    rows = importlib.import_module(f"bench_{name}").rows(quick)
    found = [{**asdict(row), "ratio": row.ratio, "spread": row.spread, "met": row.met} for row in rows]
    file.write_text(json.dumps(found))
    return 0


def line(row: dict[str, Any], before: float | None) -> str:
    """Line of the table."""
    text = f"  {row['what'][:53]:54}{max(row['rates']):12,.4g}"
    if row["ratio"] is None:
        return f"{text}   {row['yardstick']}: not installed"
    low, high = row["spread"]
    text += f"{max(row['references']):12,.4g}{short(row['ratio']):>8}{f'{short(low)}-{short(high)}':>14}"
    if row["target"] is not None:
        text += f"{row['target']:8.2f} {'met' if row['met'] else 'MISSED'}"
    if before is not None:
        text += f"  was {short(before)} ({100 * (row['ratio'] / before - 1):+.0f} %)"
    return f"{text}  [{row['yardstick']}]"


def short(ratio: float) -> str:
    """Two decimals, of large ratios none."""
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}"


def read_ratios(path: Path) -> dict[tuple[str, str, str], float]:
    """Ratios of another run by benchmark, what and yardstick."""
    try:
        rows = json.loads(path.read_text())["rows"]
        found = {(row["benchmark"], row["what"], row["yardstick"]): row["ratio"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path} is not a file of results of this program ({error})") from None
    return {key: ratio for key, ratio in found.items() if ratio is not None}


def conditions() -> dict[str, Any]:
    """When, where and with what it was measured."""
    git = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = ""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit,
        "cpu": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
    }


def processor() -> str:
    """Name of the processor."""
    facts = Path("/proc/cpuinfo")
    names = [text for text in facts.read_text().splitlines() if "model name" in text] if facts.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())

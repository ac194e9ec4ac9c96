"""Take the metrics, and the figures that the README shows, from one run of the series; bring all numbers up to it.

    python tools/freeze.py OUTPUT

OUTPUT is what ``ecalnb run --output`` was given. Nothing is changed unless the run has every notebook of the series,
all at the same scale and seed, and every figure that is already in ``figures/``. Tables of more than a hundred rows are
left out of the metrics that are kept.
"""

import argparse
import json
import logging
import shutil
import sys
from pathlib import Path

from check_numbers import METRICS, ROOT, check

LONGEST_TABLE = 100


def freeze(output: Path) -> list[str]:
    """Copy metrics and figures of a run, rewrite the pages, and return what still does not agree."""
    notebooks = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    figures = sorted((ROOT / "figures").glob("*.png"))
    needed = [output / "metrics" / f"{name}.json" for name in notebooks]
    needed += [output / "figures" / figure.name for figure in figures]
    missing = [str(path.relative_to(output)) for path in needed if not path.is_file()]
    if missing:
        raise ValueError(f"the run in {output} has no {', '.join(missing)}; expected a complete run of the series")
    metrics = {name: json.loads((output / "metrics" / f"{name}.json").read_text()) for name in notebooks}
    settings = {(data["parameters"]["scale"], data["parameters"]["seed"]) for data in metrics.values()}
    if len(settings) > 1:
        raise ValueError(f"the run in {output} has scales and seeds {sorted(settings)}; expected one of each")
    METRICS.mkdir(parents=True, exist_ok=True)
    for old in METRICS.glob("*.json"):
        old.unlink()
    for name, data in metrics.items():
        data["tables"] = {key: rows for key, rows in data["tables"].items() if len(rows) <= LONGEST_TABLE}
        data["parameters"].pop("data_dir", None)
        (METRICS / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    for figure in figures:
        shutil.copyfile(output / "figures" / figure.name, figure)
    return check(write=True)


def main() -> int:
    """Freeze the run that the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the output folder of a run of the whole series")
    faults = freeze(parser.parse_args().output)
    for fault in faults:
        logging.error(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

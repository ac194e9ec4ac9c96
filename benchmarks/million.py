"""A million events in one go, as a user would: simulate, convert, select, predict, measure.

    python benchmarks/million.py --events 1000000 --jobs 2 --output table.json

Each step is a command of its own. Private memory is what a batch system must grant; resident memory also counts pages
of mapped files, here of the store, which the system takes back when it needs them. Both are sums over the processes of
a step, looked at ten times a second. `make bench` does not run it: on two cores it takes a quarter of an hour.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

COMMAND = [sys.executable, "-c", "from ecalnb.cli import main; raise SystemExit(main())"]
MODEL = "ecal_simple_cnn.fast"
LIMIT = 2.0  # GB of private memory
REJECTION = """
import sys
from ecalnb.metrics import MatchedSample, rejection_curve
from ecalnb.training import read_scores
sample = MatchedSample.from_scores(read_scores(sys.argv[1]), 200, 1000)
name = sample.models[0]
curve = rejection_curve(sample.electrons[name], sample.protons[name], [0.9], sample.weights)
print(len(sample.electrons), "electrons,", len(sample.protons), "protons")
print("rejection at 90 %:", curve[["rejection", "low_total", "high_total"]].iloc[0].round(0).to_dict())
"""


def private_memory(process: psutil.Process) -> int:
    """Bytes of a process that no file on disk stands behind."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:  # no Linux, or the process has ended
        return int(process.memory_full_info().uss)
    sizes = dict(line.split(":", 1) for line in status.splitlines())
    return sum(1024 * int(sizes[name].split()[0]) for name in ("RssAnon", "RssShmem") if name in sizes)


def measured(name: str, command: list[str], cwd: Path) -> dict[str, Any]:
    """Run a step; wall time in s, CPU time in s, peak memory in GB."""
    start = time.perf_counter()
    process = psutil.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    private = resident = 0.0
    cpu: dict[int, float] = {}
    while process.poll() is None:
        memory = []
        for member in [process, *process.children(recursive=True)]:
            try:
                memory.append((private_memory(member), member.memory_info().rss))
                times = member.cpu_times()
                cpu[member.pid] = times.user + times.system
            except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended while it was looked at
                continue
        private = max(private, sum(own for own, _ in memory) / 1e9)
        resident = max(resident, sum(rss for _, rss in memory) / 1e9)
        time.sleep(0.1)
    said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{name} failed:\n{said}")
    seconds = time.perf_counter() - start
    row = {"step": name, "seconds": seconds, "cpu": sum(cpu.values()), "private_gb": private, "resident_gb": resident}
    print(f"{name:10} {seconds:8.0f} s {row['cpu']:8.0f} CPU s  {private:5.2f} GB private, {resident:5.2f} GB resident")
    return {**row, "said": said.strip().splitlines()[-2:]}


def steps(n: int, jobs: int) -> list[tuple[str, list[str]]]:
    """Name and command of each step; half electrons, half protons."""
    work: list[tuple[str, list[str]]] = []
    for label, energy in (("electron", "200:1000"), ("proton", "200:10000")):
        simulate = ["simulate", label, "-n", str(n // 2), "-E", energy, "--seed", "1", "--jobs", str(jobs)]
        work.append((f"simulate {label}s", [*COMMAND, *simulate, "-o", f"{label}.root"]))
    for label in ("electron", "proton"):
        convert = ["convert", f"{label}.root", "-o", "store", "--label", label, "--select", "200 <= en3d < 1000"]
        work.append((f"convert {label}s", [*COMMAND, *convert]))
    work.append(("predict", [*COMMAND, "predict", MODEL, "store", "-o", "scores.parquet", "--threads", str(jobs)]))
    work.append(("rejection", [sys.executable, "-c", REJECTION, "scores.parquet"]))
    return work


def main() -> int:
    """Run the steps and print a table; 1 if a step needs more memory than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, help="JSON file of the results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for step, command in steps(arguments.events, arguments.jobs):
            rows.append(measured(step, command, folder))
        sizes = {path.name: sum(f.stat().st_size for f in [path, *path.rglob("*")]) / 1e9 for path in folder.iterdir()}
    print(*rows[-1]["said"], sep="\n")
    print("on disk:", ", ".join(f"{name} {size:.2f} GB" for name, size in sorted(sizes.items()) if size > 0.01))
    peak = max(row["private_gb"] for row in rows)
    total = sum(row["seconds"] for row in rows)
    judged = "within" if peak <= LIMIT else "OVER"
    print(f"{arguments.events:,} events: {total:.0f} s, at most {peak:.2f} GB ({judged} {LIMIT} GB)")
    if arguments.output:
        record = {
            "events": arguments.events,
            "jobs": arguments.jobs,
            "date": f"{datetime.now():%Y-%m-%d}",
            "steps": rows,
            "disk_gb": sizes,
        }
        arguments.output.write_text(json.dumps(record, indent=1) + "\n")
    return int(peak > LIMIT)


if __name__ == "__main__":
    sys.exit(main())

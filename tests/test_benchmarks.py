"""The runner of the benchmarks: what it keeps, compares and says, on benchmarks that measure nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").is_dir(), reason="needs a checkout")
TOY = """
from ratios import Ratio
def rows(quick):
    return [
        Ratio("fast", "yardstick", (30.0, 20.0), (10.0, 10.0), 2.0),
        Ratio("slow", "yardstick", (9.0,), (10.0,), {target}),
        Ratio("alone", "Geant4", (9.0,), ()),
    ]
"""


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_missed_target_and_a_failure_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "bench_a.py").write_text("def rows(quick):\n    raise ValueError('no such store')\n")
    (tmp_path / "bench_b.py").write_text(TOY.format(target=0.95))
    output = tmp_path / "new" / "bench.json"
    ended = run("--folder", tmp_path, "--output", output)
    assert ended.returncode == 1, ended.stderr
    assert "FAILED: ValueError: no such store" in ended.stdout
    lines = {line.split()[0]: line for line in ended.stdout.splitlines() if line.strip()}
    assert "3.00" in lines["fast"]
    assert "2.00-3.00" in lines["fast"]
    assert " met" in lines["fast"]
    assert "0.95 MISSED" in lines["slow"]
    assert "Geant4: not installed" in lines["alone"]
    assert "1 targets missed, 1 benchmarks failed" in ended.stdout
    kept = json.loads(output.read_text())
    assert {"date", "commit", "cpu", "versions"} <= set(kept)
    assert [row["ratio"] for row in kept["rows"]] == [3.0, 0.9, None]


def test_runs_are_compared(tmp_path: Path) -> None:
    (tmp_path / "bench_b.py").write_text(TOY.format(target=0.5))
    old = tmp_path / "old.json"
    assert run("--folder", tmp_path, "--output", old).returncode == 0
    content = json.loads(old.read_text())
    content["rows"][0]["ratio"] = 2.0
    old.write_text(json.dumps(content))
    ended = run("b", "--folder", tmp_path, "--output", tmp_path / "new.json", "--compare", old)
    assert ended.returncode == 0
    assert "was 2.00 (+50 %)" in ended.stdout
    assert "was 0.90 (+0 %)" in ended.stdout
    assert "there are b" in run("c", "--folder", tmp_path).stderr
    old.write_text("{}")
    assert "is not a file of results" in run("b", "--folder", tmp_path, "--compare", old).stderr


def test_a_benchmark_runs_at_small_sizes(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    run("metrics", "--quick", "--output", output)
    rows = json.loads(output.read_text())["rows"]
    assert [row["what"] for row in rows] == [f"rejection_curve, {kind}" for kind in ("float64", "float32", "weighted")]
    assert all(len(row["rates"]) == 2 and min(row["rates"]) > 0 for row in rows)


@pytest.mark.slow
def test_all_benchmarks_run_at_small_sizes(tmp_path: Path) -> None:
    ended = run("--quick", "--output", tmp_path / "bench.json")
    assert "0 benchmarks failed" in ended.stdout, ended.stdout

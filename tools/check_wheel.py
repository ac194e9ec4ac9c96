"""Prove that the wheel is complete: build it, install it alone, run the first notebook from an empty folder.

Usage: python tools/check_wheel.py
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = shutil.which("uv")


def main() -> None:
    """Build, look inside, install, run."""
    with tempfile.TemporaryDirectory(prefix="ecalnb-wheel-") as folder:
        work = Path(folder)
        wheel = build(work / "dist")
        check_contents(wheel)
        check_run(install(wheel, work / "venv"), work / "empty")
    print("the wheel is complete")


def run(*command: object, **options: object) -> None:
    """Run a command, and end with its error if it fails."""
    print("+", *command, flush=True)
    if code := subprocess.call([str(word) for word in command], **options):  # type: ignore[call-overload]
        sys.exit(f"check_wheel: failed with exit code {code}")


def build(output: Path) -> Path:
    """Build the source distribution, and the wheel from that."""
    if UV:
        run(UV, "build", "--out-dir", output, ROOT)
    else:
        run(sys.executable, "-m", "build", "--outdir", output, ROOT)
    (wheel,) = output.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """Check that notebooks, Snakefile, sample data and all tracked files are in, and no leftovers."""
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"ecalnb/notebooks/{path.name}" for path in (ROOT / "notebooks").iterdir() if path.is_file()}
    tracked = subprocess.run(["git", "ls-files", "ecalnb"], cwd=ROOT, capture_output=True, text=True, check=False)
    expected |= set(tracked.stdout.split("\n")) - {""}
    expected |= {"ecalnb/workflow/Snakefile", "ecalnb/data/datasets.toml", "ecalnb/py.typed"}
    if missing := sorted(expected - names):
        sys.exit(f"check_wheel: {wheel.name} lacks {', '.join(missing)}")
    if not any(name.startswith("ecalnb/data/sample/") and name.endswith(".root") for name in names):
        sys.exit(f"check_wheel: {wheel.name} has no sample data (ecalnb/data/sample/*.root)")
    if not any(name.startswith("ecalnb/notebooks/01_") for name in names):
        sys.exit(f"check_wheel: {wheel.name} has no first notebook")
    if strange := sorted(name for name in names if "checkpoint" in name.lower() or "__pycache__" in name):
        sys.exit(f"check_wheel: {wheel.name} contains {', '.join(strange)}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.1f} MB")


def install(wheel: Path, venv: Path) -> Path:
    """Install into an empty environment, without the extra that brings torch; returns its bin directory."""
    requirement = f"ecalnb[notebooks] @ {wheel.as_uri()}"
    python = venv / "bin" / "python"
    if UV:
        run(UV, "venv", "--python", sys.executable, venv)
        run(UV, "pip", "install", "--python", python, requirement, "-c", ROOT / "constraints.txt")
    else:
        run(sys.executable, "-m", "venv", venv)
        run(python, "-m", "pip", "install", "--quiet", requirement, "-c", ROOT / "constraints.txt")
    return venv / "bin"


def check_run(bin_dir: Path, empty: Path) -> None:
    """Run the first notebook where there is nothing but the wheel."""
    empty.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    run(bin_dir / "ecalnb", "run", "01", "--scale", "smoke", "--cores", "2", cwd=empty, env=environment)
    output = empty / "output"
    (metrics,) = output.glob("metrics/01_*.json")
    if not json.loads(metrics.read_text()):
        sys.exit(f"check_wheel: {metrics.name} is empty")
    if not list(output.glob("figures/01_*.png")) or not list(output.glob("figures/01_*.svg")):
        sys.exit("check_wheel: the first notebook left no figures")
    command = [str(bin_dir / "ecalnb"), "train", "store", "-o", "run"]
    said = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=False)
    if said.returncode != 1 or 'pip install "ecalnb[train]"' not in said.stderr:
        sys.exit(f"check_wheel: without torch, `ecalnb train` says {said.stderr!r}; expected the name of the extra")


if __name__ == "__main__":
    main()

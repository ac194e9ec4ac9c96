"""A full disk: one sentence, exit code 1, nothing half-written, what was there before intact; then the way on is free.

Two ways to run out of space: a small file system in memory, which only root may mount, and a limit on the size of
files, which needs nobody's leave.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fork_server import Forks
from results import leftovers, same_results, unfinished
from toy_commands import Inputs, fresh

from ecalnb.display.annotations import KeptEvents

WRITTEN = {
    "simulate": "e.root", "convert": "store", "train": "run", "run": "metrics", "predict": "scores.parquet",
    "html": "event.html", "png": "event.png",
}  # fmt: skip
"""What each command makes."""

TOO_SMALL = {"simulate": 60_000, "convert": 20_000, "train": 60_000, "run": 20, "predict": 4_000, "html": 40_000,
             "png": 20_000}  # fmt: skip
"""Bytes that are too few for the largest file that the command writes."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place = fresh(tmp_path / "disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here ({mounted.stderr.decode().strip()}); root may")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def assert_refused(done: object, output: Path) -> None:
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("ecalnb: ")
    assert any(text in last for text in ("cannot be written", "the disk is full", "No space left", "File too large"))
    assert unfinished(output) == []
    assert [name for name in leftovers(output) if name.endswith(".tmp")] == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "convert")) for name in WRITTEN if name != "run"],
)
def test_a_limit_on_the_size_of_files(forks: Forks, inputs: Inputs, tmp_path: Path, name: str) -> None:
    output = fresh(tmp_path / "out")
    assert_refused(forks.command(*inputs.words(name, output), fsize=TOO_SMALL[name]), output)
    done = forks.command(*inputs.words(name, output))
    assert done.code == 0, done.err
    undisturbed = fresh(tmp_path / "undisturbed")
    assert forks.command(*inputs.words(name, undisturbed)).code == 0
    same_results(output, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(WRITTEN))
def test_a_full_disk(forks: Forks, inputs: Inputs, small_disk: Path, name: str) -> None:
    ballast = 65_536 if name == "run" else 61_440 - TOO_SMALL[name]
    if name not in ("simulate", "train"):  # which need more than there is anyway
        (small_disk / "ballast").write_bytes(bytes(ballast))
    assert_refused(forks.command(*inputs.words(name, small_disk)), small_disk)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["predict", "html", "png", "convert"])
def test_what_was_there_stays(forks: Forks, inputs: Inputs, tmp_path: Path, name: str) -> None:
    output, before = fresh(tmp_path / "out"), tmp_path / "before"
    words = inputs.words(name, output)
    if name == "convert":  # another file for a store that is there
        big = words.pop(1)
        assert forks.command(*words).code == 0
        words.insert(1, big)
    else:
        assert forks.command(*words).code == 0
    shutil.copytree(output, before)
    assert_refused(forks.command(*words, fsize=TOO_SMALL[name] // 2), output)
    same_results(output, before)
    for path in before.rglob("*.png"):
        assert path.read_bytes() == (output / path.name).read_bytes()


def test_kept_events_survive_a_full_disk(tmp_path: Path) -> None:
    for ending in ("csv", "parquet"):
        path = tmp_path / f"kept.{ending}"
        kept = KeptEvents()
        kept.keep((1, 2), "first")
        kept.save(path)
        before = path.read_bytes()
        for entry in range(5000):
            kept.keep((1, entry), f"note {entry}")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            with pytest.raises(ValueError, match=r"cannot be written: .*File too large"):
                kept.save(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == before
        assert leftovers(tmp_path) == []

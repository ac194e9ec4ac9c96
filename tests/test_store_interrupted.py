"""Kills, full disks, and several processes at a store."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from toy_stores import PYTHONPATH, leftovers, root_file, showers

from ecalnb import _compiled
from ecalnb.store import Store, convert, from_showers

CONVERT = """
import os, resource, sys, time
from ecalnb.store import convert

def patient(table):
    if os.environ.get("WAIT") and table["entry"].iloc[0] > 0 and table["pdg"].iloc[0] == 2212:
        print("half-way", flush=True)
        time.sleep(60)
    return table["entry"] >= 0

if __name__ == "__main__":
    if limit := int(os.environ.get("LIMIT", 0)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    output, *files = sys.argv[1:]
    try:
        print(len(convert(files, output, selection=patient, chunk=16)))
    except ValueError as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch) -> list[str]:
    script = tmp_path / "script.py"
    script.write_text(CONVERT)
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    return [sys.executable, str(script), str(tmp_path / "s")]


def test_after_kill_9_half_way_the_same_command_finishes(tmp_path: Path, files: list[Path], command, caplog) -> None:
    command = [*command, *map(str, files)]
    with subprocess.Popen(command, env={**os.environ, "WAIT": "1"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half-way\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(leftovers(tmp_path)) == 1
    caplog.set_level(logging.WARNING)
    assert len(Store(tmp_path / "s")) == 40  # the first file, whole
    assert "1 unfinished shards" in caplog.text
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "120\n"
    assert leftovers(tmp_path) == []
    store = Store(tmp_path / "s")
    store.verify()
    assert store.fingerprint() == convert(files, tmp_path / "t").fingerprint()


def test_a_full_disk_is_one_sentence_and_leaves_what_was_whole(tmp_path: Path, files: list[Path], command) -> None:
    big = root_file(tmp_path / "root" / "z.root", 400, seed=5)
    sizes = {path: convert(path, tmp_path / path.stem).shards[0].n_bytes for path in (files[0], big)}
    limit = 2 * sizes[files[0]]
    assert sizes[big] > 2 * limit
    process = subprocess.run(
        [*command, str(files[0]), str(big)], env={**os.environ, "LIMIT": str(limit)}, capture_output=True, text=True
    )
    assert process.returncode == 1
    assert process.stderr.startswith(f"StoreError: {tmp_path / 's' / 'z'}-")
    assert "cannot be written" in process.stderr
    assert "File too large" in process.stderr
    assert "GB free there); nothing half-written is left" in process.stderr
    assert process.stderr.count("\n") == 1
    assert leftovers(tmp_path) == []
    assert len(Store(tmp_path / "s")) == 40
    done = subprocess.run([*command, str(files[0]), str(big)], capture_output=True, text=True, check=True)
    assert done.stdout == "440\n"


def test_processes_that_convert_at_once_do_not_lose_each_others_shards(tmp_path: Path, command) -> None:
    paths = [root_file(tmp_path / f"{i}.root", 20, seed=i) for i in range(8)]
    groups = [paths[::2], paths[1::2], paths[2:5]]  # the third does work of the others too
    processes = [subprocess.Popen([*command, *map(str, group)], stderr=subprocess.PIPE, text=True) for group in groups]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    store = Store(tmp_path / "s")
    store.verify()
    assert len(store) == 160
    assert store.fingerprint() == convert(paths, tmp_path / "t").fingerprint()
    assert leftovers(tmp_path) == []


def test_a_manifest_that_missed_a_shard_is_made_up_for(tmp_path: Path, files: list[Path]) -> None:
    convert(files[:2], tmp_path / "s")
    stale = (tmp_path / "s" / "manifest.json").read_text()
    convert(files, tmp_path / "s")
    (tmp_path / "s" / "manifest.json").write_text(stale)
    assert len(Store(tmp_path / "s")) == 120
    assert len(json.loads((tmp_path / "s" / "manifest.json").read_text())["shards"]) == 2


def test_the_number_of_shards_is_not_limited_by_open_files(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for i in range(60):
        store = from_showers(showers(3, seed=i), tmp_path / "one")
        (tmp_path / "one" / "showers.arrow").rename(tmp_path / "s" / f"{i:02d}.arrow")
        shutil.rmtree(tmp_path / "one")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(map(int, os.listdir("/dev/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 20, hard))
    try:
        store = Store(tmp_path / "s")
        images = store.dense(np.arange(180)[::-1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    expected = np.concatenate([showers(3, seed=i).images for i in range(60)])
    np.testing.assert_array_equal(images, expected[::-1])


def test_kernels_work_where_machine_code_cannot_be_kept(monkeypatch) -> None:
    compile_ = numba.njit

    def read_only(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available for file")
        return compile_(**options)

    monkeypatch.setattr(_compiled.nb, "njit", read_only)
    assert _compiled.jit(lambda x: x + 1)(2) == 3

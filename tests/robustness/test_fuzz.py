"""Damaged files: whatever a user hands in is read right or refused in a sentence; nothing hangs, crashes or is lost.

Each damaged file is read in a process of its own with 2 GB and 20 s. A failure names kind, file and number of the
mutation; ``mutate(bytes, number)`` makes the file again.
"""

from __future__ import annotations

import collections
import json
import logging
import shutil
from pathlib import Path

import pytest
from fork_server import Forks
from mutations import mutate
from seeds import make_seeds

from ecalnb.showers import Showers

log = logging.getLogger(__name__)

FIRST = 20_260_700
"""Number of the first mutation."""

HAS_CHECKSUM = {"store"}
"""Kinds of files in which a change cannot go unseen, once all is read."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory, sample: Showers) -> list[tuple[str, Path]]:
    return make_seeds(tmp_path_factory.mktemp("seeds"), sample)


def fuzz(seeds: list[tuple[str, Path]], folder: Path, numbers: range) -> dict[str, collections.Counter[str]]:
    """Read so many damaged files; returns how often each kind was refused, read as it was, and read as another."""
    counts: dict[str, collections.Counter[str]] = {}
    failures: list[str] = []
    with Forks() as forks:
        whole = {}
        for kind, path in seeds:
            done = forks.read(kind, path)
            outcome = json.loads(done.out.splitlines()[-1]) if done.out else {}
            assert "read" in outcome, (kind, path, outcome, done.err)
            whole[kind, path] = outcome["read"]
        for number in numbers:
            kind, path = seeds[number % len(seeds)]
            place = folder / str(number)
            neighbours = [file for file in path.parent.iterdir() if file.is_file()]
            place.mkdir()
            for file in neighbours:
                shutil.copy2(file, place / file.name)
            damaged = mutate(path.read_bytes(), FIRST + number)
            (place / path.name).write_bytes(damaged)
            done = forks.read(kind, place / path.name)
            what, problem = judge(kind, done, whole[kind, path], damaged == path.read_bytes())
            name = f"{kind}:{path.suffix[1:]}"
            counts.setdefault(name, collections.Counter())[what] += 1
            if problem:
                failures.append(f"{kind} {path.name} mutation {FIRST + number}: {problem}")
            else:
                shutil.rmtree(place)
    report = "\n".join(f"{name:20} {dict(count)}" for name, count in sorted(counts.items()))
    log.info("%s", f"{len(numbers)} damaged files, mutations {FIRST + numbers[0]} to {FIRST + numbers[-1]}\n{report}")
    assert not failures, f"{len(failures)} of {len(numbers)}; files are in {folder}\n" + "\n".join(failures)
    return counts


def judge(kind: str, done: object, whole: str, same: bool) -> tuple[str, str]:
    """What became of a damaged file, and what is wrong with that."""
    if done.late:
        return "hang", "still reading after 20 s"
    if done.code != 0:
        return "crash", f"ended with {done.code}: {done.err[-600:]}"
    outcome = json.loads(done.out.splitlines()[-1])
    if "error" in outcome:
        problem = "" if outcome["sentence"] else f"{outcome['error']}: {outcome['text']} at {outcome['where']}"
        return "refused", problem
    if outcome["read"] == whole:
        return "unchanged", ""
    return "changed", "read as something else, unseen" if kind in HAS_CHECKSUM or same else ""


def test_damaged_files_are_refused_in_a_sentence(seeds: list[tuple[str, Path]], tmp_path: Path) -> None:
    counts = fuzz(seeds, tmp_path, range(44))
    assert sum(count["refused"] for count in counts.values()) > 10


@pytest.mark.slow
def test_two_thousand_damaged_files(seeds: list[tuple[str, Path]], tmp_path: Path) -> None:
    counts = fuzz(seeds, tmp_path, range(2000))
    assert sum(count["refused"] for count in counts.values()) > 600

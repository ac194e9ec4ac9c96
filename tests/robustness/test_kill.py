"""kill -9 at any moment: the same command again ends in the result of one that nobody disturbed.

The moments are spread at random over the time that the command takes undisturbed, measured anew every five kills;
every second kill is of the whole process group, the others of the leading process alone, which leaves its children to
notice. After each kill nothing half-written may have a final name, and no lock may be in the way of the second try.
"""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
from fork_server import Forks
from results import leftovers, same_results, unfinished
from toy_commands import NAMES, Inputs, fresh

log = logging.getLogger(__name__)

SEED = 11
SLOW = ("simulate", "train", "run")


def kill_and_repeat(forks: Forks, inputs: Inputs, folder: Path, name: str, kills: int) -> int:
    """Kill a command so many times, each followed by the same command; returns how many it took by surprise."""
    rng = random.Random(f"{SEED} {name}")
    surprised = 0
    undisturbed, output = folder / "undisturbed", folder / "killed"
    forks.command(*inputs.words(name, fresh(folder / "warm")))  # compiled kernels are cached
    for number in range(kills):
        if number % 5 == 0:  # how long it takes depends on what else the machine does
            done = forks.command(*inputs.words(name, fresh(undisturbed)))
            assert done.code == 0, done.err
            log.info("%s: %.2f s undisturbed", name, done.seconds)
        moment = done.seconds * (number + rng.random()) / kills
        told = f"{name}: kill {number} after {moment:.3f} of {done.seconds:.3f} s"
        words = inputs.words(name, fresh(output))
        killed = forks.command(*words, kill=moment, group=number % 2 == 0)
        surprised += killed.code == -9
        assert unfinished(output) == [], told
        again = forks.command(*words)
        # All was written when it came: `simulate` says so, as it does without a kill.
        whole = name == "simulate" and again.code == 1 and "e.root exists" in again.err
        assert again.code == 0 or whole, f"{told}\n{again.err}"
        same_results(output, undisturbed)
        assert leftovers(output) == [], told
    log.info("%s: %d of %d kills came before the end", name, surprised, kills)
    return surprised


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES])
def test_the_same_command_after_a_kill(forks: Forks, inputs: Inputs, tmp_path: Path, name: str) -> None:
    assert kill_and_repeat(forks, inputs, tmp_path, name, 3) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_command_after_each_of_thirty_kills(forks: Forks, inputs: Inputs, tmp_path: Path, name: str) -> None:
    assert kill_and_repeat(forks, inputs, tmp_path, name, 30) >= 15

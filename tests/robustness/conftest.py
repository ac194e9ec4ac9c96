"""What the tests of robustness share: small inputs, and children forked from a warm parent."""

from collections.abc import Iterator

import pytest
from fork_server import Forks
from toy_commands import Inputs, make_inputs

from ecalnb.showers import Showers


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, sample: Showers) -> Inputs:
    return make_inputs(tmp_path_factory.mktemp("inputs"), sample)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as server:
        yield server

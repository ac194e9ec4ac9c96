"""The same seed gives the same result, whatever number of processes or threads does the work: 1, 2 or 4."""

import numpy as np
import pandas as pd
import pytest

from ecalnb.ntuples import load_datasets
from ecalnb.simulation import simulate
from ecalnb.store import Store, convert
from ecalnb.training import predict

NUMBERS = (1, 2, 4)


def assert_same_tables(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("particle", ["electron", "proton"])
def test_simulated_events(particle: str) -> None:
    one, two, four = (simulate(particle, 4500, energy=(5, 50), seed=11, jobs=jobs) for jobs in NUMBERS)
    for other in (two, four):
        np.testing.assert_array_equal(one.images, other.images)
        assert_same_tables(one.table, other.table)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    folder = tmp_path_factory.mktemp("stores")
    datasets = load_datasets()
    files = [file for name in ("geant4_electrons", "geant4_emlike_protons") for file in datasets[name].files]
    return [convert(files, folder / str(jobs), jobs=jobs) for jobs in NUMBERS]


def test_stores_are_the_same_files(stores: list[Store]) -> None:
    """Not only their events: their bytes."""
    first, *others = ({path.name: path.read_bytes() for path in sorted(store.path.glob("*.arrow"))} for store in stores)
    assert len(first) == 3
    assert all(other == first for other in others)
    assert len({store.fingerprint() for store in stores}) == 1


def test_scores(stores: list[Store]) -> None:
    one, two, four = (
        predict({"cnn": "ecal_simple_cnn.fast"}, stores[0], threads=threads, backend="torch") for threads in NUMBERS
    )
    for other in (two, four):
        # Sums of a layer may be made in another order: the last bits of float32.
        np.testing.assert_allclose(other["cnn"], one["cnn"], rtol=1e-5, atol=1e-5)
        assert_same_tables(one.drop(columns="cnn"), other.drop(columns="cnn"))

"""Productions: what datasets say of events that are not there yet."""

import pytest

from ecalnb import ntuples
from ecalnb.datasets import load_datasets
from ecalnb.productions import EVENTS_A_FILE, Production
from ecalnb.simulation import make_run
from ecalnb.store import convert

TOML = """
[datasets.some]
kind = "mc"
[datasets.some.production]
particle = "electron"
energy = [20.0, 60.0]
seed = 3
keep = "en3d > 30"
events = { smoke = 100, demo = 50_000 }
[datasets.all]
members = ["some"]
"""


@pytest.fixture
def datasets(tmp_path):
    def load(text=TOML):
        path = tmp_path / "datasets.toml"
        path.write_text(text)
        return load_datasets(path)

    return load


def test_files_hold_all_events_with_seeds_of_their_own(datasets):
    production = datasets()["some"].production
    assert production.files("smoke") == ["smoke-0000.root"]
    arguments = [production.arguments(file) for file in production.files("demo")]
    assert sum(a["n"] for a in arguments) == 50_000
    assert max(a["n"] for a in arguments) == EVENTS_A_FILE
    assert len({a["seed"] for a in arguments}) == len(arguments)
    assert production.arguments("smoke-0000.root")["seed"] not in {a["seed"] for a in arguments}, (
        "events that no packaged weights have seen"
    )


def test_what_it_says_can_be_simulated(datasets):
    run = make_run(**datasets()["some"].production.arguments("smoke-0000.root"))
    assert (run.n, run.source.limits(run.particles[0]), run.keep) == (100, (20.0, 60.0), "en3d > 30")


def test_dataset_says_by_what_it_is_simulated(datasets):
    simulation = datasets()["some"].simulation
    assert simulation == "ecalnb, engine fast, detector nominal; electron 20-60 GeV kinetic, E^-1"


def test_located_dataset_has_files(datasets, tmp_path):
    (part,) = datasets()["all"].located(tmp_path, "smoke").parts()
    assert part.files == (str(tmp_path / "some" / "smoke-0000.root"),)
    with pytest.raises(ValueError, match="dataset 'some': there are events for smoke, demo, not for the scale 'paper'"):
        datasets()["all"].located(tmp_path, "paper")


def test_reading_it_says_how_to_make_it(datasets, tmp_path):
    for read in (ntuples.read, lambda dataset: convert(dataset, tmp_path / "store")):
        with pytest.raises(ValueError, match="simulated on demand: `ecalnb make stores/some`"):
            read(datasets()["all"])


def test_unknown_file_is_none_of_its_files(datasets):
    with pytest.raises(ValueError, match=r"'smoke-0001\.root' is none of the files"):
        datasets()["some"].production.arguments("smoke-0001.root")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 3", "seed = -3", "seed is -3"),
        ("smoke = 100", "smoke = 0", "events at the scale 'smoke' is 0"),
        ("seed = 3", "sed = 3", "sed"),
        ('kind = "mc"', 'kind = "mc"\nfiles = ["a.root"]', "files and production"),
    ],
)
def test_refuses_what_makes_no_sense(datasets, old, new, message):
    with pytest.raises(ValueError, match=message):
        datasets(TOML.replace(old, new))


def test_packaged_productions_can_be_simulated():
    productions = [
        part.production for dataset in load_datasets().values() for part in dataset.parts() if part.production
    ]
    assert all(isinstance(production, Production) for production in productions)
    for production in productions:
        assert set(production.events) == {"smoke", "demo", "paper"}
        for scale in production.events:
            make_run(**production.arguments(production.files(scale)[-1]))
    seeds = {(production.seed, str(production.options)) for production in productions}
    assert len({seed for seed, _ in seeds}) == len(seeds), "each has a seed of its own"

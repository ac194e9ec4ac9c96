"""The workflow on many files: a job a file, on nodes that are only processes; the packaged cluster profiles."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import ecalnb
from ecalnb import ntuples, workflow
from ecalnb.cli import app
from ecalnb.store import Store, StoreError, convert, convert_file
from ecalnb.training import predict
from ecalnb.workflow.jobs import IN_RUNNER
from ecalnb.workflow.profiles import find_profile, list_profiles

NODE = """#!/bin/sh
# A batch system of one machine: the job runs apart from what submitted it, and leaves a line for each.
echo "$1" >> {jobs}
setsid sh "$1" > /dev/null 2>&1 < /dev/null &
echo $!
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(ecalnb.__file__).parent.parent))
    monkeypatch.delenv(IN_RUNNER, raising=False)


@pytest.fixture
def data(tmp_path: Path, make_showers: Callable[..., Any]) -> Path:
    """Three ROOT files, one of them in another folder under the name of the first."""
    folder = tmp_path / "data"
    (folder / "again").mkdir(parents=True)
    for number, name in enumerate(("run_1.root", "run_2.root", "again/run_1.root"), 1):
        ntuples.write(make_showers(10 * number, label="proton", file_id=number), folder / name)
    entry = (
        '[datasets.mine]\nfiles = ["*.root", "again/*.root"]\nlabel = "proton"\nkind = "mc"\nsimulation = "random"\n'
    )
    (folder / "datasets.toml").write_text(entry)
    return folder


def command(*words: object) -> list[str]:
    return [sys.executable, "-c", "import sys; from ecalnb.cli import main; sys.exit(main())", *map(str, words)]


def needs(executor: str) -> None:
    if importlib.util.find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is None:
        pytest.skip(f"needs snakemake-executor-plugin-{executor}")


@pytest.mark.slow
def test_a_corrupt_file_among_several_on_nodes(tmp_path: Path, data: Path) -> None:
    needs("cluster-generic")
    profile, output, jobs = tmp_path / "site", tmp_path / "output", tmp_path / "jobs.txt"
    profile.mkdir()
    (profile / "submit").write_text(NODE.format(jobs=jobs))
    (profile / "submit").chmod(0o755)
    (profile / "config.yaml").write_text(
        f"executor: cluster-generic\ncluster-generic-submit-cmd: {profile / 'submit'}\njobs: 3\nretries: 1\n"
        "seconds-between-status-checks: 1\nlatency-wait: 5\n"
    )
    whole = (data / "run_2.root").read_bytes()
    (data / "run_2.root").write_bytes(whole[: len(whole) // 2])
    words = ("make", "stores/mine", "-o", output, "--data-dir", data)
    failed = subprocess.run(command(*words, "--cluster-profile", profile), capture_output=True, text=True)
    assert failed.returncode == 1
    assert "convert mine mine.run_2 failed" in failed.stderr
    assert "run_2.root" in failed.stderr
    assert str(output / "logs" / "convert_mine_mine.run_2.log") in failed.stderr
    assert "Traceback" not in failed.stderr
    assert len(jobs.read_text().splitlines()) == 4, "three files, and a second attempt at the corrupt one"
    assert sorted(shard.n_events for shard in Store(output / "stores" / "mine").shards) == [10, 30]
    assert not (output / "stores" / "mine" / "manifest.json").exists(), "a part of a store does not look like the whole"
    shards = {path: path.stat().st_mtime_ns for path in (output / "stores" / "mine").glob("*.arrow")}
    (data / "run_2.root").write_bytes(whole)
    subprocess.run(command(*words, "--cluster-profile", profile), check=True, capture_output=True)
    assert len(Store(output / "stores" / "mine")) == 60
    assert len(jobs.read_text().splitlines()) == 6, "the file, and the end"
    assert all(path.stat().st_mtime_ns == time for path, time in shards.items())


@pytest.mark.slow
def test_files_are_scored_one_by_one_and_joined(tmp_path: Path, data: Path) -> None:
    target = "predictions/ecal_simple_cnn.fast/mine.parquet"
    path = workflow.ensure(target, tmp_path / "output", data_dir=data, cores=2)
    scores = pd.read_parquet(path).sort_values(["file_id", "entry"], ignore_index=True)
    expected = predict("ecal_simple_cnn.fast", convert(sorted(data.rglob("*.root")), tmp_path / "s", label="proton"))
    expected = expected.sort_values(["file_id", "entry"], ignore_index=True)
    assert len(scores) == 60
    pd.testing.assert_frame_equal(scores, expected, check_dtype=False, atol=1e-4)
    assert len(list(path.with_suffix("").glob("*.parquet"))) == 3


@pytest.mark.slow
def test_a_model_is_trained_and_scores(tmp_path: Path, data: Path, make_showers: Callable[..., Any]) -> None:
    entry = '[datasets.{0}s]\nfiles = ["{0}s.root"]\nlabel = "{0}"\nkind = "mc"\nsimulation = "random"\n'
    text = '[datasets.both]\nmembers = ["electrons", "protons"]\n'
    for number, label in enumerate(("electron", "proton"), 1):
        showers = make_showers(200, label=label, file_id=number)
        showers.table["en3d"] = showers.table["momentum"]  # the cells alone are fainter than the window of training
        ntuples.write(showers, data / f"{label}s.root")
        text += entry.format(label)
    (data / "datasets.toml").write_text(text)
    output = tmp_path / "output"
    path = workflow.ensure("predictions/ecal_linear@both/both.parquet", output, data_dir=data, cores=2)
    assert (output / "runs" / "both" / "ecal_linear" / "weights.json").is_file()
    scores = pd.read_parquet(path)
    assert scores["label"].value_counts().to_dict() == {"electron": 200, "proton": 200}
    assert scores["ecal_linear"].notna().all()


def test_a_file_is_converted_alone(tmp_path: Path, data: Path) -> None:
    shard = convert_file(data / "run_1.root", tmp_path / "store")
    assert [path.name for path in (tmp_path / "store").iterdir()] == [shard.name], "no manifest"
    made = (tmp_path / "store" / shard.name).stat().st_mtime_ns
    assert convert_file(data / "run_1.root", tmp_path / "store") == shard
    assert (tmp_path / "store" / shard.name).stat().st_mtime_ns == made
    dataset = ntuples.load_datasets(data / "datasets.toml")["mine"]
    with pytest.raises(StoreError, match="stands for 3 files; expected one"):
        convert_file(dataset, tmp_path / "store")


def test_a_copy_of_a_file_is_counted_once(tmp_path: Path, data: Path) -> None:
    (data / "copy.root").write_bytes((data / "run_2.root").read_bytes())
    assert len(Store(workflow.ensure("stores/mine", tmp_path / "output", data_dir=data, cores=2))) == 60


@pytest.mark.parametrize("name", list_profiles())
def test_a_packaged_profile_plans_a_run(name: str, tmp_path: Path) -> None:
    needs(name)
    words = command("run", "01", "--scale", "smoke", "-o", tmp_path / "output", "--dry-run", "--cluster-profile", name)
    result = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    planned = result.stdout.splitlines()
    assert "store geant4_sample" in planned
    assert "01_data_selection" in planned
    assert sum(line.startswith("convert geant4_sample ") for line in planned) > 1
    text = (tmp_path / "output" / "logs" / "workflow.log").read_text()
    assert "mem_mb=1500" in text
    assert "runtime=60" in text
    if name == "htcondor":
        assert "classad_MaxRuntime=3600" in text
        assert "htcondor_request_mem_mb=1500" in text


def test_an_unknown_profile_is_named_with_the_known_ones(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", "--cluster-profile", "lsf", "-o", str(tmp_path / "output")])
    assert isinstance(result.exception, ValueError)
    assert str(result.exception) == (
        "cluster profile 'lsf' is neither a packaged one (htcondor, slurm) nor a folder with a config.yaml"
    )
    (tmp_path / "config.yaml").write_text("executor: some-other\n")
    with pytest.raises(ModuleNotFoundError, match=r"snakemake_executor_plugin_some_other .*ecalnb\[cluster\]"):
        find_profile(tmp_path)


@pytest.mark.slow
def test_papermill_alone_runs_a_notebook(tmp_path: Path) -> None:
    notebook, output = workflow.notebooks_folder() / "01_data_selection.ipynb", tmp_path / "output"
    words = [sys.executable, "-m", "papermill", str(notebook), "out.ipynb", "-p", "scale", "smoke"]
    words += ["-p", "output_dir", str(output)]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (output / "metrics" / "01_data_selection.json").is_file()
    assert 'scale = \\"smoke\\"' in (tmp_path / "out.ipynb").read_text()

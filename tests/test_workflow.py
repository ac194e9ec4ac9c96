"""The workflow on series of toy notebooks: the real Snakefile, papermill and kernels, but nothing to compute."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

import ecalnb
from ecalnb import ntuples, workflow
from ecalnb._lock import folder_lock
from ecalnb.store import Store
from ecalnb.workflow.copies import working_copy
from ecalnb.workflow.jobs import IN_RUNNER, THREAD_VARIABLES
from ecalnb.workflow.series import file_of

PARAMETERS = 'scale = "demo"\ndata_dir = None\noutput_dir = "output"\nseed = 1'
WRITE = """
import json, os, sys, time
from pathlib import Path
name = {name!r}
target = Path(output_dir) / "metrics" / f"{{name}}.json"
def write(**values):
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(dict(scale=scale, seed=seed, data_dir=data_dir, **values)))
def wait_for(path):
    end = time.monotonic() + 60
    while not Path(path).exists():
        assert time.monotonic() < end, path
        time.sleep(0.05)
"""


@pytest.fixture(autouse=True, scope="module")
def _importable() -> Iterator[None]:
    """Jobs have another working directory, and find the package that is tested there too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(ecalnb.__file__).parent.parent))
        patch.delenv(IN_RUNNER, raising=False)
        yield


def notebook(folder: Path, name: str, code: str, tags: tuple[str, ...] = ("parameters",)) -> None:
    parameters = nbformat.v4.new_code_cell(PARAMETERS, id="parameters", metadata={"tags": list(tags)})
    cells = [parameters, nbformat.v4.new_code_cell(WRITE.format(name=name), id="write")]
    cells.append(nbformat.v4.new_code_cell(code, id="code"))
    folder.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


def metrics(output: Path, name: str) -> dict[str, Any]:
    return json.loads((output / "metrics" / f"{name}.json").read_text())


def command(*words: object) -> list[str]:
    return [sys.executable, "-c", "import sys; from ecalnb.cli import main; sys.exit(main())", *map(str, words)]


class Ran:
    """What is left of a run of four notebooks, of which the third fails."""

    def __init__(self, tmp_path: Path) -> None:
        self.output, folder = tmp_path / "output", tmp_path / "notebooks"
        # 01 and 02 wait for one another: they only end if they run at the same time.
        for name, other in (("01_one", "02_two"), ("02_two", "01_one")):
            marker = "Path(output_dir, {!r}).touch(); wait_for(Path(output_dir, {!r}))\n"
            extra = f"write(python=sys.executable, threads=[os.environ[v] for v in {THREAD_VARIABLES}])"
            notebook(folder, name, marker.format(name, other) + extra)
        notebook(folder, "03_three", "raise ValueError('no such shower')")
        notebook(folder, "04_four", "write()")
        (folder / "series.toml").write_text('[04_four]\ninputs = ["metrics/03_three.json"]\n')
        # A kernel of that name in the home directory, which must not be taken for the package's own.
        kernel = tmp_path / "home" / "kernels" / "python3"
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text('{"argv": ["false"], "display_name": "no", "language": "python"}')
        self.result = subprocess.run(
            command("run", "--notebooks", folder, "-o", self.output, "--cores", 2, "--scale", "smoke", "--seed", 7),
            env={**os.environ, "JUPYTER_DATA_DIR": str(tmp_path / "home")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("ran"))


def test_independent_notebooks_run_side_by_side_with_their_parameters(ran: Ran) -> None:
    for name in ("01_one", "02_two"):
        values = metrics(ran.output, name)
        assert values["scale"] == "smoke"
        assert values["seed"] == 7
        assert values["data_dir"] is None


def test_jobs_use_this_interpreter_and_their_share_of_threads(ran: Ran) -> None:
    assert metrics(ran.output, "01_one")["python"] == os.path.normpath(sys.executable)  # VENV=../env
    assert metrics(ran.output, "01_one")["threads"] == ["1"] * len(THREAD_VARIABLES)


def test_a_failed_notebook_leaves_its_traceback_and_the_others_go_on(ran: Ran) -> None:
    copy = nbformat.read(ran.output / "notebooks" / "03_three.ipynb", 4)
    errors = [out for cell in copy.cells for out in cell.get("outputs", []) if out.output_type == "error"]
    assert any(error.evalue == "no such shower" and error.traceback for error in errors)
    assert (ran.output / "metrics" / "02_two.json").exists()
    assert not (ran.output / "metrics" / "04_four.json").exists()


def test_a_failed_run_says_so(ran: Ran) -> None:
    assert ran.result.returncode == 1
    assert "03_three failed: ValueError: no such shower" in ran.result.stderr
    assert str(ran.output / "notebooks" / "03_three.ipynb") in ran.result.stderr
    assert "not run, for want of their inputs: 04_four" in ran.result.stderr
    assert "Traceback" not in ran.result.stderr


def test_only_what_has_changed_runs_again(tmp_path: Path) -> None:
    folder, output = tmp_path / "notebooks", tmp_path / "output"
    notebook(folder, "01_one", "write()")
    book = folder / "01_one.ipynb"

    def run(**options: Any) -> list[str]:
        outcome = workflow.execute(["metrics/01_one.json"], output, notebooks=folder, cores=1, **options)
        assert outcome.succeeded, workflow.explain(outcome)
        return list(outcome.finished)

    assert run() == ["01_one"]
    assert run() == []
    book.write_bytes(book.read_bytes())
    assert run() == [], "the same bytes with another date are no change"
    assert run(scale="smoke") == ["01_one"]
    assert metrics(output, "01_one")["scale"] == "smoke"
    assert run(scale="smoke", seed=2) == ["01_one"]
    notebook(folder, "01_one", "write(new=True)")
    assert run(scale="smoke", seed=2) == ["01_one"]
    assert metrics(output, "01_one")["new"]


def test_a_killed_run_leaves_no_process_and_continues(tmp_path: Path) -> None:
    folder, output = tmp_path / "notebooks", tmp_path / "output"
    notebook(folder, "01_one", "write()")
    slow = "Path(output_dir, 'pid').write_text(str(os.getpid())); wait_for(Path(output_dir, 'go')); write()"
    notebook(folder, "02_two", slow)
    words = command("run", "--notebooks", folder, "-o", output, "--cores", 2)
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    log = output / "logs" / "workflow.log"
    wait_until(lambda: (output / "pid").exists() and "(Rule: 01_one)" in log.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    kernel = int((output / "pid").read_text())
    wait_until(lambda: not alive(kernel))
    (output / "go").touch()
    again = subprocess.run(words, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "02_two: finished" in again.stderr
    assert "01_one: started" not in again.stderr
    assert (output / "metrics" / "02_two.json").exists()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b"defunct" not in subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True).stdout


def test_a_second_run_waits_and_says_so(tmp_path: Path) -> None:
    folder, output = tmp_path / "notebooks", tmp_path / "output"
    output.mkdir()
    notebook(folder, "01_one", "write()")
    told: list[str] = []
    thread = threading.Thread(
        target=workflow.execute,
        args=(["metrics/01_one.json"], output),
        kwargs={"notebooks": folder, "cores": 1, "dry_run": True, "waiting": told.append},
    )
    with folder_lock(output):
        thread.start()
        wait_until(lambda: bool(told))
        time.sleep(0.5)
        assert thread.is_alive()
    thread.join(60)
    assert not thread.is_alive()
    assert f"process {os.getpid()}" in told[0]
    assert len(told) == 1


def test_a_notebook_that_does_not_make_what_the_series_says_fails(tmp_path: Path) -> None:
    folder, output = tmp_path / "notebooks", tmp_path / "output"
    notebook(folder, "01_one", "write()")
    notebook(folder, "02_two", "write()", tags=())
    (folder / "series.toml").write_text('[01_one]\nfigures = ["spectra"]\n')
    targets = [target for book in workflow.load_series(folder) for target in book.targets]
    outcome = workflow.execute(targets, output, notebooks=folder, cores=2)
    assert not outcome.succeeded
    assert "figures/01_spectra.png" in outcome.failed["01_one"]
    assert outcome.failed["02_two"] == "02_two.ipynb has no cell tagged 'parameters'"


def test_ensure_makes_an_input_or_says_in_a_sentence_why_not(tmp_path: Path) -> None:
    folder, output = tmp_path / "notebooks", tmp_path / "output"
    notebook(folder, "03_three", "write(); Path(output_dir, 'scores').write_text('x')")
    notebook(folder, "04_four", "raise RuntimeError('lost')")
    (folder / "series.toml").write_text('[03_three]\noutputs = ["scores"]\n')
    path = workflow.ensure("scores", output, "smoke", notebooks=folder, cores=1)
    assert path == output / "scores"
    assert path.read_text() == "x"
    with pytest.raises(
        workflow.WorkflowError, match=r"metrics/04_four.json could not be made: 04_four failed with Run"
    ) as e:
        workflow.ensure("metrics/04_four.json", output, "smoke", notebooks=folder, cores=1)
    assert str(output / "notebooks" / "04_four.ipynb") in str(e.value)
    with pytest.raises(ValueError, match=r"nothing makes 'scores/other\.parquet'; expected"):
        workflow.ensure("scores/other.parquet", output, notebooks=folder)


def test_ensure_in_a_batch_run_only_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IN_RUNNER, "1")
    (tmp_path / "scores").touch()
    assert workflow.ensure("scores", tmp_path) == tmp_path / "scores"
    with pytest.raises(workflow.WorkflowError, match=r"name it among the notebook's inputs in series\.toml"):
        workflow.ensure("stores/none", tmp_path)


def test_the_store_of_a_users_folder_follows_its_files(tmp_path: Path, make_showers: Callable[..., Any]) -> None:
    data, output = tmp_path / "données 1", tmp_path / "output"
    data.mkdir()
    ntuples.write(make_showers(6, label="electron", file_id=1), data / "electrons.root")
    ntuples.write(make_showers(4, label="proton", file_id=2), data / "protons.root")
    entry = '[datasets.{0}s]\nfiles = ["{0}s.root"]\nlabel = "{0}"\nkind = "mc"\nsimulation = "random"\n'
    both = '[datasets.mine]\nmembers = ["electrons", "protons"]\n'
    (data / "datasets.toml").write_text(entry.format("electron") + entry.format("proton") + both)
    notebooks = tmp_path / "notebooks"
    notebook(notebooks, "01_one", "write()")

    def labels() -> dict[str, int]:
        return Store(workflow.ensure("stores/mine", output, data_dir=data, notebooks=notebooks, cores=1)).labels

    assert labels() == {"electron": 6, "proton": 4}
    manifest = output / file_of("stores/mine")
    made = manifest.stat().st_mtime_ns
    assert labels() == {"electron": 6, "proton": 4}
    assert manifest.stat().st_mtime_ns == made
    ntuples.write(make_showers(5, label="proton", file_id=3), data / "protons.root", overwrite=True)
    assert labels() == {"electron": 6, "proton": 5}, "events of the file that is no longer there are gone"
    with pytest.raises(workflow.WorkflowError, match="there is no dataset 'yours'"):
        workflow.ensure("stores/yours", output, data_dir=data, notebooks=notebooks, cores=1)


PRODUCTION = """
[datasets.some]
kind = "flight"
[datasets.some.production]
particle = ["electron", "proton"]
energy = [20.0, 60.0]
spectrum = "ams"
detector = "ideal"
seed = {seed}
events = {{ smoke = {n} }}
"""


def test_a_production_is_simulated_file_by_file(tmp_path: Path) -> None:
    data, output, notebooks = tmp_path / "data", tmp_path / "output", tmp_path / "notebooks"
    data.mkdir()
    notebook(notebooks, "01_one", "write()")

    def store(**settings: int) -> Store:
        (data / "datasets.toml").write_text(PRODUCTION.format(**settings))
        made = workflow.ensure("stores/some", output, "smoke", data_dir=data, notebooks=notebooks, cores=2)
        return Store(made)

    events = store(seed=5, n=150)
    assert len(events) == 150
    assert events.labels == {"": 150}
    table = events.table()
    assert set(table["true_pdg"]) <= {11, 2212}
    file = output / "productions" / "some" / "smoke-0000.root"
    made = file.stat().st_mtime_ns
    assert store(seed=5, n=150).table().equals(table)
    assert file.stat().st_mtime_ns == made, "it is there already"
    assert not store(seed=6, n=150).table()["en3d"].equals(table["en3d"])
    with pytest.raises(workflow.WorkflowError, match="not for the scale 'demo'"):
        workflow.ensure("stores/some", output, "demo", data_dir=data, notebooks=notebooks, cores=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[07_seven]\n", "07_seven, which is not in"),
        (
            "[01_one]\nfigure = []\n",
            "unknown figure; expected datasets, figures, inputs, mem_mb, minutes, outputs, threads",
        ),
    ],
)
def test_a_wrong_description_of_the_series_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    notebook(tmp_path, "01_one", "")
    (tmp_path / "series.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        workflow.load_series(tmp_path)


def test_notebooks_are_chosen_by_number_or_name(tmp_path: Path) -> None:
    for name in ("01_one", "02_two", "10_ten"):
        notebook(tmp_path, name, "")
    series = workflow.load_series(tmp_path)
    assert [book.name for book in workflow.select(series, [])] == ["01_one", "02_two", "10_ten"]
    assert [book.name for book in workflow.select(series, ["10", "1"])] == ["01_one", "10_ten"]
    assert [book.name for book in workflow.select(series, ["02_two.ipynb"])] == ["02_two"]
    with pytest.raises(ValueError, match="no notebook '3'; the series is 01_one, 02_two, 10_ten"):
        workflow.select(series, ["3"])
    notebook(tmp_path, "01_again", "")
    with pytest.raises(ValueError, match="several notebooks with the number 01"):
        workflow.load_series(tmp_path)


def test_a_working_copy_keeps_what_the_user_changed(tmp_path: Path) -> None:
    source, copies = tmp_path / "source", tmp_path / "copies"
    notebook(source, "01_one", "old")
    notebook(source, "02_two", "old")
    assert working_copy(copies, source) == (copies, [])
    (copies / "02_two.ipynb").write_text("mine")
    notebook(source, "01_one", "new")
    notebook(source, "02_two", "new")
    assert working_copy(copies, source) == (copies, ["02_two.ipynb"])
    assert "new" in (copies / "01_one.ipynb").read_text()
    assert (copies / "02_two.ipynb").read_text() == "mine"
    (copies / "01_one.ipynb").unlink()
    assert working_copy(copies, source) == (copies, ["02_two.ipynb"])
    assert (copies / "01_one.ipynb").exists()


def test_the_packaged_series_is_described() -> None:
    series = workflow.load_series()
    assert series, "no notebooks"
    known = {target for book in series for target in book.targets}
    for book in series:
        for needed in book.inputs:
            assert needed.startswith("stores/") or needed in known, f"{book.name} needs {needed}, which nothing makes"


def test_several_notebooks_are_forced_to_run_again(tmp_path: Path) -> None:
    folder, output = tmp_path / "notebooks", tmp_path / "output"
    for name in ("01_one", "02_two"):
        notebook(folder, name, "write(pid=os.getpid())")
    targets = ["metrics/01_one.json", "metrics/02_two.json"]
    assert workflow.execute(targets, output, notebooks=folder, cores=2).succeeded
    before = [metrics(output, name)["pid"] for name in ("01_one", "02_two")]
    assert workflow.execute(targets, output, notebooks=folder, cores=2, force=["01_one", "02_two"]).succeeded
    after = [metrics(output, name)["pid"] for name in ("01_one", "02_two")]
    assert set(before).isdisjoint(after)

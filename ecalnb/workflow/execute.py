"""Running the packaged Snakefile: one run at a time in an output directory, in a process that ends with this one."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

from .._lock import folder_lock
from .._progress import Bar, progress
from .profiles import find_profile
from .series import SCALES, file_of, notebooks_folder

__all__ = ["Outcome", "WorkflowError", "execute"]

logger = logging.getLogger("ecalnb.workflow")


class WorkflowError(RuntimeError):
    """A target that could not be made."""


@dataclass
class Outcome:
    """What a run did.

    Parameters
    ----------
    output_dir, log : Path
        Where everything is, and the whole text of the run.
    succeeded : bool
        Whether all that was asked for is there now.
    planned : list of str
        Jobs that were started; of a dry run, those that would be.
    finished : dict of str to float
        Jobs that were done, with their time in seconds.
    failed : dict of str to str
        Jobs that failed, with a sentence each.
    """

    output_dir: Path
    log: Path
    succeeded: bool = False
    planned: list[str] = field(default_factory=list)
    finished: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def execute(
    targets: Sequence[str],
    output_dir: str | Path,
    *,
    scale: str = "demo",
    seed: int = 1,
    data_dir: str | Path | None = None,
    notebooks: str | Path | None = None,
    cores: int | None = None,
    force: Iterable[str] = (),
    dry_run: bool = False,
    profile: str | Path | None = None,
    options: Sequence[str] = (),
    description: str = "notebooks",
    waiting: Callable[[str], None] = logger.warning,
) -> Outcome:
    """Make targets that are not up to date, and all that they need.

    Parameters
    ----------
    targets : sequence of str
        What to make, relative to the output directory: ``stores/<dataset>``, or something that a notebook makes.
    output_dir : str or Path
        The output directory; made if need be.
    scale, seed, data_dir
        As in the notebooks. With other values than last time, notebooks run again.
    notebooks : str or Path, optional
        Another folder of notebooks than the packaged one.
    cores : int, optional
        Cores to use; all of this machine unless told, and on a cluster as many as it grants.
    force : iterable of str
        Jobs to do again although nothing has changed.
    dry_run : bool
        Only log what would be done.
    profile : str or Path, optional
        Submit the jobs to a cluster: a packaged profile (``slurm``, ``htcondor``), or the folder of one.
    options : sequence of str
        More arguments for Snakemake, for example an executor.
    description : str
        For the progress bar.
    waiting : callable
        Told, in a sentence, if there is another run to wait for.

    Raises
    ------
    ValueError
        If the scale or the profile is unknown.
    ModuleNotFoundError
        If Snakemake, papermill or the profile's plugin is not installed.
    """
    if scale not in SCALES:
        raise ValueError(f"scale {scale!r} is not one of {', '.join(SCALES)}")
    for module in ("snakemake", "papermill"):
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(
                f'{module} is not installed, which the notebook series needs: pip install "ecalnb[notebooks]"',
                name=module,
            )
    folder = None if profile is None else find_profile(profile)
    output = Path(output_dir).expanduser().resolve()
    (output / "logs").mkdir(parents=True, exist_ok=True)
    outcome = Outcome(output, output / "logs" / "workflow.log")
    config = {
        "notebooks": str(notebooks_folder() if notebooks is None else Path(notebooks).resolve()),
        "scale": scale,
        "seed": str(seed),
        "data_dir": "" if data_dir is None else str(Path(data_dir).expanduser().resolve()),
    }
    with as_file(files("ecalnb.workflow") / "Snakefile") as snakefile:
        command = [f"--snakefile={snakefile}", f"--directory={output}"]
        command += [f"--profile={folder}"] if folder else []
        # With an executor, these are the cores of all jobs in the queue: then only those asked for are a limit.
        remote = folder or any(option.split("=")[0] in ("--executor", "-e", "--profile") for option in options)
        command += [] if remote and cores is None else [f"--cores={cores or os.cpu_count() or 1}"]
        # The lock is ours, and holds while Snakemake lives; a killed run's own lock would stop the next one.
        command += ["--nolock", "--rerun-incomplete", "--keep-going", "--nocolor"]
        # A new copy of a small file with the same bytes is not a change; neither is a new copy of the packaged sample.
        command += ["--max-checksum-file-size=64MB"]
        command += ["--dry-run"] if dry_run else []
        command += ["--forcerun", *force] if (force := list(force)) else []
        # Quoted, so that Snakemake takes no folder or seed for something else than text; it knows no \u escapes.
        quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in config.items()}
        command += [*options, "--config", *(f"{key}={value}" for key, value in quoted.items())]

        def busy(holder: str) -> None:
            waiting(f"another run (process {holder}) is at work in {output}; waiting for it to end")

        with folder_lock(output, busy) as lock, outcome.log.open("w") as log:
            code = _snakemake(
                [*command, "--", *map(file_of, targets)], lock, log.fileno(), outcome, description, dry_run
            )
    for name in outcome.failed:
        outcome.failed[name] = _reason(output, name)
    outcome.succeeded = code == 0
    return outcome


def _snakemake(arguments: list[str], lock: int, log: int, outcome: Outcome, description: str, dry_run: bool) -> int:
    """Run Snakemake to its end, following its events; returns its exit code."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "ecalnb.workflow.launch", str(writing), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(writing, lock),
        start_new_session=True,  # Ctrl-C comes to us alone, and we hand it on
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as events, contextlib.ExitStack() as stack:
            bar: Bar | None = None
            started: dict[str, float] = {}
            for line in events:
                event = json.loads(line)
                name = event.get("name", "")
                match event["event"]:
                    case "started":
                        started[name] = time.monotonic()
                        if name not in outcome.planned:  # else it is another attempt
                            outcome.planned.append(name)
                        logger.log(logging.DEBUG if dry_run else logging.INFO, "%s: started", name)
                    case "finished" if name in started:
                        outcome.finished[name] = seconds = time.monotonic() - started[name]
                        outcome.failed.pop(name, None)
                        logger.info("%s: finished after %.0f s", name, seconds)
                        if bar is not None:
                            bar.advance()
                    case "failed":
                        outcome.failed[name] = ""
                        logger.info("%s: failed", name)
                    case "planned" if bar is None and event["jobs"]:
                        bar = stack.enter_context(progress(total=event["jobs"], description=description, unit="jobs"))
        return process.wait()
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End Snakemake and its jobs, if they are still there: after an interrupt."""
    for sign, patience in ((signal.SIGINT, 10), (signal.SIGKILL, 10)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, sign)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def _reason(output: Path, name: str) -> str:
    """One sentence on why a job failed: the last line of its log."""
    log = output / "logs" / f"{name.replace(' ', '_')}.log"
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else f"it left no log; see {output / 'logs' / 'workflow.log'}"

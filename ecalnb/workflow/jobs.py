"""Executing one notebook with papermill, in this interpreter's own kernel."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["IN_RUNNER", "THREAD_VARIABLES", "JobError", "execute_notebook", "thread_environment"]

IN_RUNNER = "ECALNB_RUNNER"
"""Environment variable that tells a notebook that its inputs have been made already."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Environment variables that numerical libraries read their number of threads from."""


class JobError(Exception):
    """A job that failed, in one sentence."""


def thread_environment(threads: int) -> dict[str, str]:
    """Environment that holds numerical libraries to a number of threads, so that jobs side by side do not fight."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def execute_notebook(notebook: Path, executed: Path, parameters: dict[str, Any], threads: int = 1) -> None:
    """Execute a notebook and keep the executed copy, also of one that fails.

    The kernel is the interpreter that runs this, whatever kernels are installed in the home directory.

    Parameters
    ----------
    notebook, executed : Path
        The notebook, and where its executed copy goes.
    parameters : dict
        Values for its cell tagged ``parameters``.
    threads : int
        Threads for numerical libraries.

    Raises
    ------
    JobError
        If a cell fails, the kernel dies, or the notebook has no cell for parameters.
    """
    with tempfile.TemporaryDirectory(prefix="ecalnb-kernel-") as folder:
        _own_kernel(Path(folder))
        os.environ.update(
            JUPYTER_PATH=folder,
            IPYTHONDIR=f"{folder}/ipython",
            ECALNB_BATCH="1",
            **{IN_RUNNER: "1"},
            **thread_environment(threads),
        )
        # After the environment is set: jupyter looks at it on import.
        import nbclient.exceptions
        import papermill
        import papermill.exceptions

        _check_parameters(notebook)
        executed.parent.mkdir(parents=True, exist_ok=True)
        try:
            papermill.execute_notebook(
                str(notebook),
                str(executed),
                parameters,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=os.getcwd(),
            )
        except papermill.exceptions.PapermillExecutionError as error:
            # ename and evalue are what the traceback in the executed copy ends with.
            raise JobError(f"{error.ename}: {error.evalue} (cell {error.cell_index + 1})") from error
        except nbclient.exceptions.DeadKernelError as error:
            raise JobError("the kernel died, for which the usual reason is too little memory") from error


def _own_kernel(folder: Path) -> None:
    """Describe this interpreter as the kernel ``python3``, to be found before any other of that name."""
    place = folder / "kernels" / "python3"
    place.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (place / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))


def _check_parameters(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    if not any("parameters" in cell.get("metadata", {}).get("tags", ()) for cell in cells):
        raise JobError(f"{notebook.name} has no cell tagged 'parameters'")

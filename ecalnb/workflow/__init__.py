"""The notebook series as a workflow: what a notebook needs is made before it runs.

``ecalnb run`` executes the series, and a notebook opened by hand asks for its inputs with `ensure`; both go through the
packaged Snakefile, so that nothing is computed twice. No analysis happens here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .execute import Outcome, WorkflowError, execute
from .jobs import IN_RUNNER
from .series import SCALES, Notebook, load_series, notebooks_folder, select

__all__ = [
    "SCALES",
    "Notebook",
    "Outcome",
    "WorkflowError",
    "ensure",
    "execute",
    "load_series",
    "notebooks_folder",
    "select",
]


# What the workflow makes without a notebook.
_MADE = re.compile(r"stores/[^/]+|runs/[^/]+/[^/]+|predictions/[^/]+/[^/]+(/[^/]+)?\.parquet")


def ensure(
    target: str,
    output_dir: str | Path = "output",
    scale: str = "demo",
    data_dir: str | Path | None = None,
    *,
    seed: int = 1,
    cores: int | None = None,
    profile: str | Path | None = None,
    notebooks: str | Path | None = None,
) -> Path:
    """Make an input of a notebook, unless it is there and up to date.

    Parameters
    ----------
    target : str
        What is needed, relative to the output directory: ``stores/<dataset>``; ``runs/<dataset>/<model>``, a model
        trained on it; ``predictions/<weights>/<dataset>.parquet``, scores by packaged weights or by a trained
        ``<model>@<dataset>``; or something that a notebook makes, like ``scores/geant4_sample.parquet``.
    output_dir, scale, data_dir, seed
        The notebook's parameters.
    cores : int, optional
        Cores to use; all of them unless told.
    profile : str or Path, optional
        Cluster profile, as of `execute`.
    notebooks : str or Path, optional
        Another folder of notebooks than the packaged one.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    ValueError
        If nothing makes such a target.
    WorkflowError
        If making it failed.
    """
    output = Path(output_dir).expanduser().resolve()
    path = output / target
    if os.environ.get(IN_RUNNER):
        if not path.exists():
            raise WorkflowError(f"{target} is not in {output}; name it among the notebook's inputs in series.toml")
        return path
    made = [made for book in load_series(Path(notebooks) if notebooks else None) for made in book.targets]
    if target not in made and not _MADE.fullmatch(target):
        raise ValueError(
            f"nothing makes {target!r}; expected stores/<dataset>, runs/<dataset>/<model>, "
            f"predictions/<weights>/<dataset>.parquet or one of {', '.join(made)}"
        )
    outcome = execute(
        [target],
        output,
        scale=scale,
        seed=seed,
        data_dir=data_dir,
        notebooks=notebooks,
        cores=cores,
        profile=profile,
        description=f"making {target}",
    )
    if not outcome.succeeded:
        raise WorkflowError(f"{target} could not be made: {explain(outcome)}")
    return path


def explain(outcome: Outcome) -> str:
    """Say in one sentence what failed in a run, and where to read more."""
    if not outcome.failed:
        return f"{_error_in(outcome.log)} (see {outcome.log})"
    sentences = []
    for name, reason in outcome.failed.items():
        sentences.append(f"{name} failed with {reason} (see {shown_in(outcome, name)})")
    return "; ".join(sentences)


def shown_in(outcome: Outcome, name: str) -> Path:
    """Where to read how a job failed: the executed notebook, or its log."""
    copy = outcome.output_dir / "notebooks" / f"{name}.ipynb"
    return copy if copy.exists() else outcome.output_dir / "logs" / f"{name.replace(' ', '_')}.log"


def _error_in(log: Path) -> str:
    """Pick the first error out of Snakemake's text, of which it says a part on the same line or all on the next."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        match = re.match(r"\w*(?:Error|Exception)\b[^:]*:\s*(.*)", line)
        if match and (text := match[1] or following) and not text.endswith(":"):
            return re.sub(r"^\w+Error: ", "", text)  # a sentence of ours, after the name of its class
    return lines[-1] if lines else "Snakemake said nothing"

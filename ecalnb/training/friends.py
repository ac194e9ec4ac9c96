"""Friend trees: scores beside the ROOT files of the events, entry by entry, for ``TTree::AddFriend``."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ntuples
from .._progress import Bar, progress
from ..rootio import RootError, find_files, open_tree, write_tree
from .backends import Scorer
from .data import Selection, columns_for, describe_selection
from .errors import TrainingError
from .scoring import Choice, Models, division_of, load_models, logits_of, needed_columns, origin, scorers
from .sources import Part, PathLike

__all__ = ["NOTE", "TREE", "branch_name", "friend_files", "predict_friends"]

log = logging.getLogger(__name__)

TREE = "scores"
"""Name of the friend tree."""

NOTE = "ecalnb_scores"
"""Name of the text beside it: JSON that says which file it belongs to, what was selected and what the models are."""

_CHUNK = "50 MB"  # of cells


def predict_friends(
    models: Models,
    files: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    split: str | Sequence[str] | None = None,
    selection: Selection | None = None,
    division: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    backend: str = "auto",
    threads: int | None = None,
    **reading: Any,
) -> list[Path]:
    """Score the events of ROOT files into friend trees, one file each.

    The TTree ``scores`` has as many entries as the tree of the source, in its order, and for each model two branches of
    floats: its logit under the model's name, and ``<name>_score``, the sigmoid of it. What is no letter, digit or
    underscore in a name becomes an underscore. Entries that are not chosen, that the reader leaves out (a bad cell), or
    for which an input is missing (no track) are NaN. A chunk of entries is in memory at a time.

    Parameters
    ----------
    models : path, EventClassifier, or a list or mapping of them
        As for :func:`ecalnb.training.predict`.
    files : path, wildcard, or a list of them
        ROOT files with events.
    output : path
        For one file the friend file, ``*.root``. For several ``scores.root`` stands for a file each in that folder,
        ``<name of the source>.scores.root``. Each is written under a temporary name and appears when it is whole; a
        friend file that is there is replaced.
    split, selection, division, batch_size, device, backend, threads
        As for :func:`ecalnb.training.predict`.
    **reading
        What :func:`ecalnb.ntuples.iterate` takes: ``schema``, ``bad_cells``, ``chunk``.

    Returns
    -------
    list of Path
        The friend files, in the order of the sources.

    Raises
    ------
    TrainingError
        If weights cannot be loaded or are of another calorimeter, two models have the same branch, or `output` would
        replace something that is no friend tree.
    RootError
        If a file cannot be read, or a friend tree not be written.
    """
    targets = friend_files(files, output)
    classifiers = load_models(models)
    choice = Choice(split, selection, division_of(classifiers, division, split))
    branches = [branch_name(classifier.name) for classifier in classifiers]
    taken = [*branches, *(f"{name}_score" for name in branches)]
    if repeated := [name for name in taken if taken.count(name) > 1]:
        raise TrainingError(f"two models would have the branch {repeated[0]}; rename one of their runs")
    reading = {"chunk": _CHUNK, **reading}
    wanted = columns_for(selection, {"file_id", "entry", *needed_columns(classifiers)})
    counts = ntuples.count(list(targets), schema=reading.get("schema"))
    settings: dict[str, Any] = {"backend": backend, "device": device, "threads": threads, "batch_size": batch_size}
    bar = progress(total=sum(counts.values()), description="scoring")
    with scorers(classifiers, events=sum(counts.values()), **settings) as chosen, bar:
        for source, target in targets.items():
            note = {
                "source": source.name,
                "entries": counts[source],
                "split": sorted(choice.samples),
                "division": choice.division,
                "selection": describe_selection(selection),
                "models": {name: origin(scorer) for name, scorer in zip(branches, chosen, strict=True)},
            }
            target.parent.mkdir(parents=True, exist_ok=True)
            write_tree(
                target,
                TREE,
                _chunks(chosen, branches, source, choice, wanted, reading, bar),
                title=f"scores of the events of {source.name}",
                notes={NOTE: json.dumps(note)},
                overwrite=True,
            )
            log.info("%s: %d entries, models %s", target, counts[source], ", ".join(branches))
    return list(targets.values())


def friend_files(files: PathLike | Sequence[PathLike], output: PathLike) -> dict[Path, Path]:
    """Friend file of each source.

    Raises
    ------
    TrainingError
        If there would be two of the same name, or one would replace something else than a friend tree.
    RootError
        If a source is not there.
    """
    output = Path(output)
    sources = find_files(files)
    if output.suffix != ".root" or output.is_dir():
        raise TrainingError(f"{output} is {'a folder' if output.is_dir() else 'no .root file'}; expected scores.root")
    targets = {
        source: output if len(sources) == 1 else output.with_name(f"{source.stem}.{output.name}") for source in sources
    }
    for source, target in targets.items():
        if others := [other for other in sources if other != source and targets[other] == target]:
            raise TrainingError(f"{source} and {others[0]} would both have the friend file {target}; give them apart")
        if target.exists():
            _check_replaceable(target)
    return targets


def _check_replaceable(target: Path) -> None:
    try:
        with open_tree(target, TREE) as tree:
            ours = NOTE in tree.notes
    except RootError:
        ours = False
    if not ours:
        raise TrainingError(f"{target} exists and holds no friend tree of scores; choose another output")


def branch_name(model: str) -> str:
    """Name of a model's branch: ROOT takes dots and signs in a name for something else."""
    name = re.sub(r"\W", "_", model, flags=re.ASCII)
    return f"_{name}" if name[:1].isdigit() else name


def _chunks(
    scorers: Sequence[Scorer],
    branches: Sequence[str],
    source: Path,
    choice: Choice,
    columns: list[str] | None,
    reading: dict[str, Any],
    bar: Bar,
) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
    """Arrays of the friend tree, entry by entry of the source."""
    yield _arrays(branches, np.empty((len(branches), 0), np.float32))  # a source without events has a friend too
    for showers in ntuples.iterate(source, columns=columns, **reading):
        first, last = showers.metadata["entries"]
        # The event key tells where an event was first read, which need not be this file.
        entries = np.setdiff1d(np.arange(last - first), np.array(showers.metadata["left_out"], dtype=int) - first)
        rows, _ = choice.rows(showers.table)
        logits = np.full((len(scorers), last - first), np.nan, np.float32)
        part = Part(showers.table, showers.images.__getitem__, showers.geometry)
        logits[:, entries[rows]] = logits_of(scorers, part, rows)
        yield _arrays(branches, logits)
        bar.advance(last - first)


def _arrays(branches: Sequence[str], logits: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Two branches a model."""
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and the score 0
        scores = 1 / (1 + np.exp(-logits))
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for name, logit, score in zip(branches, logits, scores, strict=True):
        arrays |= {name: logit, f"{name}_score": score}
    return arrays

"""Everything of the package that reads what a user hands in, as functions of a path that return a checksum."""

from __future__ import annotations

import hashlib
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PACKAGE = str(Path(__file__).parents[2] / "ecalnb")


def warm() -> None:
    """Import what children use; start no thread."""
    import torch
    import xgboost  # noqa: F401

    import ecalnb.cli
    import ecalnb.display.export
    import ecalnb.models
    import ecalnb.nuclei.schema
    import ecalnb.simulation
    import ecalnb.store
    import ecalnb.training
    import ecalnb.workflow  # noqa: F401

    torch.set_num_threads(1)


def checksum(*parts: Any) -> str:
    """Checksum of arrays, tables and plain values."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        if isinstance(part, pd.DataFrame):
            digest.update(part.to_json(double_precision=15, orient="split").encode())
        elif isinstance(part, np.ndarray):
            digest.update(repr(part.shape).encode() + part.tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def _table() -> pd.DataFrame:
    energy = np.linspace(1, 100, 50)
    table = pd.DataFrame({"en3d": energy, "track_x": energy - 50, "entry": np.arange(50), "momentum": energy})
    return table.assign(label=np.where(energy > 30, "proton", "electron"), flag=energy > 50)


def _root(path: Path) -> str:
    from ecalnb import ntuples

    # Event keys hash the beginning of the file, which says nothing about its events.
    showers = ntuples.read(path)
    return checksum(showers.images, showers.table.drop(columns="file_id"))


def _schema(path: Path) -> str:
    from ecalnb import ntuples
    from ecalnb.schema import load_schema

    schema = load_schema(path)
    data = path.parent / "events.root"
    return checksum(schema) if not data.exists() else checksum(schema, ntuples.read(data, schema=schema).images)


def _datasets(path: Path) -> str:
    from ecalnb.datasets import load_datasets

    return checksum(repr(load_datasets(path)).replace(str(path.parent), ""))  # paths in it are relative to it


def _recipes(path: Path) -> str:
    from ecalnb.training import list_recipes, resolve_recipe

    names = list_recipes(path)
    return checksum(names, [resolve_recipe(f"{path}:{name}", "ecal_resnet10") for name in names])


def _detectors(path: Path) -> str:
    from ecalnb.simulation.response.detector import load_detectors

    return checksum({name: detector.checksum for name, detector in load_detectors(path).items()})


def _selections(path: Path) -> str:
    from ecalnb.selection import load_selections

    return checksum(load_selections(path))


def _nuclei_schema(path: Path) -> str:
    from ecalnb.nuclei.schema import load_nuclei_schema

    return checksum(load_nuclei_schema(path))


def _expression(path: Path) -> str:
    from ecalnb.expressions import Condition

    return checksum(Condition(path.read_bytes().decode("utf-8", errors="surrogateescape"))(_table()))


def _store(path: Path) -> str:
    from ecalnb.store import Store

    store = Store(path.parent)
    store.verify()
    return checksum(store.dense(slice(None)), store.table())


def _weights(path: Path) -> str:
    import torch

    from ecalnb.training import load_weights

    files = [file for file in path.parent.iterdir() if file.suffix in (".safetensors", ".ubj")]
    classifier = load_weights(files[0])
    generator = torch.Generator().manual_seed(1)
    n = 8
    batch = {"cells": torch.rand((n, *classifier.geometry.shape), generator=generator) / 50}
    batch |= {name: torch.full((n,), 0.1) for name in classifier.inputs.columns}
    batch |= {"en3d": torch.linspace(10, 80, n)}
    return checksum(classifier.logits(batch).numpy())


def _checkpoint(path: Path) -> str:
    from ecalnb.training.callbacks import read_checkpoint

    state = read_checkpoint(path)["state_dict"]
    return checksum(*[value.numpy() for value in state.values() if hasattr(value, "numpy")])


def _scores(path: Path) -> str:
    from ecalnb.training import read_scores

    return checksum(read_scores(path))


def _kept(path: Path) -> str:
    from ecalnb.display.annotations import KeptEvents

    return checksum(KeptEvents(path).table())


def _info(path: Path) -> str:
    from ecalnb.cli.describe import describe, to_text

    text = to_text(describe(path.parent if path.name == "config.json" else path))
    return checksum(text.replace(str(path.parent), ""))


READERS: dict[str, Callable[[Path], str]] = {
    "root": _root,
    "schema": _schema,
    "datasets": _datasets,
    "recipes": _recipes,
    "detectors": _detectors,
    "selections": _selections,
    "nuclei_schema": _nuclei_schema,
    "expression": _expression,
    "store": _store,
    "weights": _weights,
    "checkpoint": _checkpoint,
    "scores": _scores,
    "kept": _kept,
    "info": _info,
}


def read(kind: str, path: Path) -> int:
    """Read a file and write the outcome as JSON: a checksum, or the error and whether it is a sentence of our own."""
    try:
        outcome: dict[str, Any] = {"read": READERS[kind](path)}
    except Exception as error:
        text, frames = str(error), traceback.extract_tb(error.__traceback__)
        sentence = (
            isinstance(error, (ValueError, OSError))
            and frames[-1].filename.startswith(PACKAGE)  # raised by the package itself, not let through
            and bool(text.strip())
            and "\n" not in text.strip()
        )
        where = [f"{frame.filename}:{frame.lineno}" for frame in frames[-6:]]
        outcome = {"error": type(error).__name__, "text": text[:400], "sentence": sentence, "where": where}
    sys.stdout.write("\n" + json.dumps(outcome) + "\n")
    return 0

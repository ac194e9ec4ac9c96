"""When two results of a command are the same, and whether everything under a final name is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import uproot
from safetensors.numpy import load_file

from ecalnb.store import Store

__all__ = ["leftovers", "same_results", "unfinished"]


def branches(path: Path) -> dict[str, Any]:
    """All branches of a ROOT file, and the texts beside its tree."""
    with uproot.open(path) as file:
        content = {key: str(file[key]) for key, kind in file.classnames(cycle=False).items() if kind == "TObjString"}
        return {**content, **file["t1"].arrays(library="np")}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
        return one.attrs == other.attrs
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) and one.dtype != object:
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, np.ndarray):
        return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _content(path: Path) -> Any:
    """What a file says, without the time it took and the folder it is in."""
    match path.suffix:
        case ".root":
            return branches(path)
        case ".parquet":
            pq.read_table(path)
            return pd.read_parquet(path)
        case ".safetensors":
            return load_file(path)
        case ".json":
            content = json.loads(path.read_text("utf-8"))
            content.get("environment", {}).pop("seconds", None)
            if path.name == "manifest.json":
                content["shards"] = [{k: v for k, v in shard.items() if k != "modified"} for shard in content["shards"]]
            return content
        case ".arrow":
            store = Store(path.parent)
            store.verify()
            return {"fingerprint": store.fingerprint(), "table": store.table(), "images": store.dense(slice(None))}
        case _:
            return path.read_bytes()


def _results(folder: Path) -> dict[str, Path]:
    """Files that are results: not logs, checkpoints, figures, executed notebooks or what Snakemake keeps for itself."""
    ignored = {"logs", "checkpoints", "notebooks", ".snakemake", "parts"}
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name: path
        for name, path in files.items()
        if not ignored & {part.rpartition(".")[2] if part.endswith(".parts") else part for part in Path(name).parts}
        and not path.name.startswith(".")
        and path.suffix not in (".png", ".svg")
    }


def same_results(folder: Path, undisturbed: Path) -> None:
    """Compare all results of two folders: branches, stores, weights, tables and numbers, to the last bit."""
    ours, theirs = _results(folder), _results(undisturbed)
    assert list(ours) == list(theirs)
    for name in ours:
        assert _equal(_content(ours[name]), _content(theirs[name])), f"{name} differs"


def unfinished(folder: Path) -> list[str]:
    """Files that have a final name but are not whole."""
    broken = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not path.is_file() or hidden or "logs" in path.parts or path.suffix in ("", ".ipynb"):
            continue
        try:
            if path.suffix == ".arrow":
                from ecalnb.store.shard import read_batches, read_shard

                read_batches(path, read_shard(path))
            elif path.suffix == ".ckpt":
                from ecalnb.training.callbacks import read_checkpoint

                if path.name == "last.ckpt":
                    read_checkpoint(path)
            elif path.suffix == ".png":
                assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), "cut short"
            elif path.suffix == ".svg":
                assert path.read_bytes().rstrip().endswith(b"</svg>"), "cut short"
            elif path.suffix == ".csv":
                pd.read_csv(path)
            else:
                _content(path)
        except Exception as error:
            broken.append(f"{path}: {error}")
    return broken


def leftovers(folder: Path) -> list[str]:
    """Temporary files that nobody has removed."""
    return [str(path) for path in folder.rglob("*") if path.name.endswith((".tmp", ".parts"))]

"""What a file or folder holds, for ``ecalnb info``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["describe", "to_text"]

Facts = dict[str, Any]
PREVIEW = 10_000  # events of a ROOT file that are read for labels and energies


def describe(path: Path) -> Facts:
    """Facts about a ROOT file, a store, a training run, a scores table, or a notebook's numbers.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is something else.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.is_dir():
        if (path / "config.json").is_file():
            return _run(path)
        if (path / "manifest.json").is_file() or any(path.glob("*.arrow")):
            return _store(path)
        raise ValueError(f"{path} is neither a store (manifest.json) nor a training run (config.json)")
    match path.suffix:
        case ".parquet":
            return _scores(path)
        case ".json":
            return _json(path)
        case ".safetensors":
            return _weights(path, path.with_suffix(".json"))
        case _:
            return _ntuple(path)


def to_text(facts: Mapping[str, Any], indent: int = 0) -> str:
    """Facts as lines of ``name: value`` for a person."""
    lines = []
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            lines += [" " * indent + f"{name}:", to_text(value, indent + 2)]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines += [" " * indent + f"{name}:"]
            lines += [" " * (indent + 2) + ", ".join(f"{k} {_value(v)}" for k, v in item.items()) for item in value]
        else:
            lines.append(" " * indent + f"{name:{width}}  {_value(value)}")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(item) for item in value) or "-"
    return str(value)


def _table_facts(table: Any) -> Facts:
    """Labels and energy range of an event table."""
    facts: Facts = {}
    if "label" in table:
        counts = table["label"].astype("object").where(table["label"].notna(), "(none)").value_counts()
        facts["labels"] = {str(label): int(count) for label, count in counts.items()}
    if "en3d" in table and len(table):
        facts["energy (en3d)"] = f"{table['en3d'].min():.4g} to {table['en3d'].max():.4g} GeV"
    return facts


def _ntuple(path: Path) -> Facts:
    from .. import ntuples

    (events,) = ntuples.count(path).values()
    first = ntuples.read(path, n_max=PREVIEW)
    preview = {} if events <= PREVIEW else {"looked at": f"the first {PREVIEW:,} events"}
    return {
        "what": "ROOT ntuple",
        "path": str(path),
        "size": _size(path),
        "events": events,
        **preview,
        **_table_facts(first.table),
        "image": f"{first.geometry.n_layers} x {first.geometry.n_cells} cells",
        "bad cells": first.metadata.get("bad_cells"),
        **({"simulation": first.metadata["provenance"]} if "provenance" in first.metadata else {}),
        "columns": list(first.table.columns),
    }


def _store(path: Path) -> Facts:
    from ..store import Store

    store = Store(path)
    facts = _table_facts(store.table([name for name in ("label", "en3d") if name in store.columns]))
    return {
        "what": "store",
        "path": str(path),
        "events": len(store),
        **facts,
        "split": {str(name): int(count) for name, count in _counts(store.splits()).items()},
        "calorimeter": store.geometry.name,
        "image": f"{store.geometry.n_layers} x {store.geometry.n_cells} cells",
        "made with": {name: value if value is not None else "-" for name, value in store.options.items()},
        "fingerprint": store.fingerprint(),
        "shards": [
            {"name": shard.name, "events": shard.n_events, "from": [str(source["file"]) for source in shard.sources]}
            for shard in store.shards
        ],
        "columns": store.columns,
    }


def _counts(values: Any) -> dict[Any, int]:
    import numpy as np

    names, counts = np.unique(values, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _run(path: Path) -> Facts:
    weights = path / "weights.json"
    if weights.is_file():
        return {**_weights(path, weights), "what": "training run"}
    return {"what": "training run, not finished", "path": str(path), **_chosen(_read(path / "config.json"))}


def _weights(path: Path, described: Path) -> Facts:
    if not described.is_file():
        raise FileNotFoundError(f"{described}: no such file; it describes the weights and belongs beside them")
    return {"what": "weights", "path": str(path), **_chosen(_read(described))}


def _chosen(info: Mapping[str, Any]) -> Facts:
    names = ("model", "parameters", "epochs", "seed", "validation", "recipe", "inputs", "data", "environment")
    return {name: info[name] for name in names if name in info}


def _scores(path: Path) -> Facts:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not a readable Parquet file: {' '.join(str(error).split())}") from error
    other = {"file_id", "entry", "en3d", "label", "split", "weight"}
    models = [name for name in table.columns if name not in other and table[name].dtype.kind == "f"]
    metadata = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items() if k.startswith(b"ecalnb")}
    return {
        "what": "scores table",
        "path": str(path),
        "events": len(table),
        **_table_facts(table),
        "scores": {name: f"{table[name].min():.3g} to {table[name].max():.3g} (logits)" for name in models},
        "columns": list(table.columns),
        **metadata,
    }


def _json(path: Path) -> Facts:
    return {"what": "numbers", "path": str(path), **_read(path)}


def _read(path: Path) -> Facts:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    return content if isinstance(content, dict) else {"content": content}


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.1f} MB"

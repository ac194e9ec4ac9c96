"""Whole files of every kind that the package reads, small, for the tests to damage."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import uproot

sys.path.insert(0, str(Path(__file__).parents[1]))
from toy_training import toy_showers

from ecalnb import ntuples
from ecalnb._toml import DATA
from ecalnb.models import weights_file
from ecalnb.showers import Showers
from ecalnb.store import convert, from_showers
from ecalnb.training import Recipe, train

EXPRESSIONS = (
    "20 < en3d <= 100 and label == 'electron'",
    "not (flag | (en3d < 3)) and abs(track_x) < 300 or missing(momentum)",
    "label in ['electron', 'proton'] and hypot(track_x, en3d) ** 2 / 3 - 1 > -4 % entry",
    "label.isin(['electron']) & ~(entry == 7) and log10(en3d) != 1e3",
)


def make_seeds(folder: Path, events: Showers) -> list[tuple[str, Path]]:
    """Write them; returns the kind of reader and the file to damage, which may need its neighbours."""
    makers: list[Callable[[Path, Showers], list[tuple[str, Path]]]] = [_events, _texts, _weights, _training, _tables]
    return [pair for make in makers for pair in make(folder, events)]


def _events(folder: Path, events: Showers) -> list[tuple[str, Path]]:
    few = events[:: max(1, len(events) // 40)]
    for name in ("ttree", "rntuple", "store"):
        (folder / name).mkdir(parents=True)
    tree, ntuple = folder / "ttree" / "events.root", folder / "rntuple" / "events.root"
    ntuples.write(few, tree)
    with uproot.open(tree) as file, uproot.recreate(ntuple) as copy:
        arrays = file["t1"].arrays()
        copy.mkrntuple("t1", {name: arrays[name] for name in arrays.fields})
    convert(tree, folder / "store")
    (shard,) = (folder / "store").glob("*.arrow")
    pairs = [("root", tree), ("root", ntuple), ("info", tree)]
    return [*pairs, ("store", shard), ("store", folder / "store" / "manifest.json")]


def _texts(folder: Path, events: Showers) -> list[tuple[str, Path]]:
    pairs = []
    sources = {
        "datasets": "datasets.toml", "recipes": "recipes.toml", "detectors": "detectors.toml",
        "selections": "selections.toml", "schema": "schemas/ams.toml", "nuclei_schema": "schemas/nuclei/default.toml",
    }  # fmt: skip
    for kind, name in sources.items():
        (folder / kind).mkdir()
        path = folder / kind / "file.toml"
        shutil.copy(DATA / name, path)
        pairs.append((kind, path))
    ntuples.write(events[:20], folder / "schema" / "events.root")
    own = folder / "schema" / "own.toml"
    branch = ntuples.load_schema("ams").cells.branch
    own.write_text(
        f'base = "ams"\nname = "own"\nfront_face_z = 0.0\n[cells]\nbranch = "{branch}"\nunit = "GeV"\nscale = 1.5\n'
    )
    datasets = folder / "datasets" / "own.toml"
    datasets.write_text(
        '[datasets.a]\nfiles = ["*.root"]\nkind = "mc"\nsimulation = "toy"\nlabel = "proton"\nweight = 2.0\n'
        '[datasets.b]\nfiles = ["b.root"]\nkind = "mc"\nsimulation = "toy"\n[datasets.both]\nmembers = ["a", "b"]\n'
    )
    (folder / "expression").mkdir()
    for number, text in enumerate(EXPRESSIONS):
        path = folder / "expression" / f"{number}.txt"
        path.write_text(text)
        pairs.append(("expression", path))
    return [*pairs, ("schema", own), ("datasets", datasets)]


def _weights(folder: Path, _: Showers) -> list[tuple[str, Path]]:
    place = folder / "network"
    place.mkdir()
    file = weights_file("ecal_simple_cnn.geant4")
    for suffix in (".safetensors", ".json"):
        shutil.copy(file.with_suffix(suffix), place / f"cnn{suffix}")
    return [("weights", place / "cnn.safetensors"), ("weights", place / "cnn.json")]


def _training(folder: Path, events: Showers) -> list[tuple[str, Path]]:
    pairs = []
    store = from_showers(toy_showers(300), folder / "toy")
    run = train(store, model="ecal_simple_cnn", output=folder / "run", recipe=Recipe(), max_epochs=1, device="cpu")
    pairs += [("checkpoint", run.path / "checkpoints" / "last.ckpt"), ("info", run.path / "config.json")]
    labels = events.table["label"].astype(str).to_numpy()
    both = np.concatenate([np.flatnonzero(labels == label)[:400] for label in ("electron", "proton")])
    real = from_showers(events[both], folder / "real")
    for model, ending in (("shower_bdt", "ubj"), ("shower_likelihood", "safetensors")):
        options = {"model_options": {"rounds": 8}} if model == "shower_bdt" else {}
        train(real, model=model, output=folder / model, recipe=Recipe(), threads=1, **options)
        place = folder / f"{model}_weights"
        place.mkdir()
        for suffix in (ending, "json"):
            shutil.copy(folder / model / f"weights.{suffix}", place / f"w.{suffix}")
            pairs.append(("weights", place / f"w.{suffix}"))
    return pairs


def _tables(folder: Path, events: Showers) -> list[tuple[str, Path]]:
    place = folder / "tables"
    place.mkdir()
    table = events.table[["file_id", "entry", "en3d", "label"]].head(200).reset_index(drop=True)
    table.assign(split="test", cnn=0.5).to_parquet(place / "scores.parquet", index=False)
    kept = pd.DataFrame({"file_id": [5, 7], "entry": [1, 2], "note": ["odd", 'a "quote"']})
    kept.to_csv(place / "kept.csv", index=False)
    kept.to_parquet(place / "kept.parquet", index=False)
    return [
        ("scores", place / "scores.parquet"), ("kept", place / "kept.csv"), ("kept", place / "kept.parquet"),
        ("info", place / "scores.parquet"),
    ]  # fmt: skip

"""Nothing that is loaded is executed, and nothing from a file becomes part of the program of a page."""

from __future__ import annotations

import hashlib
import html.parser
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ecalnb.display.annotations import KeptEvents
from ecalnb.display.export import page
from ecalnb.expressions import Condition
from ecalnb.models import weights_file
from ecalnb.nuclei.model import load_model, train_model
from ecalnb.nuclei.parameters import pick
from ecalnb.nuclei.protocol import in_sample, mix
from ecalnb.nuclei.simulation import Beam, simulate
from ecalnb.showers import Showers
from ecalnb.simulation.interactions import Interactions
from ecalnb.store import Store, from_showers
from ecalnb.training import load_weights, read_scores
from ecalnb.training.callbacks import read_checkpoint


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "executed"


def test_the_payload_works(mark: Path) -> None:
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.ubj"])
def test_weights(tmp_path: Path, mark: Path, name: str) -> None:
    content = json.loads(weights_file("ecal_simple_cnn.geant4").with_suffix(".json").read_text())
    payload = pickle.dumps(Payload(mark))
    (tmp_path / name).write_bytes(payload)
    (tmp_path / "w.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="is damaged, or not the file"):
        load_weights(tmp_path / name)
    (tmp_path / "w.json").write_text(json.dumps({**content, "sha256": hashlib.sha256(payload).hexdigest()}))
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_weights(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["xgboost", "mlp"])
def test_models_of_nuclei(tmp_path: Path, mark: Path, kind: str) -> None:
    species = pick(["O", "F"])
    sets = [mix(in_sample(simulate(4000, Beam(species), seed=1), name), species) for name in ("train", "validation")]
    settings = {"rounds": 2} if kind == "xgboost" else {"epochs": 1}
    train_model(kind, *sets, species, threads=1, **settings).save(tmp_path)
    file = tmp_path / ("trees.ubj" if kind == "xgboost" else "weights.safetensors")
    file.write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(ValueError, match="is damaged, or not the file"):
        load_model(tmp_path)
    side = tmp_path / "model.json"
    content = json.loads(side.read_text())
    side.write_text(json.dumps({**content, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}))
    with pytest.raises(ValueError, match=r"holds no trees of xgboost|not a readable safetensors file"):
        load_model(tmp_path)
    side.write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(ValueError, match="is not valid JSON"):
        load_model(tmp_path)
    assert not mark.exists()


def test_checkpoint_of_a_training(tmp_path: Path, mark: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}, "loops": {}, "callbacks": Payload(mark)}, path)
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        read_checkpoint(path)
    assert not mark.exists()


def test_store_tables_and_json(tmp_path: Path, mark: Path, showers: Showers) -> None:
    store = from_showers(showers, tmp_path / "store")
    payload = pickle.dumps(Payload(mark))
    (tmp_path / "store" / "manifest.json").write_bytes(payload)
    with pytest.raises(ValueError, match="cannot be read"):
        Store(tmp_path / "store")
    (tmp_path / "store" / "manifest.json").unlink()
    (tmp_path / "store" / store.shards[0].name).write_bytes(payload)
    with pytest.raises(ValueError, match="not a shard"):
        Store(tmp_path / "store")
    for read, name in ((read_scores, "scores.parquet"), (KeptEvents, "kept.parquet"), (KeptEvents, "kept.csv")):
        (tmp_path / name).write_bytes(payload)
        with pytest.raises(ValueError, match="not a"):
            read(tmp_path / name)
    assert not mark.exists()


def test_numpy_archives(tmp_path: Path, mark: Path) -> None:
    """The parameters of the simulation are read without ``allow_pickle``; numpy refuses objects then."""
    path = tmp_path / "tables.npz"
    np.savez(path, provenance=np.array([Payload(mark)], dtype=object), allow_pickle=True)
    with np.load(path) as data, pytest.raises(ValueError, match="allow_pickle=False"):
        data["provenance"]
    source = Path(Interactions.__module__.replace(".", "/")).name
    assert source == "interactions"
    assert not mark.exists()
    package = Path(weights_file("ecal_simple_cnn.geant4")).parents[1]
    for file in package.rglob("*.py"):
        text = file.read_text()
        assert "allow_pickle=True" not in text, file
        assert "weights_only=False" not in text, file
        assert "pickle.load" not in text, file


def test_conditions(mark: Path) -> None:
    for text in (
        f"__import__('os').mkdir({str(mark)!r})", f"().__class__.__base__.__subclasses__() or mkdir({str(mark)!r})",
        f"en3d.map(lambda x: mkdir({str(mark)!r}))", "@mkdir", f"f'{{mkdir({str(mark)!r})}}' == 'a'",
    ):  # fmt: skip
        with pytest.raises(ValueError, match="condition"):
            Condition(text)(pd.DataFrame({"en3d": [1.0]}))
    assert not mark.exists()


NASTY = [
    "<script>window.hit = 1</script>", "</script><script>window.hit = 1</script>", "\"><img src=x onerror='hit()'>",
    "javascript:hit()", "' onmouseover='hit()", "]]><!--", "&lt;script&gt;",
]  # fmt: skip


class Elements(html.parser.HTMLParser):
    """Tags and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.inner = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.inner += dict(attrs).get("srcdoc") or ""


@pytest.mark.parametrize("nasty", [NASTY[1], *(pytest.param(each, marks=pytest.mark.slow) for each in NASTY)])
def test_the_page_escapes_what_comes_from_files(make_showers, nasty: str) -> None:
    pytest.importorskip("k3d")
    showers = make_showers(1)
    plain = Elements(page(showers, extra=("score",)))
    showers.table["label"] = nasty
    showers.table[nasty] = nasty
    showers.metadata.update(kind="mc", simulation=nasty, file=nasty)
    text = page(showers, extra=(nasty,))
    ours = Elements(text)
    # One cell more for the source and for the column; no other element, and no attribute that acts.
    assert [tag for tag in ours.tags if tag not in ("tr", "th", "td")] == [
        tag for tag in plain.tags if tag not in ("tr", "th", "td")
    ]
    assert not [name for name, _ in ours.attributes if name.startswith("on")]
    assert not [value for name, value in ours.attributes if name in ("href", "src") and "hit" in (value or "")]
    assert nasty not in ours.inner  # the frame of the picture has nothing of the table
    if nasty.startswith("<") or nasty.startswith('"'):
        assert nasty not in text

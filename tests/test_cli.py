"""The command line: what it prints, where, and its exit codes."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecalnb import ntuples
from ecalnb.cli import main
from ecalnb.store import Store

Capture = pytest.CaptureFixture[str]
MakeShowers = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path, make_showers: MakeShowers) -> dict[str, Path]:
    paths = {label: tmp_path / f"{label}s.root" for label in ("electron", "proton")}
    for number, (label, path) in enumerate(paths.items(), 1):
        ntuples.write(make_showers(150, label=label, file_id=number), path)
    return paths


def in_a_process(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    code = "import sys; from ecalnb.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, **{"timeout": 60, **options}
    )


def fails(capsys: Capture, *words: object, code: int = 1) -> str:
    """Run a command that must fail, and return the one sentence that it says."""
    assert main([str(word) for word in words]) == code
    said = capsys.readouterr()
    assert said.out == ""
    sentences = [line for line in said.err.splitlines() if line.startswith("ecalnb: ")]
    assert said.err.strip().endswith(sentences[0])
    assert len(sentences) == 1
    assert "Traceback" not in said.err
    return sentences[0]


def test_help_explains_every_command_without_heavy_imports() -> None:
    code = (
        "import sys; from ecalnb.cli import main; code = main(['--help'])\n"
        "heavy = {'torch', 'timm', 'pandas', 'numpy', 'matplotlib', 'uproot', 'snakemake'} & set(sys.modules)\n"
        "sys.exit(code or ' '.join(heavy) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for command in ("convert", "train", "predict", "run", "lab", "models", "info"):
        assert command in result.stdout


@pytest.mark.parametrize("command", ["convert", "train", "predict", "run", "lab", "models", "info"])
def test_each_command_has_help(command: str, capsys: Capture) -> None:
    assert main([command, "--help"]) == 0
    assert f"ecalnb {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fly"], "No such command 'fly'"),
        (["convert", "--fast"], "--fast"),
        (["convert", "a.root"], "--output"),
        (["convert", "-o", "store"], "either ROOT files or --dataset"),
        (["convert", "a.root", "--dataset", "geant4_sample", "-o", "store"], "either ROOT files or --dataset"),
        (["convert", "--dataset", "geant4_sample", "--label", "proton", "-o", "s"], "--label and --kind go with files"),
        (["run", "--scale", "huge"], "'huge' is not one of"),
        (["run", "--scale", "huge"], "'--scale': 'huge'"),
        (["run", "--cores", "none"], "'--cores': "),
        (["run", "--cores", "none"], "'none'"),
        (["run", "--snakemake", "'--jobs"], "'--jobs has no closing quotation mark"),
        (["predict", "store", "-o", "scores.parquet"], "at least one training run"),
    ],
)
def test_a_command_typed_wrongly_is_code_2(words: list[str], message: str, capsys: Capture) -> None:
    assert message in fails(capsys, *words, code=2)


def test_exit_codes_reach_the_shell(tmp_path: Path) -> None:
    assert in_a_process("--version").returncode == 0
    assert in_a_process("fly").returncode == 2
    missing = in_a_process("info", tmp_path / "none.root")
    assert missing.returncode == 1
    assert missing.stderr == f"ecalnb: {tmp_path / 'none.root'}: no such file or folder\n"


def test_bad_files_are_one_sentence(tmp_path: Path, capsys: Capture) -> None:
    text = tmp_path / "text.root"
    text.write_text("not a ROOT file")
    store = tmp_path / "store"
    assert "none.root" in fails(capsys, "convert", tmp_path / "none.root", "-o", store)
    assert f"{text} is not a ROOT file" in fails(capsys, "convert", text, "-o", store)
    assert f"{text} is not a ROOT file" in fails(capsys, "info", text)
    assert "neither a store" in fails(capsys, "info", tmp_path)
    assert not store.exists()
    scores = tmp_path / "scores.parquet"
    scores.write_text("not a table")
    assert f"{scores} is not a readable Parquet file" in fails(capsys, "info", scores)


def test_messages_name_options_as_they_are_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("the store is there; use overwrite=True, or resume=False")

    monkeypatch.setattr("ecalnb.store.convert", refuse)
    assert "use --overwrite, or --no-resume" in fails(capsys, "convert", "a.root", "-o", tmp_path)
    (tmp_path / "file").touch()
    assert "file is a file; expected a folder" in fails(capsys, "run", "-o", tmp_path / "file")
    (tmp_path / "config.json").write_text("{")
    assert "config.json is not JSON" in fails(capsys, "info", tmp_path)


def test_debug_shows_where_an_error_arose(tmp_path: Path, capsys: Capture) -> None:
    assert main(["info", str(tmp_path / "none.root"), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_said_so(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "store/shard.arrow")

    monkeypatch.setattr("ecalnb.store.convert", full)
    assert "the disk is full: could not write store/shard.arrow" in fails(capsys, "convert", "a.root", "-o", "store")


@pytest.mark.parametrize(
    ("words", "missing", "extra"),
    [
        (["train", "store", "-o", "run"], "torch", "train"),
        (["models"], "timm", "train"),
        (["run", "01"], "snakemake", "notebooks"),
        (["lab"], "jupyterlab", "notebooks"),
    ],
)
def test_a_missing_extra_is_named(
    words: list[str], missing: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A module of that name that cannot be found: None in sys.modules for imports, and a finder for find_spec.
    code = (
        "import importlib.util, sys\n"
        f"name = {missing!r}; sys.modules[name] = None; real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda module, *a: None if module == name else real(module, *a)\n"
        "from ecalnb.cli import main; sys.exit(main())"
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(importlib.util.find_spec("ecalnb").origin).parent.parent))  # type: ignore[union-attr, arg-type]
    result = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert (
        result.stderr.strip() == f'ecalnb: {missing} is not installed, which this needs: pip install "ecalnb[{extra}]"'
    )


def test_convert_adds_files_and_info_describes_them(files: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    store = tmp_path / "store"
    for label, path in files.items():
        assert main(["convert", str(path), "-o", str(store), "--label", label]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{store}: 150 events", f"{store}: 300 events"]
    assert Store(store).labels == {"electron": 150, "proton": 150}
    assert main(["info", str(store), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["what"] == "store"
    assert facts["events"] == 300
    assert facts["labels"] == {"electron": 150, "proton": 150}
    assert sum(facts["split"].values()) == 300
    assert main(["info", str(files["proton"])]) == 0
    text = capsys.readouterr().out
    assert "ROOT ntuple" in text
    assert "150" in text


def test_convert_selects_by_expression_and_by_name(files: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    table = ntuples.read(list(files.values())).table
    middle = float(table["en3d"].median())
    assert main(["convert", *map(str, files.values()), "-o", str(tmp_path / "a"), "--select", f"en3d > {middle}"]) == 0
    assert len(Store(tmp_path / "a")) == int((table["en3d"] > middle).sum())
    capsys.readouterr()
    said = fails(capsys, "convert", files["proton"], "-o", tmp_path / "b", "--select", "en3d > 1e9")
    assert "selection" in said
    assert not (tmp_path / "b").exists()
    assert "en4d" in fails(capsys, "convert", files["proton"], "-o", tmp_path / "b", "--select", "en4d > 1")
    assert "no_such_cut" in fails(capsys, "convert", files["proton"], "-o", tmp_path / "b", "--select", "no_such_cut")


def test_convert_of_a_dataset(tmp_path: Path, capsys: Capture) -> None:
    assert main(["convert", "--dataset", "geant4_electrons", "-o", str(tmp_path / "store")]) == 0
    capsys.readouterr()
    expected = sum(ntuples.count(ntuples.load_datasets()["geant4_electrons"]).values())
    assert Store(tmp_path / "store").labels == {"electron": expected}
    assert "'geant5'" in fails(capsys, "convert", "--dataset", "geant5", "-o", tmp_path / "store")


def test_info_verifies_a_store(tmp_path: Path, files: dict[str, Path], capsys: Capture) -> None:
    store = tmp_path / "store"
    assert main(["convert", str(files["electron"]), "-o", str(store)]) == 0
    assert main(["info", str(store), "--verify"]) == 0
    assert "as written" in capsys.readouterr().out
    (shard,) = store.glob("*.arrow")
    content = bytearray(shard.read_bytes())
    energies = Store(store).dense([0])
    content[content.find(energies[energies > 0][3].tobytes())] ^= 1
    shard.write_bytes(content)
    assert "it is damaged" in fails(capsys, "info", store, "--verify")
    assert "no checksums to verify" in fails(capsys, "info", files["electron"], "--verify", code=2)


def test_models_lists_published_parameter_counts(capsys: Capture) -> None:
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    for name, parameters in (("ecal_simple_cnn", "106,317"), ("ecal_resnet10", "4,900,033"), ("ecal_cvt", "4,895,873")):
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert parameters in line


def test_train_and_predict(files: dict[str, Path], tmp_path: Path, capsys: Capture) -> None:
    store, run, scores = tmp_path / "store", tmp_path / "cnn", tmp_path / "scores.parquet"
    assert main(["convert", *map(str, files.values()), "-o", str(store)]) == 0
    train = ["train", str(store), "-o", str(run), "--device", "cpu", "--set", "max_epochs=1", "--set", "energy_min=0.0"]
    assert main(train) == 0
    assert main(["info", str(run)]) == 0
    assert "ecal_simple_cnn" in capsys.readouterr().out
    assert main(["predict", str(run), str(store), "-o", str(scores), "--split", "test", "--device", "cpu"]) == 0
    table = pd.read_parquet(scores)
    assert len(table) == int((Store(store).splits() == "test").sum())
    assert np.isfinite(table["cnn"]).all()
    assert main(["info", str(scores)]) == 0
    assert "scores table" in capsys.readouterr().out
    assert "learning_speed" in fails(capsys, *train[:4], "-o", tmp_path / "b", "--set", "learning_speed=2")
    assert "no model is called" in fails(capsys, *train[:2], *train[4:], "-o", tmp_path / "b", "--model", "resnet11")


def test_a_notebook_that_does_not_exist_is_named(capsys: Capture) -> None:
    assert "there is no notebook '77'; the series is 00_" in fails(capsys, "run", "77")


def test_an_interrupt_is_code_130(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ecalnb.store.convert", interrupted)
    assert "interrupted; the same command goes on" in fails(capsys, "convert", "a.root", "-o", "store", code=130)

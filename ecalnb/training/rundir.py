"""The run directory of a training: what is in it, whose it is, and one training at a time in it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .._lock import folder_lock
from .callbacks import RunCheckpoint, read_checkpoint
from .errors import TrainingError
from .recipes import Recipe
from .weight_files import read_json

__all__ = ["TrainingRun", "check_folder", "holds_whole", "is_finished", "last_checkpoint", "locked", "prepare"]
__all__ += ["wait_until_whole"]

log = logging.getLogger(__name__)

_CONTENTS = (
    "config.json", "metrics.csv", "weights.safetensors", "weights.ubj", "weights.json", "checkpoints", "tensorboard",
    "learning_curves.png", "learning_curves.svg",
)  # fmt: skip

_ONLY_FOR_THE_RECORD = ("environment.", "recipe.name", "recipe.description")


@dataclass(frozen=True)
class TrainingRun:
    """A finished training.

    Parameters
    ----------
    path : Path
        The run directory.
    config : dict
        The resolved configuration.
    history : pandas.DataFrame
        One row an epoch: ``epoch``, ``step``, ``train_loss``, ``val_loss``, ``val_auc``, ``val_background_90``.
    info : dict
        Content of ``weights.json``; its ``validation`` holds the metrics of the epoch whose weights were kept.
    """

    path: Path
    config: dict[str, Any] = field(repr=False)
    history: pd.DataFrame = field(repr=False)
    info: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the run: of its directory."""
        return self.path.resolve().name

    @property
    def weights(self) -> Path:
        """The file of the weights: ``weights.safetensors``, or ``weights.ubj`` of trees."""
        trees = self.path / "weights.ubj"
        return trees if trees.is_file() else self.path / "weights.safetensors"

    @property
    def best(self) -> dict[str, float]:
        """Metrics of the epoch whose weights were kept."""
        return self.info["validation"]

    @classmethod
    def load(cls, path: str | Path) -> TrainingRun:
        """Open a run directory.

        Raises
        ------
        TrainingError
            If it is not the directory of a finished training.
        """
        path = Path(path)
        if not (path / "config.json").is_file():
            raise TrainingError(f"{path} is not a run directory; expected config.json in it")
        if not (path / "weights.json").is_file():
            raise TrainingError(f"the training in {path} has not ended; start it again with the same settings to go on")
        history = pd.read_csv(path / "metrics.csv")
        return cls(path, read_json(path / "config.json"), history, read_json(path / "weights.json"))


def check_folder(output: Path) -> None:
    """Raise `TrainingError` if a folder is something else than a run directory, or nothing yet."""
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file; expected a run directory, or nothing yet")
    if not output.is_dir() or (output / "config.json").is_file():
        return
    if any(not path.name.startswith(".") for path in output.iterdir()):
        raise TrainingError(f"{output} is not empty and not a run directory; choose another output")


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Make a run directory and hold its lock.

    Raises
    ------
    TrainingError
        If another training is at work in it.
    """

    def busy(holder: str) -> None:
        raise TrainingError(
            f"another training (process {holder}) is at work in {output}; wait for it to end or choose another output"
        )

    output.mkdir(parents=True, exist_ok=True)
    with folder_lock(output, busy):
        yield


def prepare(output: Path, config: dict[str, Any], resume: bool) -> None:
    """Check that what is in a run directory is of this training, or remove it; the caller holds the lock.

    Raises
    ------
    TrainingError
        If it is of another training.
    """
    if not (output / "config.json").is_file():
        return
    if resume:
        _check_same(output, read_json(output / "config.json"), config)
        return
    for name in _CONTENTS:
        path = output / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _check_same(output: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuse to go on with a training of another model, other data or other settings."""
    before, now = _flat(old), _flat(new)
    threads = before.get("environment.threads"), now["environment.threads"]
    if threads[0] != threads[1]:
        log.warning("%s used %s threads and goes on with %s; the last bits may differ", output, *threads)
    # A setting that an older version did not have yet was, in effect, at its default.
    defaults = {f"recipe.{key}": value for key, value in Recipe().to_dict().items()}
    before = {**{key: value for key, value in defaults.items() if key in now}, **before}
    for key in sorted(before.keys() | now.keys()):
        if key.startswith(_ONLY_FOR_THE_RECORD):
            continue
        if before.get(key) == now.get(key) or (key == "recipe.max_epochs" and now[key] > before.get(key, 0)):
            continue
        raise TrainingError(
            f"{output} holds a training with {key} = {before.get(key)!r}, not {now.get(key)!r}; "
            "choose another output, or resume=False to replace it"
        )


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def last_checkpoint(output: Path) -> Path | None:
    """Checkpoint to go on from, if there is one."""
    path = output / "checkpoints" / "last.ckpt"
    return path if path.is_file() else None


def is_finished(checkpoint: Path | None, max_epochs: int) -> bool:
    """Whether a checkpoint is the end of its training."""
    if checkpoint is None:
        return False
    state = read_checkpoint(checkpoint)["callbacks"].get(RunCheckpoint.__qualname__, {})
    return bool(state.get("stopped")) or state.get("epochs", 0) >= max_epochs


def holds_whole(output: Path, config: dict[str, Any]) -> bool:
    """Whether a run directory holds the weights of this training, which needs no more epochs.

    Raises
    ------
    TrainingError
        If it is of another training.
    """
    if not (output / "weights.json").is_file():
        return False
    prepare(output, config, resume=True)
    return is_finished(last_checkpoint(output), config["recipe"]["max_epochs"])


def wait_until_whole(output: Path, seconds: float = 60) -> None:
    """Wait for the weights, which another process writes, perhaps on another machine with the same files."""
    end = time.monotonic() + seconds
    while not (output / "weights.json").is_file() and time.monotonic() < end:
        time.sleep(0.1)

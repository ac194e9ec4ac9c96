"""Weights that come with the package.

They are called ``<model>.<tag>``, as in timm: ``ecal_simple_cnn.fast`` was trained on the fast simulation,
``ecal_simple_cnn.geant4`` on the packaged Geant4 events. Each is a safetensors file with a JSON file beside it that
says what it was trained on, for how long, and how it did on its validation events.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .._toml import near
from .errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FOLDER", "list_weights", "weights_file", "weights_table"]

FOLDER = Path(__file__).parent.parent / "weights"


def list_weights(model: str = "") -> list[str]:
    """Names of the packaged weights, of one model or of all."""
    names = sorted(path.name.removesuffix(".safetensors") for path in FOLDER.glob("*.safetensors"))
    return [name for name in names if not model or name.partition(".")[0] == model]


def weights_file(name: str) -> Path:
    """Find packaged weights.

    Parameters
    ----------
    name : str
        Of the weights, ``<model>.<tag>``.

    Returns
    -------
    Path
        The safetensors file.

    Raises
    ------
    ModelError
        If there are none of this name.
    """
    names = list_weights()
    if name not in names:
        raise ModelError(f"no packaged weights are called {name!r}; there are {', '.join(names)}{near(name, names)}")
    return FOLDER / f"{name}.safetensors"


def weights_table(names: list[str] | None = None) -> pd.DataFrame:
    """How packaged weights were trained, and how they did on their validation events.

    Parameters
    ----------
    names : list of str, optional
        Of the weights; all unless told.

    Returns
    -------
    pandas.DataFrame
        ``weights``, ``recipe``, ``events`` (they were trained on), ``epochs``, ``hours``, ``validation_loss`` and
        ``validation_auc``, NaN for what is no classifier.
    """
    import pandas as pd

    rows = []
    for name in list_weights() if names is None else names:
        info = json.loads(weights_file(name).with_suffix(".json").read_text())
        best = info["validation"]
        rows.append(
            {
                "weights": name,
                "recipe": info["recipe"]["name"],
                "events": sum(info["data"]["events"]["train"].values()),
                "epochs": info["epochs"],
                "hours": info["training"]["seconds"] / 3600,
                "validation_loss": best["val_loss"],
                "validation_auc": best.get("val_auc", float("nan")),
            }
        )
    return pd.DataFrame(rows)

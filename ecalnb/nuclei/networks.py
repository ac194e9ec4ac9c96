"""Networks for the classes of nuclei: a multi-layer perceptron, a convolution along the layers, and a transformer.

All take standardised variables, 0 where nothing was measured, beside a mask of what is missing.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from .schema import load_nuclei_schema

__all__ = ["ARCHITECTURES", "LayerConvolution", "Perceptron", "TableTransformer", "make_network"]


class Perceptron(nn.Module):
    """Variables and mask through hidden layers.

    Parameters
    ----------
    columns, classes : int
        Numbers of variables and of classes.
    width, depth : int
        Units of a hidden layer, and how many there are.
    dropout : float
        Share of units left out in training.
    """

    def __init__(self, columns: int, classes: int, width: int = 256, depth: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        sizes = [2 * columns] + depth * [width]
        hidden = [
            layer
            for before, after in pairwise(sizes)
            for layer in (nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(sizes[-1], classes))

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits, shape (n, classes)."""
        logits: torch.Tensor = self.layers(torch.cat([values, mask], dim=1))
        return logits


def _planes() -> tuple[torch.Tensor, list[int]]:
    """Column of each channel at each measuring plane from above (-1: none), and the columns that have no plane."""
    schema = load_nuclei_schema()
    at = schema.offsets
    tracker = ("trk_q_x", "trk_q_y", "trk_strips", "trk_secondary", "trk_other")
    layers = [[at[name] + k for name in tracker] for k in range(9)]
    trd = [[at["trd_q"] + k, -1, -1, -1, -1] for k in range(20)]
    tof = [[at["tof_q"] + k, -1, -1, at["tof_secondary"] + k, -1] for k in range(4)]
    planes = torch.tensor([layers[0], *trd, *tof[:2], *layers[1:8], *tof[2:], layers[8]])
    used = set(planes.flatten().tolist())
    return planes.T, [column for column in range(len(schema.columns)) if column not in used]


class LayerConvolution(nn.Module):
    """Convolution along the instrument, from L1 to L9; the variables of whole tracks come in after it.

    Parameters
    ----------
    columns, classes : int
        Numbers of variables and of classes.
    width : int
        Channels.
    dropout : float
        Share of units left out in training.
    """

    planes: torch.Tensor

    def __init__(self, columns: int, classes: int, width: int = 32, dropout: float = 0.1) -> None:
        super().__init__()
        planes, self.rest = _planes()
        self.register_buffer("planes", torch.where(planes < 0, columns, planes), persistent=False)
        self.convolutions = nn.Sequential(
            nn.Conv1d(2 * len(planes), width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, 8, 1),
            nn.Flatten(),
        )
        flat = 8 * planes.shape[1] + 2 * len(self.rest)
        self.head = nn.Sequential(nn.Linear(flat, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, classes))

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits, shape (n, classes)."""
        padded = [nn.functional.pad(each, (0, 1))[:, self.planes] for each in (values, mask)]
        layers = self.convolutions(torch.cat(padded, dim=1))
        logits: torch.Tensor = self.head(torch.cat([layers, values[:, self.rest], mask[:, self.rest]], dim=1))
        return logits


class TableTransformer(nn.Module):
    """FT-Transformer, by its authors' own package: each variable is a token.

    Y. Gorishniy et al., NeurIPS 2021, arXiv:2106.11959.

    Parameters
    ----------
    columns, classes : int
        Numbers of variables and of classes.
    width, blocks : int
        Length of a token, and transformer blocks.
    dropout : float
        Of attention and of the layers between.
    """

    def __init__(self, columns: int, classes: int, width: int = 32, blocks: int = 2, dropout: float = 0.1) -> None:
        from rtdl_revisiting_models import FTTransformer

        super().__init__()
        self.transformer = FTTransformer(
            n_cont_features=columns,
            cat_cardinalities=[],
            d_out=classes,
            n_blocks=blocks,
            d_block=width,
            attention_n_heads=4,
            attention_dropout=dropout,
            ffn_d_hidden=None,
            ffn_d_hidden_multiplier=4 / 3,
            ffn_dropout=dropout,
            residual_dropout=0.0,
        )

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits, shape (n, classes). A missing value is a number that no measured one has."""
        logits: torch.Tensor = self.transformer(values - 6.0 * mask, None)
        return logits


ARCHITECTURES: dict[str, type[nn.Module]] = {
    "mlp": Perceptron,
    "cnn": LayerConvolution,
    "transformer": TableTransformer,
}
"""Networks by name."""


def make_network(name: str, columns: int, classes: int, **settings: float) -> nn.Module:
    """Make a network; settings as of its class.

    Raises
    ------
    ValueError
        If no network has that name.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"no network is named {name!r}; expected one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name](columns, classes, **settings)

"""Attention roll-out of the convolutional vision transformer: which cells its class token has looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..models.cvt import Block, CvT, Stage
from ..showers import Showers
from .errors import TrainingError
from .explain import batch_of, network_of
from .inputs import CellInputs
from .scales import Batch
from .weights import Classifier, EventClassifier

__all__ = ["attention_rollout"]

Size = tuple[int, ...]  # rows and columns


@torch.no_grad()
def attention_rollout(classifier: EventClassifier, showers: Showers) -> npt.NDArray[np.float64]:
    """Follow the attention of the class token of a CvT back to the cells.

    S. Abnar and W. Zuidema (ACL 2020), equation 1: in each block a token is half itself, by the residual connection,
    and half what its attention weights say, averaged over the heads; the blocks are multiplied from the last to the
    first. Three steps are peculiar to this transformer. Its keys are every other place of the map, each made by a 3 x 3
    convolution: the weight of a key is shared equally by the places under it. A token of a later stage is made by a
    convolution of the stage before: its weight is shared equally by the places under the kernel. And what falls to the
    class token at the beginning of its stage, where it is the same for all events, is left out.

    Attention says where the network looks and not what it concludes: the values have no sign.

    Parameters
    ----------
    classifier : Classifier
        A network of the class :class:`ecalnb.models.cvt.CvT`.
    showers : Showers
        The events.

    Returns
    -------
    array, shape (n, layers, cells)
        Share of each cell, which add up to 1; less where a window about the track goes beyond the calorimeter.

    Raises
    ------
    TrainingError
        If the network is no such transformer.
    """
    network = network_of(classifier)
    if not isinstance(network.model, CvT):
        raise TrainingError(
            f"{network.path} is a {network.info.get('model')}, which has no class token; attention roll-out is for "
            "ecal_cvt and ecal_phys_cvt, integrated gradients for every network"
        )
    batch = {
        name: values.to(next(network.model.parameters()).device) for name, values in batch_of(network, showers).items()
    }
    with _record(network.model) as (attention, sizes):
        network.model(network.inputs(batch))
    share: torch.Tensor | None = None
    for stage in reversed(network.model.stages):
        assert isinstance(stage, Stage)
        share = _through_stage(stage, share, attention, sizes)
    assert share is not None  # there are stages
    return _to_cells(network, batch, share).double().cpu().numpy()


@contextmanager
def _record(model: CvT) -> Iterator[tuple[dict[nn.Module, torch.Tensor], dict[nn.Module, Size]]]:
    """Attention weights of each block (n, tokens, keys), and size of the map before and after each embedding."""
    attention: dict[nn.Module, torch.Tensor] = {}
    sizes: dict[nn.Module, Size] = {}
    hooks = []
    for module in model.modules():
        if isinstance(module, Block):

            def keep(_module: nn.Module, _inputs: object, output: torch.Tensor, block: nn.Module = module) -> None:
                attention[block] = output.mean(dim=1)

            hooks.append(module.attention.weights.register_forward_hook(keep))
        elif isinstance(module, Stage):

            def measure(_module: nn.Module, inputs: tuple[torch.Tensor], stage: nn.Module = module) -> None:
                sizes[stage] = tuple(inputs[0].shape[-2:])

            hooks.append(module.register_forward_pre_hook(measure))
    try:
        yield attention, sizes
    finally:
        for hook in hooks:
            hook.remove()


def _through_stage(
    stage: Stage, share: torch.Tensor | None, attention: dict[nn.Module, torch.Tensor], sizes: dict[nn.Module, Size]
) -> torch.Tensor:
    """Shares of the places before a stage (n, rows, columns) from those after it; from its class token at the end."""
    kernel, stride = stage.embedding.projection.kernel_size, stage.embedding.projection.stride
    before = sizes[stage]
    size = tuple((side - k) // s + 1 for side, k, s in zip(before, kernel, stride, strict=True))
    first = attention[stage.blocks[0]]
    special = 0 if stage.class_token is None else 1
    if share is None:
        tokens = torch.zeros(first.shape[:2], device=first.device)
        tokens[:, 0] = 1
    else:
        tokens = share.flatten(1)
    places = _under_kernel(size, (3, 3), (2, 2), (1, 1)).to(first)  # (keys, tokens)
    for block in reversed(stage.blocks):
        looked = (tokens.unsqueeze(1) @ attention[block]).squeeze(1)
        back = looked[:, special:] @ places
        tokens = 0.5 * tokens + 0.5 * torch.cat([looked[:, :special], back], dim=1)
    tokens = tokens[:, special:]
    tokens = tokens / tokens.sum(dim=1, keepdim=True)
    return (tokens @ _under_kernel(before, kernel, stride, (0, 0)).to(first)).unflatten(1, before)


def _under_kernel(size: Size, kernel: Size, stride: Size, padding: Size) -> torch.Tensor:
    """Equal shares of the places of a map under a kernel, (places after, places before); rows sum to 1."""
    along = []
    for side, k, s, p in zip(size, kernel, stride, padding, strict=True):
        start = torch.arange(0, side + 2 * p - k + 1, s)[:, None] - p
        place = torch.arange(side)[None, :]
        along.append(((place >= start) & (place < start + k)).double())
    both = torch.kron(*along)
    return both / both.sum(dim=1, keepdim=True)


def _to_cells(network: Classifier, batch: Batch, share: torch.Tensor) -> torch.Tensor:
    """Shares of cells (n, layers, cells) from those of places of the image: the way back of its arrangement."""
    inputs = network.inputs
    if not isinstance(inputs, CellInputs):
        raise TrainingError(f"{network.path}: the inputs {inputs.to_dict()['name']} are no images of cells")
    cells = batch["cells"]
    with torch.enable_grad():
        unit = torch.ones_like(cells).requires_grad_()
        image = inputs.image(unit, batch)
    # The arrangement copies cells, so that its derivative is 1 from a cell to its place and 0 elsewhere.
    (found,) = torch.autograd.grad(image, unit, share.unsqueeze(1).expand_as(image))
    return found

"""Convolutional vision transformer (H. Wu et al., CvT: Introducing Convolutions to Vision Transformers, ICCV 2021).

Each stage makes tokens by a strided convolution and passes them through blocks whose queries, keys and values come from
depthwise convolutions over the tokens' places, so that no positional code is needed. The last stage carries a class
token, from which the output comes.

The stages are those of R. Hashmani, E. Akbaş and M. Demirköz for AMS showers: 1, 1 and 2 blocks of 1, 3 and 6 heads.
Their paper gives the number of parameters; widths of 64, 192 and 384, and a bias in the depthwise convolutions, which
the original has not, are what gives it. Where the paper is silent, this is the original: keys and values from every
other token in each direction, scores scaled by the root of the whole width. The embeddings alone do not pad, as those
of the original do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import DropPath
from timm.models import register_model
from torch import nn

from .registry import ModelError, build, default_cfg, packaged_cfgs

__all__ = ["CvT"]

default_cfgs = packaged_cfgs(
    {
        "ecal_cvt": default_cfg(first_conv="stages.0.embedding.projection", classifier="head"),
        "ecal_phys_cvt": default_cfg(
            input_size=(2, 18, 21), first_conv="stages.0.embedding.projection", classifier="head"
        ),
    }
)


class TokenEmbedding(nn.Module):
    """Overlapping patches of a map as tokens (Wu et al., section 3.1).

    Parameters
    ----------
    in_chans, dim : int
        Channels before and width after.
    kernel, stride, padding : sequence of 2 int
        Of the convolution.
    """

    def __init__(
        self, in_chans: int, dim: int, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
    ) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_chans, dim, _pair(kernel), _pair(stride), _pair(padding))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """Tokens (n, rows x columns, dim) of a map (n, channels, rows, columns), and (rows, columns)."""
        x = self.projection(x)
        size = (x.shape[2], x.shape[3])
        return self.norm(x.flatten(2).transpose(1, 2)), size


class ConvolutionalProjection(nn.Module):
    """Depthwise convolution, batch normalisation and a linear layer (Wu et al., section 3.2)."""

    def __init__(self, dim: int, outputs: int, stride: int, depthwise_bias: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 3, stride, padding=1, groups=dim, bias=depthwise_bias)
        self.norm = nn.BatchNorm2d(dim)
        self.linear = nn.Linear(dim, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Project a map (n, dim, rows, columns) to tokens (n, m, outputs)."""
        # In single precision always: the backward pass of a strided depthwise convolution is ten times slower on a CPU
        # in bfloat16, for no gain of the forward pass.
        with torch.autocast(x.device.type, enabled=False):
            x = self.norm(self.depthwise(x.float()))
        return self.linear(x.flatten(2).transpose(1, 2))


class ConvolutionalAttention(nn.Module):
    """Attention of all tokens to every other one in each direction (Wu et al., equations 1 and 2).

    Parameters
    ----------
    dim, heads : int
        Width of a token, and the number of heads that share it.
    class_token : bool
        Whether the first token has no place in the map; it goes around the convolutions.
    depthwise_bias : bool
        Whether the depthwise convolutions have a bias.
    """

    def __init__(self, dim: int, heads: int, class_token: bool, depthwise_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.class_token = class_token
        # Of the whole width and not of a head's, as in the original code.
        self.scale = dim**-0.5
        self.query = ConvolutionalProjection(dim, dim, 1, depthwise_bias)
        self.key = ConvolutionalProjection(dim, dim, 2, depthwise_bias)
        self.value = ConvolutionalProjection(dim, dim, 2, depthwise_bias)
        self.weights = nn.Identity()  # (n, heads, tokens, keys): a place for hooks
        self.projection = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Tokens (n, tokens, dim) to tokens of the same shape; `size` is (rows, columns) of the map."""
        places = x[:, 1:] if self.class_token else x
        image = places.transpose(1, 2).unflatten(2, size)
        projected = []
        for projection in (self.query, self.key, self.value):
            tokens = projection(image)
            if self.class_token:
                tokens = torch.cat([projection.linear(x[:, :1]), tokens], dim=1)
            projected.append(tokens.unflatten(2, (self.heads, -1)).transpose(1, 2))
        query, key, value = projected
        # Written out, since torch's fused attention is slower on a CPU in bfloat16, and does not show the weights.
        weights = self.weights((query * self.scale @ key.transpose(-1, -2)).softmax(-1))
        return self.projection((weights @ value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Convolutional transformer block: attention and a two-layer perceptron, each after a layer normalisation.

    Parameters
    ----------
    dim, heads : int
        Width of a token and number of heads.
    mlp_ratio : float
        Hidden width of the perceptron over `dim`.
    drop_path : float
        Probability of leaving out a branch (stochastic depth).
    class_token, depthwise_bias : bool
        See `ConvolutionalAttention`.
    """

    def __init__(
        self, dim: int, heads: int, mlp_ratio: float, drop_path: float, class_token: bool, depthwise_bias: bool
    ) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim)
        self.attention = ConvolutionalAttention(dim, heads, class_token, depthwise_bias)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Tokens (n, tokens, dim) to tokens of the same shape; `size` is (rows, columns) of the map."""
        x = x + self.drop_path(self.attention(self.norm1(x), size))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Stage(nn.Module):
    """Token embedding and blocks; with a class token in the last stage."""

    def __init__(self, embedding: TokenEmbedding, blocks: Sequence[Block], dim: int, class_token: bool) -> None:
        super().__init__()
        self.embedding = embedding
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim)) if class_token else None
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels, rows, columns) to a map; with a class token to all tokens (n, 1 + m, dim)."""
        tokens, size = self.embedding(x)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens, size)
        return tokens if self.class_token is not None else tokens.transpose(1, 2).unflatten(2, size)


class CvT(nn.Module):
    """Convolutional vision transformer.

    Parameters
    ----------
    in_chans, num_classes : int
        Channels of the image, and outputs.
    img_size : sequence of 2 int
        Layers and cells of the image.
    widths, depths, heads : sequence of int
        Width of the tokens, number of blocks and of heads, for each stage.
    kernels, strides, paddings : sequence of (int, int)
        Of the convolution that makes each stage's tokens: along layers and cells. The original pads.
    mlp_ratio : float
        Hidden width of the blocks' perceptrons over the width of the tokens.
    depthwise_bias : bool
        Whether the depthwise convolutions have biases; the code of the original has none, the published number of
        parameters for AMS needs them.
    drop_rate, drop_path_rate : float
        Dropout before the output; stochastic depth, growing linearly to this value at the last block.

    Raises
    ------
    ModelError
        If the options of the stages differ in number, a width is no multiple of its heads, or the image is too small.
    """

    def __init__(
        self,
        in_chans: int = 1,
        num_classes: int = 1,
        img_size: Sequence[int] = (18, 72),
        widths: Sequence[int] = (64, 192, 384),
        depths: Sequence[int] = (1, 1, 2),
        heads: Sequence[int] = (1, 3, 6),
        kernels: Sequence[Sequence[int]] = ((2, 6), (3, 4), (3, 3)),
        strides: Sequence[Sequence[int]] = ((1, 2), (1, 2), (1, 1)),
        paddings: Sequence[Sequence[int]] = ((0, 0), (0, 0), (0, 0)),
        mlp_ratio: float = 4.0,
        depthwise_bias: bool = True,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        _check_stages(img_size, widths, depths, heads, kernels, strides, paddings)
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths), device="cpu").tolist())
        stages: list[Stage] = []
        before = in_chans
        for index, dim in enumerate(widths):
            class_token = index == len(widths) - 1
            blocks = [
                Block(dim, heads[index], mlp_ratio, next(rates), class_token, depthwise_bias)
                for _ in range(depths[index])
            ]
            embedding = TokenEmbedding(before, dim, kernels[index], strides[index], paddings[index])
            stages.append(Stage(embedding, blocks, dim, class_token))
            before = dim
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = before
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(before)
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(before, num_classes)
        self.apply(_initialise)
        if (token := stages[-1].class_token) is not None:
            nn.init.trunc_normal_(token, std=0.02)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens of the last stage, (n, 1 + m, width), of (n, channels, layers, cells) images."""
        for stage in self.stages:
            x = stage(x)
        return self.norm(x)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Turn tokens into outputs, or with `pre_logits` into the (n, width) class token."""
        x = self.head_drop(x[:, 0])
        return x if pre_logits else self.head(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, num_classes) of (n, channels, layers, cells) images."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.head


def _pair(sides: Sequence[int]) -> tuple[int, int]:
    """Layers and cells as the tuple that torch asks for."""
    rows, columns = sides
    return rows, columns


def _initialise(module: nn.Module) -> None:
    """Draw the weights of linear layers from a truncated normal of width 0.02, biases 0, as in the original."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def _check_stages(
    img_size: Sequence[int],
    widths: Sequence[int],
    depths: Sequence[int],
    heads: Sequence[int],
    kernels: Sequence[Sequence[int]],
    strides: Sequence[Sequence[int]],
    paddings: Sequence[Sequence[int]],
) -> None:
    numbers = {len(option) for option in (widths, depths, heads, kernels, strides, paddings)}
    if len(numbers) != 1 or 0 in numbers:
        raise ModelError("widths, depths, heads, kernels, strides and paddings of a CvT need one entry for each stage")
    if odd := [(width, head) for width, head in zip(widths, heads, strict=True) if width % head]:
        raise ModelError(f"width {odd[0][0]} of a CvT stage is not a multiple of its {odd[0][1]} heads")
    size = list(img_size)
    for kernel, stride, padding in zip(kernels, strides, paddings, strict=True):
        size = [(side + 2 * p - k) // s + 1 for side, k, s, p in zip(size, kernel, stride, padding, strict=True)]
        if min(size) < 1:
            raise ModelError(f"images of {img_size[0]} x {img_size[1]} cells are too small for the kernels of this CvT")


@register_model
def ecal_cvt(
    pretrained: bool = False,
    *,
    in_chans: int = 1,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 72),
    depthwise_bias: bool = True,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Convolutional vision transformer: 3 stages of 1, 1, 2 blocks and 1, 3, 6 heads."""
    return build(
        CvT,
        "ecal_cvt",
        pretrained,
        timm_arguments,
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        depthwise_bias=depthwise_bias,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )


@register_model
def ecal_phys_cvt(
    pretrained: bool = False,
    *,
    in_chans: int = 2,
    num_classes: int = 1,
    img_size: Sequence[int] = (18, 21),
    depthwise_bias: bool = True,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    **timm_arguments: Any,
) -> nn.Module:
    """Convolutional vision transformer on the window about the track and the depth crossed (2 x 18 x 21)."""
    return build(
        CvT,
        "ecal_phys_cvt",
        pretrained,
        timm_arguments,
        in_chans=in_chans,
        num_classes=num_classes,
        img_size=tuple(img_size),
        depthwise_bias=depthwise_bias,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )

"""What computes the scores: torch, or on a CPU onnxruntime where that is faster; and in batches of which size."""

from __future__ import annotations

import importlib.util
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version

import torch
from torch import nn

from .errors import TrainingError
from .export import TOLERANCE, OnnxScorer, example_batch, to_onnx
from .scales import Batch
from .weights import Classifier, EventClassifier

__all__ = ["BACKENDS", "Scorer", "best_batch_size", "make_scorer"]

log = logging.getLogger(__name__)

BACKENDS = ("auto", "torch", "onnxruntime")
"""What ``backend`` may be."""

_LARGEST_ACTIVATION = 4e6  # bytes of a batch: as much as stays in the caches of a core
_SIZES = (8, 512)
_METHOD_BATCH = 2048  # events, for what is no network
_WORTH = 5.0  # s of scoring under torch, above which it may pay to make a graph, which takes about half of that
_ROUNDS = 3
_GAIN = 1.05  # below it the two count as equal


@dataclass(frozen=True)
class Scorer:
    """A classifier as it is run.

    Parameters
    ----------
    classifier : EventClassifier
        What scores.
    logits : callable
        From a batch on the CPU to its logits, float32 (n,).
    batch_size : int
        Events to give it at a time.
    backend : str
        Name and version of what computes; empty for a method that is no network.
    """

    classifier: EventClassifier
    logits: Callable[[Batch], torch.Tensor]
    batch_size: int
    backend: str


def make_scorer(
    classifier: EventClassifier, *, backend: str, device: str, threads: int, batch_size: int | None, events: float
) -> Scorer:
    """Choose how a classifier is run.

    ``auto`` is torch for few events, so that a graph is not made in vain and small samples have the same bits
    everywhere; where torch would need more than some seconds, both are timed on a batch and the faster one is taken.

    Parameters
    ----------
    classifier : EventClassifier
        A network, or a method of another kind, which all this does not concern.
    backend : {"auto", "torch", "onnxruntime"}
        What computes.
    device : {"cpu", "cuda", "mps"}
        Where; onnxruntime is for the CPU.
    threads : int
        Threads of onnxruntime; torch has its own setting.
    batch_size : int, optional
        Events in a batch; see :func:`best_batch_size` unless told.
    events : float
        How many events there are to score, at most.

    Raises
    ------
    TrainingError
        If the backend does not exist, is not for that device, or gives other logits than torch.
    ModuleNotFoundError
        If onnxruntime is asked for and the extra ``export`` is not installed.
    """
    if backend not in BACKENDS:
        raise TrainingError(f"backend is {backend!r}; expected one of {', '.join(BACKENDS)}")
    if backend == "onnxruntime" and device != "cpu":
        raise TrainingError(f"backend onnxruntime is for the CPU, not for {device}; use device cpu, or backend torch")
    classifier.to(device)
    if not isinstance(classifier, Classifier):
        return Scorer(classifier, classifier.logits, batch_size or _METHOD_BATCH, "")
    size = batch_size or best_batch_size(classifier)
    torch_scorer = Scorer(classifier, classifier.logits, size, f"torch {version('torch')}")
    if device != "cpu" or backend == "torch":
        return torch_scorer
    if backend == "onnxruntime":
        return _under_onnxruntime(torch_scorer, threads)
    if any(importlib.util.find_spec(name) is None for name in ("onnxruntime", "onnx", "onnxscript")):
        return torch_scorer
    batch = example_batch(classifier, size)
    needed = _seconds(torch_scorer, batch, rounds=1) / size
    if needed * events < _WORTH:
        return torch_scorer
    try:
        other = _under_onnxruntime(torch_scorer, threads)
    except TrainingError as error:
        log.warning("%s; scoring under torch", error)
        return torch_scorer
    ratio = _seconds(torch_scorer, batch, _ROUNDS) / _seconds(other, batch, _ROUNDS)
    log.info("%s: onnxruntime is %.1f times as fast as torch", classifier.name, ratio)
    return other if ratio > _GAIN else torch_scorer


def best_batch_size(classifier: Classifier) -> int:
    """Size of batches, a power of two, such that the largest output of a layer stays in the caches of a CPU.

    A batch much larger than that makes a small network several times slower, one much smaller wastes the overhead of
    each call.
    """
    largest = 0

    def look(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, torch.Tensor):
            largest = max(largest, output.nbytes)

    leaves = [module for module in classifier.model.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(look) for module in leaves]
    try:
        classifier.logits(example_batch(classifier, 1))
    finally:
        for hook in hooks:
            hook.remove()
    power = round(math.log2(_LARGEST_ACTIVATION / max(largest, 1)))
    return min(max(2**power if power > 0 else 1, _SIZES[0]), _SIZES[1])


def _under_onnxruntime(scorer: Scorer, threads: int) -> Scorer:
    classifier = scorer.classifier
    session = OnnxScorer(to_onnx(classifier).SerializeToString(), threads)
    batch = example_batch(classifier, min(scorer.batch_size, 16))
    expected = scorer.logits(batch)
    difference = float((session.logits(batch) - expected).abs().max()) / max(1.0, float(expected.abs().max()))
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"{classifier.path} gives other logits under onnxruntime than under torch: they differ by {difference:.2g} "
            f"of the largest; at most {TOLERANCE:g} was expected"
        )
    return replace(scorer, logits=session.logits, backend=f"onnxruntime {version('onnxruntime')}")


def _seconds(scorer: Scorer, batch: Batch, rounds: int) -> float:
    """Shortest time for a batch, after one that does not count."""
    scorer.logits(batch)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        scorer.logits(batch)
        times.append(time.perf_counter() - start)
    return min(times)

"""What computes the scores: torch, or on a CPU onnxruntime where that is faster; and in batches of which size."""

from __future__ import annotations

import importlib.util
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

import torch
from torch import nn

from ..models import count_parameters
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
_GPU_BATCH, _METHOD_BATCH = 512, 2048  # events; the latter for what is no network

# Seconds of scoring above which it pays to try larger batches, and to make a graph for onnxruntime, which takes two
# seconds for a small network and ten for a large one: the former become twice as fast, the latter a fifth at most.
_WORTH_SIZES = 2.0
_WORTH_GRAPH, _WORTH_GRAPH_LARGE = 5.0, 300.0
_LARGE = 1_000_000  # parameters
_SHARE = 256  # times as many events as a batch, for which trying a batch four times as large costs 4 % at most
_LOOK = 0.05  # s of batches that are timed
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

    For few events that is torch in batches of :func:`best_batch_size`, so that nothing is tried in vain and small
    samples have the same bits each time. For more, larger batches are tried, and where torch would need long ``auto``
    tries onnxruntime too; what is fastest scores all events.

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
    under_torch = Scorer(classifier, classifier.logits, batch_size or _GPU_BATCH, f"torch {version('torch')}")
    if device != "cpu":
        return under_torch
    size = batch_size or best_batch_size(classifier)
    sizes = [size] if batch_size else [size, min(4 * size, _SIZES[1])]
    if backend == "onnxruntime":
        return _under_onnxruntime(replace(under_torch, batch_size=size), threads)
    choices = [replace(under_torch, batch_size=size) for size in sizes]
    if events <= size:
        return choices[0]
    chosen, seconds = choices[0], _seconds(choices[0])
    if seconds * events < _WORTH_SIZES:
        return chosen
    if events > _SHARE * size and len(choices) > 1 and (larger := _seconds(choices[1])) * _GAIN < seconds:
        chosen, seconds = choices[1], larger
    large = count_parameters(classifier.model) > _LARGE
    if backend == "torch" or seconds * events < (_WORTH_GRAPH_LARGE if large else _WORTH_GRAPH) or not _installed():
        return chosen
    return _faster_than(chosen, seconds, sizes, threads)


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


def _faster_than(scorer: Scorer, seconds: float, sizes: Sequence[int], threads: int) -> Scorer:
    """Scorer under onnxruntime, if it needs less than some seconds an event; else the one that there is."""
    try:
        other = _under_onnxruntime(scorer, threads)
    except TrainingError as error:
        log.warning("%s; scoring under torch", error)
        return scorer
    choices = [replace(other, batch_size=size) for size in sizes]
    needed, other = min(((_seconds(choice), choice) for choice in choices), key=lambda pair: pair[0])
    log.info("%s: onnxruntime is %.1f times as fast as torch", scorer.classifier.name, seconds / needed)
    return other if seconds / needed > _GAIN else scorer


def _installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "onnx", "onnxscript"))


def _seconds(scorer: Scorer) -> float:
    """Shortest time for an event in a batch, after one that does not count."""
    # With one thread all is done by this one, whose own clock does not see what else the machine does.
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    batch = example_batch(scorer.classifier, scorer.batch_size)
    scorer.logits(batch)
    times: list[float] = []
    while sum(times) < _LOOK:
        start = clock()
        scorer.logits(batch)
        times.append(clock() - start)
    return min(times) / scorer.batch_size

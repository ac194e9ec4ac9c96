"""Trained networks as ONNX files, for other programs than Python and for fast prediction on a CPU.

The graph takes what a file of events holds, cell energies in GeV and the columns that the inputs need, so that nobody
has to repeat the normalisation. It is checked against torch before it is written.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .._atomic import replacing
from ..geometry import Calorimeter
from .errors import TrainingError
from .scales import Batch
from .track_predictor import TrackPredictor
from .weight_files import geometry_to_dict
from .weights import Classifier, EventClassifier

if TYPE_CHECKING:
    import onnx

__all__ = ["OnnxScorer", "check_onnx", "example_batch", "export_onnx", "require", "to_onnx"]

log = logging.getLogger(__name__)

CELLS, LOGIT, SCORE = "cells", "logit", "score"
TRACK, ERROR = "track", "error"
"""Names of the energies that go into a graph and of what comes out; columns go in under their own names."""

_OPSET = 20
TOLERANCE = 1e-5  # of the logits, relative to the largest of a batch, or to 1 where all are smaller
_CHECKED = (1, 7, 64)  # events


class _Graph(nn.Module):
    """From cells and columns to logit and score."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.inputs, self.model = classifier.inputs, classifier.model

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logit = self.model(self.inputs(batch)).squeeze(-1)
        return logit, torch.sigmoid(logit)


class _TrackGraph(nn.Module):
    """From cells and columns to numbers of the track and their errors, where there are some."""

    def __init__(self, predictor: TrackPredictor) -> None:
        super().__init__()
        self.inputs, self.model, self.uncertain = predictor.inputs, predictor.model, predictor.target.uncertain
        units = predictor.target.units
        self.register_buffer("units", torch.tensor(units, dtype=torch.float32))
        scale = units * predictor.error_scale if self.uncertain else units
        self.register_buffer("errors", torch.tensor(scale, dtype=torch.float32))

    def forward(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        outputs, units = self.model(self.inputs(batch)), self.get_buffer("units")
        found = outputs[:, : len(units)] * units
        if not self.uncertain:
            return (found,)
        return found, torch.exp(outputs[:, len(units) :] / 2) * self.get_buffer("errors")


def require(module: str, extra: str) -> ModuleType:
    """Import a module that an extra of the package brings.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = error.name or module
        raise ModuleNotFoundError(
            f'{name} is not installed, which this needs: pip install "ecalnb[{extra}]"', name=name
        ) from None


def export_onnx(classifier: EventClassifier | TrackPredictor, path: str | Path) -> Path:
    """Write a trained network as an ONNX file, after a check that it gives what torch gives.

    Parameters
    ----------
    classifier : Classifier or TrackPredictor
        A network, as :func:`ecalnb.training.load_weights` or :func:`ecalnb.training.load_track_predictor` gives it.
    path : path
        The file, ``*.onnx``; one that is there is replaced.

    Returns
    -------
    Path
        The file. Its graph is that of :func:`to_onnx`.

    Raises
    ------
    TrainingError
        If the classifier is no network, it cannot be exported, the graph does not give what torch gives (see
        :func:`check_onnx`), or the file cannot be written.
    ModuleNotFoundError
        If the extra ``export`` is not installed.
    """
    path = Path(path)
    if path.suffix != ".onnx" or path.is_dir():
        raise TrainingError(f"{path} is {'a folder' if path.is_dir() else 'no .onnx file'}; expected model.onnx")
    network = _network(classifier)
    graph = to_onnx(network).SerializeToString()
    difference = check_onnx(graph, network)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, TrainingError) as temporary:
        temporary.write_bytes(graph)
    log.info("%s: %.1f MB, differs from torch by %.1g of the outputs at most", path, len(graph) / 1e6, difference)
    return path


def to_onnx(classifier: EventClassifier | TrackPredictor) -> onnx.ModelProto:
    """Graph of a trained network with its inputs.

    Parameters
    ----------
    classifier : Classifier or TrackPredictor
        A network.

    Returns
    -------
    onnx.ModelProto
        Inputs, all float32: ``cells`` (n, layers, cells) in GeV and (n,) of each column that the network's inputs need,
        under the column's name and in its unit. Outputs, float32 (n,): ``logit``, and ``score``, its sigmoid; or for
        numbers of the track, float32 (n, k): ``track``, in mm, rad, or for slopes 1, and ``error``. The
        metadata holds ``name``, ``model``, ``model_options``, ``inputs``, ``geometry``, ``weights_sha256`` (of the
        file of the weights) and ``ecalnb_version``; what is no text is JSON.

    Raises
    ------
    TrainingError
        If the classifier is no network, or holds something that ONNX does not know.
    ModuleNotFoundError
        If the extra ``export`` is not installed.
    """
    onnx, _ = require("onnx", "export"), require("onnxscript", "export")
    classifier = _network(classifier)
    graph: nn.Module
    if isinstance(classifier, Classifier):
        graph, outputs = _Graph(classifier), [LOGIT, SCORE]
    else:
        graph, outputs = _TrackGraph(classifier), [TRACK, ERROR] if classifier.target.uncertain else [TRACK]
    names = [CELLS, *classifier.inputs.columns]
    device = next(classifier.model.parameters()).device
    example = {name: tensor.to(device) for name, tensor in example_batch(classifier, 3).items()}
    shapes = {name: {0: torch.export.Dim("n")} for name in names}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the exporter's, about its own code
            program = torch.export.export(
                graph.eval(), (), {"batch": example}, dynamic_shapes={"batch": shapes}, strict=False
            )
            exported = torch.onnx.export(
                program, input_names=names, output_names=outputs, opset_version=_OPSET, verbose=False
            )
    except Exception as error:  # the exporter has no one exception
        raise TrainingError(
            f"{classifier.path} ({classifier.info['model']}) cannot become an ONNX file: {_reason(error)}"
        ) from error
    assert exported is not None  # it is for the exporter that writes files
    proto = exported.model_proto
    _tidy(proto)
    onnx.helper.set_model_props(proto, _metadata(classifier))
    proto.producer_name, proto.producer_version = "ecalnb", _version()
    return proto


def check_onnx(graph: bytes, classifier: Classifier | TrackPredictor) -> float:
    """Compare a graph with torch on random and on empty showers, in batches of 1, 7 and 64.

    Returns
    -------
    float
        Largest difference of a logit, in units of the largest logit of its batch (of 1 where all are smaller); the
        same for the scores, absolute, where that is more. Of numbers of the track, in units of the largest of each.

    Raises
    ------
    TrainingError
        If it is more than 1e-5.
    """
    scorer = OnnxScorer(graph, threads=torch.get_num_threads())
    largest = 0.0
    for n in _CHECKED:
        batch = example_batch(classifier, n, seed=n)
        batch[CELLS][n // 2 :: 5] = 0
        if not isinstance(classifier, Classifier):
            largest = max(largest, _track_difference(scorer, classifier, batch))
            continue
        expected = classifier.logits(batch)
        logits, scores = scorer.run(batch)
        scale = max(1.0, float(expected.abs().max()))
        largest = max(
            largest, float((logits - expected).abs().max()) / scale, float((scores - expected.sigmoid()).abs().max())
        )
    if not largest <= TOLERANCE:
        raise TrainingError(
            f"{classifier.path} ({classifier.info['model']}) gives other logits under onnxruntime than under torch: "
            f"they differ by {largest:.2g} of the largest; at most {TOLERANCE:g} was expected"
        )
    return largest


def _track_difference(scorer: OnnxScorer, predictor: TrackPredictor, batch: Batch) -> float:
    """Largest difference of a number of the track, in units of the largest of its kind."""
    expected = predictor.predict(batch)
    given = scorer.session.run(None, {name: batch[name].numpy() for name in scorer.names})
    differences = [
        np.abs(one - other).max(axis=0) / np.abs(other).max(axis=0)
        for one, other in zip(given, expected, strict=False)  # no errors, no output for them
    ]
    return float(np.max(differences))


class OnnxScorer:
    """A graph of :func:`to_onnx` under onnxruntime on the CPU.

    Parameters
    ----------
    graph : bytes or path
        The graph, or its file.
    threads : int
        Threads to compute with.

    Raises
    ------
    ModuleNotFoundError
        If the extra ``export`` is not installed.
    """

    def __init__(self, graph: bytes | str | Path, threads: int = 1) -> None:
        runtime = require("onnxruntime", "export")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors
        source = graph if isinstance(graph, bytes) else str(graph)
        self.session = runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self.names = [node.name for node in self.session.get_inputs()]

    def run(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and scores of a batch, (n,) each."""
        logits, scores = self.session.run([LOGIT, SCORE], {name: batch[name].numpy() for name in self.names})
        return torch.from_numpy(logits), torch.from_numpy(scores)

    def logits(self, batch: Batch) -> torch.Tensor:
        """Logits of a batch, (n,)."""
        return torch.from_numpy(self.session.run([LOGIT], {name: batch[name].numpy() for name in self.names})[0])


def example_batch(classifier: EventClassifier | TrackPredictor, n: int, seed: int = 0) -> Batch:
    """Random events with all that a classifier needs: cells from 0.1 MeV to 100 GeV, a fifth of them hit.

    Parameters
    ----------
    classifier : EventClassifier
        Its calorimeter and the columns of its inputs are what is made. Positions (``..._x``, ``..._y``) lie in the
        calorimeter, inclinations below 0.5 rad; what is neither nor an azimuth is taken for an energy in GeV.
    n : int
        Number of events.
    seed : int
        Of the random numbers.
    """
    rng, geometry = np.random.default_rng(seed), classifier.geometry
    shape = (n, *geometry.shape)
    cells = 10 ** rng.uniform(-4, 2, shape) * (rng.random(shape) < 0.2)
    columns = {name: _example_column(name, n, geometry, rng) for name in classifier.inputs.columns}
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in {CELLS: cells, **columns}.items()}


def _example_column(name: str, n: int, geometry: Calorimeter, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    kind = name.rpartition("_")[2]
    if kind in ("x", "y"):
        return rng.uniform(-geometry.width / 2, geometry.width / 2, n)
    if kind == "inclination":
        return rng.uniform(0, 0.5, n)
    if kind == "azimuth":
        return rng.uniform(-np.pi, np.pi, n)
    return 10 ** rng.uniform(0, 3, n)


def _network(classifier: EventClassifier | TrackPredictor) -> Classifier | TrackPredictor:
    if not isinstance(classifier, Classifier | TrackPredictor):
        raise TrainingError(
            f"{classifier.path} ({classifier.info.get('model')}) is no neural network; only those become ONNX files"
        )
    return classifier


def _tidy(proto: onnx.ModelProto) -> None:
    """Forget where the model's source code lies and what torch calls things; the number of events is ``n``."""
    graph = proto.graph
    del graph.value_info[:]  # shapes of what lies between, which every program finds out itself
    proto.ClearField("metadata_props")
    for item in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    graph.name = "ecalnb"


def _metadata(classifier: Classifier | TrackPredictor) -> dict[str, str]:
    info = classifier.info
    described: dict[str, Any] = {
        "model_options": info["model_options"],
        "inputs": classifier.inputs.to_dict(),
        "geometry": geometry_to_dict(classifier.geometry),
    }
    return {
        "name": classifier.name,
        "model": info["model"],
        **{name: json.dumps(value) for name, value in described.items()},
        "weights_sha256": hashlib.sha256(classifier.path.read_bytes()).hexdigest(),
        "ecalnb_version": _version(),
    }


def _version() -> str:
    from .. import __version__

    return __version__


def _reason(error: Exception) -> str:
    """First line of what the exporter says that is more than advice."""
    cause = error.__cause__ or error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__

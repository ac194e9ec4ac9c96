"""ONNX files: the same logits as torch for every network, whatever program runs them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from torch import nn
from toy_training import toy_showers

from ecalnb import __version__, models
from ecalnb.cli import main
from ecalnb.geometry import AMS
from ecalnb.training import (
    Classifier,
    TrainingError,
    default_inputs,
    export_onnx,
    inputs_from,
    load_weights,
    predict,
    save_weights,
    to_onnx,
)
from ecalnb.training.backends import best_batch_size, make_scorer
from ecalnb.training.export import check_onnx, example_batch
from ecalnb.training.weight_files import geometry_to_dict

SLOW = {"ecal_coatnet0", "ecal_coatnet3", "ecal_phys_cvt", "timm:convnext_atto"}  # 10 to 35 s of CPU time each

Make = Callable[..., Classifier]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Maker of classifiers with random weights, whose logits differ from event to event."""

    def build(model: str, inputs: dict[str, Any] | None = None, name: str = "run") -> Classifier:
        described = {"name": default_inputs(model), **(inputs or {})}
        torch.manual_seed(5)
        network = models.create(model, input_size=inputs_from(described, AMS).shape)
        with torch.no_grad():
            for key, tensor in network.state_dict().items():
                if tensor.is_floating_point():
                    change = 0.02 * torch.randn_like(tensor)
                    tensor += change.abs() if key.endswith("running_var") else change
        info = {"model": model, "model_options": {}, "inputs": described, "geometry": geometry_to_dict(AMS)}
        save_weights(tmp_path / f"{name}.safetensors", network.state_dict(), info)
        classifier = load_weights(tmp_path / f"{name}.safetensors")
        assert isinstance(classifier, Classifier)
        return classifier

    return build


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in (*timm.list_models("ecal_*"), "timm:convnext_atto")
        if name != "ecal_axis_joint"  # which scores nothing: test_axis_network
    ],
)
def test_every_model_gives_the_logits_of_torch_at_any_batch_size(model: str, make: Make) -> None:
    classifier = make(model)
    graph = to_onnx(classifier).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for n in (1, 7, 64):
        batch = example_batch(classifier, n, seed=10 + n)
        logit, score = session.run(["logit", "score"], {name: values.numpy() for name, values in batch.items()})
        expected = classifier.logits(batch).numpy()
        assert logit.shape == score.shape == (n,)
        np.testing.assert_allclose(logit, expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))
        np.testing.assert_allclose(score, 1 / (1 + np.exp(-expected.astype(float))), atol=1e-5)


@pytest.mark.parametrize(
    "inputs",
    [
        {"name": "merged", "normalisation": "raw"},
        {"name": "merged", "normalisation": "fraction", "scalars": ["total_energy"]},
        {"name": "by_view", "normalisation": "log", "scalars": ["en3d"]},
        {"name": "track_window", "normalisation": "fraction"},
    ],
)
def test_the_graph_contains_the_inputs(inputs: dict[str, Any], make: Make) -> None:
    classifier = make("ecal_simple_mlp", inputs)
    proto = to_onnx(classifier)
    assert [node.name for node in proto.graph.input] == ["cells", *classifier.inputs.columns]
    assert check_onnx(proto.SerializeToString(), classifier) < 1e-5


def test_the_file_says_what_it_is(make: Make, tmp_path: Path) -> None:
    classifier = make("ecal_simple_cnn", name="cnn")
    path = export_onnx(classifier, tmp_path / "out" / "cnn.onnx")
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    told = {item.key: item.value for item in proto.metadata_props}
    assert told["name"] == "cnn"
    assert told["model"] == "ecal_simple_cnn"
    assert json.loads(told["inputs"])["normalisation"] == "log"
    assert json.loads(told["geometry"])["n_cells"] == 72
    assert told["weights_sha256"] == hashlib.sha256(classifier.path.read_bytes()).hexdigest()
    assert told["ecalnb_version"] == __version__
    shapes = {
        node.name: [dim.dim_param or dim.dim_value for dim in node.type.tensor_type.shape.dim]
        for node in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {"cells": ["n", 18, 72], "logit": ["n"], "score": ["n"]}
    assert str(Path(__file__).parents[1]).encode() not in path.read_bytes()  # no folder of this machine


@pytest.mark.parametrize("deterministic", [False, True])
def test_two_exports_are_the_same_bytes(make: Make, deterministic: bool) -> None:
    classifier = make("ecal_simple_cnn")
    torch.use_deterministic_algorithms(deterministic)
    try:
        first, second = (to_onnx(classifier).SerializeToString(deterministic=True) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert first == second


def test_a_graph_of_other_weights_is_refused(make: Make) -> None:
    classifier = make("ecal_simple_mlp")
    graph = to_onnx(classifier).SerializeToString()
    with torch.no_grad():
        classifier.model.get_classifier().bias += 0.01  # type: ignore[operator]
    with pytest.raises(TrainingError, match=r"other logits under onnxruntime than under torch: they differ by 0\.0"):
        check_onnx(graph, classifier)


def test_what_onnx_does_not_know_is_one_sentence(make: Make, tmp_path: Path) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(x[:, 0, :, :18]).real[:, :1] * self.weight

    known = make("ecal_simple_cnn")
    odd = Classifier("odd", Odd().eval(), known.inputs, AMS, known.info, known.path)
    with pytest.raises(
        TrainingError, match=r"run\.safetensors \(ecal_simple_cnn\) cannot become an ONNX file: "
    ) as told:
        export_onnx(odd, tmp_path / "odd.onnx")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "odd.onnx").exists()


def test_only_networks_become_onnx(make: Make, tmp_path: Path) -> None:
    class Method:
        name, info, path = "bdt", {"model": "shower_bdt"}, tmp_path / "weights.ubj"

    with pytest.raises(TrainingError, match=r"weights\.ubj \(shower_bdt\) is no neural network"):
        export_onnx(Method(), tmp_path / "bdt.onnx")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=r"cnn\.pt is no \.onnx file"):
        export_onnx(make("ecal_simple_cnn"), tmp_path / "cnn.pt")


def test_predict_under_both_backends(make: Make) -> None:
    classifier, showers = make("ecal_simple_cnn"), toy_showers(200)
    scores = {name: predict(classifier, showers, backend=name, threads=1) for name in ("torch", "onnxruntime", "auto")}
    expected = scores["torch"]["run"].to_numpy()
    np.testing.assert_allclose(scores["onnxruntime"]["run"], expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))
    np.testing.assert_array_equal(scores["auto"]["run"], expected)  # few events
    told = {name: table.attrs["models"]["run"]["backend"].split()[0] for name, table in scores.items()}
    assert told == {"torch": "torch", "onnxruntime": "onnxruntime", "auto": "torch"}
    with pytest.raises(TrainingError, match="backend is 'tensorrt'; expected one of auto, torch, onnxruntime"):
        predict(classifier, showers, backend="tensorrt")


@pytest.mark.parametrize(("faster", "chosen"), [("torch", "torch"), ("onnxruntime", "onnxruntime")])
def test_auto_takes_the_faster_one_for_many_events(
    make: Make, monkeypatch: pytest.MonkeyPatch, faster: str, chosen: str
) -> None:
    monkeypatch.setattr(
        "ecalnb.training.backends._seconds", lambda scorer: 1.0 if scorer.backend.startswith(faster) else 2.0
    )
    classifier = make("ecal_simple_cnn")
    scorer = make_scorer(classifier, backend="auto", device="cpu", threads=1, batch_size=None, events=1e6)
    assert scorer.backend.startswith(chosen)


@pytest.mark.parametrize(("events", "larger"), [(100, False), (1e6, True)])
def test_larger_batches_are_tried_for_many_events(
    make: Make, monkeypatch: pytest.MonkeyPatch, events: float, larger: bool
) -> None:
    monkeypatch.setattr("ecalnb.training.backends._seconds", lambda scorer: 1e-2 / scorer.batch_size)
    classifier = make("ecal_simple_cnn")
    options: dict[str, Any] = {"backend": "torch", "device": "cpu", "threads": 1, "events": events}
    size = best_batch_size(classifier)
    assert make_scorer(classifier, batch_size=None, **options).batch_size == (4 * size if larger else size)
    assert make_scorer(classifier, batch_size=24, **options).batch_size == 24


def test_auto_stays_with_torch_where_a_graph_is_wrong(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = make("ecal_simple_cnn")
    wrong = to_onnx(make("ecal_simple_cnn", {"normalisation": "raw"}, name="other"))
    monkeypatch.setattr("ecalnb.training.backends.to_onnx", lambda _: wrong)
    monkeypatch.setattr("ecalnb.training.backends._WORTH_GRAPH", 0.0)
    scorer = make_scorer(classifier, backend="auto", device="cpu", threads=1, batch_size=None, events=1e6)
    assert scorer.backend.startswith("torch")
    assert "gives other logits under onnxruntime" in caplog.text


def test_batches_are_smaller_for_larger_networks(make: Make) -> None:
    sizes = [best_batch_size(make(model)) for model in ("ecal_simple_mlp", "ecal_simple_cnn", "ecal_cvt")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 512
    assert sizes[2] < 32


def test_a_missing_extra_is_named(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = make("ecal_simple_cnn")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "ecalnb\[export\]"'):
        to_onnx(classifier)
    assert main(["export", str(classifier.path), "-o", "cnn.onnx"]) == 1
    assert 'onnxscript is not installed, which this needs: pip install "ecalnb[export]"' in capsys.readouterr().err


def test_command(make: Make, tmp_path: Path) -> None:
    path = make("ecal_simple_mlp").path
    code = "import sys; from ecalnb.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "export", str(path), "-o", str(tmp_path / "mlp.onnx")]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{tmp_path / 'mlp.onnx'}: 0.8 MB\n"
    assert len(result.stderr.splitlines()) == 1  # the exporter keeps quiet
    assert "differs from torch" in result.stderr

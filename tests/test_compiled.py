"""Machine code on disk: used again, and not when the package has changed."""

import importlib.util
import sys

import pytest

from ecalnb import _compiled


@pytest.fixture
def load(tmp_path):
    """Load a module with a compiled function anew, as another process would."""
    path = tmp_path / "compiled_toy.py"
    path.write_text("from ecalnb._compiled import jit\n\n@jit\ndef double(x):\n    return 2 * x\n")

    def loaded():
        spec = importlib.util.spec_from_file_location("compiled_toy", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["compiled_toy"] = module
        spec.loader.exec_module(module)
        assert module.double(21) == 42
        return sum(module.double.stats.cache_hits.values())

    yield loaded
    sys.modules.pop("compiled_toy", None)


def test_machine_code_is_used_again(load):
    assert load() == 0
    assert load() == 1


def test_machine_code_of_another_state_of_the_package_is_not_used(load, monkeypatch):
    load()
    monkeypatch.setattr(_compiled, "_STAMP", "another")
    assert load() == 0
    assert load() == 1


def test_stamp_follows_the_files(tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(_compiled, "__file__", str(package / "_compiled.py"))
    (package / "kernel.py").write_text("a = 1\n")
    before = _compiled._package_stamp()
    assert before == _compiled._package_stamp()
    (package / "kernel.py").write_text("a = 12\n")
    assert _compiled._package_stamp() != before

import io
import sys

import pytest

from ecalnb import _progress
from ecalnb._progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let stderr be a terminal; to be called in the test itself, since pytest exchanges stderr after the fixtures."""
    monkeypatch.delenv("ECALNB_BATCH", raising=False)
    for module in ("ipykernel", "IPython"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    return stream


def test_bar_in_a_terminal(monkeypatch):
    terminal = open_terminal(monkeypatch)
    with progress(total=50, description="Reading") as bar:
        bar.advance(20)
        bar.advance(30)
    assert bar.done == 50
    assert "Reading" in terminal.getvalue()
    assert _progress._shown is None


def test_bar_inside_a_bar(monkeypatch):
    terminal = open_terminal(monkeypatch)
    with progress(["a", "b"], description="Files") as files:
        for _ in files:
            with progress(description="Events of an unknown number") as events:
                events.advance(7)
    assert files.done == 2
    assert "Files" in terminal.getvalue()
    assert "unknown number" in terminal.getvalue()
    assert _progress._shown is None


def test_bar_disappears_after_an_error(monkeypatch):
    terminal = open_terminal(monkeypatch)
    with pytest.raises(KeyError), progress(total=3, description="Reading"):
        raise KeyError
    assert terminal.getvalue()
    assert _progress._shown is None


def test_silent_under_papermill(monkeypatch):
    terminal = open_terminal(monkeypatch)
    monkeypatch.setenv("ECALNB_BATCH", "1")
    with progress(range(5), description="Reading") as bar:
        assert list(bar) == [0, 1, 2, 3, 4]
    assert terminal.getvalue() == ""


def test_silent_in_a_pipe(monkeypatch):
    monkeypatch.delenv("ECALNB_BATCH", raising=False)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(total=5, description="Reading") as bar:
        bar.advance(5)
    assert stream.getvalue() == ""

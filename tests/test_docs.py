"""The worked example of the documentation is a program that runs."""

import re
from pathlib import Path

import matplotlib.pyplot as plt

DOCS = Path(__file__).parent.parent / "docs"


def test_another_calorimeter_goes_all_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "own-detector.md").read_text(), re.DOTALL | re.MULTILINE)
    program: dict = {}
    exec("\n".join(blocks), program)
    plt.close("all")
    assert program["showers"].images.shape == (3000, 14, 22)
    assert program["store"].geometry == program["bgo"]
    assert (program["curve"]["rejection"] > 10).all()
    assert Path("event.png").stat().st_size > 10_000

"""Worked examples of the documentation run, its pages are linked, and the citation is valid."""

import re
import shlex
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import yaml

import ecalnb
from ecalnb.cli import app
from ecalnb.schema import load_schema

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


@pytest.mark.slow
def test_first_steps_with_ams_ntuples_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "ams-ntuples.md").read_text()
    blocks = re.findall(r"^```(bash|python|toml)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for language, block in blocks:
        if language == "bash":
            for line in block.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "ecalnb"
                app(arguments, standalone_mode=False)
        elif language == "python":
            exec(block, {})
    plt.close("all")
    assert len(pd.read_parquet("scores.parquet")) > 100
    assert Path("first_look.png").stat().st_size > 10_000
    schema, datasets = (block for language, block in blocks if language == "toml")
    Path("my_ams.toml").write_text(schema)
    assert load_schema(Path("my_ams.toml")).front_face_z == -142.792  # cm
    assert tomllib.loads(datasets)["datasets"]["flight"]["kind"] == "flight"


def test_every_page_is_in_the_index():
    index = (DOCS / "index.md").read_text()
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert {page for page in pages if not re.search(rf"^{page}$", index, re.MULTILINE)} == set()


def test_the_citation_has_what_the_format_requires():
    # https://github.com/citation-file-format/citation-file-format/blob/main/schema-guide.md
    citation = yaml.safe_load((DOCS.parent / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in {"software", "dataset"}
    assert str(citation["version"]) == ecalnb.__version__
    for work in (citation, *citation["references"]):
        assert all({"name"} == set(author) or "family-names" in author for author in work["authors"])
    assert {"type", "title", "authors"} <= set(citation["references"][0])

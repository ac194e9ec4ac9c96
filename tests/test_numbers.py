"""The numbers in README and docs are those of the recorded run, or say where else they are from."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import check_numbers  # noqa: E402
import freeze  # noqa: E402


def number(value, low, high, is_limit=False, note=""):
    return {"value": value, "low": low, "high": high, "is_limit": is_limit, "unit": "", "note": note}


METRICS = {
    "04": {
        "numbers": {
            "cnn: rejection": number(1058.8, 732.2, 1533.1, note="matched; 10 of 10588 protons pass"),
            "bdt: rejection": number(920.6, 920.6, None, is_limit=True, note="0 of 2119 protons pass"),
            "svm: rejection": number(2119.0, 644.7, None, note="1 of 2119 protons pass"),
            "test protons": number(10588, 10588, 10588),
            "spread": number(0.01982, 0.01127, 0.02566),
        },
        "tables": {"shares": [{"low": 20, "part": 0.0269, "part_low": 0.0239, "part_high": 0.0303}]},
    }
}


def test_pages_agree_with_the_recorded_run():
    assert check_numbers.check() == []


def test_every_figure_of_the_readme_is_one_that_is_frozen_with_the_numbers():
    shown = set(check_numbers.re.findall(r"\]\(figures/(\w+\.png)\)", (ROOT / "README.md").read_text()))
    assert shown == {path.name for path in (ROOT / "figures").glob("*.png")}


@pytest.mark.parametrize(
    ("old", "source", "new"),
    [
        ("1 (1 - 1)", "04 cnn: rejection", "1,060 (730 - 1,530)"),
        ("1,000 ± 300", "04 cnn: rejection", "1,060 ± 400"),
        ("900", "04 cnn: rejection", "1,060"),
        ("5 (4 - 6), 3", "04 cnn: rejection | passed", "1,060 (730 - 1,530), 10"),
        ("5 (4 - 6)", "04 bdt: rejection", "> 920"),
        ("> 5", "04 svm: rejection", "2,100 (600 - ∞)"),
        ("10,587", "04 test protons", "10,588"),
        ("0.1 (0.0 - 0.2)", "04 spread", "0.020 (0.011 - 0.026)"),
        ("2 (1 - 3) %", "04 shares[low=20] part | %", "2.69 (2.39 - 3.03) %"),
    ],
)
def test_a_number_is_rewritten_in_the_form_in_which_it_stood(old, source, new):
    text = f"It is {old}<!-- {source} --> here.\n"
    changed, faults = check_numbers.brought_up(text, METRICS)
    assert (changed, faults) == (f"It is {new}<!-- {source} --> here.\n", [])
    assert check_numbers.brought_up(changed, METRICS) == (changed, [])


def test_a_table_is_filled_by_its_comment():
    spec = '<!-- numbers\nrows = ["cnn", "mlp", "bdt"]\ncolumns = ["04 {}: rejection | passed", ""]\n-->\n\n'
    table = "| model | R | by |\n|---|---|---|\n| CNN | 1 | me |\n| MLP | 1 (0 - 2) | you |\n| BDT | 7 | them |\n"
    changed, faults = check_numbers.brought_up(spec + table + "\nText.\n", METRICS)
    assert not faults
    assert changed.splitlines()[-5:] == [
        "| CNN | 1,060 (730 - 1,530), 10 | me |",
        "| MLP | | you |",
        "| BDT | > 920 | them |",
        "",
        "Text.",
    ]
    assert not list(check_numbers.without_source(changed))


def test_a_source_that_does_not_exist_is_a_fault():
    for source in ("04 nothing", "05 spread", "04 shares[low=30] part"):
        text, faults = check_numbers.brought_up(f"2.0 (1.0 - 3.0)<!-- {source} -->", METRICS)
        assert len(faults) == 1
        assert text.startswith("2.0 (1.0")


def test_a_result_without_a_source_is_found_up_to_the_next_heading():
    page = (
        "# A\n\n<!-- measured: toys, today -->\n1.5 ± 0.2, 3 (2 - 5)\n\n## B\n\n3 (2 to 5) and 1.5 +- 0.2, x (a - b)\n"
    )
    assert list(check_numbers.without_source(page)) == ["3 (2 to 5)", "1.5 +- 0.2"]


def test_freezing_takes_a_whole_run_or_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"has no metrics/00_event_display\.json"):
        freeze.freeze(tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "figures").mkdir()
    for figure in (ROOT / "figures").glob("*.png"):
        (tmp_path / "figures" / figure.name).touch()
    for seed, notebook in enumerate(sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))):
        data = {"parameters": {"scale": "demo", "seed": seed}, "numbers": {}, "tables": {}}
        (tmp_path / "metrics" / f"{notebook.stem}.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match="expected one of each"):
        freeze.freeze(tmp_path)
    assert check_numbers.check() == []

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ecalnb.schema import FLOAT32_PI, UNITS, Column, Schema, load_schema

MINIMAL = """
tree = "t1"
[cells]
branch = "e"
[columns.en3d]
branch = "energy"
unit = "MeV"
"""

# Branches of the ntuple as the physics reference lists them, apart from the cells and the heights.
LISTED = [
    *("en3d", "mom", "ecal3dbdt", "EcalEMlhd"),
    *("Trk_Ecal_Inci_X", "Trk_Ecal_Inci_Y", "Trk_Ecal_Inci_Zenith", "Trk_Ecal_Inci_Azimutal"),
    *("Ecal_ShwrX0", "Ecal_ShwrY0", "Ecal_Zenith", "Ecal_Azimutal", "Ecal_ShwrE0", "Ecal_ShwrA0"),
    *("Rigidity_electron_fit", "Rigidity_proton_fit"),
    *(
        "trd_lik",
        "trd_like",
        "TRD_e_likelihood",
        "TRD_p_likelihood",
        "TRD_he_likelihood",
        "prob_e",
        "prob_p",
        "prob_he",
    ),
    *("TRD_charge", "trd_statk", "trd_nhitk", "trd_onhitk", "trd_oampk", "trd_qrmsk", "trd_qk"),
    *("n_trd_rawhits", "n_Trd_Cluster", "nTRDseg", "n_TrdH_Segment", "n_TrdH_Track", "N_TRDH_TR_hits"),
    *("IsGoodBeta", "betaH_pattern", "GetNCC"),
]


def test_ams_has_every_branch_with_unit_and_description():
    schema = load_schema()
    columns = {column.branch: column for column in schema.columns}
    assert set(LISTED) <= set(columns)
    assert all(column.description for column in schema.columns)
    assert [column.name for column in schema.columns if column.required] == ["en3d"]
    assert columns["trd_lik"].names == ("trd_lik_0", "trd_lik_1", "trd_lik_2")
    assert {track.name: track.z for track in schema.tracks} == {"track": "Trk_Ecal_Inci_Z", "shower": "Ecal_ShwrZ0"}
    assert (schema.tree, schema.front_face_z, schema.cells.branch, schema.cells.factor) == (
        "t1",
        0.0,
        "edep_cell",
        1e-3,
    )
    assert (schema.particles[11], schema.particles[-11], schema.particles[2212]) == ("electron", "positron", "proton")
    names = schema.names
    assert len(set(names)) == len(names)


def test_ams_detector_differs_in_the_front_face_only():
    assert replace(load_schema("ams_detector"), name="ams", front_face_z=0.0) == load_schema("ams")
    assert load_schema("ams_detector").front_face_z == -142.792


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("MeV", 1500, 1.5),
        ("TeV", 2, 2000),
        ("cm", 3, 30),
        ("m", 1, 1000),
        ("deg", 180, math.pi),
        ("GV", 5, 5),
        ("", 7, 7),
    ],
)
def test_units(unit, value, expected):
    assert Column("a", "b", unit).from_file(np.array([value]))[0] == pytest.approx(expected)


def test_zenith_of_a_downgoing_particle():
    inclination = Column("a", "b", "deg", convert="zenith").from_file(np.array([180.0, 155.0]))
    np.testing.assert_allclose(np.degrees(inclination), [0, 25], atol=1e-12)


def test_opposite_azimuth_points_the_other_way():
    azimuth = Column("a", "b", "rad", convert="opposite").from_file(np.array([0.3, -2.0]))
    np.testing.assert_allclose(np.cos(azimuth), -np.cos([0.3, -2.0]))
    np.testing.assert_allclose(np.sin(azimuth), -np.sin([0.3, -2.0]))


@given(st.sampled_from(sorted(UNITS)), st.sampled_from(["none", "zenith", "opposite"]), st.floats(-1e6, 1e6))
def test_writing_is_the_inverse_of_reading(unit, convert, value):
    # A zenith angle beyond pi by no more than a float32 rounds is that of a vertical track.
    assume(convert != "zenith" or not -FLOAT32_PI < value < 0)
    column = Column("a", "b", unit, convert=convert)
    there_and_back = column.from_file(column.to_file(np.array([value])))
    np.testing.assert_allclose(there_and_back, [value], rtol=1e-12, atol=1e-9)


def test_schema_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    schema = Schema.load(path)
    assert (schema.name, schema.tree, schema.cells.factor, schema.front_face_z) == ("mine", "t1", 1.0, 0.0)
    assert load_schema(str(path)) == schema
    assert load_schema(schema) is schema


def test_schema_on_top_of_another(tmp_path):
    (tmp_path / "mine.toml").write_text('base = "ams"\n[cells]\nscale = 1.05\n[columns.en3d]\nbranch = "energyE"\n')
    (tmp_path / "further.toml").write_text('base = "mine.toml"\nfront_face_z = -10\n')
    schema, ams = load_schema(tmp_path / "further.toml"), load_schema()
    assert schema.front_face_z == -10
    assert schema.cells.branch == "edep_cell"
    assert schema.cells.factor == pytest.approx(1.05e-3)
    assert {column.name for column in schema.columns} == {column.name for column in ams.columns}
    assert next(column for column in schema.columns if column.name == "en3d").branch == "energyE"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "requried = true", r"\[columns.en3d\]: unknown key 'requried'.*did you mean 'required'"),
        ("front_face = 1\n" + MINIMAL, "unknown key 'front_face'.*did you mean 'front_face_z'"),
        (MINIMAL.replace("MeV", "mev"), r"column 'en3d': unit 'mev' is not one of 'eV'"),
        (MINIMAL.replace('branch = "e"', 'branch = "e"\nscale = -1'), r"\[cells\]: scale -1 is not a positive"),
        (MINIMAL.replace('branch = "energy"', ""), r"\[columns.en3d\]: the key 'branch' is missing"),
        (MINIMAL.replace('tree = "t1"', ""), "the key 'tree' is missing"),
        (MINIMAL + 'form = "jagged"', "form 'jagged' is not one of 'scalar', 'vector', 'array'"),
        (MINIMAL + 'form = "array"', "1 elements do not go with form 'array'"),
        (MINIMAL + 'type = "double"', "type 'double' is not one of"),
        (MINIMAL + 'convert = "Zenith"', "convert 'Zenith' is not one of"),
        (MINIMAL + "[particles]\nelectron = 11", "electron"),
        (MINIMAL + '[tracks.track]\nheight = "z"', r"\[tracks.track\]: unknown key 'height'"),
        (MINIMAL + "[columns", "is not valid TOML"),
        ('base = "bad.toml"', "the base is the schema itself"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"(?s)bad\.toml.*{message}"):
        load_schema(path)


def test_unknown_schemas(tmp_path):
    with pytest.raises(ValueError, match="no packaged schema is named 'asm'; expected one of ams, ams_detector"):
        load_schema("asm")
    with pytest.raises(FileNotFoundError, match=r"no\.toml: no such file"):
        load_schema(tmp_path / "no.toml")

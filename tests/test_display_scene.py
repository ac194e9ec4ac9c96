"""The shower in space: is every bar, crossing and line where the geometry says, and does k3d get just that?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecalnb.display import scene
from ecalnb.display.views import energy_scale
from ecalnb.geometry import AMS, Calorimeter, Tracks

SMALL = Calorimeter("small", ("x", "y", "x"), 4, 20.0, 30.0, 10.0, 0.5)


def image_with(*cells, geometry=AMS):
    image = np.zeros(geometry.shape)
    for layer, cell, energy in cells:
        image[layer, cell] = energy
    return image


@pytest.mark.parametrize(("layer", "cell"), [(0, 0), (2, 10), (17, 71)])
def test_a_bar_is_as_large_as_its_cell_and_where_that_is(layer, cell):
    bars = scene.hit_bars(image_with((layer, cell, 0.5)), AMS)
    assert (bars.layer.tolist(), bars.cell.tolist(), bars.energy.tolist()) == ([layer], [cell], [0.5])
    across = "xy".index(AMS.views[layer])
    size = (bars.high - bars.low)[0]
    assert sorted(size) == pytest.approx([9.0, 9.25, 648.0])
    assert size[across] == 9.0
    middle = (bars.high + bars.low)[0] / 2
    assert middle[across] == AMS.cell_centers([cell])[0]
    assert middle[1 - across] == 0
    assert -middle[2] == AMS.layer_depths[layer]


def test_cells_below_the_threshold_or_not_finite_have_no_bar():
    image = image_with((0, 1, np.nan), (1, 2, np.inf), (2, 3, -1.0), (3, 4, 0.001), (4, 5, 0.01))
    assert scene.hit_bars(image, AMS, 0.002).layer.tolist() == [4]
    with pytest.raises(ValueError, match=r"\(3, 3\).*\(18, 72\)"):
        scene.hit_bars(np.zeros((3, 3)), AMS)


def test_the_mesh_of_a_box_is_closed_and_encloses_its_volume():
    low, high = np.array([[0.0, 0, 0], [5, 5, 5]]), np.array([[1.0, 2, 3], [7, 6, 5.5]])
    vertices, triangles = scene.box_mesh(low, high)
    assert vertices.shape == (16, 3)
    assert triangles.shape == (24, 3)
    a, b, c = (vertices[triangles[:, i]].astype(float) for i in range(3))
    # By the divergence theorem; the sign says that all triangles look outwards.
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).reshape(2, 12).sum(axis=1) / 6
    assert volume == pytest.approx([6, 1])
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_outlines_have_the_edges_of_boxes_or_of_the_ends_of_bars():
    bars = scene.hit_bars(image_with((0, 7, 1.0), (2, 9, 1.0)), AMS)
    vertices, edges = scene.outline(bars.low, bars.high)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    assert sorted(lengths) == pytest.approx([9.0] * 8 + [9.25] * 8 + [648] * 8)
    vertices, edges = scene.outline(bars.low, bars.high, ends_only=True)
    assert edges.shape == (16, 2)
    assert np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1).max() == pytest.approx(9.25)


def test_two_crossing_bars_make_a_point_in_each_layer():
    points = scene.crossings(image_with((1, 30, 2.0), (2, 50, 3.0)), AMS)
    x, y = AMS.cell_centers([50])[0], AMS.cell_centers([30])[0]
    assert points.position[:, :2].tolist() == [[x, y], [x, y]]
    assert (-points.position[:, 2]).tolist() == AMS.layer_depths[[1, 2]].tolist()
    assert points.energy.tolist() == [2.0, 3.0]


def test_crossings_interpolate_between_the_layers_above_and_below():
    image = image_with((0, 0, 1.0), (2, 3, 1.0), geometry=SMALL)
    image[1, 2] = 8.0  # the y layer in the middle: half of it where the layer above is, half where that below is
    points = scene.crossings(image, SMALL)
    middle = points.position[:, 2] == -SMALL.layer_depths[1]
    assert points.energy[middle].tolist() == [4.0, 4.0]
    assert sorted(points.position[middle, 0]) == SMALL.cell_centers([0, 3]).tolist()


@given(st.integers(0, 2**32 - 1))
def test_crossings_keep_the_energy_of_every_layer(seed):
    rng = np.random.default_rng(seed)
    image = np.where(rng.random(SMALL.shape) < 0.5, rng.exponential(size=SMALL.shape), 0.0)
    points = scene.crossings(image, SMALL)
    totals = image.sum(axis=1)
    others = {"x": totals[[1]], "y": totals[[0, 2]]}  # energy of the other view
    for layer, depth in enumerate(SMALL.layer_depths):
        here = points.energy[points.position[:, 2] == -depth].sum()
        expected = totals[layer] if (others[SMALL.views[layer]] > 0).any() else 0.0
        assert here == pytest.approx(expected)


def test_nothing_crosses_in_an_event_without_energy_or_with_one_view():
    assert len(scene.crossings(np.zeros(AMS.shape), AMS)) == 0
    assert len(scene.crossings(image_with((0, 3, 1.0), (1, 3, 1.0)), AMS)) == 0


def test_the_line_of_an_axis_follows_it():
    ends = scene.axis_line(Tracks([10.0], [-20.0], [np.arctan(0.5)], [0.0]), AMS, margin=10)
    assert ends == pytest.approx(np.array([[5.0, -20, 10], [10 + 0.5 * 176.5, -20, -176.5]]))
    assert scene.axis_line(Tracks([np.nan], [0.0], [0.1], [0.0]), AMS) is None
    with pytest.raises(ValueError, match="2 lines"):
        scene.axis_line(Tracks([0, 1], [0, 1], [0, 0], [0, 0]), AMS)


@pytest.mark.parametrize("name", scene.CAMERAS)
def test_a_camera_sees_the_whole_calorimeter(name):
    aspect = 1.3
    position, target, up = np.array(scene.camera(name, AMS, aspect)).reshape(3, 3)
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, up) / np.linalg.norm(np.cross(forward, up))
    corners = np.array([[x, y, z] for x in (-324, 324) for y in (-324, 324) for z in (0, -AMS.thickness)]) - position
    opening = np.tan(np.radians(scene.FIELD_OF_VIEW / 2))
    depth = corners @ forward
    assert (abs(corners @ np.cross(right, forward)) < opening * depth).all()
    assert (abs(corners @ right) < aspect * opening * depth).all()


def test_projections_look_along_the_other_coordinate_with_depth_downwards():
    position, target, up = np.array(scene.camera("XZ", AMS)).reshape(3, 3)
    assert np.cross(target - position, up)[0] > 0  # x to the right
    position, target, up = np.array(scene.camera("YZ", AMS)).reshape(3, 3)
    assert np.cross(target - position, up)[1] > 0
    with pytest.raises(ValueError, match="'side' is not one of perspective, top, XZ, YZ"):
        scene.camera("side", AMS)


# ---------------------------------------------------------------------------------------------------------- k3d


@pytest.fixture
def drawn():
    pytest.importorskip("k3d")
    from ecalnb.display.scene3d import Scene

    return Scene(AMS)


def drawn_cells(drawn):
    """Layers and cells of the triangles that are drawn."""
    bars = np.unique(drawn._mesh.indices // 8) if drawn._mesh.visible else np.empty(0, int)
    return {divmod(int(bar), AMS.n_cells) for bar in bars}


def test_k3d_draws_the_bars_above_the_threshold(drawn):
    drawn.show(image_with((3, 5, 0.1), (4, 6, 0.001), (9, 70, 1.0)))
    assert drawn_cells(drawn) == {(3, 5), (9, 70)}
    drawn.threshold = 0.5
    drawn.update()
    assert drawn_cells(drawn) == {(9, 70)}
    drawn.threshold = 5.0
    drawn.update()
    assert drawn_cells(drawn) == set()
    assert not drawn._edges.visible


def test_k3d_draws_one_view_or_the_crossings(drawn):
    drawn.show(image_with((1, 5, 0.1), (2, 6, 0.2)))
    drawn.views = ("x",)
    drawn.update()
    assert drawn_cells(drawn) == {(2, 6)}
    drawn.shown = "crossings"
    drawn.update()
    assert drawn_cells(drawn) == set()
    assert drawn._points.visible
    assert len(drawn._points.positions) == 2


def test_colours_are_those_of_the_scale(drawn):
    import matplotlib as mpl

    image = image_with((3, 5, 0.1), (9, 70, 1.0))
    drawn.show(image)
    color = int(drawn._mesh.colors[8 * (9 * 72 + 70)])
    red, green, blue, _ = mpl.colormaps["viridis_r"](energy_scale(image)(1000.0))
    assert [color >> 16, color >> 8 & 255, color & 255] == pytest.approx([255 * red, 255 * green, 255 * blue], abs=0.6)


def test_values_with_a_sign_are_dense_at_both_ends(drawn):
    from ecalnb.display.attributions import attribution_cmap, attribution_scale

    image = image_with((3, 5, 1.0), (3, 6, 1.0), (3, 7, 1.0))
    values = image_with((3, 5, -2.0), (3, 6, 0.001), (3, 7, 2.0))
    norm = attribution_scale(values)
    drawn.show(image, values=values, norm=norm, cmap=attribution_cmap(norm))
    low, middle, high = (drawn._mesh.opacities[8 * (3 * 72 + cell)] for cell in (5, 6, 7))
    assert low == pytest.approx(high)
    assert low > 5 * middle


def test_axes_that_are_not_known_are_not_drawn(drawn):
    drawn.show(
        image_with((3, 5, 0.1)), {"track": Tracks([0], [0], [0.1], [0]), "true": Tracks([np.nan], [0], [0], [0])}
    )
    assert [name for name, line in drawn._lines.items() if line.visible] == ["track"]


def test_a_click_tells_the_cell_of_the_bar(drawn):
    picked = []
    drawn.picked = lambda layer, cell: picked.append((layer, cell))
    drawn.show(image_with((3, 5, 0.1), (9, 70, 1.0)))
    drawn._clicked({"face_index": 13})  # the second triangle of the second bar
    assert picked == [(9, 70)]
    assert drawn._marker.visible
    frame = drawn._marker.vertices
    assert frame[:, 2].max() == pytest.approx(-9 * 9.25 + 1.5)


def test_without_k3d_one_sentence_says_what_to_install():
    from ecalnb.display.scene3d import require

    with pytest.raises(ModuleNotFoundError, match=r'no_such_module is not installed.*"ecalnb\[display\]"'):
        require("no_such_module.part")

import logging
import struct
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from ecalnb import rootio
from ecalnb.rootio import RootError, chunk_entries, find_files, open_tree, write_tree


@pytest.fixture
def branches(rng):
    n = 57
    return {
        "cells": np.where(rng.random((n, 12)) < 0.1, rng.random((n, 12)), 0).astype(np.float32),
        "energy": np.repeat(rng.random(n // 3), 3),  # compresses, so that damage shows
        "hits": rng.integers(0, 1000, n).astype(np.int32),
        "x": ak.unflatten(rng.random(n).astype(np.float32), np.tile([2, 0, 1], n // 3)),
    }


# ------------------------------------------------------------------------------------------------------ finding files


def test_files_are_found_once_and_sorted(tmp_path):
    for name in ("b.root", "a.root", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.root").touch()
    found = find_files([tmp_path / "b.root", f"{tmp_path}/*.root", f"{tmp_path}/./a.root"])
    assert [path.name for path in found] == ["a.root", "b.root"]
    assert [path.name for path in find_files(f"{tmp_path}/**/*.root")] == ["a.root", "b.root", "d.root"]


def test_a_name_with_brackets_is_not_a_wildcard(tmp_path):
    (tmp_path / "run[1].root").touch()
    assert find_files(tmp_path / "run[1].root") == [tmp_path / "run[1].root"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("no.root", r"no\.root: no such file"),
        ("*.nothing", r"no file matches .*\*\.nothing"),
        (".", r"is a directory; expected ROOT files, for example .*\*\.root"),
    ],
)
def test_a_pattern_without_files_is_named(tmp_path, pattern, message):
    with pytest.raises(RootError, match=message):
        find_files(tmp_path / pattern)


def test_no_patterns():
    with pytest.raises(RootError, match="no files were given"):
        find_files([])


# ------------------------------------------------------------------------------------------------------ reading


def assert_same(read: list[dict], branches: dict) -> None:
    for name, values in branches.items():
        together = ak.concatenate([arrays[name] for arrays in read])
        assert together.tolist() == values.tolist(), name


@pytest.mark.parametrize("rntuple", [False, True])
@pytest.mark.parametrize("step", [1, 10, 57, 1000])
def test_chunks_are_the_whole(write_root, branches, rntuple, step):
    path = write_root(branches, rntuple=rntuple)
    with open_tree(path, "t1") as tree:
        assert tree.entries == 57
        assert tree.is_rntuple == rntuple
        assert set(branches) <= set(tree.branches())
        read = list(tree.iterate(branches, step))
    assert [len(arrays["energy"]) for arrays in read] == [min(step, 57 - start) for start in range(0, 57, step)]
    assert_same(read, branches)


@pytest.mark.parametrize("rntuple", [False, True])
def test_element_types(write_root, branches, rntuple):
    with open_tree(write_root(branches, rntuple=rntuple), "t1") as tree:
        dtype, shape = tree.element_type("cells")
        assert (dtype.newbyteorder("="), shape) == (np.dtype(np.float32), (12,))
        dtype, shape = tree.element_type("hits")
        assert (dtype.newbyteorder("="), shape) == (np.dtype(np.int32), ())
        assert tree.element_type("x") is None


@pytest.mark.parametrize(("start", "stop"), [(0, 57), (0, 1), (13, 14), (9, 41), (56, 57), (20, 20)])
def test_blocks_are_the_bytes_of_the_file(tmp_path, branches, start, stop):
    path = tmp_path / "baskets.root"
    pieces = [{"cells": branches["cells"][i : i + 10]} for i in range(0, 57, 10)]  # a basket each
    write_tree(path, "t1", pieces)
    with open_tree(path, "t1") as tree:
        blocks = list(tree.blocks("cells", start, stop))
    assert all(block.dtype == ">f4" for block in blocks)
    np.testing.assert_array_equal(np.concatenate([np.empty((0, 12)), *blocks]), branches["cells"][start:stop])


def test_blocks_of_a_branch_without(write_root, branches):
    with open_tree(write_root(branches), "t1") as tree, pytest.raises(TypeError, match="'x' has no blocks"):
        next(tree.blocks("x"))


def test_branches_of_one_name_in_two_objects_are_refused(write_root, branches):
    with open_tree(write_root(branches), "t1") as tree, pytest.raises(RootError, match=r"a/x, b/x two have the same"):
        next(tree.iterate(["a/x", "b/x"], 10))


def test_highest_cycle_wins_and_is_told(tmp_path, caplog):
    path = tmp_path / "cycles.root"
    with uproot.recreate(path) as file:
        for n in (4, 3):
            file.mktree("t1", {"a": np.int32}).extend({"a": np.full(n, n, np.int32)})
    with caplog.at_level(logging.INFO, logger="ecalnb"), open_tree(path, "t1") as tree:
        assert next(tree.iterate(["a"], 10))["a"].tolist() == [3, 3, 3]
    assert "cycles 1, 2" in caplog.text
    assert str(path) in caplog.text


def test_tree_in_a_directory(write_root, branches):
    path = write_root(branches, tree="selected/t1")
    with open_tree(path, "selected/t1") as tree:
        assert tree.entries == 57
    with pytest.raises(RootError, match=r"file\.root has no tree 't1'; it has 'selected/t1'"), open_tree(path, "t1"):
        pass


def test_missing_branch_lists_what_resembles_it(write_root, branches):
    with (
        open_tree(write_root(branches), "t1") as tree,
        pytest.raises(RootError, match=r"file\.root: the tree 't1' has no branch 'Cell'; did you mean 'cells'"),
    ):
        tree.require("Cell")


def test_file_without_trees(tmp_path):
    path = tmp_path / "histograms.root"
    with uproot.recreate(path) as file:
        file["h"] = np.histogram([1, 2, 3])
    with pytest.raises(RootError, match=r"has no tree 't1'; it has no tree at all"), open_tree(path, "t1"):
        pass


# ------------------------------------------------------------------------------------------------------ damaged files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"ro", "truncated"),
        (b"root\x00\x00", "truncated"),
        (b"# some text file, not ROOT at all", r"is not a ROOT file; it begins with b'# so'"),
        (b"root:x:0:0:root:/root:/bin/bash\n" * 9, r"is not a ROOT file; it begins with b'root:x:0:0:r'"),
        (b"\x89HDF\r\n\x1a\n" + bytes(1000), "is not a ROOT file"),
    ],
)
def test_what_is_no_root_file(tmp_path, content, message):
    path = tmp_path / "bad.root"
    path.write_bytes(content)
    with pytest.raises(RootError, match=rf"bad\.root.*{message}"), open_tree(path, "t1"):
        pass


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(RootError, match="no such file"), open_tree(tmp_path / "no.root", "t1"):
        pass
    with pytest.raises(RootError, match="is a directory"), open_tree(tmp_path, "t1"):
        pass


def read_all(path: Path) -> None:
    with open_tree(path, "t1") as tree:
        for _ in tree.blocks("cells"):
            pass
        for _ in tree.iterate(["energy", "x"], 10):
            pass


def test_truncated_file_says_its_sizes(write_root, branches, tmp_path):
    content = write_root(branches).read_bytes()
    for size in (63, 64, 300, len(content) // 2, len(content) - 1):
        path = tmp_path / f"cut{size}.root"
        path.write_bytes(content[:size])
        with pytest.raises(RootError, match=rf"cut{size}\.root is truncated: it has {size} bytes"):
            read_all(path)


@pytest.mark.parametrize("part", np.linspace(0.01, 0.99, 25))
def test_truncated_file_whose_header_does_not_tell(write_root, branches, tmp_path, part):
    content = bytearray(write_root(branches).read_bytes())
    size = int(part * len(content))
    content[12:16] = struct.pack(">i", min(size, len(content)))
    path = tmp_path / "cut.root"
    path.write_bytes(content[:size])
    with pytest.raises(RootError, match=r"cut\.root"):
        read_all(path)


@pytest.mark.parametrize("branch", ["cells", "energy", "x"])
def test_damaged_data_in_a_file_that_opens(write_root, branches, branch):
    path = write_root(branches)
    with uproot.open(path) as file:
        key = file["t1"][branch].basket_key(0)
        place = key.data_cursor.index
    content = bytearray(path.read_bytes())
    content[place : place + 20] = b"\xff" * 20
    path.write_bytes(content)
    with open_tree(path, "t1") as tree:  # opening works
        assert tree.entries == 57
    with pytest.raises(
        RootError, match=rf"file\.root: entries 0 to 57 of .*{branch}.* cannot be read; the file is damaged"
    ):
        read_all(path)


# ------------------------------------------------------------------------------------------------------ writing


def test_written_tree_is_read_by_plain_uproot(tmp_path, branches):
    path = tmp_path / "new.root"
    pieces = [{name: values[i : i + 20] for name, values in branches.items()} for i in range(0, 57, 20)]
    assert write_tree(path, "t1", iter(pieces), title="a title") == 57
    with uproot.open(path) as file:
        assert file.classnames() == {"t1;1": "TTree"}
        assert file.file.compression.name == "ZSTD"
        tree = file["t1"]
        assert tree.title == "a title"
        assert_same([tree.arrays()], branches)
        assert tree["x"].typename == "float[]"
        assert tree["nx"].array().tolist() == ak.num(branches["x"]).tolist()
        assert tree["cells"].typename == "float[12]"


def test_baskets_are_bounded(tmp_path, monkeypatch, branches):
    monkeypatch.setattr(rootio, "BASKET_BYTES", 480)
    write_tree(tmp_path / "new.root", "t1", [branches])
    with uproot.open(tmp_path / "new.root") as file:
        cells = file["t1"]["cells"]
        assert cells.num_baskets == 6  # of 10 entries of 48 bytes
        assert_same([file["t1"].arrays()], branches)


def test_failed_writing_leaves_nothing(tmp_path, branches):
    def chunks():
        yield branches
        raise OSError(28, "No space left on device")

    with pytest.raises(RootError, match=r"new\.root cannot be written: No space left on device"):
        write_tree(tmp_path / "new.root", "t1", chunks())
    assert list(tmp_path.iterdir()) == []


def test_failed_writing_leaves_the_old_file(tmp_path, branches):
    path = tmp_path / "new.root"
    write_tree(path, "t1", [branches])
    before = path.read_bytes()

    def chunks():
        yield branches
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tree(path, "t1", chunks(), overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_existing_file_is_kept_unless_told(tmp_path, branches):
    path = tmp_path / "new.root"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"new\.root exists"):
        write_tree(path, "t1", [branches])
    assert path.read_bytes() == b"precious"
    assert write_tree(path, "t1", [branches], overwrite=True) == 57


def test_writing_nothing_or_nowhere(tmp_path, branches):
    with pytest.raises(RootError, match="there are no events"):
        write_tree(tmp_path / "new.root", "t1", [])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RootError, match=r"new\.root cannot be written: there is no directory .*nowhere"):
        write_tree(tmp_path / "nowhere" / "new.root", "t1", [branches])
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------ chunks


@pytest.mark.parametrize(
    ("chunk", "entries"), [("100 MB", 100_000), ("1.5kB", 1), ("2500 B", 2), ("1 GB", 10**6), (17, 17), ("1 B", 1)]
)
def test_chunk_sizes(chunk, entries):
    assert chunk_entries(chunk, 1000) == entries


@pytest.mark.parametrize("chunk", ["100", "MB", "-1 MB", "1 TB", "ten MB", 0, -5])
def test_chunks_that_are_no_size(chunk):
    with pytest.raises(ValueError, match="chunk"):
        chunk_entries(chunk, 1000)

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from td3_hpc.checkpoint import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_file import read_table, read_tree, table_image, tree_image, write_file
from tests.checkpoint.rows import content, same, tree

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_0123456789.", min_size=1, max_size=12).filter(lambda name: name.strip("."))
DTYPES = st.sampled_from([np.uint8, np.int64, np.uint64, np.float32, np.float64, np.bool_])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))),
)
TREES = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=4)), max_size=6
)


@settings(max_examples=60)
@given(TREES)
def test_any_tree_comes_back(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("tree") / "tree.h5"
    write_file(path, tree_image(tree, {}))
    assert same(read_tree(path), tree)


def test_a_stranger_can_read_what_is_what(tmp_path):
    path = tmp_path / "tree.h5"
    meanings = {
        "counters/step": ("completed decisions of the run", "steps"),
        "*moment": ("Adam's", ""),
        "no/such": ("x", ""),
    }
    write_file(path, tree_image(tree(2), meanings))
    with h5py.File(path) as file:
        assert file["counters/step"][()] == 2
        assert file["counters/step"].attrs["description"] == "completed decisions of the run"
        assert file["counters/step"].attrs["unit"] == "steps"
        assert file["agent/optimizer/moment"].attrs["description"] == "Adam's"


def hostile(path, kind):
    with h5py.File(path, "w") as file:
        file.attrs["format"] = 1
        if kind == "external link":
            file["x"] = h5py.ExternalLink("/etc/passwd", "/")
        elif kind == "soft link":
            file["x"] = h5py.SoftLink("/x")
        elif kind == "objects":
            file.create_dataset("x", data=["a", "b"], dtype=h5py.string_dtype())
        elif kind == "external data":
            file.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])
        elif kind == "hundred gigabytes":
            file.create_dataset("x", (100 << 30,), "u1", chunks=(1 << 20,))
        elif kind == "too deep":
            file.create_group("/".join("g" * 40))


@pytest.mark.parametrize(
    "kind", ["external link", "soft link", "objects", "external data", "hundred gigabytes", "too deep"]
)
def test_what_points_elsewhere_or_claims_too_much_is_refused(tmp_path, kind):
    path = tmp_path / "hostile.h5"
    hostile(path, kind)
    with pytest.raises(CheckpointDamaged, match=r"hostile\.h5"):
        read_tree(path)


def test_a_table_of_another_size_is_refused(tmp_path):
    path = tmp_path / "rows.h5"
    write_file(path, table_image(content(0, 10), 0, compress=False))
    with pytest.raises(CheckpointDamaged, match="5 rows were expected"):
        read_table(path, 0, 5)
    with pytest.raises(CheckpointDamaged, match="does not start at row 3"):
        read_table(path, 3, 10)

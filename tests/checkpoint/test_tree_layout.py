import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from td3_hpc.checkpoint.hdf5_file import read_tree, write_file
from td3_hpc.checkpoint.tree_layout import TreeLayouts
from tests.checkpoint.rows import same
from tests.checkpoint.test_hdf5_file import TREES

NOTES = {"*": ("anything", "1")}


@settings(max_examples=40)
@given(st.lists(TREES, min_size=2, max_size=4), st.data())
def test_each_of_a_row_of_trees_comes_back(tmp_path_factory, trees, data):
    directory, layouts = tmp_path_factory.mktemp("trees"), TreeLayouts()
    for number, tree in enumerate([*trees, {**trees[0], **trees[1]}, trees[0]]):
        path = directory / f"{number}.h5"
        write_file(path, layouts.image(tree, NOTES if data.draw(st.booleans()) else {}, "run"))
        assert same(read_tree(path), tree)


def state(step, actions):
    return {
        "agent": {"weights": np.full((200, 100), step, np.float32), "seed": str(10**38 + step)},
        "episode": {"actions": np.full(actions, step)} if actions else None,
    }


def test_what_kept_its_shape_is_not_laid_out_again():
    layouts = TreeLayouts()
    first, second = (layouts.image(state(step, 3), NOTES) for step in (1, 2))
    assert first.layout.obj is second.layout.obj
    assert bytes(first) != bytes(second)


def test_other_shapes_are_added_to_what_stays(tmp_path):
    layouts = TreeLayouts()
    for step, actions in enumerate([3, 4, 5, 0, 6]):
        tree = state(step, actions)
        write_file(tmp_path / "state.h5", layouts.image(tree, NOTES))
        assert same(read_tree(tmp_path / "state.h5"), tree)


def test_equal_trees_make_equal_files():
    assert bytes(TreeLayouts().image(state(1, 2), NOTES)) == bytes(TreeLayouts().image(state(1, 2), NOTES))

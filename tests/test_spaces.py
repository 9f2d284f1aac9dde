"""The declaration of the observation and the action, and what is made of it."""

import mmap

import numpy as np
import pytest

from td3_hpc.driving.episode_log import checksum
from td3_hpc.driving.shared_observation import OBSERVATION_BYTES, read_observation, write_observation
from td3_hpc.replay.rows import SCHEMA
from td3_hpc.spaces import ACTION, FRAME_SHAPE, IMAGE, OBSERVATION, STACK, VECTOR, gymnasium_spaces, random_observation


def test_what_stands_in_files_keeps_its_names_and_shapes():
    stored = {name: (str(dtype), shape) for name, (dtype, shape) in SCHEMA.items()}
    assert list(stored)[:2] == ["frame", "vector"]
    assert (stored["frame"], stored["vector"], stored["action"]) == (
        ("uint8", (84, 84)),
        ("float32", (53,)),
        ("float32", (2,)),
    )


def test_entries_have_names_and_fields_of_their_own():
    entries = (*OBSERVATION, ACTION)
    assert len({entry.name for entry in entries}) == len({entry.row_field for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.low < entry.high
        assert entry.dtype.kind != "f" or (entry.low, entry.high) == (-1, 1), "normalised where it is made"
        assert not entry.stacked or entry.shape[0] == STACK


def test_random_observations_lie_in_the_space_and_follow_each_other():
    space, actions = gymnasium_spaces()
    generator = np.random.default_rng(1)
    first = random_observation(generator)
    second = random_observation(generator, first)
    assert space.contains(first)
    assert space.contains(second)
    assert actions.contains(ACTION.random(generator))
    assert all(entry.fits(second[entry.name]) for entry in OBSERVATION)
    assert (first["image"] == first["image"][0]).all()
    assert (second["image"][:-1] == first["image"][1:]).all()
    assert (second["image"][-1] != first["image"][-1]).any()


def test_another_shape_or_type_does_not_fit():
    assert VECTOR.fits(np.zeros(53, np.float32))
    assert not VECTOR.fits(np.zeros(52, np.float32))
    assert not VECTOR.fits(np.zeros(53))


def test_pixels_are_normalised_and_floats_are_already():
    assert [IMAGE.normalised(x) for x in (0, 255)] == [-1, 1]
    assert all(IMAGE.normalised(float(x)) == x / 127.5 - 1.0 for x in range(256))
    assert VECTOR.normalised(0.3) == 0.3
    assert (IMAGE.middle, VECTOR.middle) == (128, 0)


def test_an_observation_comes_out_of_the_shared_memory_as_it_went_in():
    memory = mmap.mmap(-1, OBSERVATION_BYTES)
    generator = np.random.default_rng(2)
    first, second = random_observation(generator), random_observation(generator)
    write_observation(memory, first)
    found = read_observation(memory)
    write_observation(memory, second)
    for entry in OBSERVATION:
        assert entry.fits(found[entry.name])
        assert found[entry.name].flags.aligned
        np.testing.assert_array_equal(found[entry.name], first[entry.name])


@pytest.mark.parametrize("entry", OBSERVATION, ids=lambda entry: entry.name)
def test_an_episodes_checksum_covers_the_newest_of_every_entry(entry):
    observation = random_observation(np.random.default_rng(3))
    other = {name: array.copy() for name, array in observation.items()}
    other[entry.name][-1] = entry.high
    assert checksum(other, 0.5) != checksum(observation, 0.5)
    if entry.stacked:
        older = {**observation, entry.name: observation[entry.name].copy()}
        older[entry.name][0] = 0
        assert checksum(older, 0.5) == checksum(observation, 0.5)


def test_the_frame_is_that_of_the_image():
    assert IMAGE.row_shape == FRAME_SHAPE

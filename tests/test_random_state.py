"""NumPy generators as state trees."""

import numpy as np
import pytest

from td3_hpc.random_state import generator_state, load_generator_state


def test_a_restored_generator_goes_on_the_same():
    generator = np.random.Generator(np.random.PCG64(3))
    generator.integers(0, 100, dtype=np.uint32)  # leaves half a word in the generator's buffer
    state = generator_state(generator)
    other = np.random.Generator(np.random.PCG64(4))
    load_generator_state(other, state, "stream")
    for _ in range(3):
        assert generator.integers(0, 100, dtype=np.uint32) == other.integers(0, 100, dtype=np.uint32)
        assert generator.normal() == other.normal()


def test_other_kinds_of_generators_are_refused():
    with pytest.raises(ValueError, match="PCG64"):
        generator_state(np.random.Generator(np.random.MT19937(1)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"state": "no number"}, "stream: .*no number"),
        ({"uinteger": None}, "stream: "),
        ({"state": str(-1)}, "stream: "),
    ],
)
def test_damaged_state_is_refused(damage, message):
    generator = np.random.Generator(np.random.PCG64(3))
    with pytest.raises(ValueError, match=message):
        load_generator_state(generator, generator_state(generator) | damage, "stream")


def test_missing_entry_is_named():
    generator = np.random.Generator(np.random.PCG64(3))
    state = generator_state(generator)
    del state["increment"]
    with pytest.raises(ValueError, match="stream: entry 'increment' is missing"):
        load_generator_state(generator, state, "stream")

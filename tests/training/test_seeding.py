from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.training.seeding import derived_seed, generator

seeds = st.integers(0, 2**63 - 1)


@given(seeds, st.integers(0, 10_000))
def test_a_seed_is_a_function_of_its_arguments(seed, index):
    value = derived_seed(seed, "episode", index)
    assert 0 <= value < 2**63
    assert value == derived_seed(seed, "episode", index)
    assert value != derived_seed(seed, "episode", index + 1)
    assert value != derived_seed(seed, "evaluation", index)


@given(seeds)
def test_streams_are_independent(seed):
    assert generator(seed, "a").integers(2**60) == generator(seed, "a").integers(2**60)
    assert generator(seed, "a").integers(2**60) != generator(seed, "b").integers(2**60)

import math

from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.training.telemetry.accumulator import Accumulator

finite = st.floats(-1e6, 1e6)
calls = st.lists(
    st.tuples(st.sampled_from(["mean", "high", "low"]), st.sampled_from(["a", "a/b", "c"]), finite), max_size=40
)


def fill(accumulator, items):
    for method, name, value in items:
        getattr(accumulator, method)(name, value)


@given(st.lists(finite, min_size=1))
def test_summary_is_that_of_the_values(values):
    accumulator = Accumulator()
    for value in values:
        accumulator.mean("x", value)
        accumulator.high("x", value)
        accumulator.low("x", value)
    summary = accumulator.flush()
    assert math.isclose(summary["x"], math.fsum(values) / len(values), rel_tol=1e-9, abs_tol=1e-6)
    assert summary["x_max"] == max(values)
    assert summary["x_min"] == min(values)
    assert accumulator.flush() == {}


@given(calls, calls)
def test_a_restored_one_continues_as_if_it_had_never_stopped(before, after):
    uninterrupted, first, second = Accumulator(), Accumulator(), Accumulator()
    fill(uninterrupted, before + after)
    fill(first, before)
    second.load_state(first.state())
    fill(second, after)
    assert repr(second.state()) == repr(uninterrupted.state())
    assert second.flush() == uninterrupted.flush()


def test_counts_add_up_and_a_nan_is_not_lost():
    accumulator = Accumulator()
    accumulator.count("errors", 0)
    accumulator.count("errors", 2)
    for value in (1.0, math.nan, 3.0):
        accumulator.high("q", value)
    summary = accumulator.flush()
    assert summary["errors"] == 2
    assert math.isnan(summary["q_max"])

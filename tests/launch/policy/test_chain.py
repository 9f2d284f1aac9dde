"""Which stages are queued behind which, a row a case."""

import pytest

from td3_hpc.launch.policy.chain import StageJobs, plan_chain

STAGES = ("a", "b", "c")
ALL = [(stage, seed) for stage in STAGES for seed in (1, 2)]
FIRST = StageJobs("a", (1, 2), 1, None)


@pytest.mark.parametrize(
    ("unfinished", "live", "chain_length", "expected"),
    [
        pytest.param(
            ALL, {}, None, [FIRST, StageJobs("b", (1, 2), 1, "a"), StageJobs("c", (1, 2), 2, "b")], id="all at once"
        ),
        pytest.param(
            ALL,
            {},
            5,
            [StageJobs(stage, (1, 2), 5, before) for stage, before in (("a", None), ("b", "a"), ("c", "b"))],
            id="where requeueing is forbidden",
        ),
        pytest.param(ALL, {"a": [1, 2], "b": [1, 2], "c": [1, 2]}, None, [], id="all have jobs"),
        pytest.param(
            ALL, {"a": [1, 2], "b": [1], "c": [1, 2]}, None, [StageJobs("b", (2,), 1, "a")], id="one seed has none"
        ),
        pytest.param(
            ALL[2:], {}, None, [StageJobs("b", (1, 2), 1, None), StageJobs("c", (1, 2), 2, "b")], id="the first is GO"
        ),
        pytest.param(
            ALL[:2] + ALL[4:], {}, None, [FIRST, StageJobs("c", (1, 2), 2, "a")], id="the middle one is decided"
        ),
        pytest.param(
            [("b", 1), ("c", 1)], {"a": [2]}, None, [StageJobs("b", (1,), 1, "a"), StageJobs("c", (1,), 2, "b")],
            id="a seed was dropped, another one runs",
        ),
        pytest.param([], {}, None, [], id="over"),
    ],
)  # fmt: skip
def test_what_is_queued_behind_what(
    unfinished: list[tuple[str, int]],
    live: dict[str, list[int]],
    chain_length: int | None,
    expected: list[StageJobs],
) -> None:
    assert plan_chain(STAGES, unfinished, live, chain_length) == expected


def test_a_campaign_of_one_stage_has_a_job_behind_the_one_that_runs() -> None:
    assert plan_chain(["a"], [("a", 1)], {}, None) == [StageJobs("a", (1,), 2, None)]

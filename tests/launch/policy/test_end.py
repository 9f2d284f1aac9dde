"""What follows each way in which a job's step ends: every row of docs/on-a-cluster.md's table of events that a script
decides on, and of what stands below it."""

import pytest

from td3_hpc.launch.policy.end import Again, plan_end, plan_unplanned

CHAIN = "; the chain's next job goes on; after its last one, submit again"
BY_HAND = "; the same command continues from the newest checkpoint"


def verbs(again: Again, when: int | str) -> list[str]:
    return [str(verb) for verb in plan_end(again).after.get(when, ())]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("preemption, time limit, scontrol requeue, scancel --signal", 75),
        ("a second USR1 while it leaves", 138),
        ("a second USR2 while it leaves", 140),
        ("a second TERM while it leaves; a step that hears no signal", 143),
    ],
)
def test_a_run_that_was_stopped_goes_on(event: str, status: int) -> None:
    assert verbs("requeue", status) == ["requeue stopped"], event
    assert verbs("chain", status) == [f"exit 75 stopped{CHAIN}"], event
    assert verbs("by hand", status) == [f"exit 75 stopped{BY_HAND}"], event


def test_a_run_that_was_killed_for_memory_goes_on_from_the_last_checkpoint() -> None:
    assert verbs("requeue", 137) == ["requeue killed, out of memory perhaps"]
    assert verbs("chain", 137) == [f"exit 75 killed, out of memory perhaps{CHAIN}"]
    assert verbs("by hand", 137) == [f"exit 75 killed, out of memory perhaps{BY_HAND}"]


@pytest.mark.parametrize("again", ["requeue", "chain", "by hand"])
def test_a_run_that_is_over_ends_with_its_verdict(again: Again) -> None:
    assert verbs(again, 0) == ["exit 0 done"]
    assert verbs(again, 3) == ["exit 3 NO-GO; see $run/report.md"]
    for status in (2, 4, 99, 134):
        assert verbs(again, status) == [], "the job's exit status is the run's"


@pytest.mark.parametrize("again", ["requeue", "chain"])
def test_a_node_is_avoided_where_no_simulator_came_up_or_something_is_missing(again: Again) -> None:
    """Without another node, or before the first checkpoint, the job ends: the script goes on with the next verb."""
    assert verbs(again, 1) == ["exclude simulator the simulator never came up"]
    for status in (135, 139, 255):
        assert verbs(again, status) == [f"exclude begun exit status {status}, as where something is missing,"]
    assert verbs(again, "lacks") == [
        "exclude begun what was there on another node is missing",
        "exit 2 this node lacks what the job needs; see the line above, and submit again",
    ]


def test_without_slurm_there_is_no_other_node() -> None:
    assert [verbs("by hand", status) for status in (1, 135, 139, 255)] == [[]] * 4
    assert verbs("by hand", "lacks") == [
        "exit 2 this node lacks what the job needs; see the line above, and submit again"
    ]


def test_a_container_that_did_nothing_is_no_finished_run() -> None:
    assert verbs("requeue", "unjudged") == ["requeue left no verdict, as if the container did nothing"]


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        (0, ["requeue was not told what to do, as if the container did nothing"]),
        (1, ["exit 1 not admitted; see the line above"]),
        (
            2,
            [
                "exit 2 the campaign cannot be read, or the image is older than this script: build it again; see the "
                "line above"
            ],
        ),
        (75, ["exit 75 not started"]),
        (124, ["requeue did not begin within ten minutes"]),
        *[(status, ["requeue stopped before it began"]) for status in (137, 138, 140, 143)],
        (
            "other",
            [
                "exclude begun what was there on another node is missing",
                "exit 2 the container did not start; see the lines above, and submit again",
            ],
        ),
    ],
)
def test_what_follows_where_a_campaigns_job_was_not_told_what_to_do(planned: int | str, expected: list[str]) -> None:
    found = plan_unplanned("requeue", contained=True).after.get(f"plan-{planned}", ())

    assert [str(verb) for verb in found] == expected


def test_no_row_breaks_the_script() -> None:
    """It stands there in double quotes, a verb a line."""
    for again in ("requeue", "chain", "by hand"):
        for line in plan_end(again).lines() + plan_unplanned(again, contained=False).lines():
            assert not set(line.replace("$run", "")) & set('"`$\\\n'), line

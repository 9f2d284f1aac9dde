"""What a cycle comes to."""

from td3_hpc.training.evaluation.cycle import EvaluationResult
from td3_hpc.training.evaluation.values import States
from tests.training.evaluation.test_kept_episodes import SUMMARY


def test_a_cycle_with_more_routes_is_compared_by_those_that_both_have():
    better = SUMMARY.model_copy(update={"return_": SUMMARY.return_ + 100.0})
    last = EvaluationResult(2, [SUMMARY, SUMMARY, better, better], 0, 1.0, States.together([]))
    assert last.means()["return"] == SUMMARY.return_ + 50.0
    assert last.first(2).means()["return"] == SUMMARY.return_
    assert last.first(9).means() == last.means()

"""The schema says what every field is, in which unit."""

import pytest

from td3_hpc.record.base import KINDS


def test_the_kinds_are_those_that_records_have():
    assert sorted(KINDS) == [
        "alert",
        "attempt",
        "checkpoint",
        "checkpoint_failed",
        "effects",
        "episode",
        "episode_not_reproduced",
        "evaluation",
        "failed",
        "features",
        "finished",
        "gradients",
        "interval",
        "mechanisms",
        "notification_failed",
        "picture",
        "reference",
        "simulator",
        "stopped",
        "worker",
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_and_every_field_is_described(kind):
    schema = KINDS[kind]
    assert (schema.__doc__ or "").strip(), f"{schema.__name__} has no docstring"
    missing = [name for name, field in schema.model_fields.items() if not field.description]
    assert missing == [], f"{schema.__name__}: no docstring under {missing}"

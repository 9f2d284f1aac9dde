"""Numbers and times as a reader wants them."""

import pytest

from td3_hpc.formatting import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h"), (130_000, "36.1 h")],
)
def test_a_length_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text
